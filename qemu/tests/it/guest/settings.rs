//! Kernel settings: what a machine sets, how it reports failures, and that workloads cannot change any.

use crate::support::{BOOT, USUAL, boot_on, has_line, image, one};
use hilum::settings::{Setting, each, path};
use hilum_qemu::Architecture;

on_both!(
    machine_gets_the_settings_of_distributions,
    failed_settings_are_reported_in_one_line,
    sysctl_line_overrides_a_default_setting,
    workload_can_write_no_kernel_file_on_a_machine,
);

const NOT_MADE: &str = "kernel settings not applied";

/// Boots a board with one workload with `share net`, which starts after the settings were applied. Returns its console.
fn boot(arch: Architecture, system: &str, actions: &str, append: &str) -> String {
    let config = format!(
        "hilum 1\n[system]\n{system}idle poweroff\n[workload a]\nroot /images/probe\n\
         exec /bin/probe do {actions}\nshare net\nrestart never\n"
    );
    boot_on(arch, USUAL, &image(arch, &config), append, None).vm.wait(BOOT).expect("it ends by itself")
}

/// Returns actions that read settings. /proc/sys of a workload with the host's network shows the host's.
fn reads(names: &[&str]) -> String {
    let read = |name: &&str| format!("read:{}", path(name).expect("it fits"));
    names.iter().map(read).collect::<Vec<_>>().join(" ")
}

fn shows(console: &str, name: &str, value: &str) {
    has_line(console, &format!("a | content {} {value}", path(name).expect("it fits")));
}

fn machine_gets_the_settings_of_distributions(arch: Architecture) {
    // Both lists together exceed the maximum length of a line.
    for half in 0..2 {
        let is_of_half = |index: usize, setting: &Setting<'_>| index % 2 == half && !setting.is_of_bridges();
        let mut names = Vec::new();
        each(&mut |index, setting| names.extend(is_of_half(index, setting).then(|| setting.name.to_string())));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let console = boot(arch, "", &format!("sleep:2000 {} {OF_LO}", reads(&names)), "");
        each(&mut |index, setting| {
            if !is_of_half(index, setting) {
                return;
            }
            let start = format!("a | content {} ", path(setting.name).expect("it fits"));
            let found = console.lines().find_map(|line| line.strip_prefix(&start));
            let found = found.unwrap_or_else(|| panic!("no {start:?} in\n{console}"));
            assert!(setting.is_good(found.as_bytes()), "{}: {found}\n{console}", setting.name);
        });
        shows(&console, "net/ipv6/conf/lo/accept_redirects", "0");
        assert!(!console.contains(NOT_MADE), "{console}");
    }
}

const OF_LO: &str = "read:/proc/sys/net/ipv6/conf/lo/accept_redirects";

fn failed_settings_are_reported_in_one_line(arch: Architecture) {
    let console = boot(arch, "", "sleep:2000", "lsm=landlock hilum.doctor");
    has_line(&console, "hilum: kernel settings not applied: kernel.yama.ptrace_scope (not in this kernel)");
    assert_eq!(console.matches(NOT_MADE).count(), 1, "{console}");
    has_line(&console, "hilum: yes setting net.ipv4.conf.all.rp_filter is 2");
    has_line(
        &console,
        "hilum: NO  setting kernel.yama.ptrace_scope is not in this kernel: 1 restricts ptrace to descendants",
    );
}

fn sysctl_line_overrides_a_default_setting(arch: Architecture) {
    let system = "sysctl net.ipv4.conf.all.rp_filter 0\nsysctl net/ipv4/conf/default/rp_filter 0\n\
                  sysctl kernel.kptr_restrict 0\n";
    let names = ["net.ipv4.conf.all.rp_filter", "net.ipv4.conf.default.rp_filter", "kernel.kptr_restrict"];
    let console = boot(arch, system, &format!("sleep:2000 {} {OF_LO}", reads(&names)), "");
    names.iter().for_each(|name| shows(&console, name, "0"));
    shows(&console, "net/ipv6/conf/lo/accept_redirects", "0");
    assert!(!console.contains(NOT_MADE), "{console}");
}

#[test]
fn page_lists_every_setting_with_its_value() {
    let page = include_str!("../../../../docs/config.md");
    each(&mut |_, setting| {
        if setting.is_of_bridges() {
            return;
        }
        let start = format!("| `{}` | {} | ", setting.name, setting.value());
        let line = page.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("no {start:?}"));
        assert!(line.ends_with(&format!("| {} |", setting.why)), "{line}");
    });
}

/// Files of /proc and /sys that a workload may open for writing, besides those of its own processes.
const MAY_WRITE: [&str; 0] = [];

const WALK: &str = "exec /bin/probe do writable:/proc writable:/sys\nsys\nrestart never";

fn check_walk(console: &str) {
    for top in ["/proc", "/sys"] {
        let start = format!("a | tried {top} ");
        let tried = console.lines().find_map(|line| line.strip_prefix(&start)).expect("a number");
        assert!(tried.parse::<u32>().expect("a number") > 100, "{console}");
    }
    let found: Vec<&str> = console.lines().filter_map(|line| line.strip_prefix("a | writable ")).collect();
    assert_eq!(found, MAY_WRITE, "{console}");
}

#[test]
fn workload_can_write_no_kernel_file() {
    let host_root = host_or_return!();
    for user in ["", "\nuser 1000:1000"] {
        let (_, console) = host_root.run(&one(&format!("{WALK}{user}")));
        check_walk(&console);
    }
}

fn workload_can_write_no_kernel_file_on_a_machine(arch: Architecture) {
    let config = one(WALK).replace("ROOT", "/images/probe");
    check_walk(&crate::support::run(arch, &image(arch, &config), "psi=1"));
}
