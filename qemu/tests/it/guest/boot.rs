//! Boots a real Debian kernel on both architectures: behaviour that a namespace on the host cannot show.

use crate::support::{BOOT, boot, fact, facts, has_in_order, has_line, image, isolation, run};
use hilum_qemu::Architecture;

on_both!(
    workload_is_isolated,
    restarts_back_off_until_the_limit_powers_off,
    bad_workloads_fail_alone_with_their_step,
    broken_config_is_reported_with_its_place,
    missing_config_is_reported_and_the_policy_followed,
    config_of_another_path_is_read,
    panic_prints_one_line_and_reboots,
    refused_reboot_falls_back_to_emergency_restart,
    board_without_a_console_boots,
    root_without_device_nodes_boots_anyway,
    lines_are_also_written_to_the_kernel_log,
    long_line_is_split_in_the_kernel_log,
);

const ISOLATED: &str = "hilum 1
[system]
hostname board
idle poweroff
[workload facts]
root /images/probe
exec /bin/probe facts \"two words\"
env LANG C.UTF-8
directory /tmp
hostname front
user 1000:50
restart never
[workload root]
root /images/probe
exec /bin/probe facts
restart never
[workload attempt]
root /images/probe
exec /bin/probe attempt
restart never
";

fn workload_is_isolated(arch: Architecture) {
    let console = run(arch, &image(arch, ISOLATED), "");
    let banner = console.lines().find(|line| line.contains("hilum 0.")).expect("a banner");
    assert!(banner.contains(" on Linux 6.1") && banner.ends_with(", 3 workloads from /etc/hilum.conf"), "{banner}");
    assert!(banner.contains(arch.name()), "{banner}");

    isolation::check(&console, "facts", arch);
    isolation::differ(&console, "facts", "root", &["pid", "mnt", "uts", "ipc", "net", "cgroup", "user", "time"]);
    // The names of the machine's initial namespaces (include/linux/proc_ns.h).
    for own in [
        "pid pid:[4026531836]",
        "uts uts:[4026531838]",
        "ipc ipc:[4026531839]",
        "cgroup cgroup:[4026531835]",
        "user user:[4026531837]",
        "time time:[4026531834]",
    ] {
        assert!(!facts(&console, "facts", "namespace").contains(&own.to_owned()), "{own}");
    }
    // It was created in its own cgroup, which is the root of its cgroup namespace.
    assert_eq!(fact(&console, "facts", "cgroup"), "0::/");
    assert_eq!(fact(&console, "root", "user"), "0:0");
    assert!(facts(&console, "root", "status").contains(&"CapEff: 0000000000000000".to_owned()));
    nothing_was_possible(&console);

    // Times are printed, not asserted: they depend on the machine.
    for figure in ["hilum: first workload after ", "hilum: memory of pid 1: VmRSS "] {
        let line =
            console.lines().find(|line| line.starts_with(figure)).unwrap_or_else(|| panic!("no figure\n{console}"));
        println!("{}: {line}", arch.name());
    }
    has_in_order(&console, &["hilum: workload \"facts\": exited with status 0", "hilum: power off"]);
}

/// Asserts that every attempt of the workload `attempt`, which has uid 0, failed.
fn nothing_was_possible(console: &str) {
    let attempts: Vec<&str> = console.lines().filter_map(|line| line.strip_prefix("attempt | attempt ")).collect();
    assert_eq!(attempts.len(), 14, "{attempts:?}");
    for attempt in attempts {
        // Becoming uid 0 is no change for uid 0; everything else needs a capability, or is read-only.
        let expected = if attempt.starts_with("setuid") { attempt.ends_with(" 0") } else { !attempt.ends_with(" 0") };
        assert!(expected, "{attempt}");
    }
}

