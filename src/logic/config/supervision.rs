//! Supervision of a workload beyond its restarts: readiness, health, criticality and logging; and the board's watchdog,
//! boot counter, disks and log file.

use super::span::Span;
use crate::split::Split;
use crate::time::SERVERS;
use core::net::IpAddr;
use heapless::Vec;

/// When a workload counts as ready, so that those that need it can start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    /// Its program was executed.
    Exec,
    /// Its program exited with status 0.
    Exit,
    /// It wrote a newline to this inherited descriptor, as with s6 and dinit.
    Fd(u8),
    /// This port of its loopback address accepts connections.
    Tcp(u16),
    /// It ran for this many milliseconds.
    After(u32),
    /// It sent READY=1 to NOTIFY_SOCKET (`sd_notify(3)`).
    Notify,
}

/// How a workload's health is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health<'a> {
    /// The check.
    pub check: Check<'a>,
    /// Milliseconds between checks, which is also the timeout of a check.
    pub interval_ms: u32,
    /// Consecutive failures that make it unhealthy.
    pub failures: u8,
}

/// A health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check<'a> {
    /// This port of its loopback address accepts connections.
    Tcp(u16),
    /// This file exists, as seen from the workload.
    File(&'a str),
    /// This program, run in the workload as by `hilum exec`, exits with status 0.
    Exec(Span<&'a str>),
    /// It sends WATCHDOG=1 to NOTIFY_SOCKET at least once in each interval.
    Notify,
}

/// The supervision settings of a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supervision<'a> {
    /// `ready`
    pub ready: Ready,
    /// `ready ... within=`: the timeout in milliseconds; 0 for none.
    pub ready_within_ms: u32,
    /// `health`
    pub health: Option<Health<'a>>,
    /// `needs time`: whether it starts only when the clock is right.
    pub needs_time: bool,
    /// `critical`: milliseconds that it may be down before the watchdog is no longer fed; 0 if it is not critical.
    pub critical_ms: u32,
    /// `safe`: whether it also starts after too many bad boots.
    pub is_safe: bool,
    /// `at-stop`: its timeout in milliseconds if it runs at shutdown; 0 if it runs at other times.
    pub at_stop_ms: u32,
    /// `reaper`: whether hilum runs as PID 1 of its PID namespace.
    pub has_reaper: bool,
    /// `log quiet`: whether its lines are not shown on the console.
    pub is_quiet: bool,
    /// `control`: what its control socket permits.
    pub control: Right,
    /// `log rate=`: the number of lines that are kept per so many milliseconds; `None` for no limit.
    pub rate: Option<(u32, u32)>,
}

impl Supervision<'_> {
    /// The defaults.
    pub const DEFAULT: Self = Self {
        ready: Ready::Exec,
        ready_within_ms: 0,
        health: None,
        needs_time: false,
        critical_ms: 0,
        is_safe: false,
        at_stop_ms: 0,
        has_reaper: false,
        is_quiet: false,
        control: Right::None,
        rate: None,
    };

    /// Returns whether it has a socket for `sd_notify(3)`.
    pub fn has_notify(&self) -> bool {
        self.ready == Ready::Notify || matches!(&self.health, Some(Health { check: Check::Notify, .. }))
    }
}

/// What a workload may request of PID 1 by its control socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Nothing: it has no socket.
    None,
    /// To read the state of board and workloads, and their lines.
    Status,
    /// Also to start, stop, signal and freeze workloads.
    Operate,
    /// To read the state, and to hand in an update.
    Update,
    /// Everything.
    All,
}

impl Right {
    /// The rights that a line can give, in the order of [`Self::NAMES`].
    pub const ALL: [Self; 4] = [Self::Status, Self::Operate, Self::Update, Self::All];
    /// Their names.
    pub const NAMES: &str = "status operate update all";

    /// Returns its name.
    pub fn name(self) -> &'static str {
        Self::NAMES.parts(b' ').nth((self as usize).wrapping_sub(1)).unwrap_or("none")
    }

    /// Returns whether it includes another one.
    pub fn includes(self, other: Self) -> bool {
        self == other || self == Self::All || (other == Self::Status && self != Self::None)
    }
}

/// A watchdog device and its timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watchdog<'a> {
    /// Its path.
    pub device: &'a str,
    /// The timeout in milliseconds. The driver counts whole seconds, and may have a minimum.
    pub timeout_ms: u32,
}

/// The counter of bad boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boots<'a> {
    /// A file, or a block device whose first 512 bytes are reserved for the counter.
    pub path: &'a str,
    /// The number of consecutive bad boots that is too many.
    pub limit: u32,
    /// Milliseconds for which all workloads must be healthy before the boot counts as good.
    pub after_ms: u32,
}

/// Updates into two slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Update {
    /// `after=`: milliseconds for which all workloads must be healthy before a slot on trial is committed.
    pub after_ms: u32,
    /// `within=`: milliseconds after the boot at which a slot that was not committed is given up.
    pub within_ms: u32,
}

/// Where the board gets the time from.
#[derive(Debug)]
pub struct Time<'a> {
    /// Its servers, before those of leases.
    pub servers: Vec<IpAddr, SERVERS>,
    /// `dhcp`: whether servers of leases are asked.
    pub has_dhcp: bool,
    /// `keep=`: the file, or the block device, that keeps the time while the power is off.
    pub keep: Option<&'a str>,
}

impl Time<'_> {
    /// No line.
    pub const NONE: Self = Self { servers: Vec::new(), has_dhcp: false, keep: None };

    /// Returns whether there is a `time` line.
    pub fn is_on(&self) -> bool {
        self.has_servers() || self.keep.is_some()
    }

    /// Returns whether servers are asked.
    pub fn has_servers(&self) -> bool {
        self.has_dhcp || !self.servers.is_empty()
    }
}

/// A filesystem that the board mounts for itself, with nosuid and nodev.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemMount<'a> {
    /// The block device's path, or `LABEL=`, `UUID=` or `PARTUUID=` ([`super::Source`]).
    pub source: &'a str,
    /// The folder, which is created if it does not exist.
    pub target: &'a str,
    /// The filesystem's name in /proc/filesystems.
    pub kind: &'a str,
    /// Whether it is read-only.
    pub is_read_only: bool,
    /// Whether programs on it may be executed.
    pub is_executable: bool,
    /// Whether it grows to its disk, together with its partition.
    pub grows: bool,
    /// `wait=`: milliseconds to wait for the device.
    pub wait_ms: u32,
    /// `check=`
    pub check: OnDamage,
    /// `else=`
    pub fallback: MountFallback,
}

impl SystemMount<'_> {
    /// Returns whether a path of the board is in this filesystem.
    pub fn holds(&self, path: &str) -> bool {
        let target = self.target.without_end(b'/');
        path.strip_prefix(target).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// What is done with a damaged filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDamage {
    /// It is repaired, if the image has the program for it.
    Repair,
    /// It is mounted read-only.
    ReadOnly,
    /// It is reformatted.
    Reformat,
}

/// What takes the place of a filesystem that could not be mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountFallback {
    /// Nothing: workloads with paths in it do not start.
    Stop,
    /// A tmpfs, which is empty after each boot.
    Tmpfs,
}

/// Where the control socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control<'a> {
    /// The default path on a machine, and off in a container.
    Default,
    /// No socket.
    Off,
    /// At this path.
    At(&'a str),
}

/// A file that receives every line of the console as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogFile<'a> {
    /// Its path; the previous file is kept as `PATH.1`.
    pub path: &'a str,
    /// The size in bytes at which it is rotated.
    pub bytes: u64,
}
