//! What a configuration says about the end of a workload: how it is stopped, and when it is started again.

use super::signal::Signal;

/// When and how a workload that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restart {
    /// After which ends.
    pub when: When,
    /// Milliseconds before the first restart; doubled at each further one.
    pub delay_ms: u32,
    /// The longest delay, in milliseconds.
    pub max_ms: u32,
    /// How many restarts are too many; none means that it goes on for ever.
    pub limit: Option<RestartLimit>,
}

impl Restart {
    /// What applies without a `restart` line, and to what the line leaves out.
    pub const DEFAULT: Self = Self { when: When::OnFailure, delay_ms: 100, max_ms: 30_000, limit: None };
}

/// After which ends a workload is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Never.
    Never,
    /// After a failed start, an exit status other than 0, or a signal.
    OnFailure,
    /// After every end but a stop that was asked for.
    Always,
}

/// How many restarts within which time are too many, and what happens then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartLimit {
    /// Restarts that are still allowed.
    pub count: u32,
    /// Within this many milliseconds.
    pub period_ms: u32,
    /// What happens when one more is due.
    pub on_limit: LimitAction,
}

/// What happens when a workload's restart limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitAction {
    /// The workload stays down; the others go on.
    Stop,
    /// The board reboots.
    Reboot,
    /// The board powers off.
    Poweroff,
}

/// How a workload is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// The signal it gets first.
    pub signal: Signal,
    /// Milliseconds until everything in it is killed.
    pub grace_ms: u32,
}
