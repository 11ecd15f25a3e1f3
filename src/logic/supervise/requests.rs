//! Requests for a workload. Its needs are started with it, direct and indirect ones.

use super::unit::StopReason;
use super::{Backoff, State, Supervisor, WorkloadRequest};
use crate::config::Config;

impl Supervisor {
    pub(super) fn request(&mut self, config: &Config<'_>, index: usize, ask: WorkloadRequest, now: u64) {
        if ask == WorkloadRequest::Stop {
            return self.request_stop(config, index, StopReason::Requested, now);
        }
        if ask == WorkloadRequest::Restart {
            self.request_stop(config, index, StopReason::Restart, now);
        }
        self.bring_up(index, true, now);
        // A need that has finished with success counts as up; its own needs are not started.
        for need in self.needed(config, index, |unit| unit.state != State::Finished).iter() {
            if config.workloads[need].supervision.at_stop_ms == 0 {
                self.bring_up(need, false, now);
            }
        }
    }

    /// Starts a workload that is down or stopping as soon as possible. `is_asked` means that the request names this
    /// workload: then its restart count is reset. A workload that is only needed keeps its count.
    fn bring_up(&mut self, index: usize, is_asked: bool, now: u64) {
        let unit = &mut self.units[index];
        let is_wanted = is_asked || unit.reason == StopReason::Requested;
        match unit.state {
            // The reason for which it was stopped no longer applies.
            State::Unhealthy(_) | State::Stopping(_) | State::Killing(_) | State::Lost if is_wanted => {
                unit.reason = StopReason::Restart;
            }
            State::Failed | State::Stopped => unit.wait_anew(now),
            State::BackingOff(_) | State::Finished if is_asked => unit.wait_anew(now),
            State::BackingOff(_) => unit.transition(State::Waiting, now),
            _ => {}
        }
    }

    fn request_stop(&mut self, config: &Config<'_>, index: usize, reason: StopReason, now: u64) {
        let unit = &mut self.units[index];
        match unit.state {
            State::Starting(_) | State::Ready => self.stop(&config.workloads[index], index, reason, now),
            State::Unhealthy(_) | State::Stopping(_) | State::Killing(_) | State::Lost => unit.reason = reason,
            State::Waiting | State::BackingOff(_) if reason == StopReason::Requested => {
                unit.transition(State::Stopped, now)
            }
            _ => {}
        }
    }
}

impl super::Unit {
    /// Resets it to the state before the first start.
    pub(super) fn wait_anew(&mut self, now: u64) {
        self.transition(State::Waiting, now);
        (self.backoff, self.failed_need) = (Backoff::NONE, 0);
    }
}
