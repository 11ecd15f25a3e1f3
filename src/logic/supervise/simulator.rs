//! Whole lives of boards: random configurations, programs that behave in every way, people who ask for anything.
//!
//! What has to hold at every moment: no workload is started twice at once, none is without a way out of its state, no
//! deadline is passed over, and a board that is told to go down is gone in a time that its configuration bounds.

use super::*;
use crate::config::{
    Check, Config, Health, Limit, Otherwise, Ready, Restart, Signal, Stop, Supervision, When, Workload, WorkloadSet,
};
use proptest::prelude::*;

const WORKLOADS: usize = 5;

/// How a program behaves.
#[derive(Debug, Clone, Copy)]
struct Program {
    /// Milliseconds until its set-up is done; none where that fails.
    executed_ms: Option<u64>,
    /// Milliseconds until it says that it is ready.
    ready_ms: Option<u64>,
    /// Milliseconds until it ends by itself.
    ends_ms: Option<u64>,
    status: u8,
    /// Whether its checks are good.
    is_well: bool,
    /// Milliseconds until it ends when it is asked to; none where it does not.
    stops_ms: Option<u64>,
    /// Whether even a kill does not end it (state D).
    is_stuck: bool,
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
        prop::bool::weighted(0.05),
    )
        .prop_map(|(executed_ms, ready_ms, ends_ms, status, is_well, stops_ms, is_stuck)| Program {
            executed_ms,
            ready_ms,
            ends_ms,
            status,
            is_well,
            stops_ms,
            is_stuck,
        })
}

fn workload(index: usize) -> impl Strategy<Value = Workload<'static>> {
    let when = prop_oneof![Just(When::Never), Just(When::OnFailure), Just(When::Always)];
    let otherwise = prop_oneof![Just(Otherwise::Stop), Just(Otherwise::Reboot), Just(Otherwise::Poweroff)];
    let limit = prop::option::of((1_u32..4, otherwise));
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
            // A need points back only, so there is no cycle.
            let set = |bits: u8| {
                let mut set = WorkloadSet::EMPTY;
                (0..index).filter(|other| bits & (1 << other) != 0).for_each(|other| set.insert(other));
                set
            };
            let limit = limit.map(|(count, otherwise)| Limit { count, period_ms: 60_000, otherwise });
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
                ..Workload::new("w", 1, 65_536)
            }
        },
    )
}

/// What is going to happen, and when.
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
}

impl World<'_> {
    fn carry_out(&mut self) {
        while let Some(action) = self.supervisor.next_action() {
            let mut later = |ms: u64, due| self.due.push((self.now + ms, due));
            match action {
                Action::Start(index) => {
                    assert!(!self.alive[index], "started while it still runs");
                    let program = self.programs[index];
                    self.starts[index] += 1;
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
                    if let Some(ms) = self.programs[index].stops_ms {
                        later(ms, Due::Ends(index, 0));
                    }
                }
                Action::Kill(index) if !self.programs[index].is_stuck => later(1, Due::Ends(index, 137)),
                Action::Check(index) => {
                    let is_good = self.programs[index].is_well;
                    later(3, Due::Tell(index, Event::Checked(is_good)));
                }
                Action::Leave(_) => self.left += 1,
                _ => {}
            }
        }
    }

    /// Everything up to a moment.
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
                        self.supervisor.on(self.config, index, event, self.now);
                    }
                    Due::Ends(index, status) if self.alive[index] => {
                        self.alive[index] = false;
                        // What was due of this run is about nobody any more.
                        self.due.retain(
                            |(_, due)| !matches!(due, Due::Tell(other, _) | Due::Ends(other, _) if *other == index),
                        );
                        self.supervisor.on(self.config, index, Event::Ended(End::Exit(status)), self.now);
                    }
                    _ => {}
                }
            }
            self.supervisor.tick(self.config, self.now);
            self.carry_out();
            self.look();
        }
        panic!("no end of things to do at {} ms: a storm", self.now);
    }

    /// What holds at every moment.
    fn look(&self) {
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
    fn every_life_of_a_board_keeps_the_rules_and_ends(
        workloads in (workload(0), workload(1), workload(2), workload(3), workload(4)),
        programs in prop::collection::vec(program(), WORKLOADS),
        asks in prop::collection::vec((0_u64..2_000, 0..WORKLOADS, 0_u8..6), 0..20),
        is_safe in prop::bool::weighted(0.1), slots in 0_usize..3, seed: u32,
    ) {
        let mut config = Config::EMPTY;
        let (a, b, c, d, e) = workloads;
        for workload in [a, b, c, d, e] {
            prop_assert!(config.workloads.push(workload).is_ok());
        }
        let mut world = World {
            config: &config, programs: &programs, supervisor: Supervisor::new(), now: 1_000, alive: [false; WORKLOADS],
            due: Vec::new(), left: 0, starts: [0; WORKLOADS],
        };
        world.supervisor.limit_set_ups(slots);
        world.supervisor.seed(seed);
        world.supervisor.begin(&config, is_safe, world.now);
        world.carry_out();
        for index in 0..WORKLOADS {
            let workload = &config.workloads[index].supervision;
            prop_assert!(!is_safe || workload.is_safe || world.starts[index] == 0, "{index} is not safe");
            prop_assert!(workload.at_stop_ms == 0 || world.starts[index] == 0, "{index} is for the end");
        }
        for (ms, index, ask) in asks {
            let at = world.now + ms;
            world.until(at);
            let now = world.now;
            match ask {
                0 => world.supervisor.on(&config, index, Event::Asked(Ask::Start), now),
                1 => world.supervisor.on(&config, index, Event::Asked(Ask::Stop), now),
                2 => world.supervisor.on(&config, index, Event::Asked(Ask::Restart), now),
                3 => world.supervisor.on(&config, index, Event::Alive, now),
                _ => {}
            }
            world.carry_out();
            world.look();
            let _ = world.supervisor.is_sane(&config, now);
        }
        // No storm: each start but those that were asked for waits for a delay of at least 50 ms, or for a person.
        let most = (world.now - 1_000) / 50 + 60;
        prop_assert!(world.starts.iter().all(|count| u64::from(*count) <= most), "{:?} in {} ms", world.starts, world.now);
        let now = world.now;
        world.supervisor.shut_down(&config, Down::Poweroff, now);
        // Each in the longest chain has its grace and its kill; then each at-stop workload has its time and its kill.
        let bound = now + WORKLOADS as u64 * (500 + KILL_MS + 700 + KILL_MS + 100);
        world.until(bound);
        prop_assert_eq!(world.left, 1, "it has not left by {}", bound);
        prop_assert!((0..WORKLOADS).all(|index| world.supervisor.state(index).is_over()));
    }
}
