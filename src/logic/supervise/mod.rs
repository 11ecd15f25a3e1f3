//! (state, event, now) -> actions: when workloads start, restart, stop and end, and when the board goes down.
//!
//! Nothing here touches a process: the running half says what happened, carries out the actions it gets back, and asks
//! [`Supervisor::deadline`] how long it may sleep. Time is milliseconds of a monotonic clock, handed in.
//!
//! The states of one workload; `Supervisor::handle_event` is this table as code:
//!
//! | state | event | next state | actions |
//! |---|---|---|---|
//! | Waiting | what it needs is up, it is its turn, and a set-up is free | Starting | Start |
//! | Waiting | what it needs has failed | Failed | Report(NeedFailed) |
//! | Starting | program executed | Starting, or Ready with `ready exec` | |
//! | Starting | said to be ready | Ready | Report(Ready) |
//! | Starting | its `within` is over | Unhealthy | Report(NotReady), Signal |
//! | Starting | ended well, but its `ready` line says otherwise | as if it ended badly | Report(ExitedEarly) |
//! | Ready | one bad check too many | Unhealthy | Report(Unhealthy), Signal |
//! | Starting, Ready, Unhealthy | ended, a restart is due | BackingOff | Report(Restart) |
//! | Starting, Ready, Unhealthy | ended, one restart too many | Failed | Report(LimitReached), the limit's `else` |
//! | Starting, Ready | ended well, no restart | Finished | |
//! | Starting, Ready, Unhealthy | ended badly, no restart | Failed | |
//! | BackingOff | its delay is over | Waiting, with its count of restarts | |
//! | Waiting, BackingOff | asked to stop, or board goes down | Stopped | |
//! | Starting, Ready | asked to stop, or board goes down and nothing that runs depends on it | Stopping | Signal |
//! | Starting, Ready | asked to restart | Stopping, then Waiting | Signal |
//! | Unhealthy, Stopping, Killing, Lost | asked to start or restart | the same, then Waiting | |
//! | Unhealthy, Stopping, Killing, Lost | asked to stop | the same, then Stopped | |
//! | Unhealthy, Stopping | its grace is over | Killing | Kill |
//! | Stopping, Killing, Lost | ended | Stopped, or what was asked for meanwhile | |
//! | Killing | [`KILL_MS`] are over | Lost | Report(NotKilled) |
//! | BackingOff, Finished, Failed, Stopped | asked to start or restart | Waiting | |
//! | Starting, Ready, Unhealthy | a part of the board that it uses goes | Stopping, then Waiting | Signal |
//! | BackingOff, Finished, Failed | the same | Waiting, as if it had never been started | |
//! | Starting, Ready | its image is corrupt, with `corrupt=stop` | Stopping, then Failed | Signal |
//! | any | its image is corrupt, with `corrupt=reboot` | as when the board goes down | the way down, to reboot |
//! | BackingOff, Failed, Stopped, and those on their way down | what needs it is asked to start or restart | as if it was asked itself | |
//!
//! Starting is entered from Waiting alone (`order.rs`), and by an `at-stop` workload when its time has come. So nothing starts
//! while what it needs is not up, or a part of the board is not there, and waiting counts as no restart. What needs a workload is what needs it directly or through others.
//!
//! The ladder of escalation is in `policy.rs`.

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

/// Milliseconds that a killed workload has to be gone; after that it is given up (a process in state D cannot be
/// killed by anybody).
pub const KILL_MS: u64 = 2_000;

/// Milliseconds that a set-up may keep others from beginning theirs.
pub const SET_UP_MS: u64 = 200;

/// Milliseconds before the next try when the kernel could not make a process (EAGAIN, ENOMEM).
pub const NO_PROCESS_MS: u64 = 1_000;

/// Milliseconds from one try to connect to a workload that is not ready yet to the next.
pub const READY_CHECK_MS: u64 = 100;

/// Milliseconds from a look that was good to the one that has to be good as well.
pub const READY_AGAIN_MS: u64 = 50;

