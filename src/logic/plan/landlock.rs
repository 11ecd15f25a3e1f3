//! The plan's mounts as Landlock rules (landlock(7)): a file that is not writable by its mount is not writable by its
//! path either, whatever a program does with descriptors and mounts.
//!
//! A rule for a folder covers everything below it, so the execute right of the root filesystem also covers the tmpfs
//! mounts. There the mounts' noexec applies.

use crate::config::{Overlay, Pools, Tcp, Workload};
use crate::namespaces::Namespaces;
use heapless::Vec;

/// Access rights as bits (include/uapi/linux/landlock.h, LANDLOCK_ACCESS_FS_*).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights(pub u64);

impl Rights {
    const EXECUTE: u64 = 1;
    const WRITE_FILE: u64 = 1 << 1;
    const READ: u64 = 1 << 2 | 1 << 3;
    /// Creating and removing of everything except device nodes.
    const CHANGE: u64 = 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 12 | Self::REFER;
    const MAKE_DEVICE: u64 = 1 << 6 | 1 << 11;
    /// Available from ABI 2, 3 and 5.
    const REFER: u64 = 1 << 13;
    const TRUNCATE: u64 = 1 << 14;
    const IOCTL_DEVICE: u64 = 1 << 15;

    /// Returns the rights that a rule for a file may contain.
    pub const fn of_file(self) -> Self {
        let of_file = Self::EXECUTE | Self::WRITE_FILE | 1 << 2 | Self::TRUNCATE | Self::IOCTL_DEVICE;
        Self(self.0 & of_file)
    }

    /// Returns all rights that an ABI can restrict.
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

/// Actions that are restricted to the workload (LANDLOCK_SCOPE_*), from ABI 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope(pub u64);

impl Scope {
    /// Connections to abstract sockets (LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET).
    pub const ABSTRACT: u64 = 1;
    /// Signals (LANDLOCK_SCOPE_SIGNAL).
    pub const SIGNAL: u64 = 2;
    /// All scopes.
    pub const ALL: Self = Self(Self::ABSTRACT | Self::SIGNAL);

    /// Returns the scope for a further program in a workload with these namespaces.
    ///
    /// Each process gets its own domain and cannot join another's, so the workload itself is outside of the new
    /// program's scope. The program must be able to signal the workload and to connect to its sockets; therefore a
    /// scope is dropped if a namespace already has the same effect.
    pub(super) fn of_joining(namespaces: Namespaces) -> Self {
        let left = |flag, scope| if namespaces.has(flag) { 0 } else { scope };
        Self(left(Namespaces::NET, Self::ABSTRACT) | left(Namespaces::PID, Self::SIGNAL))
    }

    /// Returns whether this action is restricted.
    pub const fn has(self, scope: u64) -> bool {
        self.0 & scope != 0
    }
}

/// The lowest usable ABI: ABI 1 (5.13 to 5.18) refuses every rename between directories.
const LOWEST_ABI: u32 = 2;

/// The access rights at a path and below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathRule<'a> {
    /// The path inside of the workload.
    pub path: &'a str,
    /// The rights.
    pub rights: Rights,
    /// Whether it is known to be a directory: a mount of the plan, not a path from the configuration.
    pub is_folder: bool,
}

/// A ruleset for one kernel.
#[derive(Debug)]
pub struct Ruleset<'a> {
    /// Rights that are denied unless a rule allows them.
    pub handled: Rights,
    /// TCP rights that are denied unless a rule allows them (LANDLOCK_ACCESS_NET_BIND_TCP and CONNECT_TCP).
    pub handled_tcp: u64,
    /// Actions that are restricted to the workload.
    pub scoped: Scope,
    /// The rules by path.
    pub rules: Vec<PathRule<'a>, 24>,
}

/// Returns the ruleset of a workload for a kernel's ABI, or `None` if Landlock is missing or too old.
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
        // There is room for the fixed paths and every `mount` and `volume`.
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
    // Bind and connect need ABI 4; abstract sockets and signals need ABI 6.
    let handled_tcp = if tcp.is_some() && abi >= 4 { 3 } else { 0 };
    let scoped = if abi >= 6 { scope } else { Scope(0) };
    Some(Ruleset { handled: Rights(known), handled_tcp, scoped, rules })
}
