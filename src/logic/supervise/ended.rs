//! What follows the end of a workload: rest, another run, or the board's way down.

use super::unit::Reason;
use super::{Action, DEPENDENTS_FROM, Down, End, State, Supervisor, Unit, Verdict};
use crate::config::{Config, Otherwise, Ready, Workload};

impl Supervisor {
    /// A workload that had a process has ended.
    pub(super) fn ended(&mut self, config: &Config<'_>, index: usize, end: End, now: u64) {
        self.units[index].end(end);
        let Unit { state, reason, .. } = self.units[index];
        let was_asked = !matches!(state, State::Starting(_) | State::Ready);
        let next = match reason {
            _ if self.is_going_down => State::Stopped,
            Reason::Asked if was_asked => State::Stopped,
            Reason::Again if was_asked => self.again(index),
            Reason::NotReady if was_asked => self.after_end(config, index, End::NotReady, now),
            Reason::Unhealthy if was_asked => self.after_end(config, index, End::Unhealthy, now),
            _ if end.is_success() && self.is_early(&config.workloads[index], index) => {
                self.act(Action::TellEarly(index));
                self.after_end(config, index, End::Early, now)
            }
            _ => self.after_end(config, index, end, now),
        };
        self.units[index].go(next, now);
    }

    /// Whether a workload is not ready yet, and its line waits for more than its start or its end.
    fn is_early(&self, workload: &Workload<'_>, index: usize) -> bool {
        let is_ready_by_itself = matches!(workload.supervision.ready, Ready::Exec | Ready::Exit);
        matches!(self.units[index].state, State::Starting(_)) && !is_ready_by_itself
    }

    /// The state of a workload that starts again because it was asked to.
    fn again(&mut self, index: usize) -> State {
        self.units[index].restarts += 1;
        State::Waiting
    }

    /// What follows the end of a workload that was not asked to end.
    fn after_end(&mut self, config: &Config<'_>, index: usize, end: End, now: u64) -> State {
        let workload = &config.workloads[index];
        self.units[index].end(end);
        match self.units[index].backoff.decide(&workload.restart, end, now, &mut self.seed) {
            // `ready exit` is about this very end, which is news.
            Verdict::Rest if end.is_success() => {
                if workload.supervision.ready == Ready::Exit {
                    self.act(Action::TellReady(index));
                }
                State::Finished
            }
            Verdict::Rest => State::Failed,
            Verdict::Restart(count, delay_ms) => {
                self.act(Action::TellRestart(index, count, delay_ms));
                self.units[index].restarts += 1;
                if count >= DEPENDENTS_FROM {
                    self.restart_dependents(config, index, now);
                }
                State::BackingOff(now + delay_ms)
            }
            Verdict::GiveUp(otherwise) => {
                self.act(Action::TellLimit(index));
                // The state first: what the way down finds must not be a workload that still seems to run.
                self.units[index].go(State::Failed, now);
                self.is_escalated |= otherwise != Otherwise::Stop && !self.is_going_down;
                match otherwise {
                    Otherwise::Stop => {}
                    Otherwise::Reboot => self.shut_down(config, Down::Reboot, now),
                    Otherwise::Poweroff => self.shut_down(config, Down::Poweroff, now),
                }
                State::Failed
            }
        }
    }

    /// Restarts what needs a workload that keeps failing: it may be what makes it fail, or hold on to what is gone.
    fn restart_dependents(&mut self, config: &Config<'_>, failing: usize, now: u64) {
        for (index, workload) in config.workloads.iter().enumerate() {
            let runs = matches!(self.units[index].state, State::Starting(_) | State::Ready);
            if workload.needs.contains(failing) && runs {
                self.act(Action::TellDependent(index, failing));
                self.stop(workload, index, Reason::Again, now);
            }
        }
    }
}
