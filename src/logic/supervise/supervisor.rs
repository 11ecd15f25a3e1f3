//! All workloads of a board together: what happened to one of them, and what follows. In which order they start and stop
//! is in `order.rs`, when they are ready in `readiness.rs`, what follows an exit in `exits.rs`, and what a person asks for in
//! `requests.rs` and `outcome.rs`.

use super::unit::StopReason;
use super::units::Units;
use super::{Action, Event, KILL_MS, Notice, Part, ShutdownKind, State, Unit};
use crate::config::{Config, Workload, WorkloadSet, limits::WORKLOADS};
use heapless::Deque;

/// Actions that can wait: no event makes more than five of them for each workload.
const ACTIONS: usize = 6 * WORKLOADS;

/// The state of every workload, and the actions not carried out yet.
#[derive(Debug)]
pub struct Supervisor {
    pub(super) units: Units,
    actions: Deque<Action, ACTIONS>,
    /// Whether the board goes down, and how; two fields, because a table that starts as all zero bytes lies in `.bss`.
    pub(super) is_shutting_down: bool,
    pub(super) shutdown_kind: ShutdownKind,
    /// Whether [`Action::Shutdown`] was given: it is given once.
    pub(super) has_shut_down: bool,
    /// Whether the board goes down because a limit was reached.
    pub(super) is_escalated: bool,
    /// Whether `idle` was acted on.
    pub(super) idle: bool,
    /// How many set-ups may go on at a time; 0 is any number.
    pub(super) max_parallel_starts: usize,
    /// Until when a workload that could start waits for a free one.
    pub(super) start_blocked_until: u64,
    /// The parts of the board that are still on their way at boot, a bit each: who lacks one comes up by itself.
    pub(super) awaited: u8,
    /// What the next delay's share of chance is drawn from; 0 for none.
    pub(super) seed: u32,
}

impl Default for Supervisor {
    fn default() -> Self {
        Self::new()
    }
}

