//! The `restart` and `stop` lines of a workload.

use super::signal::Signal;

/// When and how a workload is restarted after its exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restart {
    /// Which exits cause a restart.
    pub when: When,
    /// The delay before the first restart in milliseconds; it doubles with each further one.
    pub delay_ms: u32,
    /// The longest delay, in milliseconds.
    pub max_ms: u32,
    /// How many restarts are too many; `None` for no limit.
    pub limit: Option<RestartLimit>,
}

impl Restart {
    /// The values without a `restart` line, and for what the line omits.
    pub const DEFAULT: Self = Self { when: When::OnFailure, delay_ms: 100, max_ms: 30_000, limit: None };
}

/// Which exits cause a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Never.
    Never,
    /// After a failed start, an exit status other than 0, or a signal.
    OnFailure,
    /// After every exit except a requested stop.
    Always,
}

/// How many restarts in which time are too many, and the reaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartLimit {
    /// The number of restarts that are allowed.
    pub count: u32,
    /// The period in milliseconds.
    pub period_ms: u32,
    /// What happens when one more restart is due.
    pub on_limit: LimitAction,
}

/// What happens when a workload's restart limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitAction {
    /// The workload stays down; the others keep running.
    Stop,
    /// The board reboots.
    Reboot,
    /// The board powers off.
    Poweroff,
}

/// How a workload is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// The signal that is sent first.
    pub signal: Signal,
    /// Milliseconds until all its processes are killed.
    pub grace_ms: u32,
}
