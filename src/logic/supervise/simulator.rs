//! Property test of whole lifetimes: random configurations, programs with any behaviour, and random requests.
//!
//! Invariants at every moment: no workload is started twice at once, each state can be left, no deadline is missed, and
//! a shutdown ends within a time that the configuration bounds. No workload starts while what it needs is down, a stop
//! grants each process its grace period, and every request gets a correct reply. No limit takes effect while a device
//! may still turn out to be gone.

use super::*;
use crate::config::{
    Check, Config, Health, LimitAction, Ready, Restart, RestartLimit, Signal, Stop, Supervision, When, Workload,
    WorkloadSet,
};
use proptest::prelude::*;

const WORKLOADS: usize = 5;

/// The behaviour of a program.
#[derive(Debug, Clone, Copy)]
struct Program {
    /// Milliseconds until its set-up is done; `None` if the set-up fails.
    executed_ms: Option<u64>,
    /// Milliseconds until it reports that it is ready.
    ready_ms: Option<u64>,
    /// Milliseconds until it exits by itself.
    ends_ms: Option<u64>,
    status: u8,
    /// Whether its checks pass.
    is_well: bool,
    /// Milliseconds until it exits after its stop signal; `None` if it ignores the signal.
    stops_ms: Option<u64>,
    /// Milliseconds until it exits after SIGKILL; `None` if it does not (state D).
    killed_ms: Option<u64>,
}

fn program() -> impl Strategy<Value = Program> {
    let maybe = |most: u64| prop::option::weighted(0.7, 0..most);
    (
        prop::option::weighted(0.9, 0_u64..50),
        maybe(2_000),
        maybe(5_000),
        0_u8..3,
        prop::bool::weighted(0.7),
        maybe(800),
        prop_oneof![18 => Just(Some(1)), 1 => Just(Some(4 * KILL_MS)), 1 => Just(None)],
    )
        .prop_map(|(executed_ms, ready_ms, ends_ms, status, is_well, stops_ms, killed_ms)| Program {
            executed_ms,
            ready_ms,
            ends_ms,
            status,
            is_well,
            stops_ms,
            killed_ms,
        })
}

fn workload(index: usize) -> impl Strategy<Value = Workload<'static>> {
    let when = prop_oneof![Just(When::Never), Just(When::OnFailure), Just(When::Always)];
    let on_limit = prop_oneof![Just(LimitAction::Stop), Just(LimitAction::Reboot), Just(LimitAction::Poweroff)];
    let limit = prop::option::of((1_u32..4, on_limit));
    let ready = prop_oneof![
        Just(Ready::Exec),
        Just(Ready::Exit),
        Just(Ready::Fd(3)),
        Just(Ready::Tcp(80)),
        Just(Ready::After(300)),
        Just(Ready::Notify),
    ];
    let health = prop::option::of((1_u8..3, prop::bool::ANY));
    (when, limit, (ready, 0_u32..1_500), health, 0_u8..8, any::<u8>(), any::<u8>()).prop_map(
        move |(when, limit, (ready, within), health, kind, needs, after)| {
            // Needs only refer to earlier workloads, so there is no cycle.
            let set = |bits: u8| {
                let mut set = WorkloadSet::EMPTY;
                (0..index).filter(|other| bits & (1 << other) != 0).for_each(|other| set.insert(other));
                set
            };
            let limit = limit.map(|(count, on_limit)| RestartLimit { count, period_ms: 60_000, on_limit });
            let check = |is_notify| if is_notify { Check::Notify } else { Check::Tcp(80) };
            Workload {
                needs: set(needs),
                after: set(after),
                restart: Restart { when, delay_ms: 50, max_ms: 400, limit },
                stop: Stop { signal: Signal(15), grace_ms: 500 },
                supervision: Supervision {
                    ready,
                    ready_within_ms: if within < 500 { 0 } else { within },
                    health: health.map(|(failures, is_notify)| Health {
                        check: check(is_notify),
                        interval_ms: 200,
                        failures,
                    }),
                    at_stop_ms: if kind == 0 { 700 } else { 0 },
                    critical_ms: if kind == 1 { 1_000 } else { 0 },
                    is_safe: kind == 2,
                    ..Supervision::DEFAULT
                },
                root: if kind > 3 { "/dev/sda" } else { "/" },
                ..Workload::new("w", 1, 65_536)
            }
        },
    )
}