fn restarts_back_off_until_the_limit_powers_off(arch: Architecture) {
    let config = "hilum 1
[workload stay]
root /images/probe
exec /bin/probe on-term
[workload fails]
root /images/probe
exec /bin/probe exit 3
restart on-failure delay=100ms max=300ms limit=3/60s else=poweroff
needs stay
";
    let console = run(arch, &image(arch, config), "");
    has_in_order(
        &console,
        &[
            "hilum: workload \"stay\": started, pid ",
            "hilum: workload \"fails\": started, pid ",
            "hilum: workload \"fails\": exited with status 3",
            "hilum: workload \"fails\": restart 1 in 100 ms",
            "hilum: workload \"fails\": restart 2 in 2",
            "hilum: workload \"fails\": restart 3 in 3",
            "hilum: workload \"fails\": gave up after 3 restarts in 60 s: power off",
            "hilum: stopping 1 workload",
            "stay | got TERM",
            "hilum: workload \"stay\": exited with status 0",
            "hilum: power off",
        ],
    );
}

fn bad_workloads_fail_alone_with_their_step(arch: Architecture) {
    let section =
        |name: &str, root: &str, exec: &str| format!("[workload {name}]\nroot {root}\nexec {exec}\nrestart never\n");
    let config = [
        "hilum 1\n[system]\nidle poweroff\n".to_owned(),
        section("rootless", "/images/none", "/bin/probe"),
        section("foreign", "/images/probe", "/bin/foreign"),
        section("absent", "/images/probe", "/bin/none"),
        section("plain", "/images/probe", "/bin/plain"),
        section("loaderless", "/images/probe", "/bin/script"),
        section("folderless", "/images/bare", "/bin/probe"),
        section("good", "/images/probe", "/bin/probe sleep 1500"),
    ]
    .concat();
    let mut image = image(arch, &config);
    let other = Architecture::ALL.into_iter().find(|other| *other != arch).expect("another architecture");
    image.file("images/probe/bin/foreign", 0o755, std::fs::read(crate::support::probe(other)).expect("a probe"));
    image.file("images/probe/bin/plain", 0o644, *b"#!/bin/probe\n");
    image.file("images/probe/bin/script", 0o755, *b"#!/bin/none\n");
    image.folder("images/bare/bin", 0o755);
    let console = run(arch, &image, "");
    for (name, line) in [
        (
            "rootless",
            "open root /images/none: ENOENT (no such file or directory): no such root filesystem; correct the root line, or add it to the image",
        ),
        (
            "foreign",
            "exec /bin/foreign: ENOEXEC (exec format error): wrong architecture, or not a program; a script begins with #!",
        ),
        (
            "absent",
            "exec /bin/none: ENOENT (no such file or directory): no such program in the root filesystem; write its path inside of it",
        ),
        (
            "plain",
            "exec /bin/plain: EACCES (permission denied): not executable for its user; set mode 755 on it and its folders",
        ),
        (
            "loaderless",
            "exec /bin/script: ELIBACC (can not access a needed shared library): its interpreter or dynamic loader is not in the root filesystem; add it",
        ),
        (
            "folderless",
            "mount /proc: ENOENT (no such file or directory): the root filesystem needs an empty folder there",
        ),
    ] {
        has_line(&console, &format!("hilum: workload \"{name}\": {line}"));
        assert!(!console.contains(&format!("\"{name}\": started")), "{name} started\n{console}");
    }
    has_in_order(
        &console,
        &["hilum: workload \"good\": started", "hilum: workload \"good\": exited with status 0", "hilum: power off"],
    );
}

fn broken_config_is_reported_with_its_place(arch: Architecture) {
    let console = run(arch, &image(arch, "hilum 1\n[system]\nhostnam x\n"), "hilum.fail=poweroff");
    has_in_order(
        &console,
        &[
            "hilum: /etc/hilum.conf:3:1: unknown key \"hostnam\" in [system]; did you mean \"hostname\"?",
            "hilum: power off in 10 s",
            "hilum: power off",
        ],
    );
    assert!(!console.contains("Kernel panic"), "{console}");
}

fn missing_config_is_reported_and_the_policy_followed(arch: Architecture) {
    // Without a word on the command line the policy is a reboot, which ends QEMU.
    let console = run(arch, &image(arch, ""), "hilum.config=/etc/none hilum.fial=stay");
    has_in_order(
        &console,
        &[
            "hilum: kernel command line: unknown word \"hilum.fial=stay\"",
            "hilum: /etc/none: ENOENT (no such file or directory): cannot read the configuration; hilum.config= on the kernel command line selects another",
            "hilum: reboot in 10 s",
            "hilum: reboot",
        ],
    );
    assert!(!console.contains("Kernel panic"), "{console}");
}

