//! What a configuration says about supervising a workload beyond its restarts: when it is ready, how its health is
//! looked at, what the board does without it, and where its lines go.

use super::span::Span;

/// What says that a workload is ready, so that what needs it can start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    /// Its program was executed.
    Exec,
    /// Its program exited with status 0.
    Exit,
    /// It wrote a newline to this descriptor, which it inherits (the way of s6 and dinit).
    Fd(u8),
    /// Something accepts connections to this port of its loopback address.
    Tcp(u16),
    /// It ran for so many milliseconds.
    After(u32),
    /// It sent READY=1 to NOTIFY_SOCKET (`sd_notify(3)`).
    Notify,
}

/// How a workload's health is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health<'a> {
    /// What is looked at.
    pub check: Check<'a>,
    /// Milliseconds from one look to the next, and the longest that one may take.
    pub interval_ms: u32,
    /// Bad looks in a row that make it unhealthy.
    pub failures: u8,
}

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check<'a> {
    /// Something accepts connections to this port of its loopback address.
    Tcp(u16),
    /// This file is there, as the workload sees it.
    File(&'a str),
    /// This program, run inside of the workload as `hilum exec` does, exits with status 0.
    Exec(Span<&'a str>),
    /// It sends WATCHDOG=1 to NOTIFY_SOCKET at least once in each interval.
    Notify,
}

/// Everything of this file that a workload's section says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supervision<'a> {
    /// `ready`
    pub ready: Ready,
    /// `ready ... within=`: milliseconds until it has to be ready; 0 for any number.
    pub ready_within_ms: u32,
    /// `health`
    pub health: Option<Health<'a>>,
    /// `critical`: milliseconds that it may be away until the watchdog is no longer fed; 0 where it is not critical.
    pub critical_ms: u32,
    /// `safe`: whether it starts on a board that booted badly too often.
    pub is_safe: bool,
    /// `at-stop`: milliseconds that it has, when it runs as the board goes down; 0 where it runs at other times.
    pub at_stop_ms: u32,
    /// `reaper`: whether a copy of hilum is the first process of its PID namespace.
    pub has_reaper: bool,
    /// `log quiet`: whether its lines stay away from the console.
    pub is_quiet: bool,
    /// `log rate=`: lines that are kept in so many milliseconds. `None` for any number.
    pub rate: Option<(u32, u32)>,
}

impl Supervision<'_> {
    /// What holds where no line says otherwise.
    pub const DEFAULT: Self = Self {
        ready: Ready::Exec,
        ready_within_ms: 0,
        health: None,
        critical_ms: 0,
        is_safe: false,
        at_stop_ms: 0,
        has_reaper: false,
        is_quiet: false,
        rate: None,
    };

    /// Whether it has a socket for `sd_notify(3)`.
    pub fn has_notify(&self) -> bool {
        self.ready == Ready::Notify || matches!(&self.health, Some(Health { check: Check::Notify, .. }))
    }
}

/// A watchdog device and how long the board may stand still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watchdog<'a> {
    /// Its path.
    pub device: &'a str,
    /// Milliseconds; the driver counts whole seconds, and may have a lower limit.
    pub timeout_ms: u32,
}

/// Where boots that went badly are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boots<'a> {
    /// A file, or a block device whose first 512 bytes are nobody else's.
    pub path: &'a str,
    /// So many in a row are too many.
    pub limit: u32,
    /// Milliseconds that every workload has to be well for the boot to count as a good one.
    pub after_ms: u32,
}

/// A filesystem of a disk that the board mounts for itself; nosuid and nodev.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemMount<'a> {
    /// The block device's path, or `LABEL=`, `UUID=` or `PARTUUID=` ([`super::Source`]).
    pub source: &'a str,
    /// The folder, which is made where there is none.
    pub target: &'a str,
    /// The filesystem's name in /proc/filesystems.
    pub kind: &'a str,
    /// Whether nothing can be written.
    pub is_read_only: bool,
    /// Whether programs there can be executed.
    pub is_executable: bool,
    /// `wait=`: milliseconds that the device may take to appear.
    pub wait_ms: u32,
    /// `check=`
    pub check: OnDamage,
    /// `else=`
    pub fallback: MountFallback,
}

impl SystemMount<'_> {
    /// Whether a path of the board lies in this filesystem.
    pub fn holds(&self, path: &str) -> bool {
        let target = self.target.trim_end_matches('/');
        path.strip_prefix(target).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// What is done with a filesystem that is not in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDamage {
    /// It is repaired, where the image has the program for it.
    Repair,
    /// It is only read.
    ReadOnly,
    /// A new and empty one takes its place.
    Reformat,
}

/// What is there instead of a filesystem that could not be mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountFallback {
    /// Nothing: workloads with paths in it do not start.
    Stop,
    /// Memory, which is empty at each boot.
    Tmpfs,
}

/// Where the control socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control<'a> {
    /// At the usual place on a machine, and nowhere in a container.
    Default,
    /// Nowhere.
    Off,
    /// At this path.
    At(&'a str),
}

/// A file that every line of the console goes to as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogFile<'a> {
    /// Its path; the one before it is kept as `PATH.1`.
    pub path: &'a str,
    /// Bytes after which a new one begins.
    pub bytes: u64,
}
