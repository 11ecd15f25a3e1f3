//! The system call filter on the kernel: every number of the architecture is called, and the result compared with the
//! table.

use crate::support::{has_line, host, image, one, run};
use hilum::seccomp::{Call, FilterAction, Profile, Seccomp, action_for};
use hilum_qemu::Architecture;
use std::collections::BTreeMap;

on_both!(filter_matches_the_table);

const EPERM: &str = "1";
const ENOSYS: &str = "38";

/// Returns the results of all numbers up to 479.
fn calls(console: &str, name: &str) -> BTreeMap<u16, String> {
    let prefix = format!("{name} | call ");
    let lines = console.lines().filter_map(|line| line.strip_prefix(&prefix)?.split_once(' '));
    let calls: BTreeMap<u16, String> =
        lines.map(|(number, answer)| (number.parse().expect("a number"), answer.to_owned())).collect();
    assert_eq!(calls.len(), 480, "{console}");
    calls
}

/// Allowed calls that return EPERM themselves when called with -1 six times.
const REFUSED_BY_THE_KERNEL: [&str; 2] = ["setgroups", "sched_setattr"];

fn compare(found: &BTreeMap<u16, String>, arch: Architecture, profile: Profile) {
    let seccomp = Seccomp { profile, ..Seccomp::DEFAULT };
    let mut known = [false; 480];
    for call in Call::all() {
        let Some(number) = call.number(arch) else { continue };
        known[usize::from(number)] = true;
        let (name, found) = (call.name(), found[&number].as_str());
        match action_for(&seccomp, 0, call) {
            // Newer kernels bypass filters for this one, and kill a caller outside of a probe.
            FilterAction::Refuse if name == "uretprobe" => assert!([EPERM, "signal 4"].contains(&found), "{found}"),
            FilterAction::Refuse => assert_eq!(found, EPERM, "{name} ({number})"),
            FilterAction::Unknown => assert_eq!(found, ENOSYS, "{name} ({number})"),
            FilterAction::Allow => {
                assert!(
                    found != EPERM || REFUSED_BY_THE_KERNEL.contains(&name.as_str()),
                    "{name} ({number}) gave {found}"
                );
            }
            // -1 has every bit: new namespaces, an unknown personality, an invalid family.
            FilterAction::Check(_) => {
                let expected =
                    if matches!(name.as_str(), "ioctl" | "personality") { found != EPERM } else { found == EPERM };
                assert!(expected, "{name} ({number}) gave {found}");
            }
        }
    }
    // 336 is uprobe(2) of x86_64 from kernel 6.18 on, which bypasses filters like uretprobe.
    for (number, found) in found.iter().filter(|(number, _)| !known[usize::from(**number)] && **number != 336) {
        assert_eq!(found, ENOSYS, "number {number}, which no kernel of this time has");
    }
}

fn filter_matches_the_table(arch: Architecture) {
    let section = |name: &str, seccomp: &str| {
        format!("[workload {name}]\nroot /images/probe\nexec /bin/probe calls\nseccomp {seccomp}\nrestart never\n")
    };
    let config = format!(
        "hilum 1\n[system]\nidle poweroff\n{}{}{}{}{}",
        section("default", "default"),
        section("strict", "strict"),
        section("off", "off"),
        section("x32", "default").replace("probe calls", "probe do call:1073741863"),
        section("x32off", "off").replace("probe calls", "probe do call:1073741863")
    );
    let console = run(arch, &image(arch, &config), "");
    compare(&calls(&console, "default"), arch, Profile::Default);
    compare(&calls(&console, "strict"), arch, Profile::Strict);
    // getpid by its x32 number kills, before the kernel could refuse it; aarch64 has no second set of numbers.
    match arch {
        Architecture::X86_64 => {
            has_line(&console, "x32 | call:1073741863 killed by signal 31");
            has_line(&console, "x32off | did call:1073741863 38");
        }
        Architecture::Aarch64 => has_line(&console, "x32 | did call:1073741863 38"),
    }
    // Without the filter the kernel's own results mostly differ, so the comparison above is about the filter.
    let off = calls(&console, "off");
    let filtered = calls(&console, "default");
    let refused = filtered.iter().filter(|(_, answer)| *answer == EPERM);
    let otherwise = refused.clone().filter(|(number, _)| off[number] != EPERM).count();
    let refused = refused.count();
    println!(
        "{}: {refused} calls are refused, {otherwise} of them the kernel would have answered otherwise",
        arch.name()
    );
    assert!(otherwise > 40, "{otherwise} of {refused}");
}

#[test]
fn filter_matches_the_table_on_the_host() {
    let host_root = host_or_return!();
    for profile in [Profile::Default, Profile::Strict] {
        let name = if profile == Profile::Strict { "strict" } else { "default" };
        let (_, console) = host_root.run(&one(&format!("exec /bin/probe calls\nseccomp {name}\nrestart never")));
        compare(&calls(&console, "a"), host(), profile);
    }
}

/// Programs use NETLINK_ROUTE and NETLINK_KOBJECT_UEVENT; XFRM, AUDIT and the others configure the kernel.
#[test]
fn unused_netlink_protocols_are_refused_by_the_kernel_filter() {
    let host_root = host_or_return!();
    let lines = "exec /bin/probe do netlink:0 netlink:15 netlink:6 netlink:9 netlink:12 netlink:21\nrestart never";
    let (_, console) = host_root.run(&one(lines));
    for (protocol, errno) in [(0, 0), (15, 0), (6, 93), (9, 93), (12, 93), (21, 93)] {
        has_line(&console, &format!("a | did netlink:{protocol} {errno}"));
    }
    let (_, console) = host_root.run(&one(&format!("{lines}\ncapability net_admin")));
    for (protocol, errno) in [(0, 0), (6, 0), (12, 0), (9, 93), (21, 93)] {
        has_line(&console, &format!("a | did netlink:{protocol} {errno}"));
    }
}

#[test]
fn changed_calls_and_arguments_are_allowed_or_refused_as_changed() {
    let host_root = host_or_return!();
    let lines = "exec /bin/probe do socket:17 socket:2 ioctl:5412 ioctl:100005412 kill:1 setgroups fifo:/tmp/f mknod:/tmp/n:1:3\nrestart never";
    let (_, console) = host_root.run(&one(lines));
    for line in [
        "a | did socket:17 1",
        "a | did socket:2 0",
        // TIOCSTI, and the same with a bit that the kernel ignores (CVE-2019-10063).
        "a | did ioctl:5412 1",
        "a | did ioctl:100005412 1",
        "a | did kill:1 0",
        "a | did fifo:/tmp/f 0",
    ] {
        has_line(&console, line);
    }
    let (_, console) = host_root.run(&one(&format!("{lines}\nseccomp default +socket +ioctl -kill")));
    for line in [
        // No longer refused by the filter. Without CAP_NET_RAW the kernel itself returns EPERM, so this is another
        // family.
        "a | did ioctl:5412 25",
        "a | did ioctl:100005412 25",
        "a | did kill:1 1",
    ] {
        has_line(&console, line);
    }
}
