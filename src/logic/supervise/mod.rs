//! (state, event, now) -> actions: when workloads start, restart and stop, and when the board shuts down.
//!
//! This module does not touch processes. The caller reports events, executes the returned actions, and sleeps until
//! [`Supervisor::deadline`]. Times are milliseconds of a monotonic clock, passed by the caller.
//!
//! The states of a workload; `Supervisor::handle_event` is this table as code:
//!
//! | state | event | next state | actions |
//! |---|---|---|---|
//! | Waiting | what it needs is up, it is its turn, and a set-up is free | Starting | Start |
//! | Waiting | what it needs has failed | Failed | Report(NeedFailed) |
//! | Starting | program executed | Starting, or Ready with `ready exec` | |
//! | Starting | reported as ready | Ready | Report(Ready) |
//! | Starting | its `within` has expired | Unhealthy | Report(NotReady), Signal |
//! | Starting | exited with success, but its `ready` line waits for something else | as after a failure | Report(ExitedEarly) |
//! | Ready | one failed check too many | Unhealthy | Report(Unhealthy), Signal |
//! | Starting, Ready, Unhealthy | exited, a restart is due | BackingOff | Report(Restart) |
//! | Starting, Ready, Unhealthy | exited, one restart too many | Failed | Report(LimitReached), the limit's `else` |
//! | Starting, Ready | exited with success, no restart | Finished | |
//! | Starting, Ready, Unhealthy | exited with failure, no restart | Failed | |
//! | Starting, Ready, Unhealthy | exited and would be Failed, or Finished with `idle` other than `stay`; it uses a part of the board that may disappear | BackingOff for [`LEAVING_MS`] | |
//! | BackingOff | its delay has expired | Waiting, keeping its count of restarts; after [`LEAVING_MS`] as above | |
//! | Waiting, BackingOff | stop requested, or shutdown | Stopped | |
//! | Starting, Ready | stop requested, or shutdown and nothing that runs depends on it | Stopping | Signal |
//! | Starting, Ready | restart requested | Stopping, then Waiting | Signal |
//! | Unhealthy, Stopping, Killing, Lost | start or restart requested | the same, then Waiting | |
//! | Unhealthy, Stopping, Killing, Lost | stop requested | the same, then Stopped | |
//! | Unhealthy, Stopping | its grace period has expired | Killing | Kill |
//! | Stopping, Killing, Lost | exited | Stopped, or what was requested meanwhile | |
//! | Killing | [`KILL_MS`] have passed | Lost | Report(NotKilled) |
//! | BackingOff, Finished, Failed, Stopped | start or restart requested | Waiting | |
//! | Starting, Ready, Unhealthy | a part of the board that it uses disappears | Stopping, then Waiting | Signal |
//! | BackingOff, Finished, Failed | the same | Waiting, as if it had never been started | |
//! | any | the same, at most [`LEAVING_MS`] after it exited by itself | as above; the restart after that exit, and after others at most [`LEAVING_MS`] apart, no longer count | |
//! | Starting, Ready | its image is corrupt, with `corrupt=stop` | Stopping, then Failed | Signal |
//! | any | its image is corrupt, with `corrupt=reboot` | as at shutdown | shutdown, then reboot |
//! | BackingOff, Failed, Stopped, Stopping and similar | start or restart of a workload that needs it requested | as if requested for itself | |
//!
//! A workload enters Starting only from Waiting (`order.rs`); an `at-stop` workload does so when its time has come.
//! Therefore no workload starts before what it needs is up and all its parts of the board are present, and waiting does
//! not count as a restart. "Needs" includes indirect needs. It is its turn if nothing of its `after` lines waits or starts,
//! except what has failed and is retried.
//!
//! The escalation ladder is in `policy.rs`.

mod exits;
mod order;
mod outcome;
mod policy;
mod readiness;
mod requests;
mod supervisor;
mod unit;
mod units;

pub use outcome::Outcome;
pub use policy::{AfterExit, Backoff, DEPENDENTS_FROM};
pub use supervisor::Supervisor;
pub use unit::Unit;

use core::fmt;

/// Milliseconds that a killed workload has to exit before it is given up: a process in state D cannot be killed.
pub const KILL_MS: u64 = 2_000;

/// Milliseconds that a set-up may keep others from starting theirs.
pub const SET_UP_MS: u64 = 200;

/// Milliseconds to the next attempt if the kernel could not create a process (EAGAIN, ENOMEM).
pub const NO_PROCESS_MS: u64 = 1_000;

/// Milliseconds from an exit within which a part of the board may disappear for this to be the reason of the exit: a
/// driver hangs up or fails first, and the node and the kernel's event go later. Until then nothing is done that cannot
/// be taken back.
pub const LEAVING_MS: u64 = 3_000;

/// Milliseconds between attempts to connect to a workload that is not ready yet.
pub const READY_CHECK_MS: u64 = 100;

/// Milliseconds from a successful check to the second one that confirms it.
pub const READY_AGAIN_MS: u64 = 50;

/// The state of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not started yet: what it needs is not ready, or it is not its turn.
    Waiting,
    /// Its process exists, and must be ready by this time; 0 for no timeout.
    Starting(u64),
    /// It serves.
    Ready,
    /// It is unhealthy; it was sent its stop signal and has until this time.
    Unhealthy(u64),
    /// It exited and will be restarted at this time.
    BackingOff(u64),
    /// It was sent its stop signal and has until this time.
    Stopping(u64),
    /// It was killed and has to exit until this time.
    Killing(u64),
    /// It exited with success and stays down.
    Finished,
    /// It exited with failure, or could not start, and stays down.
    Failed,
    /// It exited on request.
    Stopped,
    /// It did not exit even after SIGKILL.
    Lost,
}