fn config_of_another_path_is_read(arch: Architecture) {
    let mut image = image(arch, "broken");
    image.file(
        "other.conf",
        0o644,
        *b"hilum 1\n[system]\nidle poweroff\n[workload a]\nroot /images/probe\nexec /bin/probe escape\n",
    );
    let console = run(arch, &image, "hilum.config=/other.conf");
    // Control characters of a workload do not reach the terminal.
    has_line(&console, "a | red ?[31m bell ? clear ?[2J end");
    assert!(console.contains("1 workload from /other.conf"), "{console}");
}

fn panic_prints_one_line_and_reboots(arch: Architecture) {
    let config = "hilum 1\n[workload a]\nroot /images/probe\nexec /bin/probe ignore-term\n";
    let console = run(arch, &image(arch, config), "hilum.panic");
    has_line(&console, "hilum: panic as requested by hilum.panic on the kernel command line");
    let panics: Vec<&str> = console.lines().filter(|line| line.contains("panic at")).collect();
    assert_eq!(panics.len(), 1, "{console}");
    let addresses = panics[0].strip_prefix("hilum: panic at ").and_then(|rest| rest.split_once(": "));
    let addresses: Vec<&str> = addresses.expect(panics[0]).0.split(' ').collect();
    assert!(addresses.len() >= 3, "{}", panics[0]);
    // The first address is in the function whose check failed; `addr2line` prints its name (CONTRIBUTING.md).
    let code = 0x40_0000..0x50_0000;
    let is_code =
        |text: &&str| u64::from_str_radix(text.trim_start_matches("0x"), 16).is_ok_and(|at| code.contains(&at));
    assert!(addresses.iter().all(is_code), "{}", panics[0]);
    // The trap is ud2 (SIGILL) on x86_64, brk (SIGTRAP) on aarch64.
    let signal = if arch == Architecture::Aarch64 { 5 } else { 4 };
    assert!(panics[0].ends_with(&format!(": internal error, signal {signal}")), "{}", panics[0]);
}

fn board_without_a_console_boots(arch: Architecture) {
    // The last console= is /dev/console, and there is no such device: nothing is visible, but the board still works.
    let config = "hilum 1\n[system]\nidle poweroff\n[workload a]\nroot /images/probe\nexec /bin/probe exit 0\n";
    let console = run(arch, &image(arch, config), "console=ttyS9");
    assert!(!console.contains("Kernel panic"), "{console}");
    assert!(console.contains("reboot: Power down"), "{console}");
}

fn root_without_device_nodes_boots_anyway(arch: Architecture) {
    // Images of other tools may lack /dev/console, which the kernel opens as descriptors 0 to 2.
    let config =
        "hilum 1\n[system]\nidle poweroff\n[workload a]\nroot /images/probe\nexec /bin/probe facts\nrestart never\n";
    let mut bare = hilum_initramfs::Image::default();
    let whole = image(arch, config);
    for path in ["init", "etc/hilum.conf", "images/probe/bin/probe"] {
        if let Some((mode, hilum_initramfs::Node::File(contents))) = whole.get(path) {
            bare.file(path, mode, contents.clone());
        }
    }
    for place in ["dev", "proc", "run", "tmp"] {
        bare.folder(&format!("images/probe/{place}"), 0o755);
    }
    let console = run(arch, &bare, "");
    assert_eq!(fact(&console, "a", "pid"), "1");
    assert_eq!(facts(&console, "a", "descriptor").len(), 3);
    has_line(&console, "hilum: power off");
}

/// The other architecture's machine has no keyboard that its kernel supports without modules.
#[test]
fn ctrl_alt_del_reboots_in_order() {
    let config = "hilum 1\n[workload a]\nroot /images/probe\nexec /bin/probe on-term\n";
    let mut booted = boot(Architecture::X86_64, &image(Architecture::X86_64, config), "");
    booted.vm.console.expect("a | ready", BOOT).expect("it starts");
    booted.vm.press_ctrl_alt_del().expect("a keyboard");
    let console = booted.vm.wait(BOOT).expect("it ends");
    has_in_order(&console, &["hilum: stopping 1 workload", "a | got TERM", "hilum: reboot"]);
}