impl Supervisor {
    /// Every workload waits.
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
            seed: 0,
        }
    }

    /// Has at most so many workloads set themselves up at a time: more than there are processors make each of them late.
    /// One that takes longer than [`super::SET_UP_MS`], because it waits for a disk or a server, does not hold the others up.
    pub fn set_max_parallel_starts(&mut self, count: usize) {
        self.max_parallel_starts = count;
    }

    /// A part of the board is on its way, or no longer: what comes after a workload that lacks it waits until then.
    pub fn set_awaited(&mut self, part: Part, is_awaited: bool) {
        self.awaited = if is_awaited { self.awaited | part as u8 } else { self.awaited & !(part as u8) };
    }

    /// A workload that was to be started lacks a part of the board: it has no process, and waits.
    pub fn put_back(&mut self, config: &Config<'_>, index: usize, part: Part, now: u64) {
        self.units[index].lacks |= part as u8;
        self.units[index].transition(State::Waiting, now);
        self.propagate(config, now);
    }

    /// A part of the board is there again for all of these workloads, by index: they start in their order.
    pub fn has_part(&mut self, config: &Config<'_>, whole: WorkloadSet, part: Part, now: u64) {
        for index in whole.iter() {
            self.units[index].lacks &= !(part as u8);
        }
        self.propagate(config, now);
    }

    /// Lengthens each delay by a share of chance, so that workloads which fell together do not go on together.
    pub fn seed(&mut self, seed: u32) {
        self.seed = seed | 1;
    }

    /// Where the workload at `index` is.
    pub fn state(&self, index: usize) -> State {
        self.units[index].state
    }

    /// What is known of the workload at `index`.
    pub fn unit(&self, index: usize) -> &Unit {
        &self.units[index]
    }

    /// How the board goes down, once it does.
    pub fn shutting_down(&self) -> Option<ShutdownKind> {
        self.is_shutting_down.then_some(self.shutdown_kind)
    }

    /// Whether the board goes down because a workload reached its limit, and not because anybody asked for it.
    pub fn is_escalated(&self) -> bool {
        self.is_escalated
    }

    /// Whether the set-up of every workload that is going to start has come to its end.
    pub fn is_boot_complete(&self, config: &Config<'_>) -> bool {
        let is_before = |(index, unit): (usize, &Unit)| match unit.state {
            State::Waiting => self.held_by(config, index).is_none(),
            State::Starting(_) => !unit.is_executed,
            _ => false,
        };
        let mut all = self.of(config).enumerate();
        all.all(|(index, (workload, unit))| workload.supervision.at_stop_ms > 0 || !is_before((index, unit)))
    }

    /// Whether every workload is as it should be.
    pub fn all_healthy(&self, config: &Config<'_>) -> bool {
        let is_well = |unit: &Unit| matches!(unit.state, State::Ready | State::Finished | State::Stopped);
        self.of(config).all(|(workload, unit)| workload.supervision.at_stop_ms > 0 || is_well(unit))
    }

    /// Whether the watchdog may be fed: no critical workload is away for longer than its line allows.
    pub fn may_feed_watchdog(&self, config: &Config<'_>, now: u64) -> bool {
        self.of(config).all(|(workload, unit)| {
            let is_fine = matches!(unit.state, State::Ready | State::Finished | State::Stopped);
            let away_ms = now.saturating_sub(unit.away_since);
            workload.supervision.critical_ms == 0 || is_fine || away_ms <= u64::from(workload.supervision.critical_ms)
        })
    }

    pub(super) fn of<'a>(&self, config: &'a Config<'_>) -> impl Iterator<Item = (&'a Workload<'a>, &Unit)> {
        config.workloads.iter().enumerate().map(|(index, workload)| (workload, &self.units[index]))
    }

    /// Returns the next thing to do. `None` if everything is done.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Self::tick`] has to be called, if nothing happens before.
    pub fn deadline(&self) -> Option<u64> {
        let blocked = (self.start_blocked_until > 0).then_some(self.start_blocked_until);
        self.units.all().filter_map(Unit::deadline).chain(blocked).min()
    }

    /// Starts what can start. The first call of all. With `is_safe` only workloads that are marked `safe` start, and what they need.
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

    /// Goes over to another configuration. The workloads whose slots are in `kept` go on unchanged; the others are new, and wait
    /// for their start. What the new configuration lacks, or has changed, is over by now.
    pub fn adopt(&mut self, config: &Config<'_>, kept: WorkloadSet, now: u64) {
        self.units.adopt(config, kept, now);
        self.idle = false;
        self.propagate(config, now);
    }

    /// Something happened to the workload at `index`.
    pub fn handle_event(&mut self, config: &Config<'_>, index: usize, event: Event, now: u64) {
        let workload = &config.workloads[index];
        match (self.units[index].state, event) {
            (State::Starting(_), Event::Executed) => self.executed(workload, index, now),
            // What runs as the board goes down is there to end: being ready would take its deadline away.
            (State::Starting(_), Event::Ready | Event::Checked(_)) if workload.supervision.at_stop_ms > 0 => {}
            (State::Starting(_), Event::Ready) => self.become_ready(workload, index, now),
            (State::Starting(_), Event::Checked(is_ready)) => self.looked(workload, index, is_ready, now),
            (State::Ready, Event::Checked(is_good)) => self.checked(workload, index, is_good, now),
            (State::Ready, Event::Alive) => self.checked(workload, index, true, now),
            // One that could not be killed may end after all.
            (state, Event::Exited(end)) if state.is_running() || state == State::Lost => {
                self.exited(config, index, end, now);
            }
            (_, Event::Lacks(part)) => self.lack(config, index, part, now),
            (_, Event::Has(part)) => self.units[index].lacks &= !(part as u8),
            (_, Event::Corrupt | Event::Requested(_)) if self.is_shutting_down => {}
            (state, Event::Corrupt) => self.corrupt(config, index, state, now),
            (_, Event::Requested(ask)) => self.request(config, index, ask, now),
            // What comes late is about a run that is over.
            (_, Event::Executed | Event::Ready | Event::Checked(_) | Event::Alive | Event::Exited(_)) => {}
        }
        self.propagate(config, now);
    }

    /// Time went on: acts on every deadline that `now` has reached.
    pub fn tick(&mut self, config: &Config<'_>, now: u64) {
        for (index, workload) in config.workloads.iter().enumerate() {
            match self.units[index].state {
                State::Starting(at) if at > 0 && at <= now => self.late(workload, index, now),
                State::BackingOff(at) if at <= now => self.units[index].transition(State::Waiting, now),
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

    /// Takes the board down. Asked again it changes where to, and starts nothing anew.
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

    /// Sends a workload its stop signal; `reason` decides what follows its end.
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
