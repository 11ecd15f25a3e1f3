//! All workloads of a board together: order, dependencies, the way down.

use super::{Action, Backoff, Down, End, KILL_MS, SET_UP_MS, State, Verdict};
use crate::config::{Config, Idle, Otherwise, Workload, limits::WORKLOADS};
use heapless::Deque;

/// Actions that can wait: no event makes more than three of them for each workload.
const ACTIONS: usize = 4 * WORKLOADS;

/// The state of every workload, and the actions not carried out yet.
#[derive(Debug)]
pub struct Supervisor {
    units: [Unit; WORKLOADS],
    actions: Deque<Action, ACTIONS>,
    /// Whether the board goes down, and how; two fields, because a table that starts as all zero bytes lies in `.bss`.
    is_going_down: bool,
    down: Down,
    /// Whether [`Action::Leave`] was given: it is given once.
    left: bool,
    /// Whether `idle` was acted on.
    idle: bool,
    /// How many set-ups may go on at a time; 0 is any number.
    slots: usize,
    /// Until when a workload that could start waits for a free one.
    crowded_until: u64,
}

#[derive(Debug, Clone, Copy)]
struct Unit {
    state: State,
    backoff: Backoff,
}

impl Default for Supervisor {
    fn default() -> Self {
        Self::new()
    }
}

impl Supervisor {
    /// Every workload waits.
    pub const fn new() -> Self {
        let unit = Unit { state: State::Waiting, backoff: Backoff::NONE };
        Self {
            units: [unit; WORKLOADS],
            actions: Deque::new(),
            is_going_down: false,
            down: Down::Poweroff,
            left: false,
            idle: false,
            slots: 0,
            crowded_until: 0,
        }
    }

    /// Has at most so many workloads set themselves up at a time: more than there are processors make each of them late.
    /// One that takes longer than [`SET_UP_MS`], because it waits for a disk, does not hold the others up.
    pub fn limit_set_ups(&mut self, slots: usize) {
        self.slots = slots;
    }

    /// Where the workload at `index` is.
    pub fn state(&self, index: usize) -> State {
        self.units[index].state
    }

    /// How the board goes down, once it does.
    pub fn going_down(&self) -> Option<Down> {
        self.is_going_down.then_some(self.down)
    }

    /// The next thing to do; none when everything is done.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Self::tick`] has to be called, if nothing happens before.
    pub fn deadline(&self) -> Option<u64> {
        let crowded = (self.crowded_until > 0).then_some(self.crowded_until);
        self.units.iter().filter_map(|unit| unit.state.deadline()).chain(crowded).min()
    }

    /// Starts what can start. The first call of all.
    pub fn begin(&mut self, config: &Config<'_>, now: u64) {
        self.settle(config, now);
    }

    /// The program of the workload at `index` was executed.
    pub fn executed(&mut self, config: &Config<'_>, index: usize, now: u64) {
        if self.units[index].state == State::Starting {
            self.units[index].state = State::Up;
        }
        self.settle(config, now);
    }

    /// The process of the workload at `index` ended, or could not be made.
    pub fn ended(&mut self, config: &Config<'_>, index: usize, end: End, now: u64) {
        self.units[index].state = match self.units[index].state {
            State::Stopping(_) | State::Killing(_) => State::Stopped,
            State::Starting | State::Up if self.is_going_down => State::Stopped,
            State::Starting | State::Up => self.after_end(config, index, end, now),
            over => over,
        };
        self.settle(config, now);
    }