impl State {
    /// The names of states, separated by blanks, in the order of [`Self::number`].
    pub const NAMES: &'static str =
        "waiting starting ready unhealthy backing-off stopping killing finished failed stopped lost";

    /// Returns the number of the state in the control protocol.
    pub const fn number(self) -> u8 {
        match self {
            Self::Waiting => 0,
            Self::Starting(_) => 1,
            Self::Ready => 2,
            Self::Unhealthy(_) => 3,
            Self::BackingOff(_) => 4,
            Self::Stopping(_) => 5,
            Self::Killing(_) => 6,
            Self::Finished => 7,
            Self::Failed => 8,
            Self::Stopped => 9,
            Self::Lost => 10,
        }
    }

    /// Returns whether it has a process.
    pub const fn is_running(self) -> bool {
        matches!(self, Self::Starting(_) | Self::Ready | Self::Unhealthy(_) | Self::Stopping(_) | Self::Killing(_))
    }

    /// Returns whether it stays in this state until the next request.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Stopped | Self::Lost)
    }

    /// Returns the time of the next action, if nothing happens before.
    const fn deadline(self) -> Option<u64> {
        match self {
            Self::Starting(0) => None,
            Self::Starting(at)
            | Self::BackingOff(at)
            | Self::Unhealthy(at)
            | Self::Stopping(at)
            | Self::Killing(at) => Some(at),
            _ => None,
        }
    }
}

/// An event of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Its program was executed.
    Executed,
    /// It reported that it is ready.
    Ready,
    /// The result of a check that [`Action::Check`] requested: whether it passed.
    Checked(bool),
    /// It reported that it is alive.
    Alive,
    /// Its process exited, or could not be created.
    Exited(ExitReason),
    /// A person requested something.
    Requested(WorkloadRequest),
    /// A part of the board that it uses is missing or has disappeared.
    Lacks(Part),
    /// That part is present.
    Has(Part),
    /// A block of its verified image does not match its hash.
    Corrupt,
}

/// A part of the board that a workload uses and that may come and go. A workload without it waits, and starts when it
/// appears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The devices of its `device` lines.
    Devices = 1,
    /// The disks that contain its paths.
    Disks = 2,
    /// The right time, of `needs time`.
    Time = 4,
}

/// A request for one workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkloadRequest {
    /// Start it, and what it needs.
    Start,
    /// Stop it; it stays down.
    Stop,
    /// Stop it, and start it again at once.
    Restart,
}

/// Why a workload exited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitReason {
    /// Its program, or its set-up, exited with this status.
    Exit(u8),
    /// It was killed by this signal.
    Signal(u8),
    /// The kernel could not create its process. This is nobody's fault, so it is tried again with any restart policy.
    NoProcess,
    /// It was not ready in time, and was stopped.
    NotReady,
    /// It was unhealthy, and was stopped.
    Unhealthy,
    /// It exited with status 0 before it was ready, although its `ready` line waits for more than its exit.
    Early,
}

impl ExitReason {
    /// Returns whether `restart on-failure` leaves it down.
    pub fn is_success(self) -> bool {
        self == Self::Exit(0)
    }
}

/// How the board shuts down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownKind {
    /// Power off.
    Poweroff,
    /// Reboot.
    Reboot,
    /// Stop the processor without powering off.
    Halt,
}

impl ShutdownKind {
    /// Returns the name of its command.
    pub const fn command(self) -> &'static str {
        match self {
            Self::Poweroff => "poweroff",
            Self::Reboot => "reboot",
            Self::Halt => "halt",
        }
    }
}

impl fmt::Display for ShutdownKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Poweroff => "power off",
            Self::Reboot => "reboot",
            Self::Halt => "halt",
        })
    }
}

/// What the caller has to do. Workloads are identified by their index in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Start it.
    Start(usize),
    /// Send it its stop signal.
    Signal(usize),
    /// Kill all its processes.
    Kill(usize),
    /// Check whether it is ready or healthy, and report [`Event::Checked`].
    Check(usize),
    /// Report something to the console.
    Report(Notice),
    /// All workloads are down: power off, reboot or halt now.
    Shutdown(ShutdownKind),
}

/// The contents of an [`Action::Report`]. Workloads are identified by their index in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// It is ready; reported only if that is more than being started.
    Ready(usize),
    /// It was not ready in time.
    NotReady(usize),
    /// It exited before it was ready, which counts as a failure although its status is 0.
    ExitedEarly(usize),
    /// It is unhealthy after this many failed checks.
    Unhealthy(usize, u8),
    /// It will be restarted: how many times in a row, and after how many milliseconds.
    Restart(usize, u32, u64),
    /// It is restarted because the workload of the second index, which it needs, keeps failing.
    RestartWithNeed(usize, usize),
    /// Its restart limit is reached.
    LimitReached(usize),
    /// It will not start, because the workload of the second index, which it needs, did not come up.
    NeedFailed(usize, usize),
    /// SIGKILL did not end it in time; it is given up.
    NotKilled(usize),
    /// The system begins to shut down, with this many workloads running.
    ShutDown(ShutdownKind, usize),
}

#[cfg(test)]
mod simulator;
#[cfg(test)]
mod tests;
