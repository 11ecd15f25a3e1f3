//! Workload -> Plan: the ordered steps that turn a copy of PID 1 into an isolated program.
//!
//! A plan is data: it is printed by `hilum explain`, tested here, and carried out by the running half in the new
//! process, which reports the index of a step that fails. Both sides make the plan from the same workload, so an index
//! is enough to name the step and its subject.
//!
//! The order is part of what is decided:
//! - The root filesystem is attached and filled before the pivot, by file descriptors below it, so that no symbolic
//!   link inside it can lead a mount elsewhere.
//! - Capabilities go after the last step that needs one, and before the program's first instruction.
//! - Descriptors are closed last: the report of a failed step needs one until the very end.

mod show;
mod step;

pub use step::{FileSystem, Folder, Link, Mount, Node, Setting, Step};

use crate::config::Workload;
use heapless::Vec;

/// Steps of the longest plan.
pub const STEPS: usize = 48;

/// Namespaces by their clone3(2) flags (include/uapi/linux/sched.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Namespaces(pub u64);

impl Namespaces {
    /// Each namespace's name in /proc/PID/ns, and its flag.
    pub const NAMES: [(&'static str, u64); 6] = [
        ("pid", 0x2000_0000),
        ("mnt", 0x0002_0000),
        ("uts", 0x0400_0000),
        ("ipc", 0x0800_0000),
        ("net", 0x4000_0000),
        ("cgroup", 0x0200_0000),
    ];

    /// Those that a workload has for itself.
    pub const PRIVATE: Self = Self(0x2000_0000 | 0x0002_0000 | 0x0400_0000 | 0x0800_0000 | 0x4000_0000 | 0x0200_0000);
}

/// Everything that is done to start one workload.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The namespaces that the new process is born into.
    pub namespaces: Namespaces,
    /// What the new process does, in order; the last step is the program itself.
    pub steps: Vec<Step<'a>, STEPS>,
}

/// What is attached below a workload's root filesystem, in order.
const MOUNTS: [Mount; 6] = [
    // Read-only: a program with uid 0 owns the files below /proc/sys, and needs no capability to write its own files.
    Mount {
        filesystem: FileSystem::Proc,
        target: c"proc",
        options: &[],
        read_only: true,
        executable: false,
        devices: false,
    },
    Mount {
        filesystem: FileSystem::Tmpfs,
        target: c"dev",
        options: &[(c"mode", c"0755"), (c"size", c"64k"), (c"nr_inodes", c"64")],
        read_only: false,
        executable: false,
        devices: true,
    },
    Mount {
        filesystem: FileSystem::Devpts,
        target: c"dev/pts",
        options: &[(c"mode", c"0620"), (c"ptmxmode", c"0666")],
        read_only: false,
        executable: false,
        devices: true,
    },
    Mount {
        filesystem: FileSystem::Tmpfs,
        target: c"dev/shm",
        options: &[(c"mode", c"1777"), (c"size", c"16m")],
        read_only: false,
        executable: false,
        devices: false,
    },
    Mount {
        filesystem: FileSystem::Tmpfs,
        target: c"tmp",
        options: &[(c"mode", c"1777"), (c"size", c"16m")],
        read_only: false,
        executable: true,
        devices: false,
    },
    Mount {
        filesystem: FileSystem::Tmpfs,
        target: c"run",
        options: &[(c"mode", c"0755"), (c"size", c"16m")],
        read_only: false,
        executable: false,
        devices: false,
    },
];

/// The folders that /dev needs before something can be attached to them.
const FOLDERS: [Folder; 2] = [Folder { path: c"dev/pts" }, Folder { path: c"dev/shm" }];

/// The six usual nodes (Documentation/admin-guide/devices.txt).
const NODES: [Node; 6] = [
    Node { path: c"dev/null", major: 1, minor: 3 },
    Node { path: c"dev/zero", major: 1, minor: 5 },
    Node { path: c"dev/full", major: 1, minor: 7 },
    Node { path: c"dev/random", major: 1, minor: 8 },
    Node { path: c"dev/urandom", major: 1, minor: 9 },
    Node { path: c"dev/tty", major: 5, minor: 0 },
];

/// The names that programs expect next to the nodes.
const LINKS: [Link; 5] = [
    Link { path: c"dev/ptmx", target: c"pts/ptmx" },
    Link { path: c"dev/fd", target: c"/proc/self/fd" },
    Link { path: c"dev/stdin", target: c"/proc/self/fd/0" },
    Link { path: c"dev/stdout", target: c"/proc/self/fd/1" },
    Link { path: c"dev/stderr", target: c"/proc/self/fd/2" },
];

/// What users trip over in a network namespace of their own: there is nobody else's port below 1024 to protect, and
/// every group may ping (Documentation/networking/ip-sysctl.rst).
const SETTINGS: [Setting; 2] = [
    Setting { path: c"/proc/sys/net/ipv4/ip_unprivileged_port_start", value: "0" },
    Setting { path: c"/proc/sys/net/ipv4/ping_group_range", value: "0 2147483647" },
];

/// The plan of one workload.
pub fn plan<'a>(workload: &Workload<'a>) -> Plan<'a> {
    let mut steps = Vec::new();
    // A plan that does not fit is a fault of this file: `every_plan_fits` counts the steps of the longest one.
    let mut add = |step| assert!(steps.push(step).is_ok(), "a plan has at most {STEPS} steps");

    add(Step::Session);
    add(Step::Hostname(workload.hostname));
    add(Step::Loopback);
    SETTINGS.iter().for_each(|setting| add(Step::Setting(setting)));
    add(Step::PrivateMounts);
    add(Step::Root(workload.root));
    for mount in &MOUNTS {
        for folder in FOLDERS.iter().filter(|folder| folder.path == mount.target) {
            add(Step::Folder(folder));
        }
        add(Step::Mount(mount));
    }
    NODES.iter().for_each(|node| add(Step::Node(node)));
    LINKS.iter().for_each(|link| add(Step::Link(link)));
    // Standard input is the workload's own /dev/null, so it comes after the nodes.
    add(Step::Output);
    add(Step::Seal(c"dev"));
    add(Step::Pivot);
    add(Step::Directory(workload.directory));
    add(Step::Bounding);
    add(Step::User(workload.user));
    add(Step::Capabilities);
    add(Step::NoNewPrivileges);
    add(Step::Descriptors);
    add(Step::Signals);
    add(Step::Execute(workload.exec.first().copied().unwrap_or_default()));
    Plan { namespaces: Namespaces::PRIVATE, steps }
}

#[cfg(test)]
mod tests;