    /// Time went on: acts on every deadline that `now` has reached.
    pub fn tick(&mut self, config: &Config<'_>, now: u64) {
        for index in 0..config.workloads.len() {
            match self.units[index].state {
                State::BackingOff(at) if at <= now => self.start(index, now),
                State::Stopping(at) if at <= now => {
                    self.units[index].state = State::Killing(now + KILL_MS);
                    self.act(Action::Kill(index));
                }
                State::Killing(at) if at <= now => {
                    self.units[index].state = State::Lost;
                    self.act(Action::TellLost(index));
                }
                _ => {}
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
            for unit in self.units.iter_mut().take(config.workloads.len()) {
                if matches!(unit.state, State::Waiting | State::BackingOff(_)) {
                    unit.state = State::Stopped;
                }
            }
        }
        self.settle(config, now);
    }

    /// What follows the end of a workload that was not asked to end.
    fn after_end(&mut self, config: &Config<'_>, index: usize, end: End, now: u64) -> State {
        match self.units[index].backoff.decide(&config.workloads[index].restart, end, now) {
            Verdict::Rest if end.is_success() => State::Finished,
            Verdict::Rest => State::Failed,
            Verdict::Restart(count, delay_ms) => {
                self.act(Action::TellRestart(index, count, delay_ms));
                State::BackingOff(now + delay_ms)
            }
            Verdict::GiveUp(otherwise) => {
                self.act(Action::TellLimit(index));
                // The state first: what the way down finds must not be a workload that still seems to run.
                self.units[index].state = State::Failed;
                match otherwise {
                    Otherwise::Stop => {}
                    Otherwise::Reboot => self.shut_down(config, Down::Reboot, now),
                    Otherwise::Poweroff => self.shut_down(config, Down::Poweroff, now),
                }
                State::Failed
            }
        }
    }

    /// Carries every change on to the workloads that it concerns, until nothing changes any more.
    fn settle(&mut self, config: &Config<'_>, now: u64) {
        if self.is_going_down {
            return self.stop_next(config, now);
        }
        self.crowded_until = 0;
        // Each round ends the waiting of at least one workload, so there are at most as many rounds as workloads.
        for _ in 0..=config.workloads.len() {
            let mut changed = false;
            for (index, workload) in config.workloads.iter().enumerate() {
                changed |=
                    self.units[index].state == State::Waiting && self.leave_waiting(config, index, workload, now);
            }
            if !changed {
                break;
            }
        }
        let over = self.units.iter().take(config.workloads.len()).all(|unit| unit.state.is_over());
        if over && !self.idle {
            self.idle = true;
            match config.system.idle {
                Idle::Stay => {}
                Idle::Poweroff => self.shut_down(config, Down::Poweroff, now),
                Idle::Reboot => self.shut_down(config, Down::Reboot, now),
            }
        }
    }

    /// Starts a waiting workload if it can start, fails it if it never will; says whether it did one of the two.
    fn leave_waiting(&mut self, config: &Config<'_>, index: usize, workload: &Workload<'_>, now: u64) -> bool {
        let is_up = |unit: &Unit| matches!(unit.state, State::Up | State::Finished);
        if let Some(need) = workload.needs.iter().find(|need| self.units[*need].state == State::Failed) {
            self.units[index].state = State::Failed;
            self.act(Action::TellNeed(index, need));
            return true;
        }
        let has_needs = workload.needs.iter().all(|need| is_up(&self.units[need]));
        let is_before = |unit: &Unit| matches!(unit.state, State::Waiting | State::Starting);
        let its_turn = !workload.after.iter().any(|before| is_before(&self.units[before]));
        let can_start = has_needs && its_turn && self.has_free_slot(config, now);
        if can_start {
            self.start(index, now);
        }
        can_start
    }

    /// Whether one more workload may set itself up now; if not, until when it has to wait at most.
    fn has_free_slot(&mut self, config: &Config<'_>, now: u64) -> bool {
        let is_setting_up = |unit: &&Unit| unit.state == State::Starting && unit.backoff.started_at() + SET_UP_MS > now;
        let units = self.units.iter().take(config.workloads.len());
        let (mut count, mut until) = (0, u64::MAX);
        for unit in units.filter(is_setting_up) {
            count += 1;
            until = until.min(unit.backoff.started_at() + SET_UP_MS);
        }
        let is_free = self.slots == 0 || count < self.slots;
        if !is_free {
            self.crowded_until = until;
        }
        is_free
    }

    fn start(&mut self, index: usize, now: u64) {
        self.units[index].state = State::Starting;
        self.units[index].backoff.start(now);
        self.act(Action::Start(index));
    }

    /// On the way down: stops every workload that nothing running depends on, and leaves when all are over.
    fn stop_next(&mut self, config: &Config<'_>, now: u64) {
        for (index, workload) in config.workloads.iter().enumerate() {
            let depends = |(other, user): (usize, &Workload<'_>)| {
                (user.needs.contains(index) || user.after.contains(index)) && self.units[other].state.is_running()
            };
            let stoppable = matches!(self.units[index].state, State::Starting | State::Up);
            if stoppable && !config.workloads.iter().enumerate().any(depends) {
                self.units[index].state = State::Stopping(now + u64::from(workload.stop.grace_ms));
                self.act(Action::Signal(index));
            }
        }
        let over = self.units.iter().take(config.workloads.len()).all(|unit| unit.state.is_over());
        if over && !self.left {
            self.left = true;
            self.act(Action::Leave(self.down));
        }
    }

    fn act(&mut self, action: Action) {
        let fits = self.actions.push_back(action).is_ok();
        assert!(fits, "the running half takes every action before it tells the next event");
    }
}
