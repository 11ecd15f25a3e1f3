//! Readiness and health checks.

use super::unit::StopReason;
use super::{Action, Notice, READY_AGAIN_MS, READY_CHECK_MS, State, Supervisor};
use crate::config::{Check, Health, Ready, Workload};

impl Supervisor {
    /// Handles the result of a readiness check. A program that daemonizes accepts connections for a moment before it
    /// exits, so a success is confirmed by a second check.
    pub(super) fn looked(&mut self, workload: &Workload<'_>, index: usize, is_ready: bool, now: u64) {
        let unit = &mut self.units[index];
        let was_ready = core::mem::replace(&mut unit.looks_ready, is_ready);
        match (was_ready, is_ready) {
            (true, true) => self.become_ready(workload, index, now),
            (false, true) => unit.check_at = now + READY_AGAIN_MS,
            (_, false) => unit.check_at = now + READY_CHECK_MS,
        }
    }

    pub(super) fn executed(&mut self, workload: &Workload<'_>, index: usize, now: u64) {
        let unit = &mut self.units[index];
        unit.is_executed = true;
        let (supervision, within_ms) = (&workload.supervision, u64::from(workload.supervision.ready_within_ms));
        let until = if within_ms > 0 { now + within_ms } else { 0 };
        match supervision.ready {
            _ if supervision.at_stop_ms > 0 => unit.state = State::Starting(now + u64::from(supervision.at_stop_ms)),
            Ready::Exec => self.become_ready(workload, index, now),
            Ready::After(delay_ms) => unit.state = State::Starting(now + u64::from(delay_ms)),
            Ready::Tcp(_) => (unit.state, unit.check_at) = (State::Starting(until), now),
            Ready::Exit | Ready::Fd(_) | Ready::Notify => unit.state = State::Starting(until),
        }
    }

    pub(super) fn become_ready(&mut self, workload: &Workload<'_>, index: usize, now: u64) {
        let unit = &mut self.units[index];
        unit.transition(State::Ready, now);
        unit.failures = 0;
        unit.check_at = workload.supervision.health.as_ref().map_or(0, |health| now + u64::from(health.interval_ms));
        if workload.supervision.ready != Ready::Exec {
            self.push_action(Action::Report(Notice::Ready(index)));
        }
    }

    /// Handles an expired deadline of a starting workload.
    pub(super) fn late(&mut self, workload: &Workload<'_>, index: usize, now: u64) {
        if workload.supervision.at_stop_ms > 0 {
            self.kill(index, now);
        } else if matches!(workload.supervision.ready, Ready::After(_)) {
            self.become_ready(workload, index, now);
        } else {
            self.push_action(Action::Report(Notice::NotReady(index)));
            self.stop(workload, index, StopReason::NotReady, now);
        }
    }

    /// Handles a due check.
    pub(super) fn check(&mut self, workload: &Workload<'_>, index: usize, now: u64) {
        self.units[index].check_at = 0;
        let waits_for_word = |health: &Health<'_>| matches!(health.check, Check::Notify);
        if self.units[index].state == State::Ready && workload.supervision.health.as_ref().is_some_and(waits_for_word) {
            self.checked(workload, index, false, now);
        } else {
            self.push_action(Action::Check(index));
        }
    }

    pub(super) fn checked(&mut self, workload: &Workload<'_>, index: usize, is_good: bool, now: u64) {
        let Some(health) = &workload.supervision.health else { return };
        let unit = &mut self.units[index];
        unit.failures = if is_good { 0 } else { unit.failures.saturating_add(1) };
        unit.check_at = now + u64::from(health.interval_ms);
        if unit.failures >= health.failures {
            let failures = unit.failures;
            self.push_action(Action::Report(Notice::Unhealthy(index, failures)));
            self.stop(workload, index, StopReason::Unhealthy, now);
        }
    }
}
