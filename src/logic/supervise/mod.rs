//! (state, event, now) -> actions: when workloads start, restart, stop and end, and when the board goes down.
//!
//! Nothing here touches a process: the running half tells what happened, carries out the actions it gets back, and asks
//! [`Supervisor::deadline`] how long it may sleep. Time is milliseconds of a monotonic clock, handed in.
//!
//! The states of one workload:
//!
//! | state | event | next state | actions |
//! |---|---|---|---|
//! | Waiting | what it needs is up | Starting | Start |
//! | Waiting | what it needs has failed | Failed | |
//! | Starting | program executed | Up | |
//! | Starting, Up | ended, a restart is due | BackingOff | |
//! | Starting, Up | ended, one restart too many | Failed | the limit's `else` |
//! | Starting, Up | ended well, no restart | Finished | |
//! | Starting, Up | ended badly, no restart | Failed | |
//! | BackingOff | its delay is over | Starting | Start |
//! | Waiting, BackingOff | board goes down | Stopped | |
//! | Starting, Up | board goes down, nothing that runs depends on it | Stopping | Signal |
//! | Stopping | its grace is over | Killing | Kill |
//! | Stopping, Killing | ended | Stopped | |
//! | Killing | [`KILL_MS`] are over | Lost | |

mod policy;
mod supervisor;

pub use policy::{Backoff, Verdict};
pub use supervisor::Supervisor;

use core::fmt;

/// Milliseconds that a killed workload has to be gone; after that it is given up (a process in state D cannot be
/// killed by anybody).
pub const KILL_MS: u64 = 2_000;

/// Milliseconds that a set-up may keep others from beginning theirs.
pub const SET_UP_MS: u64 = 200;

/// Milliseconds before the next try when the kernel could not make a process (EAGAIN, ENOMEM).
pub const NO_PROCESS_MS: u64 = 1_000;

/// Where one workload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not started yet: what it needs is not up.
    Waiting,
    /// Its process is there and sets itself up.
    Starting,
    /// Its program runs.
    Up,
    /// It ended and will be started again at this time.
    BackingOff(u64),
    /// It got its stop signal and has until this time.
    Stopping(u64),
    /// It was killed and has until this time to be gone.
    Killing(u64),
    /// It ended well and stays down.
    Finished,
    /// It ended badly, or could not start, and stays down.
    Failed,
    /// It ended because the board goes down.
    Stopped,
    /// It could not even be killed.
    Lost,
}

impl State {
    /// Whether it has a process.
    pub fn is_running(self) -> bool {
        matches!(self, Self::Starting | Self::Up | Self::Stopping(_) | Self::Killing(_))
    }

    /// Whether it stays as it is for good.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Stopped | Self::Lost)
    }

    /// When something has to be done about it, if nothing happens before.
    fn deadline(self) -> Option<u64> {
        match self {
            Self::BackingOff(at) | Self::Stopping(at) | Self::Killing(at) => Some(at),
            _ => None,
        }
    }
}

/// How a workload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Its program, or its set-up, exited with this status.
    Exit(u8),
    /// A signal with this number killed it.
    Signal(u8),
    /// The kernel could not make a process for it; nobody's fault, so it is tried again whatever its policy says.
    NoProcess,
}

impl End {
    /// Whether `restart on-failure` leaves it down.
    pub fn is_success(self) -> bool {
        self == Self::Exit(0)
    }
}

/// How the board goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Down {
    /// Power off.
    Poweroff,
    /// Reboot.
    Reboot,
    /// Stop the processor with the power on.
    Halt,
}

impl fmt::Display for Down {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Poweroff => "power off",
            Self::Reboot => "reboot",
            Self::Halt => "halt",
        })
    }
}

/// What the running half has to do. Workloads are named by their index in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Start it.
    Start(usize),
    /// Send it its stop signal.
    Signal(usize),
    /// Kill everything in it.
    Kill(usize),
    /// Tell that it will be restarted: how many times in a row, and after how many milliseconds.
    TellRestart(usize, u32, u64),
    /// Tell that its restart limit is reached.
    TellLimit(usize),
    /// Tell that it will not start, because the workload of the second index, which it needs, did not come up.
    TellNeed(usize, usize),
    /// Tell that it could not be killed and is left behind.
    TellLost(usize),
    /// Tell that the board begins to go down, with this many workloads running.
    TellDown(Down, usize),
    /// Every workload is over: take the board down now.
    Leave(Down),
}

#[cfg(test)]
mod tests;
