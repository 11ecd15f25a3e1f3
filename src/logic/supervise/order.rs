//! The order in which workloads start and stop: dependencies, parallel starts, shutdown.

use super::unit::StopReason;
use super::{Action, Notice, SET_UP_MS, ShutdownKind, State, Supervisor, Unit};
use crate::config::{Config, Idle, Workload};

impl Supervisor {
    /// Applies changes to the workloads that depend on them, until nothing changes.
    pub(super) fn propagate(&mut self, config: &Config<'_>, now: u64) {
        self.start_blocked_until = 0;
        if self.is_shutting_down {
            return self.stop_next(config, now);
        }
        // Each round ends the waiting of at least one workload, so there are at most as many rounds as workloads.
        for _ in 0..=config.workloads.len() {
            let (mut changed, mut waits) = (false, false);
            for (index, workload) in config.workloads.iter().enumerate() {
                if self.units[index].state == State::Waiting && workload.supervision.at_stop_ms == 0 {
                    let has_left = self.leave_waiting(config, index, workload, now);
                    changed |= has_left;
                    waits |= !has_left;
                }
            }
            if !(changed && waits) {
                break;
            }
        }
        // A workload that a person stopped may be started again, so the board is not idle.
        let is_done = |unit: &Unit| unit.state.is_over() && unit.state != State::Stopped;
        let over = self.of(config).all(|(workload, unit)| workload.supervision.at_stop_ms > 0 || is_done(unit));
        if over && !self.idle {
            self.idle = true;
            match config.system.idle {
                Idle::Stay => {}
                Idle::Poweroff => self.shut_down(config, ShutdownKind::Poweroff, now),
                Idle::Reboot => self.shut_down(config, ShutdownKind::Reboot, now),
            }
        }
    }

    /// Starts a waiting workload whose turn it is, or fails it if a need has failed. Returns whether its state changed.
    fn leave_waiting(&mut self, config: &Config<'_>, index: usize, workload: &Workload<'_>, now: u64) -> bool {
        let is_there = |unit: &Unit| matches!(unit.state, State::Ready | State::Finished);
        if let Some(need) = workload.needs.iter().find(|need| self.units[*need].state == State::Failed) {
            self.units[index].transition(State::Failed, now);
            self.units[index].failed_need = self.units.slot(need) as u8 + 1;
            self.push_action(Action::Report(Notice::NeedFailed(index, need)));
            return true;
        }
        let has_needs = workload.needs.iter().all(|need| is_there(&self.units[need]));
        // Do not wait for a workload that will not come up by itself, nor for one that failed and is retried: two of them
        // in turns could keep this one waiting for ever.
        let is_before = |before: usize| match self.units[before].state {
            _ if self.units[before].backoff.is_retried() => false,
            State::Waiting => !self.is_at_stop(config, before) && self.held_by(config, before).is_none(),
            state => matches!(state, State::Starting(_)),
        };
        let its_turn = !workload.after.iter().any(is_before);
        let is_whole = self.units[index].lacks == 0;
        let can_start = is_whole && has_needs && its_turn && self.has_free_slot(config, now);
        if can_start {
            self.start(index, now);
        }
        can_start
    }

    /// Returns whether another workload may start its set-up now. Otherwise, sets until when it has to wait at most.
    fn has_free_slot(&mut self, config: &Config<'_>, now: u64) -> bool {
        let (mut count, mut until) = (0, u64::MAX);
        for (_, unit) in self.of(config).filter(|(_, unit)| unit.is_setting_up(now, SET_UP_MS)) {
            count += 1;
            until = until.min(unit.backoff.started_at() + SET_UP_MS);
        }
        let is_free = self.max_parallel_starts == 0 || count < self.max_parallel_starts;
        if !is_free {
            self.start_blocked_until = until;
        }
        is_free
    }

    pub(super) fn start(&mut self, index: usize, now: u64) {
        let unit = &mut self.units[index];
        unit.transition(State::Starting(0), now);
        unit.backoff.start(now);
        (unit.is_executed, unit.looks_ready, unit.failures, unit.check_at) = (false, false, 0, 0);
        unit.is_leaving = false;
        self.push_action(Action::Start(index));
    }

    /// During shutdown: stops each workload that no running one depends on, then runs the `at-stop` workloads one after
    /// the other, and shuts down when all have exited.
    fn stop_next(&mut self, config: &Config<'_>, now: u64) {
        for (index, workload) in config.workloads.iter().enumerate() {
            let depends = |(other, user): (usize, &Workload<'_>)| {
                (user.needs.contains(index) || user.after.contains(index)) && self.units[other].state.is_running()
            };
            let stoppable = matches!(self.units[index].state, State::Starting(_) | State::Ready)
                && workload.supervision.at_stop_ms == 0;
            if stoppable && !config.workloads.iter().enumerate().any(depends) {
                self.stop(workload, index, StopReason::Requested, now);
            }
        }
        let is_over = |index: usize| self.units[index].state.is_over();
        let is_later = |index: usize| config.workloads[index].supervision.at_stop_ms > 0;
        let mut all = 0..config.workloads.len();
        if all.clone().any(|index| !is_later(index) && !is_over(index)) {
            return;
        }
        match all.find(|index| is_later(*index) && !is_over(*index)) {
            Some(index) if self.units[index].state == State::Waiting => self.start(index, now),
            Some(_) => {}
            None if self.has_shut_down => {}
            None => {
                self.has_shut_down = true;
                self.push_action(Action::Shutdown(self.shutdown_kind));
            }
        }
    }
}