#[test]
fn board_without_a_config_reacts_to_ctrl_alt_del() {
    let mut booted = boot(Architecture::X86_64, &image(Architecture::X86_64, "hilum 2\n"), "hilum.fail=stay");
    booted.vm.console.expect("hilum: staying up without workloads", BOOT).expect("the policy");
    booted.vm.press_ctrl_alt_del().expect("a keyboard");
    let console = booted.vm.wait(BOOT).expect("it ends");
    has_in_order(&console, &["hilum: /etc/hilum.conf:1:7: unknown version \"2\"", "hilum: reboot"]);
}

fn lines_are_also_written_to_the_kernel_log(arch: Architecture) {
    let config = "hilum 1\n[system]\nidle poweroff\nlog kmsg\n[workload a]\nroot /images/probe\nexec /bin/probe exit 0\nrestart never\n";
    let line = "hilum: workload \"a\": exited with status 0";
    // Lines in the kernel's log appear on the kernel's console with this log level.
    let console = run(arch, &image(arch, config), "loglevel=7");
    has_line(&console, line);
    assert!(console.lines().any(|found| found.starts_with('[') && found.ends_with(&format!("] {line}"))), "{console}");
    let console = run(arch, &image(arch, &config.replace("log kmsg\n", "")), "loglevel=7");
    assert!(!console.lines().any(|found| found.ends_with(&format!("] {line}"))), "{console}");
}

/// One record takes about 1,000 bytes (PRINTKRB_RECORD_MAX, kernel/printk/printk.c): write(2) refuses a longer one (EINVAL).
fn long_line_is_split_in_the_kernel_log(arch: Architecture) {
    let config = "hilum 1\n[system]\nidle poweroff\nlog kmsg\n[workload a]\nroot /images/probe\n\
        exec /bin/probe do copy:/long:/dev/stderr\nrestart never\n";
    let mut image = image(arch, config);
    let long: String = (0..500).map(|number| format!("<{number:03}>")).collect();
    image.file("images/probe/long", 0o644, format!("{long}\n"));
    let console = run(arch, &image, "loglevel=7");
    has_line(&console, &format!("a | {long}"));
    // A record on the kernel's console begins with its time.
    let pieces: Vec<&str> = console
        .lines()
        .filter(|line| line.starts_with('['))
        .filter_map(|line| line.split_once("] a | "))
        .map(|(_, piece)| piece)
        .filter(|piece| piece.contains('<'))
        .collect();
    assert!(pieces.len() > 1, "{console}");
    let mut whole = String::new();
    for (number, piece) in pieces.iter().enumerate() {
        assert!(piece.len() <= 1_000, "{} bytes", piece.len());
        assert_eq!(
            (piece.starts_with("..."), piece.ends_with("...")),
            (number > 0, number + 1 < pieces.len()),
            "{piece}"
        );
        whole += piece.trim_start_matches("...").trim_end_matches("...");
    }
    assert_eq!(whole, long);
}

/// Whatever the kernel returns from reboot(2), PID 1 does not exit and the board restarts. Here a filter refuses the
/// call: the probe installs it and executes /init.
fn refused_reboot_falls_back_to_emergency_restart(arch: Architecture) {
    let lines = "idle poweroff\n[workload a]\nroot /images/probe\nexec /bin/probe exit 0\nrestart never\n";
    let mut image = image(arch, &format!("hilum 1\n[system]\n{lines}"));
    image.file("wrap", 0o755, std::fs::read(crate::support::probe(arch)).expect("the probe"));
    let number = hilum::seccomp::Call::named("reboot").expect("a call").number(arch);
    let words = format!("rdinit=/wrap -- without-call {}", number.expect("both have it"));
    // Without a fallback it would wait for ever, and QEMU would not exit.
    let console = run(arch, &image, &words);
    has_line(&console, "hilum: boot: Ctrl-Alt-Del: EPERM (operation not permitted)");
    has_in_order(&console, &["hilum: workload \"a\": exited with status 0", "hilum: power off"]);
    assert!(!console.contains("Power down") && !console.contains("Attempted to kill init"), "{console}");
}
