//! The state of all workloads, and the reactions to events. The order of starts and stops is in `order.rs`, readiness
//! in `readiness.rs`, the reaction to exits in `exits.rs`, and requests in `requests.rs` and `outcome.rs`.

use super::unit::StopReason;
use super::units::Units;
use super::{Action, Event, KILL_MS, Notice, Part, ShutdownKind, State, Unit};
use crate::config::{Config, Workload, WorkloadSet, limits::WORKLOADS};
use heapless::Deque;

/// Pending actions: no event causes more than five of them for each workload.
const ACTIONS: usize = 6 * WORKLOADS;

/// The state of all workloads, and the pending actions.
#[derive(Debug)]
// Often used members first: a distance of at most 127 bytes is one byte of an instruction.
#[repr(C)]
pub struct Supervisor {
    /// The maximum number of parallel set-ups; 0 for no limit.
    pub(super) max_parallel_starts: usize,
    /// Until when a workload that could start waits for a free set-up.
    pub(super) start_blocked_until: u64,
    /// The state of the random jitter; 0 for none.
    pub(super) seed: u32,
    /// Whether the board shuts down, and how. These are two fields because the table has to start as all zero bytes, to
    /// be in `.bss`.
    pub(super) is_shutting_down: bool,
    /// Whether [`Action::Shutdown`] was issued; it is issued once.
    pub(super) has_shut_down: bool,
    /// Whether the shutdown is due to a restart limit.
    pub(super) is_escalated: bool,
    /// Whether `idle` has been handled.
    pub(super) idle: bool,
    /// Whether parts of the board may disappear, and are reported.
    pub(super) follows_parts: bool,
    pub(super) shutdown_kind: ShutdownKind,
    /// A bit for each part of the board that may still appear during boot: a workload without it is expected to come
    /// up.
    pub(super) awaited: u8,
    pub(super) units: Units,
    actions: Deque<Action, ACTIONS>,
}

impl Default for Supervisor {
    fn default() -> Self {
        Self::new()
    }
}

impl Supervisor {
    /// Creates a supervisor in which all workloads wait.
    pub const fn new() -> Self {
        Self {
            units: Units::NEW,
            actions: Deque::new(),
            is_shutting_down: false,
            shutdown_kind: ShutdownKind::Poweroff,
            has_shut_down: false,
            is_escalated: false,
            idle: false,
            max_parallel_starts: 0,
            start_blocked_until: 0,
            awaited: 0,
            follows_parts: false,
            seed: 0,
        }
    }

    /// Limits the number of parallel set-ups: more of them than processors delay each other. A set-up that takes longer
    /// than [`super::SET_UP_MS`], because it waits for a disk or a server, does not count.
    pub fn set_max_parallel_starts(&mut self, count: usize) {
        self.max_parallel_starts = count;
    }

    /// Sets whether parts of the board that disappear are reported: a container has no events of devices.
    pub fn set_follows_parts(&mut self, follows: bool) {
        self.follows_parts = follows;
    }

    /// Sets whether a part of the board may still appear. While it may, workloads that start after one that lacks it
    /// wait.
    pub fn set_awaited(&mut self, part: Part, is_awaited: bool) {
        self.awaited = if is_awaited { self.awaited | part as u8 } else { self.awaited & !(part as u8) };
    }

    /// Returns whether a part of the board may still appear.
    pub fn awaits(&self, part: Part) -> bool {
        self.awaited & part as u8 != 0
    }

    /// A workload that was about to start lacks a part of the board: it has no process, and waits.
    pub fn put_back(&mut self, config: &Config<'_>, index: usize, part: Part, now: u64) {
        self.units[index].lacks |= part as u8;
        self.units[index].transition(State::Waiting, now);
        self.propagate(config, now);
    }

    /// A part of the board is present again for these workloads, by index. They start in their order.
    pub fn has_part(&mut self, config: &Config<'_>, whole: WorkloadSet, part: Part, now: u64) {
        for index in whole.iter() {
            self.units[index].lacks &= !(part as u8);
        }
        self.propagate(config, now);
    }

    /// Seeds the jitter of delays, so that workloads that failed together do not restart together.
    pub fn seed(&mut self, seed: u32) {
        self.seed = seed | 1;
    }

    /// Returns the state of the workload at `index`.
    pub fn state(&self, index: usize) -> State {
        self.units[index].state
    }