/// Where one workload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not started yet: what it needs is not ready, or it waits for its turn.
    Waiting,
    /// Its process is there, and has until this time to be ready; 0 is any time.
    Starting(u64),
    /// It does what it is there for.
    Ready,
    /// It is not well; it got its stop signal and has until this time.
    Unhealthy(u64),
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
    /// It ended because it was asked to.
    Stopped,
    /// It could not even be killed.
    Lost,
}

impl State {
    /// The names, by [`Self::number`].
    pub const NAMES: [&'static str; 11] = [
        "waiting",
        "starting",
        "ready",
        "unhealthy",
        "backing-off",
        "stopping",
        "killing",
        "finished",
        "failed",
        "stopped",
        "lost",
    ];

    /// Its place in the order of the declaration: how the control protocol tells it.
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

    /// Whether it has a process.
    pub const fn is_running(self) -> bool {
        matches!(self, Self::Starting(_) | Self::Ready | Self::Unhealthy(_) | Self::Stopping(_) | Self::Killing(_))
    }

    /// Whether it stays as it is until somebody asks for something else.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Stopped | Self::Lost)
    }

    /// When something has to be done about it, if nothing happens before.
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

/// What happened to one workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Its program was executed.
    Executed,
    /// It said that it is ready.
    Ready,
    /// A check that [`Action::Check`] asked for came out well or not.
    Checked(bool),
    /// It said that it is alive.
    Alive,
    /// Its process ended, or could not be made.
    Exited(ExitReason),
    /// A person asks for something.
    Requested(WorkloadRequest),
    /// A part of the board that it uses is not there, or has gone.
    Lacks(Part),
    /// That part is there.
    Has(Part),
    /// A block of its verified image does not match its hash.
    Corrupt,
}

/// What a workload uses of the board and what comes and goes. A workload that lacks one waits, and is started when it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The devices of its `device` lines.
    Devices = 1,
    /// The disks that its paths lie on.
    Disks = 2,
}

/// What a person can ask of one workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkloadRequest {
    /// To run, and what it needs with it.
    Start,
    /// To stop, and to stay down.
    Stop,
    /// To stop, and to start again at once.
    Restart,
}

/// How a workload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitReason {
    /// Its program, or its set-up, exited with this status.
    Exit(u8),
    /// A signal with this number killed it.
    Signal(u8),
    /// The kernel could not make a process for it; nobody's fault, so it is tried again whatever its policy says.
    NoProcess,
    /// It was not ready in time, and was stopped for that.
    NotReady,
    /// It was unhealthy, and was stopped for that.
    Unhealthy,
    /// It exited with status 0 before it was ready, although its `ready` line waits for more than that.
    Early,
}

impl ExitReason {
    /// Whether `restart on-failure` leaves it down.
    pub fn is_success(self) -> bool {
        self == Self::Exit(0)
    }
}

/// How the board goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownKind {
    /// Power off.
    Poweroff,
    /// Reboot.
    Reboot,
    /// Stop the processor with the power on.
    Halt,
}

impl ShutdownKind {
    /// Returns the command that asks for it.
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

/// What the running half has to do. Workloads are named by their index in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Start it.
    Start(usize),
    /// Send it its stop signal.
    Signal(usize),
    /// Kill everything in it.
    Kill(usize),
    /// Look whether it is ready or healthy, and tell by [`Event::Checked`].
    Check(usize),
    /// Report something to the console.
    Report(Notice),
    /// Every workload is over: shut the system down now.
    Shutdown(ShutdownKind),
}

/// What [`Action::Report`] reports. Workloads are named by their index in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// It is ready, where that is more than being started.
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
    /// SIGKILL did not end it in time; it is left behind.
    NotKilled(usize),
    /// The system begins to shut down, with this many workloads running.
    ShutDown(ShutdownKind, usize),
}

#[cfg(test)]
mod simulator;
#[cfg(test)]
mod tests;