/// Pending events and their times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Tell(usize, Event),
    Ends(usize, u8),
}

struct World<'c> {
    config: &'c Config<'static>,
    programs: &'c [Program],
    supervisor: Supervisor,
    now: u64,
    alive: [bool; WORKLOADS],
    due: Vec<(u64, Due)>,
    left: u32,
    starts: [u32; WORKLOADS],
    /// When each workload was sent its stop signal in this run.
    signalled: [Option<u64>; WORKLOADS],
    /// How often each was requested to stop.
    stops: [u32; WORKLOADS],
    /// When each exited last.
    ended: [u64; WORKLOADS],
    /// Which workloads lack a device.
    lacks: [bool; WORKLOADS],
    /// Requests without a reply, with the number of stops before each.
    requests: Vec<(usize, WorkloadRequest, [u32; WORKLOADS])>,
}

/// Returns the workloads reachable by `next`, which has no cycles.
fn chain(index: usize, next: &dyn Fn(usize) -> WorkloadSet) -> Vec<usize> {
    next(index).iter().flat_map(|other| chain(other, next).into_iter().chain([other])).collect()
}

impl World<'_> {
    fn carry_out(&mut self) {
        while let Some(action) = self.supervisor.next_action() {
            let mut later = |ms: u64, due| self.due.push((self.now + ms, due));
            match action {
                Action::Start(index) => {
                    assert!(!self.alive[index], "started while it still runs");
                    let is_up = |need| matches!(self.supervisor.state(need), State::Ready | State::Finished);
                    let workload = &self.config.workloads[index];
                    let is_last = workload.supervision.at_stop_ms > 0;
                    assert!(is_last || workload.needs.iter().all(is_up), "{index} starts without what it needs");
                    assert!(is_last || !self.lacks[index], "{index} starts without its devices");
                    let program = self.programs[index];
                    self.starts[index] += 1;
                    self.signalled[index] = None;
                    self.alive[index] = true;
                    match program.executed_ms {
                        None => later(1, Due::Ends(index, 125)),
                        Some(executed_ms) => {
                            later(executed_ms, Due::Tell(index, Event::Executed));
                            if let Some(ms) = program.ready_ms {
                                later(executed_ms + ms, Due::Tell(index, Event::Ready));
                            }
                            if let Some(ms) = program.ends_ms {
                                later(executed_ms + ms, Due::Ends(index, program.status));
                            }
                        }
                    }
                }
                Action::Signal(index) => {
                    self.signalled[index] = Some(self.now);
                    if let Some(ms) = self.programs[index].stops_ms {
                        later(ms, Due::Ends(index, 0));
                    }
                }
                Action::Kill(index) => {
                    let Workload { supervision, stop, .. } = &self.config.workloads[index];
                    let had_ms = self.signalled[index].map(|at| self.now - at);
                    let had_grace = had_ms.is_some_and(|ms| ms >= u64::from(stop.grace_ms));
                    assert!(supervision.at_stop_ms > 0 || had_grace, "{index} is killed after {had_ms:?} ms");
                    if let Some(ms) = self.programs[index].killed_ms {
                        later(ms, Due::Ends(index, 137));
                    }
                }
                Action::Check(index) => {
                    let is_good = self.programs[index].is_well;
                    later(3, Due::Tell(index, Event::Checked(is_good)));
                }
                Action::Shutdown(_) => self.left += 1,
                Action::Report(Notice::LimitReached(index)) => {
                    let is_sure = self.now - self.ended[index] >= LEAVING_MS;
                    assert!(is_sure || !self.config.uses_parts(&self.config.workloads[index]), "{index} is not sure");
                }
                _ => {}
            }
        }
    }

    /// Runs the simulation up to a time.
    fn until(&mut self, end: u64) {
        for _ in 0..100_000 {
            self.carry_out();
            let next_due = self.due.iter().map(|(at, _)| *at).min();
            let next = self.supervisor.deadline().into_iter().chain(next_due).min().filter(|at| *at <= end);
            let Some(at) = next else {
                self.now = self.now.max(end);
                return;
            };
            self.now = self.now.max(at);
            if let Some(place) = self.due.iter().position(|(at, _)| *at <= self.now) {
                match self.due.swap_remove(place).1 {
                    Due::Tell(index, event) if self.alive[index] => {
                        self.supervisor.handle_event(self.config, index, event, self.now);
                    }
                    Due::Ends(index, status) if self.alive[index] => {
                        (self.alive[index], self.ended[index]) = (false, self.now);
                        // Pending events belong to a run that is over.
                        self.due.retain(
                            |(_, due)| !matches!(due, Due::Tell(other, _) | Due::Ends(other, _) if *other == index),
                        );
                        self.supervisor.handle_event(
                            self.config,
                            index,
                            Event::Exited(ExitReason::Exit(status)),
                            self.now,
                        );
                    }
                    _ => {}
                }
            }
            self.carry_out();
            self.supervisor.tick(self.config, self.now);
            self.carry_out();
            self.look();
        }
        panic!("no end of things to do at {} ms: a storm", self.now);
    }

    /// Sends a request that waits for a reply.
    fn ask(&mut self, index: usize, ask: WorkloadRequest) {
        let refusal = self.supervisor.refusal(self.config, index).filter(|_| ask == WorkloadRequest::Restart);
        if let Some(refusal) = refusal {
            return self.is_true(index, ask, refusal, &self.stops);
        }
        if self.supervisor.shutting_down().is_none() {
            self.supervisor.handle_event(self.config, index, Event::Requested(ask), self.now);
            self.stops[index] += u32::from(ask == WorkloadRequest::Stop);
            self.requests.push((index, ask, self.stops));
        }
    }

    /// Returns all workloads that this one waits for before its start.
    fn before(&self, index: usize) -> Vec<usize> {
        chain(index, &|index| self.config.workloads[index].needs.union(self.config.workloads[index].after))
    }

    /// Returns all direct and indirect needs.
    fn needed(&self, index: usize) -> Vec<usize> {
        chain(index, &|index| self.config.workloads[index].needs)
    }

    /// Compares a reply with the actual state.
    fn is_true(&self, index: usize, ask: WorkloadRequest, answer: Outcome, stops: &[u32; WORKLOADS]) {
        let is_shutting_down = self.supervisor.shutting_down().is_some();
        let was_stopped = |index: usize| self.stops[index] > stops[index] || is_shutting_down;
        let (state, alive) = (self.supervisor.state(index), self.alive[index]);
        let is_last = |index: usize| self.config.workloads[index].supervision.at_stop_ms > 0;
        let lacks = |index: &usize| self.lacks[*index];
        let is_true = match answer {
            Outcome::Done if ask == WorkloadRequest::Stop => !alive && state.is_over(),
            Outcome::Done => alive && state == State::Ready || state == State::Finished,
            Outcome::Failed => !alive && state == State::Failed,
            Outcome::Need(need) => !alive && self.config.workloads[index].needs.contains(need),
            Outcome::Retried => !alive && self.supervisor.unit(index).last_exit().is_some(),
            Outcome::Stopped => !alive && state == State::Stopped && was_stopped(index),
            Outcome::Started => ask == WorkloadRequest::Stop && (alive || state == State::Waiting),
            Outcome::Lost => alive && self.programs[index].killed_ms != Some(1),
            Outcome::AtStop => is_last(index),
            Outcome::Waits(need) => {
                let is_so = match self.supervisor.state(need) {
                    _ if need == index => self.lacks[index],
                    State::Ready | State::Finished => false,
                    // A need that had finished lost its device after the request: nothing has started what it needs.
                    State::Stopped => was_stopped(need) || is_last(need) || self.before(index).iter().any(lacks),
                    _ => true,
                };
                (need == index || self.before(index).contains(&need)) && is_so
            }
        };
        assert!(is_true, "{answer:?} to {ask:?} of {index}, which is {state:?}, alive: {alive}");
    }

    /// Collects the replies that are available.
    fn collect_replies(&mut self) {
        let requests = std::mem::take(&mut self.requests);
        for (index, ask, stops) in requests {
            match self.supervisor.outcome(self.config, index, ask) {
                Some(answer) => self.is_true(index, ask, answer, &stops),
                None => self.requests.push((index, ask, stops)),
            }
        }
    }

    /// Checks the invariants.
    fn look(&mut self) {
        self.collect_replies();
        assert!(self.supervisor.deadline().is_none_or(|at| at > self.now), "a deadline was passed over");
        for index in 0..WORKLOADS {
            let state = self.supervisor.state(index);
            assert!(state.is_running() == self.alive[index] || state == State::Lost, "{index} is {state:?}");
            let has_way_out = match state {
                State::Stopping(at) | State::Killing(at) | State::Unhealthy(at) | State::BackingOff(at) => {
                    at > self.now
                }
                _ => true,
            };
            assert!(has_way_out, "{index} stays {state:?} at {}", self.now);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_simulated_lifetime_keeps_the_invariants_and_ends(
        workloads in (workload(0), workload(1), workload(2), workload(3), workload(4)),
        programs in prop::collection::vec(program(), WORKLOADS),
        asks in prop::collection::vec((0_u64..2_000, 0..WORKLOADS, 0_u8..8), 0..20),
        is_safe in prop::bool::weighted(0.1), slots in 0_usize..3, seed: u32,
    ) {
        let mut config = Config::EMPTY;
        config.slots = crate::config::Slots::in_order();
        let (a, b, c, d, e) = workloads;
        for workload in [a, b, c, d, e] {
            prop_assert!(config.workloads.push(workload).is_ok());
        }
        let mut world = World {
            config: &config, programs: &programs, supervisor: Supervisor::new(), now: 1_000, alive: [false; WORKLOADS],
            due: Vec::new(), left: 0, ended: [0; WORKLOADS], starts: [0; WORKLOADS], signalled: [None; WORKLOADS], stops: [0; WORKLOADS], requests: Vec::new(), lacks: [false; WORKLOADS],
        };
        world.supervisor.set_max_parallel_starts(slots);
        world.supervisor.seed(seed);
        world.supervisor.set_follows_parts(true);
        world.supervisor.begin(&config, is_safe, world.now);
        world.carry_out();
        for index in 0..WORKLOADS {
            let workload = &config.workloads[index].supervision;
            let is_needed = (0..WORKLOADS)
                .any(|other| config.workloads[other].supervision.is_safe && world.needed(other).contains(&index));
            prop_assert!(!is_safe || workload.is_safe || is_needed || world.starts[index] == 0, "{index} is not safe");
            prop_assert!(workload.at_stop_ms == 0 || world.starts[index] == 0, "{index} is for the end");
        }
        for (ms, index, ask) in asks {
            let at = world.now + ms;
            world.until(at);
            let now = world.now;
            match ask {
                0 => world.ask(index, WorkloadRequest::Start),
                1 => world.ask(index, WorkloadRequest::Stop),
                2 => world.ask(index, WorkloadRequest::Restart),
                3 => world.supervisor.handle_event(&config, index, Event::Alive, now),
                4 | 5 => {
                    world.lacks[index] = ask == 4;
                    let event = if ask == 4 { Event::Lacks(Part::Devices) } else { Event::Has(Part::Devices) };
                    world.supervisor.handle_event(&config, index, event, now);
                }
                _ => {}
            }
            world.carry_out();
            world.look();
            let _ = world.supervisor.may_feed_watchdog(&config, now);
        }
        // No restart storm: each start waits for a delay of at least 50 ms, except requested ones.
        let most = (world.now - 1_000) / 50 + 60;
        prop_assert!(world.starts.iter().all(|count| u64::from(*count) <= most), "{:?} in {} ms", world.starts, world.now);
        // Each request is answered, except while a workload is being set up or becomes ready without a timeout.
        world.until(world.now + 20_000);
        for &(index, ask, _) in &world.requests {
            let mut before = world.before(index);
            before.push(index);
            let states: Vec<_> = before.iter().map(|index| (index, world.supervisor.state(*index))).collect();
            // A limit may have begun the shutdown just now.
            let takes_its_time = states.iter().any(|(_, state)| *state == State::Starting(0))
                || world.supervisor.shutting_down().is_some();
            prop_assert!(takes_its_time, "no answer to {ask:?} of {index}: {states:?}");
        }
        let now = world.now;
        world.supervisor.shut_down(&config, ShutdownKind::Poweroff, now);
        // Each workload of the longest chain has its grace period and its kill; then each at-stop workload has its time
        // and its kill.
        let bound = now + WORKLOADS as u64 * (500 + KILL_MS + 700 + KILL_MS + 100);
        world.until(bound);
        prop_assert_eq!(world.left, 1, "it has not left by {}", bound);
        prop_assert!((0..WORKLOADS).all(|index| world.supervisor.state(index).is_over()));
        world.collect_replies();
        prop_assert!(world.requests.is_empty(), "no answer in a shutdown: {:?}", world.requests);
    }
}
