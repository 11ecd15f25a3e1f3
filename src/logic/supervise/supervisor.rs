//! All workloads of a board together: what happened to one of them, and what follows. In which order they start and stop
//! is in `order.rs`.

use super::unit::Reason;
use super::{Action, Ask, DEPENDENTS_FROM, Down, End, Event, KILL_MS, READY_CHECK_MS, State, Unit, Verdict};
use crate::config::{Check, Config, Otherwise, Ready, Workload, limits::WORKLOADS};
use heapless::Deque;

/// Actions that can wait: no event makes more than five of them for each workload.
const ACTIONS: usize = 6 * WORKLOADS;

/// The state of every workload, and the actions not carried out yet.
#[derive(Debug)]
pub struct Supervisor {
    pub(super) units: [Unit; WORKLOADS],
    actions: Deque<Action, ACTIONS>,
    /// Whether the board goes down, and how; two fields, because a table that starts as all zero bytes lies in `.bss`.
    pub(super) is_going_down: bool,
    pub(super) down: Down,
    /// Whether [`Action::Leave`] was given: it is given once.
    pub(super) left: bool,
    /// Whether the board goes down because a limit was reached.
    is_escalated: bool,
    /// Whether `idle` was acted on.
    pub(super) idle: bool,
    /// How many set-ups may go on at a time; 0 is any number.
    pub(super) slots: usize,
    /// Until when a workload that could start waits for a free one.
    pub(super) crowded_until: u64,
    /// What the next delay's share of chance is drawn from; 0 for none.
    seed: u32,
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
            units: [Unit::NEW; WORKLOADS],
            actions: Deque::new(),
            is_going_down: false,
            down: Down::Poweroff,
            left: false,
            is_escalated: false,
            idle: false,
            slots: 0,
            crowded_until: 0,
            seed: 0,
        }
    }

    /// Has at most so many workloads set themselves up at a time: more than there are processors make each of them late.
    /// One that takes longer than [`super::SET_UP_MS`], because it waits for a disk or a server, does not hold the others up.
    pub fn limit_set_ups(&mut self, slots: usize) {
        self.slots = slots;
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
    pub fn going_down(&self) -> Option<Down> {
        self.is_going_down.then_some(self.down)
    }

    /// Whether the board goes down because a workload reached its limit, and not because anybody asked for it.
    pub fn is_escalated(&self) -> bool {
        self.is_escalated
    }

    /// Whether the set-up of every workload that is going to start has come to its end.
    pub fn has_settled(&self, config: &Config<'_>) -> bool {
        let is_before = |unit: &Unit| match unit.state {
            State::Waiting => true,
            State::Starting(_) => !unit.is_executed,
            _ => false,
        };
        self.of(config).all(|(workload, unit)| workload.supervision.at_stop_ms > 0 || !is_before(unit))
    }

    /// Whether every workload is as it should be.
    pub fn is_well(&self, config: &Config<'_>) -> bool {
        let is_well = |unit: &Unit| matches!(unit.state, State::Ready | State::Finished | State::Stopped);
        self.of(config).all(|(workload, unit)| workload.supervision.at_stop_ms > 0 || is_well(unit))
    }

    /// Whether the watchdog may be fed: no critical workload is away for longer than its line allows.
    pub fn is_sane(&self, config: &Config<'_>, now: u64) -> bool {
        self.of(config).all(|(workload, unit)| {
            let is_fine = matches!(unit.state, State::Ready | State::Finished | State::Stopped);
            let away_ms = now.saturating_sub(unit.away_since);
            workload.supervision.critical_ms == 0 || is_fine || away_ms <= u64::from(workload.supervision.critical_ms)
        })
    }

    pub(super) fn of<'a>(&self, config: &'a Config<'_>) -> impl Iterator<Item = (&'a Workload<'a>, &Unit)> {
        config.workloads.iter().zip(&self.units)
    }

    /// The next thing to do; none when everything is done.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Self::tick`] has to be called, if nothing happens before.
    pub fn deadline(&self) -> Option<u64> {
        let crowded = (self.crowded_until > 0).then_some(self.crowded_until);
        self.units.iter().filter_map(Unit::deadline).chain(crowded).min()
    }

    /// Starts what can start. The first call of all. With `is_safe` only workloads that are marked `safe` start.
    pub fn begin(&mut self, config: &Config<'_>, is_safe: bool, now: u64) {
        for (workload, unit) in config.workloads.iter().zip(&mut self.units) {
            unit.away_since = now;
            if is_safe && !workload.supervision.is_safe {
                unit.go(State::Stopped, now);
            }
        }
        self.settle(config, now);
    }

    /// Goes over to another configuration: `old[new]` is where a workload that goes on unchanged was before, and none for
    /// one that is new, which then waits for its start. What is gone, or changed, is over by now.
    pub fn adopt(&mut self, config: &Config<'_>, old: &[Option<usize>], now: u64) {
        let before = self.units;
        self.units = [Unit::NEW; WORKLOADS];
        for (unit, place) in self.units.iter_mut().zip(old) {
            match place {
                Some(place) => {
                    *unit = before[*place];
                    let need = unit.failed_need().and_then(|need| old.iter().position(|was| *was == Some(need)));
                    unit.failed_need = need.map_or(0, |need| need as u8 + 1);
                }
                None => (unit.since, unit.away_since) = (now, now),
            }
        }
        self.idle = false;
        self.settle(config, now);
    }

    /// Something happened to the workload at `index`.
    pub fn on(&mut self, config: &Config<'_>, index: usize, event: Event, now: u64) {
        let workload = &config.workloads[index];
        match (self.units[index].state, event) {
            (State::Starting(_), Event::Executed) => self.executed(workload, index, now),
            // What runs as the board goes down is there to end: being ready would take its deadline away.
            (State::Starting(_), Event::Ready | Event::Checked(_)) if workload.supervision.at_stop_ms > 0 => {}
            (State::Starting(_), Event::Ready) => self.become_ready(workload, index, now),
            (State::Starting(_), Event::Checked(true)) => self.become_ready(workload, index, now),
            (State::Starting(_), Event::Checked(false)) => self.units[index].check_at = now + READY_CHECK_MS,
            (State::Ready, Event::Checked(is_good)) => self.checked(workload, index, is_good, now),
            (State::Ready, Event::Alive) => self.checked(workload, index, true, now),
            (State::Stopping(_) | State::Killing(_) | State::Unhealthy(_), Event::Ended(end)) => {
                self.units[index].end(end);
                let next = match self.units[index].reason {
                    _ if self.is_going_down => State::Stopped,
                    Reason::Asked => State::Stopped,
                    Reason::Again => self.again(index),
                    Reason::NotReady => self.after_end(config, index, End::NotReady, now),
                    Reason::Unhealthy => self.after_end(config, index, End::Unhealthy, now),
                };
                self.units[index].go(next, now);
            }
            (State::Starting(_) | State::Ready, Event::Ended(end)) if self.is_going_down => {
                self.units[index].end(end);
                self.units[index].go(State::Stopped, now);
            }
            (State::Starting(_) | State::Ready, Event::Ended(end)) => {
                let next = self.after_end(config, index, end, now);
                self.units[index].go(next, now);
            }
            (_, Event::Asked(_)) if self.is_going_down => {}
            (_, Event::Asked(Ask::Start)) => self.ask_start(config, index, now),
            (_, Event::Asked(Ask::Stop)) => self.ask_stop(workload, index, Reason::Asked, now),
            (state, Event::Asked(Ask::Restart)) if state.is_running() => {
                self.ask_stop(workload, index, Reason::Again, now);
            }
            (_, Event::Asked(Ask::Restart)) => self.ask_start(config, index, now),
            // What comes late is about a run that is over.
            (_, Event::Executed | Event::Ready | Event::Checked(_) | Event::Alive | Event::Ended(_)) => {}
        }
        self.settle(config, now);
    }

    /// Time went on: acts on every deadline that `now` has reached.
    pub fn tick(&mut self, config: &Config<'_>, now: u64) {
        for (index, workload) in config.workloads.iter().enumerate() {
            match self.units[index].state {
                State::Starting(at) if at > 0 && at <= now => self.late(workload, index, now),
                State::BackingOff(at) if at <= now => self.start(index, now),
                State::Unhealthy(at) | State::Stopping(at) if at <= now => self.kill(index, now),
                State::Killing(at) if at <= now => {
                    self.units[index].go(State::Lost, now);
                    self.act(Action::TellLost(index));
                }
                _ => {}
            }
            if (1..=now).contains(&self.units[index].check_at) {
                self.check(workload, index, now);
            }
        }
        self.settle(config, now);
    }

    /// Takes the board down. Asked again it changes where to, and starts nothing anew.
    pub fn shut_down(&mut self, config: &Config<'_>, down: Down, now: u64) {
        let first = !core::mem::replace(&mut self.is_going_down, true);
        self.down = down;
        if first {
            let running = self.units.iter().filter(|unit| unit.state.is_running()).count();
            self.act(Action::TellDown(down, running));
            for (workload, unit) in config.workloads.iter().zip(&mut self.units) {
                let is_for_later = workload.supervision.at_stop_ms > 0;
                if matches!(unit.state, State::Waiting | State::BackingOff(_)) && !is_for_later {
                    unit.go(State::Stopped, now);
                }
            }
        }
        self.settle(config, now);
    }

    fn executed(&mut self, workload: &Workload<'_>, index: usize, now: u64) {
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

    fn become_ready(&mut self, workload: &Workload<'_>, index: usize, now: u64) {
        let unit = &mut self.units[index];
        unit.go(State::Ready, now);
        unit.failures = 0;
        unit.check_at = workload.supervision.health.as_ref().map_or(0, |health| now + u64::from(health.interval_ms));
        if workload.supervision.ready != Ready::Exec {
            self.act(Action::TellReady(index));
        }
    }

    /// The deadline of a workload that is starting has come.
    fn late(&mut self, workload: &Workload<'_>, index: usize, now: u64) {
        if workload.supervision.at_stop_ms > 0 {
            self.kill(index, now);
        } else if matches!(workload.supervision.ready, Ready::After(_)) {
            self.become_ready(workload, index, now);
        } else {
            self.act(Action::TellNotReady(index));
            self.stop(workload, index, Reason::NotReady, now);
        }
    }

    /// A check is due.
    fn check(&mut self, workload: &Workload<'_>, index: usize, now: u64) {
        self.units[index].check_at = 0;
        let waits_for_word = |health: &crate::config::Health<'_>| matches!(health.check, Check::Notify);
        if self.units[index].state == State::Ready && workload.supervision.health.as_ref().is_some_and(waits_for_word) {
            self.checked(workload, index, false, now);
        } else {
            self.act(Action::Check(index));
        }
    }

    fn checked(&mut self, workload: &Workload<'_>, index: usize, is_good: bool, now: u64) {
        let Some(health) = &workload.supervision.health else { return };
        let unit = &mut self.units[index];
        unit.failures = if is_good { 0 } else { unit.failures.saturating_add(1) };
        unit.check_at = now + u64::from(health.interval_ms);
        if unit.failures >= health.failures {
            let failures = unit.failures;
            self.act(Action::TellUnhealthy(index, failures));
            self.stop(workload, index, Reason::Unhealthy, now);
        }
    }

    fn ask_start(&mut self, config: &Config<'_>, index: usize, now: u64) {
        let unit = &mut self.units[index];
        match unit.state {
            // What it was stopped for is not wanted any more.
            State::Stopping(_) | State::Killing(_) if unit.reason == Reason::Asked => unit.reason = Reason::Again,
            State::BackingOff(_) | State::Finished | State::Failed | State::Stopped => {
                unit.go(State::Waiting, now);
                (unit.backoff, unit.failed_need) = (super::Backoff::NONE, 0);
                // There is no cycle among the needs, so this comes to its end.
                for need in config.workloads[index].needs.iter() {
                    if matches!(self.units[need].state, State::Failed | State::Stopped) {
                        self.ask_start(config, need, now);
                    }
                }
            }
            _ => {}
        }
    }

    fn ask_stop(&mut self, workload: &Workload<'_>, index: usize, reason: Reason, now: u64) {
        let unit = &mut self.units[index];
        match unit.state {
            State::Starting(_) | State::Ready => self.stop(workload, index, reason, now),
            State::Unhealthy(_) | State::Stopping(_) | State::Killing(_) => unit.reason = reason,
            State::Waiting | State::BackingOff(_) => unit.go(State::Stopped, now),
            _ => {}
        }
    }

    /// Sends a workload its stop signal; `reason` decides what follows its end.
    pub(super) fn stop(&mut self, workload: &Workload<'_>, index: usize, reason: Reason, now: u64) {
        let until = now + u64::from(workload.stop.grace_ms);
        let unit = &mut self.units[index];
        let is_sick = matches!(reason, Reason::NotReady | Reason::Unhealthy);
        unit.go(if is_sick { State::Unhealthy(until) } else { State::Stopping(until) }, now);
        (unit.reason, unit.check_at) = (reason, 0);
        self.act(Action::Signal(index));
    }

    fn kill(&mut self, index: usize, now: u64) {
        self.units[index].go(State::Killing(now + KILL_MS), now);
        self.act(Action::Kill(index));
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

    pub(super) fn act(&mut self, action: Action) {
        let fits = self.actions.push_back(action).is_ok();
        assert!(fits, "the running half takes every action before it tells the next event");
    }
}