    /// Returns the record of the workload at `index`.
    pub fn unit(&self, index: usize) -> &Unit {
        &self.units[index]
    }

    /// Returns how the board shuts down, or `None` if it does not.
    pub fn shutting_down(&self) -> Option<ShutdownKind> {
        self.is_shutting_down.then_some(self.shutdown_kind)
    }

    /// Returns whether the shutdown is due to a restart limit, and not to a request.
    pub fn is_escalated(&self) -> bool {
        self.is_escalated
    }

    /// Returns whether every workload that starts at boot has completed its set-up.
    pub fn is_boot_complete(&self, config: &Config<'_>) -> bool {
        let is_before = |(index, unit): (usize, &Unit)| match unit.state {
            State::Waiting => self.held_by(config, index).is_none(),
            State::Starting(_) => !unit.is_executed,
            _ => false,
        };
        let mut all = self.of(config).enumerate();
        all.all(|(index, (workload, unit))| workload.supervision.at_stop_ms > 0 || !is_before((index, unit)))
    }

    /// Returns whether every workload is in its intended state.
    pub fn all_healthy(&self, config: &Config<'_>) -> bool {
        self.first_unhealthy(config).is_none()
    }

    /// Returns the name of the first workload that is not in its intended state.
    pub fn first_unhealthy<'a>(&self, config: &'a Config<'_>) -> Option<&'a str> {
        let is_later = |workload: &Workload<'_>| workload.supervision.at_stop_ms > 0;
        let mut all = config.workloads.iter().enumerate();
        let found = all.find(|(index, workload)| !is_later(workload) && !self.is_well(config, *index));
        found.map(|(_, workload)| workload.name)
    }

    /// Returns whether a workload is in its intended state, or waits for a part of the board that was not there since
    /// the boot: no reset brings that. One that has disappeared may come back by a reset.
    fn is_well(&self, config: &Config<'_>, index: usize) -> bool {
        let is_absent = |held: usize| self.units[held].lacks != 0 && !self.units[held].was_ready;
        match self.units[index].state {
            State::Ready | State::Finished | State::Stopped => true,
            State::Waiting => self.held_by(config, index).is_some_and(is_absent),
            _ => false,
        }
    }

    /// Returns whether the watchdog may be fed: no critical workload has been down for longer than its line allows.
    pub fn may_feed_watchdog(&self, config: &Config<'_>, now: u64) -> bool {
        self.of(config).enumerate().all(|(index, (workload, unit))| {
            let away_ms = now.saturating_sub(unit.away_since);
            workload.supervision.critical_ms == 0
                || away_ms <= u64::from(workload.supervision.critical_ms)
                || self.is_well(config, index)
        })
    }

