//! What a default workload sees, defined once for the guest and for the host.

use super::{fact, facts};
use hilum_qemu::Architecture;

/// Mounts of a workload: target, source, and options of the mount, in the order in which they are attached.
const MOUNTS: [(&str, &str, &str); 6] = [
    ("/proc", "proc", "rw,nosuid,nodev,noexec"),
    ("/dev", "tmpfs", "ro,nosuid,noexec"),
    ("/dev/pts", "devpts", "rw,nosuid,noexec"),
    ("/dev/shm", "tmpfs", "rw,nosuid,nodev,noexec"),
    ("/tmp", "tmpfs", "rw,nosuid,nodev,noexec"),
    ("/run", "tmpfs", "rw,nosuid,nodev,noexec"),
];

/// Read-only or covered paths below /proc, and whether every kernel has them. A cover is of the template's filesystem.
const COVERED: [(&str, &str, bool); 15] = [
    ("/proc/bus", "proc", true),
    ("/proc/fs", "proc", true),
    ("/proc/irq", "proc", true),
    ("/proc/pressure", "proc", false),
    ("/proc/sys", "proc", true),
    ("/proc/sysrq-trigger", "proc", false),
    ("/proc/kcore", "tmpfs", false),
    ("/proc/keys", "tmpfs", true),
    ("/proc/timer_list", "tmpfs", true),
    ("/proc/sched_debug", "tmpfs", false),
    ("/proc/latency_stats", "tmpfs", false),
    ("/proc/interrupts", "tmpfs", true),
    ("/proc/acpi", "tmpfs", false),
    ("/proc/scsi", "tmpfs", false),
    ("/proc/asound", "tmpfs", false),
];

const DEVICES: [&str; 13] = [
    "fd",
    "full 1:7 666",
    "null 1:3 666",
    "ptmx",
    "pts",
    "random 1:8 666",
    "shm",
    "stderr",
    "stdin",
    "stdout",
    "tty 5:0 666",
    "urandom 1:9 666",
    "zero 1:5 666",
];

/// Compares everything that the probe printed as workload `name`, whose user is 1000:50, with the expected values.
pub(crate) fn check(console: &str, name: &str, arch: Architecture) {
    let one = |key: &str| fact(console, name, key);
    assert_eq!(one("pid"), "1");
    assert_eq!(one("parent"), "0");
    assert_eq!(one("session"), "1");
    assert_eq!((one("user"), one("effective")), ("1000:50".into(), "1000:50".into()));
    assert_eq!(one("hostname"), "front");
    assert_eq!(one("umask"), "022");
    assert_eq!(facts(console, name, "argument"), ["/bin/probe", "facts", "two words"], "{}", arch.name());
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(facts(console, name, "environment"), ["LANG=C.UTF-8", path]);
    assert_eq!(facts(console, name, "directory"), ["current /tmp"]);

    let status = facts(console, name, "status");
    for line in [
        "Groups:",
        "SigBlk: 0000000000000000",
        "SigIgn: 0000000000000000",
        "CapInh: 0000000000000000",
        "CapPrm: 0000000000000000",
        "CapEff: 0000000000000000",
        "CapBnd: 0000000000000000",
        "CapAmb: 0000000000000000",
        "NoNewPrivs: 1",
        "Seccomp: 2",
    ] {
        assert!(status.iter().any(|found| found == line), "{line:?} is not in {status:?}");
    }

    let descriptors = facts(console, name, "descriptor");
    assert_eq!(descriptors.len(), 3, "{descriptors:?}");
    assert_eq!(descriptors[0], "0 /dev/null");
    assert!(descriptors[1].starts_with("1 pipe:") && descriptors[2].starts_with("2 pipe:"), "{descriptors:?}");
    assert_eq!(facts(console, name, "process"), ["1"]);

    mounts(&facts(console, name, "mount"));
    let mut devices = facts(console, name, "device");
    devices.sort();
    assert_eq!(devices, DEVICES);

    // Read-only file system (30), or permission denied (13) if another protection applies first.
    for (path, expected) in
        [("/", "30"), ("/proc", "2"), ("/dev", "30"), ("/proc/sys/kernel/hostname", "30"), ("/bin", "30")]
    {
        let found = facts(console, name, "writable");
        let line = found.iter().find_map(|line| line.strip_prefix(&format!("{path} "))).unwrap_or("not told");
        assert!(line == expected || line == "13", "writing below {path} gave {line}");
    }
    assert!(facts(console, name, "writable").contains(&"/tmp 0".to_owned()));
    assert_eq!(one("loopback"), "0");
}

fn mounts(found: &[String]) {
    // mountinfo (proc(5)): id, parent, device, root, mount point, options, optional fields, "-", type, ...
    let of = |line: &String| {
        let words: Vec<&str> = line.split(' ').collect();
        let dash = words.iter().position(|word| *word == "-").expect("a separator");
        assert_eq!(dash, 6, "the mount is shared with another namespace: {line}");
        (words[4].to_owned(), words[dash + 1].to_owned(), words[5].to_owned())
    };
    let mounts: Vec<_> = found.iter().map(of).collect();
    assert_eq!((mounts[0].0.as_str(), mounts[0].2.starts_with("ro,nosuid,nodev")), ("/", true), "{:?}", mounts[0]);
    let (covers, mut others): (Vec<_>, Vec<_>) = mounts[1..].iter().partition(|mount| mount.0.starts_with("/proc/"));
    // Their order differs between kernels.
    others.sort();
    let mut expected = MOUNTS;
    expected.sort();
    assert_eq!(others.len(), MOUNTS.len(), "{others:?}");
    let options = |options: &str| options.trim_end_matches(",relatime").to_owned();
    for (mount, expected) in others.into_iter().zip(expected) {
        assert_eq!((mount.0.as_str(), mount.1.as_str()), (expected.0, expected.1));
        assert_eq!(options(&mount.2), expected.2, "{}", expected.0);
    }
    let mut rest = COVERED.iter();
    for (place, kind, found) in covers {
        let known = rest.find(|(known, _, is_everywhere)| {
            assert!(known == place || !is_everywhere, "{known} is not covered, {place} is next");
            known == place
        });
        assert_eq!(known.map(|known| known.1), Some(kind.as_str()), "{place}");
        let expected = if kind == "proc" { "ro,nosuid,nodev,noexec" } else { "ro,nosuid,noexec" };
        assert_eq!(options(found), expected, "{place}");
    }
    assert!(rest.all(|(_, _, is_everywhere)| !is_everywhere), "something is not covered");
}

/// Asserts that namespaces differ between two workloads.
pub(crate) fn differ(console: &str, one: &str, other: &str, names: &[&str]) {
    let of = |workload: &str, name: &str| {
        let found = facts(console, workload, "namespace");
        let prefix = format!("{name} ");
        found.iter().find(|line| line.starts_with(&prefix)).cloned().expect("the namespace")
    };
    for name in names {
        assert_ne!(of(one, name), of(other, name), "{one} and {other} share a namespace");
    }
}
