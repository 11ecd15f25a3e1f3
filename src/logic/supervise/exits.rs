//! The reaction to a workload's exit: stay down, restart, or shut down the board.

use super::unit::StopReason;
use super::{
    Action, AfterExit, Backoff, DEPENDENTS_FROM, ExitReason, LEAVING_MS, Notice, Part, ShutdownKind, State, Supervisor,
    Unit,
};
use crate::config::{Config, Idle, LimitAction, OnCorruption, Ready, Workload};

impl Supervisor {
    /// Handles the exit of a workload that had a process.
    pub(super) fn exited(&mut self, config: &Config<'_>, index: usize, end: ExitReason, now: u64) {
        let Unit { state, reason, .. } = self.units[index];
        let was_asked = !matches!(state, State::Starting(_) | State::Ready);
        // A workload that lacked a part of the board before its start did not exit.
        if reason != StopReason::Lack || end != ExitReason::NoProcess {
            self.units[index].record_exit(end);
        }
        let next = match reason {
            _ if self.is_shutting_down => State::Stopped,
            StopReason::Requested if was_asked => State::Stopped,
            StopReason::Restart if was_asked => self.again(index),
            StopReason::Lack if was_asked => State::Waiting,
            StopReason::Corrupt if was_asked => State::Failed,
            StopReason::NotReady if was_asked => self.after_exit(config, index, ExitReason::NotReady, now),
            StopReason::Unhealthy if was_asked => self.after_exit(config, index, ExitReason::Unhealthy, now),
            _ if end.is_success() && self.is_early(&config.workloads[index], index) => {
                self.push_action(Action::Report(Notice::ExitedEarly(index)));
                self.after_exit(config, index, ExitReason::Early, now)
            }
            _ => self.after_exit(config, index, end, now),
        };
        self.units[index].transition(next, now);
    }

    /// A part of the board that a workload uses is missing. Its exit is then no failure of its own, nor was one shortly
    /// before ([`LEAVING_MS`]). It starts afresh when the part appears, unless a person has stopped it.
    pub(super) fn lack(&mut self, config: &Config<'_>, index: usize, part: Part, now: u64) {
        let unit = &mut self.units[index];
        unit.lacks |= part as u8;
        if now <= unit.exited_at + LEAVING_MS {
            unit.restarts -= core::mem::take(&mut unit.excusable);
            unit.backoff = Backoff::NONE;
        }
        if self.is_shutting_down || config.workloads[index].supervision.at_stop_ms > 0 {
            return;
        }
        match unit.state {
            State::Starting(_) | State::Ready => self.stop(&config.workloads[index], index, StopReason::Lack, now),
            State::Unhealthy(_) => unit.reason = StopReason::Lack,
            State::Waiting | State::BackingOff(_) | State::Finished | State::Failed => unit.wait_anew(now),
            _ => {}
        }
    }

    /// Handles a block of a workload's verified image that does not match its hash, as its line says. A restart would
    /// read the same block, so there is none.
    pub(super) fn corrupt(&mut self, config: &Config<'_>, index: usize, state: State, now: u64) {
        let workload = &config.workloads[index];
        match workload.verity.map(|verity| verity.on_corruption) {
            Some(OnCorruption::Stop) if matches!(state, State::Starting(_) | State::Ready) => {
                self.stop(workload, index, StopReason::Corrupt, now);
            }
            Some(OnCorruption::Reboot) => {
                self.is_escalated = true;
                self.shut_down(config, ShutdownKind::Reboot, now);
            }
            _ => {}
        }
    }

    /// Returns whether a workload is not ready yet, and its `ready` line waits for more than its start or its exit.
    fn is_early(&self, workload: &Workload<'_>, index: usize) -> bool {
        let is_ready_by_itself = matches!(workload.supervision.ready, Ready::Exec | Ready::Exit);
        matches!(self.units[index].state, State::Starting(_)) && !is_ready_by_itself
    }

    /// Returns the state of a workload that starts again on request.
    fn again(&mut self, index: usize) -> State {
        self.units[index].restarts += 1;
        State::Waiting
    }

    /// Handles an exit that was not requested, or that turned out not to be due to a part of the board.
    pub(super) fn after_exit(&mut self, config: &Config<'_>, index: usize, end: ExitReason, now: u64) -> State {
        let workload = &config.workloads[index];
        let unit = &mut self.units[index];
        unit.record_exit(end);
        if now > unit.exited_at + LEAVING_MS {
            unit.excusable = 0;
        }
        unit.exited_at = now;
        let after = unit.backoff.decide(&workload.restart, end, now, &mut self.seed);
        // What nobody expected, and nothing follows from.
        let is_harmless = workload.supervision.ready == Ready::Exit || config.system.idle == Idle::Stay;
        let has_effect = match after {
            AfterExit::Restart(..) => false,
            AfterExit::StayDown => !(end.is_success() && is_harmless),
            AfterExit::GiveUp(_) => true,
        };
        unit.is_leaving = has_effect && !unit.is_leaving && self.follows_parts && config.uses_parts(workload);
        if unit.is_leaving {
            return State::BackingOff(now + LEAVING_MS);
        }
        match after {
            // With `ready exit`, this exit makes the workload ready.
            AfterExit::StayDown if end.is_success() => {
                if workload.supervision.ready == Ready::Exit {
                    self.push_action(Action::Report(Notice::Ready(index)));
                }
                State::Finished
            }
            AfterExit::StayDown => State::Failed,
            AfterExit::Restart(count, delay_ms) => {
                self.push_action(Action::Report(Notice::Restart(index, count, delay_ms)));
                let unit = &mut self.units[index];
                (unit.restarts, unit.excusable) = (unit.restarts + 1, unit.excusable + 1);
                if count >= DEPENDENTS_FROM {
                    self.restart_dependents(config, index, now);
                }
                State::BackingOff(now + delay_ms)
            }
            AfterExit::GiveUp(on_limit) => {
                self.push_action(Action::Report(Notice::LimitReached(index)));
                // The state changes first: the shutdown must not see a workload that seems to run.
                self.units[index].transition(State::Failed, now);
                self.is_escalated |= on_limit != LimitAction::Stop && !self.is_shutting_down;
                match on_limit {
                    LimitAction::Stop => {}
                    LimitAction::Reboot => self.shut_down(config, ShutdownKind::Reboot, now),
                    LimitAction::Poweroff => self.shut_down(config, ShutdownKind::Poweroff, now),
                }
                State::Failed
            }
        }
    }

    /// Restarts the workloads that need one that keeps failing, because they may cause the failures, or hold stale
    /// connections.
    fn restart_dependents(&mut self, config: &Config<'_>, failing: usize, now: u64) {
        for (index, workload) in config.workloads.iter().enumerate() {
            let runs = matches!(self.units[index].state, State::Starting(_) | State::Ready);
            if workload.needs.contains(failing) && runs {
                self.push_action(Action::Report(Notice::RestartWithNeed(index, failing)));
                self.stop(workload, index, StopReason::Restart, now);
            }
        }
    }
}
