//! The record of a workload in the supervisor.

use super::{Backoff, ExitReason, Part, State};

/// Why a workload was told to stop, which decides what happens after its exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopReason {
    /// On request or at shutdown: it stays down.
    Requested,
    /// To be started again at once.
    Restart,
    /// It was not ready in time.
    NotReady,
    /// It was unhealthy.
    Unhealthy,
    /// A part of the board disappeared: it starts again when the part returns.
    Lack,
    /// Its image is corrupt: it stays down as failed.
    Corrupt,
}

/// The record of a workload. A new one is all zero bytes, so that a table of them is in `.bss`.
#[derive(Debug, Clone, Copy)]
pub struct Unit {
    /// Its state.
    pub state: State,
    /// When it entered the state, in milliseconds; 0 for the initial state.
    pub since: u64,
    /// The number of its restarts since the boot.
    pub restarts: u32,
    /// Its last exit, and whether there was one. These are two fields because an `Option` is not all zero bytes.
    last: ExitReason,
    has_ended: bool,
    /// The slot of the failed workload that it needs, plus one; 0 for none.
    pub(super) failed_need: u8,
    /// A bit for each part of the board that it lacks.
    pub(super) lacks: u8,
    /// Failed checks in a row.
    pub(super) failures: u8,
    /// Whether its last readiness check passed.
    pub(super) looks_ready: bool,
    /// Whether its program was executed.
    pub(super) is_executed: bool,
    /// Whether it stays down at the end of its back-off if no part of the board disappears before.
    pub(super) is_leaving: bool,
    /// When it last exited by itself, and the restarts of all such exits that were at most [`super::LEAVING_MS`] apart.
    pub(super) exited_at: u64,
    pub(super) excusable: u32,
    pub(super) reason: StopReason,
    pub(super) backoff: Backoff,
    /// When the next check is due; 0 if none is.
    pub(super) check_at: u64,
    /// Since when it is not ready; 0 if it is.
    pub(super) away_since: u64,
    /// Whether it was ready since the boot.
    pub(super) was_ready: bool,
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
        is_leaving: false,
        excusable: 0,
        exited_at: 0,
        reason: StopReason::Requested,
        backoff: Backoff::NONE,
        check_at: 0,
        away_since: 0,
        was_ready: false,
    };

    /// Returns how it exited last, or `None` if it never exited.
    pub fn last_exit(&self) -> Option<ExitReason> {
        self.has_ended.then_some(self.last)
    }

    /// Returns when its last start began, in milliseconds.
    pub fn started_at(&self) -> u64 {
        self.backoff.started_at()
    }

    pub(super) fn record_exit(&mut self, end: ExitReason) {
        (self.last, self.has_ended) = (end, true);
    }

    /// Returns whether its last exit was a failure, and not the first one in a row.
    pub fn fails_again(&self) -> bool {
        self.backoff.is_repeated() && !self.last.is_success()
    }

    /// Returns the slot of the failed workload that it needs and that made it fail.
    pub fn failed_need(&self) -> Option<usize> {
        usize::from(self.failed_need).checked_sub(1)
    }

    /// Returns whether it lacks a part of the board.
    pub fn lacks(&self, part: Part) -> bool {
        self.lacks & part as u8 != 0
    }

    /// Returns whether it stays down after its exit.
    pub(super) fn is_to_stay_down(&self) -> bool {
        self.reason == StopReason::Requested
    }

    pub(super) fn transition(&mut self, state: State, now: u64) {
        if state.number() != self.state.number() {
            self.since = now;
        }
        if state == State::Ready {
            (self.away_since, self.was_ready) = (0, true);
        } else if self.state == State::Ready {
            self.away_since = now;
        }
        if !state.is_running() {
            self.check_at = 0;
        }
        self.state = state;
    }

    /// Returns whether its set-up is in progress, and began less than `patience_ms` ago.
    pub(super) fn is_setting_up(&self, now: u64, patience_ms: u64) -> bool {
        matches!(self.state, State::Starting(_)) && !self.is_executed && self.backoff.started_at() + patience_ms > now
    }

    /// Returns the time of its next action, if nothing happens before.
    pub(super) fn deadline(&self) -> Option<u64> {
        let check = (self.check_at > 0).then_some(self.check_at);
        self.state.deadline().into_iter().chain(check).min()
    }
}