    pub(super) fn of<'a>(&self, config: &'a Config<'_>) -> impl Iterator<Item = (&'a Workload<'a>, &Unit)> {
        config.workloads.iter().enumerate().map(|(index, workload)| (workload, &self.units[index]))
    }

    /// Returns the next action, or `None` if all are done.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Returns when [`Self::tick`] must be called, if nothing happens before.
    pub fn deadline(&self) -> Option<u64> {
        let blocked = (self.start_blocked_until > 0).then_some(self.start_blocked_until);
        self.units.all().filter_map(Unit::deadline).chain(blocked).min()
    }

    /// Starts the workloads; must be called first. With `is_safe`, only workloads that are marked `safe` start, and
    /// what they need.
    pub fn begin(&mut self, config: &Config<'_>, is_safe: bool, now: u64) {
        let mut wanted = WorkloadSet::EMPTY;
        for (index, _) in config.workloads.iter().enumerate().filter(|(_, one)| !is_safe || one.supervision.is_safe) {
            wanted.insert(index);
            wanted = wanted.union(self.needed(config, index, |_| true));
        }
        self.units.adopt(config, WorkloadSet::EMPTY, now);
        for index in (0..config.workloads.len()).filter(|index| !wanted.contains(*index)) {
            self.units[index].transition(State::Stopped, now);
        }
        self.propagate(config, now);
    }

    /// Changes to another configuration. Workloads whose slots are in `kept` keep running; the others are new and wait
    /// for their start. Workloads that were removed or changed must have exited before.
    pub fn adopt(&mut self, config: &Config<'_>, kept: WorkloadSet, now: u64) {
        self.units.adopt(config, kept, now);
        self.idle = false;
        self.propagate(config, now);
    }

    /// Handles an event of the workload at `index`.
    pub fn handle_event(&mut self, config: &Config<'_>, index: usize, event: Event, now: u64) {
        let workload = &config.workloads[index];
        match (self.units[index].state, event) {
            (State::Starting(_), Event::Executed) => self.executed(workload, index, now),
            // An `at-stop` workload is expected to exit: becoming ready would remove its deadline.
            (State::Starting(_), Event::Ready | Event::Checked(_)) if workload.supervision.at_stop_ms > 0 => {}
            (State::Starting(_), Event::Ready) => self.become_ready(workload, index, now),
            (State::Starting(_), Event::Checked(is_ready)) => self.looked(workload, index, is_ready, now),
            (State::Ready, Event::Checked(is_good)) => self.checked(workload, index, is_good, now),
            (State::Ready, Event::Alive) => self.checked(workload, index, true, now),
            // A workload that could not be killed may exit later.
            (state, Event::Exited(end)) if state.is_running() || state == State::Lost => {
                self.exited(config, index, end, now);
            }
            (_, Event::Lacks(part)) => self.lack(config, index, part, now),
            (_, Event::Has(part)) => self.units[index].lacks &= !(part as u8),
            (_, Event::Corrupt | Event::Requested(_)) if self.is_shutting_down => {}
            (state, Event::Corrupt) => self.corrupt(config, index, state, now),
            (_, Event::Requested(ask)) => self.request(config, index, ask, now),
            // Late events belong to a run that is over.
            (_, Event::Executed | Event::Ready | Event::Checked(_) | Event::Alive | Event::Exited(_)) => {}
        }
        self.propagate(config, now);
    }

    /// Handles all deadlines up to `now`.
    pub fn tick(&mut self, config: &Config<'_>, now: u64) {
        for (index, workload) in config.workloads.iter().enumerate() {
            match self.units[index].state {
                State::Starting(at) if at > 0 && at <= now => self.late(workload, index, now),
                State::BackingOff(at) if at <= now => {
                    let unit = &self.units[index];
                    let end = unit.last_exit().filter(|_| unit.is_leaving);
                    let next = end.map_or(State::Waiting, |end| self.after_exit(config, index, end, now));
                    self.units[index].transition(next, now);
                }
                State::Unhealthy(at) | State::Stopping(at) if at <= now => self.kill(index, now),
                State::Killing(at) if at <= now => {
                    self.units[index].transition(State::Lost, now);
                    self.push_action(Action::Report(Notice::NotKilled(index)));
                }
                _ => {}
            }
            if (1..=now).contains(&self.units[index].check_at) {
                self.check(workload, index, now);
            }
        }
        self.propagate(config, now);
    }

    /// Shuts the board down. A second call changes how, and starts nothing.
    pub fn shut_down(&mut self, config: &Config<'_>, down: ShutdownKind, now: u64) {
        let first = !core::mem::replace(&mut self.is_shutting_down, true);
        self.shutdown_kind = down;
        if first {
            let running = self.units.all().filter(|unit| unit.state.is_running()).count();
            self.push_action(Action::Report(Notice::ShutDown(down, running)));
            for (index, workload) in config.workloads.iter().enumerate() {
                let (unit, is_for_later) = (&mut self.units[index], workload.supervision.at_stop_ms > 0);
                if matches!(unit.state, State::Waiting | State::BackingOff(_)) && !is_for_later {
                    unit.transition(State::Stopped, now);
                }
            }
        }
        self.propagate(config, now);
    }

    /// Sends a workload its stop signal; `reason` decides what happens after its exit.
    pub(super) fn stop(&mut self, workload: &Workload<'_>, index: usize, reason: StopReason, now: u64) {
        let until = now + u64::from(workload.stop.grace_ms);
        let unit = &mut self.units[index];
        let is_sick = matches!(reason, StopReason::NotReady | StopReason::Unhealthy);
        unit.transition(if is_sick { State::Unhealthy(until) } else { State::Stopping(until) }, now);
        (unit.reason, unit.check_at) = (reason, 0);
        self.push_action(Action::Signal(index));
    }

    pub(super) fn kill(&mut self, index: usize, now: u64) {
        self.units[index].transition(State::Killing(now + KILL_MS), now);
        self.push_action(Action::Kill(index));
    }

    pub(super) fn push_action(&mut self, action: Action) {
        let fits = self.actions.push_back(action).is_ok();
        assert!(fits, "the running half takes every action before it tells the next event");
    }
}
