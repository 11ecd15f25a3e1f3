//! The plan's mounts once more as Landlock rules (landlock(7)): what is not writable by its mount is not writable by
//! its path either, whatever a program makes of descriptors and mounts.
//!
//! Rules go down from a folder to everything below it, so the right to execute that the root filesystem has reaches the
//! folders in memory as well; there the mounts' own noexec holds.

use crate::config::{Overlay, Pools, Tcp, Workload};
use crate::namespaces::Namespaces;
use heapless::Vec;

/// Rights by their bits (include/uapi/linux/landlock.h, LANDLOCK_ACCESS_FS_*).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights(pub u64);

impl Rights {
    const EXECUTE: u64 = 1;
    const WRITE_FILE: u64 = 1 << 1;
    const READ: u64 = 1 << 2 | 1 << 3;
    /// Removing and making of every kind but device nodes.
    const CHANGE: u64 = 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 12 | Self::REFER;
    const MAKE_DEVICE: u64 = 1 << 6 | 1 << 11;
    /// From ABI 2, 3 and 5 on.
    const REFER: u64 = 1 << 13;
    const TRUNCATE: u64 = 1 << 14;
    const IOCTL_DEVICE: u64 = 1 << 15;

    /// Those that a rule for something that is no folder may hold.
    pub const fn of_file(self) -> Self {
        let of_file = Self::EXECUTE | Self::WRITE_FILE | 1 << 2 | Self::TRUNCATE | Self::IOCTL_DEVICE;
        Self(self.0 & of_file)
    }

    /// Everything that an ABI can refuse.
    pub const fn known(abi: u32) -> u64 {
        let mut rights = Self::EXECUTE | Self::WRITE_FILE | Self::READ | Self::CHANGE | Self::MAKE_DEVICE;
        if abi >= 3 {
            rights |= Self::TRUNCATE;
        }
        if abi >= 5 {
            rights |= Self::IOCTL_DEVICE;
        }
        rights
    }
}

/// What ends at a workload's border (LANDLOCK_SCOPE_*), from ABI 6 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope(pub u64);

impl Scope {
    /// Connections to abstract sockets (LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET).
    pub const ABSTRACT: u64 = 1;
    /// Signals (LANDLOCK_SCOPE_SIGNAL).
    pub const SIGNAL: u64 = 2;
    /// Everything that can.
    pub const ALL: Self = Self(Self::ABSTRACT | Self::SIGNAL);

    /// What ends at the border of a further program in a workload with these namespaces of its own.
    ///
    /// A process gets a domain of its own, and none can join another's: to such a program the workload itself is beyond its
    /// border. So that it can signal the workload and reach its sockets, the namespace alone is the border where the
    /// workload has one.
    pub(super) fn of_joining(namespaces: Namespaces) -> Self {
        let left = |name, scope| if namespaces.has(name) { 0 } else { scope };
        Self(left("net", Self::ABSTRACT) | left("pid", Self::SIGNAL))
    }

    /// Whether this ends there.
    pub const fn has(self, scope: u64) -> bool {
        self.0 & scope != 0
    }
}

/// The lowest ABI that is used: the first one (5.13 to 5.18) refuses every rename between folders.
const LOWEST_ABI: u32 = 2;

/// What is allowed at a path and below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathRule<'a> {
    /// The path inside the workload.
    pub path: &'a str,
    /// What is allowed there.
    pub rights: Rights,
    /// Whether it is a folder for sure: a mount of the plan's, and not what a line of the configuration names.
    pub is_folder: bool,
}

/// A whole ruleset for one kernel.
#[derive(Debug)]
pub struct Ruleset<'a> {
    /// Rights that are refused where no rule allows them.
    pub handled: Rights,
    /// Whether TCP ports are refused where no rule allows them (LANDLOCK_ACCESS_NET_BIND_TCP and CONNECT_TCP).
    pub handled_tcp: u64,
    /// What ends at the workload's border.
    pub scoped: Scope,
    /// What is allowed, by path.
    pub rules: Vec<PathRule<'a>, 24>,
}

/// Returns the ruleset of a workload for a kernel's ABI. `None` if the kernel has no Landlock that is of use.
pub fn rules<'a>(
    workload: &'a Workload<'a>,
    pools: &'a Pools<'a>,
    tcp: Option<&Tcp>,
    scope: Scope,
    abi: u32,
) -> Option<Ruleset<'a>> {
    if abi < LOWEST_ABI {
        return None;
    }
    let known = Rights::known(abi);
    let mut rules = Vec::new();
    let mut add = |path, rights: u64, is_folder| {
        // There is room for the fixed places and every `mount` and `volume`.
        let _ = rules.push(PathRule { path, rights: Rights(rights & known), is_folder });
    };
    let read_only = Rights::READ | Rights::EXECUTE;
    let writable = Rights::READ | Rights::WRITE_FILE | Rights::TRUNCATE | Rights::CHANGE;
    let is_writable = workload.overlay != Overlay::None;
    add("/", if is_writable { read_only | writable } else { read_only }, true);
    add("/proc", Rights::READ | Rights::WRITE_FILE | Rights::TRUNCATE, true);
    add("/dev", Rights::READ | Rights::WRITE_FILE | Rights::TRUNCATE | Rights::IOCTL_DEVICE, true);
    add("/dev/shm", writable, true);
    add("/tmp", if workload.isolation.tmp_is_executable { writable | Rights::EXECUTE } else { writable }, true);
    add("/run", writable, true);
    let volumes = pools.of(workload.isolation.volumes).iter().map(|volume| volume.bind());
    for bind in pools.of(workload.isolation.mounts).iter().copied().chain(volumes) {
        let execute = if bind.is_executable { Rights::EXECUTE } else { 0 };
        add(bind.target, execute | if bind.is_writable { writable } else { Rights::READ }, false);
    }
    // Bind and connect, from ABI 4; abstract sockets and signals, from ABI 6.
    let handled_tcp = if tcp.is_some() && abi >= 4 { 3 } else { 0 };
    let scoped = if abi >= 6 { scope } else { Scope(0) };
    Some(Ruleset { handled: Rights(known), handled_tcp, scoped, rules })
}
