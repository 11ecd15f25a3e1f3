//! What is remembered of one workload besides its state.

use super::{Backoff, ExitReason, Part, State};

/// Why a workload was told to stop, which decides what follows its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopReason {
    /// Somebody asked for it, or the board goes down: it stays down.
    Requested,
    /// It is to start again at once.
    Restart,
    /// It was not ready in time.
    NotReady,
    /// It was unhealthy.
    Unhealthy,
    /// A part of the board went away: it is to start again when that is back.
    Lack,
    /// Its image is corrupt: it stays down, as failed.
    Corrupt,
}

/// One workload as the supervisor knows it. A new one is all zero bytes, so that a table of them lies in `.bss`.
#[derive(Debug, Clone, Copy)]
pub struct Unit {
    /// Where it is.
    pub state: State,
    /// Since when it is there, in milliseconds; 0 where it was never anywhere else.
    pub since: u64,
    /// How often it was started again since the board is up.
    pub restarts: u32,
    /// How it ended last, and whether it ever did: two fields, because an optional one is not all zero bytes.
    last: ExitReason,
    has_ended: bool,
    /// The slot of the workload that it needs and that failed, plus one; 0 for none.
    pub(super) failed_need: u8,
    /// The parts of the board that it lacks, a bit each.
    pub(super) lacks: u8,
    /// Bad checks in a row.
    pub(super) failures: u8,
    /// Whether it looked ready when it was looked at last.
    pub(super) looks_ready: bool,
    /// Whether its program was executed.
    pub(super) is_executed: bool,
    pub(super) reason: StopReason,
    pub(super) backoff: Backoff,
    /// When the next check is due; 0 while none is.
    pub(super) check_at: u64,
    /// Since when it is not ready; 0 while it is.
    pub(super) away_since: u64,
}

impl Unit {
    /// Not started yet.
    pub const NEW: Self = Self {
        state: State::Waiting,
        since: 0,
        restarts: 0,
        last: ExitReason::Exit(0),
        has_ended: false,
        failed_need: 0,
        lacks: 0,
        failures: 0,
        looks_ready: false,
        is_executed: false,
        reason: StopReason::Requested,
        backoff: Backoff::NONE,
        check_at: 0,
        away_since: 0,
    };

    /// How it ended last. `None` before its first end.
    pub fn last_exit(&self) -> Option<ExitReason> {
        self.has_ended.then_some(self.last)
    }

    pub(super) fn record_exit(&mut self, end: ExitReason) {
        (self.last, self.has_ended) = (end, true);
    }

    /// Returns the slot of the workload that it needs and that failed, which is why it failed.
    pub fn failed_need(&self) -> Option<usize> {
        usize::from(self.failed_need).checked_sub(1)
    }

    /// Whether it lacks a part of the board.
    pub fn lacks(&self, part: Part) -> bool {
        self.lacks & part as u8 != 0
    }

    /// Whether it stays down once it has ended.
    pub(super) fn is_to_stay_down(&self) -> bool {
        self.reason == StopReason::Requested
    }

    pub(super) fn transition(&mut self, state: State, now: u64) {
        if state.number() != self.state.number() {
            self.since = now;
        }
        if state == State::Ready {
            self.away_since = 0;
        } else if self.state == State::Ready {
            self.away_since = now;
        }
        if !state.is_running() {
            self.check_at = 0;
        }
        self.state = state;
    }

    /// Whether its set-up is going on, and began less than `patience_ms` ago.
    pub(super) fn is_setting_up(&self, now: u64, patience_ms: u64) -> bool {
        matches!(self.state, State::Starting(_)) && !self.is_executed && self.backoff.started_at() + patience_ms > now
    }

    /// When something has to be done about it, if nothing happens before.
    pub(super) fn deadline(&self) -> Option<u64> {
        let check = (self.check_at > 0).then_some(self.check_at);
        self.state.deadline().into_iter().chain(check).min()
    }
}
