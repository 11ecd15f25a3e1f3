//! Histories of a board, told as events, with the actions that follow.

use super::*;
use crate::config::{Config, Idle, Limit, Otherwise, Restart, Signal, Stop, When, Workload, WorkloadSet};
use proptest::prelude::*;

const NEVER: Restart = Restart { when: When::Never, delay_ms: 100, max_ms: 1_000, limit: None };
const ALWAYS: Restart = Restart { when: When::Always, delay_ms: 100, max_ms: 350, limit: None };

fn workload(restart: Restart, needs: &[usize], after: &[usize]) -> Workload<'static> {
    let set = |list: &[usize]| {
        let mut set = WorkloadSet::EMPTY;
        list.iter().for_each(|index| set.insert(*index));
        set
    };
    Workload {
        needs: set(needs),
        after: set(after),
        restart,
        stop: Stop { signal: Signal(15), grace_ms: 500 },
        ..Workload::new("w", 1, 65_536)
    }
}

fn board(workloads: Vec<Workload<'static>>) -> Config<'static> {
    let mut config = Config::EMPTY;
    workloads.into_iter().for_each(|workload| assert!(config.workloads.push(workload).is_ok()));
    config
}

fn actions(supervisor: &mut Supervisor) -> Vec<Action> {
    core::iter::from_fn(|| supervisor.next_action()).collect()
}

fn started(config: &Config<'_>) -> Supervisor {
    let mut supervisor = Supervisor::new();
    supervisor.begin(config, false, 0);
    let started = actions(&mut supervisor);
    for action in started {
        if let Action::Start(index) = action {
            supervisor.on(config, index, Event::Executed, 0);
        }
    }
    supervisor
}

#[test]
fn no_more_set_ups_go_on_than_there_are_slots() {
    let config = board(vec![workload(NEVER, &[], &[]), workload(NEVER, &[], &[]), workload(NEVER, &[], &[])]);
    let mut supervisor = Supervisor::new();
    supervisor.limit_set_ups(1);
    supervisor.begin(&config, false, 1_000);
    assert_eq!(actions(&mut supervisor), [Action::Start(0)]);
    supervisor.tick(&config, 1_050);
    assert_eq!(actions(&mut supervisor), []);
    supervisor.on(&config, 0, Event::Executed, 1_060);
    assert_eq!(actions(&mut supervisor), [Action::Start(1)]);
    // One that waits for something does not hold the others up for ever, and the loop wakes up in time.
    assert_eq!(supervisor.deadline(), Some(1_060 + SET_UP_MS));
    supervisor.tick(&config, 1_060 + SET_UP_MS);
    assert_eq!(actions(&mut supervisor), [Action::Start(2)]);
    assert_eq!(supervisor.deadline(), None);
}

#[test]
fn independent_workloads_start_at_once() {
    let config = board(vec![workload(NEVER, &[], &[]), workload(NEVER, &[], &[])]);
    let mut supervisor = Supervisor::new();
    supervisor.begin(&config, false, 0);
    assert_eq!(actions(&mut supervisor), [Action::Start(0), Action::Start(1)]);
}

#[test]
fn workload_starts_when_what_it_needs_is_up() {
    let config = board(vec![workload(NEVER, &[1], &[]), workload(NEVER, &[], &[])]);
    let mut supervisor = Supervisor::new();
    supervisor.begin(&config, false, 0);
    assert_eq!(actions(&mut supervisor), [Action::Start(1)]);
    supervisor.on(&config, 1, Event::Executed, 5);
    assert_eq!(actions(&mut supervisor), [Action::Start(0)]);
}

#[test]
fn failed_need_fails_what_needs_it_and_says_so() {
    let config = board(vec![workload(NEVER, &[1], &[]), workload(NEVER, &[2], &[]), workload(NEVER, &[], &[])]);
    let mut supervisor = Supervisor::new();
    supervisor.begin(&config, false, 0);
    actions(&mut supervisor);
    supervisor.on(&config, 2, Event::Ended(End::Exit(1)), 5);
    assert_eq!(actions(&mut supervisor), [Action::TellNeed(1, 2), Action::TellNeed(0, 1)]);
    assert_eq!(supervisor.state(0), State::Failed);
}

#[test]
fn finished_need_counts_as_up() {
    let config = board(vec![workload(NEVER, &[], &[]), workload(NEVER, &[0], &[])]);
    let mut supervisor = Supervisor::new();
    supervisor.begin(&config, false, 0);
    supervisor.on(&config, 0, Event::Ended(End::Exit(0)), 1);
    assert_eq!(actions(&mut supervisor), [Action::Start(0), Action::Start(1)]);
}

#[test]
fn after_is_order_alone() {
    let config = board(vec![workload(NEVER, &[], &[1]), workload(NEVER, &[], &[])]);
    let mut supervisor = Supervisor::new();
    supervisor.begin(&config, false, 0);
    assert_eq!(actions(&mut supervisor), [Action::Start(1)]);
    supervisor.on(&config, 1, Event::Ended(End::Exit(1)), 5);
    assert_eq!(actions(&mut supervisor), [Action::Start(0)]);
}

#[test]
fn never_leaves_it_down() {
    let config = board(vec![workload(NEVER, &[], &[])]);
    for (end, state) in [(End::Exit(0), State::Finished), (End::Exit(3), State::Failed)] {
        let mut supervisor = started(&config);
        supervisor.on(&config, 0, Event::Ended(end), 10);
        assert_eq!((actions(&mut supervisor), supervisor.state(0)), (vec![], state));
    }
}

#[test]
fn on_failure_means_exit_code_and_signal() {
    let config = board(vec![workload(Restart { when: When::OnFailure, ..ALWAYS }, &[], &[])]);
    let follows = |end| {
        let mut supervisor = started(&config);
        supervisor.on(&config, 0, Event::Ended(end), 10);
        actions(&mut supervisor)
    };
    assert_eq!(follows(End::Exit(0)), []);
    assert_eq!(follows(End::Exit(1)), [Action::TellRestart(0, 1, 100)]);
    assert_eq!(follows(End::Signal(9)), [Action::TellRestart(0, 1, 100)]);
}

#[test]
fn delay_doubles_up_to_its_maximum() {
    let config = board(vec![workload(ALWAYS, &[], &[])]);
    let mut supervisor = started(&config);
    let mut now = 0;
    for (count, delay) in [(1, 100), (2, 200), (3, 350), (4, 350)] {
        supervisor.on(&config, 0, Event::Ended(End::Exit(0)), now);
        assert_eq!(actions(&mut supervisor), [Action::TellRestart(0, count, delay)]);
        assert_eq!(supervisor.deadline(), Some(now + delay));
        supervisor.tick(&config, now + delay - 1);
        assert_eq!(actions(&mut supervisor), []);
        now += delay;
        supervisor.tick(&config, now);
        assert_eq!(actions(&mut supervisor), [Action::Start(0)]);
        supervisor.on(&config, 0, Event::Executed, now);
    }
}

#[test]
fn delay_starts_anew_after_a_steady_run() {
    let config = board(vec![workload(ALWAYS, &[], &[])]);
    let mut supervisor = started(&config);
    supervisor.on(&config, 0, Event::Ended(End::Exit(0)), 0);
    supervisor.tick(&config, 100);
    supervisor.on(&config, 0, Event::Executed, 100);
    actions(&mut supervisor);
    supervisor.on(&config, 0, Event::Ended(End::Exit(0)), 60_100);
    assert_eq!(actions(&mut supervisor), [Action::TellRestart(0, 1, 100)]);
}

#[test]
fn limit_ends_the_restarts_and_does_what_it_says() {
    for (otherwise, down) in
        [(Otherwise::Stop, None), (Otherwise::Reboot, Some(Down::Reboot)), (Otherwise::Poweroff, Some(Down::Poweroff))]
    {
        let limit = Some(Limit { count: 2, period_ms: 10_000, otherwise });
        let config = board(vec![workload(Restart { limit, ..ALWAYS }, &[], &[])]);
        let mut supervisor = started(&config);
        for now in [1_000, 2_000] {
            supervisor.on(&config, 0, Event::Ended(End::Exit(1)), now);
            supervisor.tick(&config, now + 400);
            supervisor.on(&config, 0, Event::Executed, now + 400);
        }
        actions(&mut supervisor);
        supervisor.on(&config, 0, Event::Ended(End::Exit(1)), 3_000);
        let mut expected = vec![Action::TellLimit(0)];
        expected.extend(down.into_iter().flat_map(|down| [Action::TellDown(down, 0), Action::Leave(down)]));
        assert_eq!(actions(&mut supervisor), expected);
        assert_eq!(supervisor.state(0), State::Failed);
    }
}

#[test]
fn limit_counts_within_its_period_only() {
    let limit = Some(Limit { count: 1, period_ms: 1_000, otherwise: Otherwise::Stop });
    let config = board(vec![workload(Restart { limit, ..ALWAYS }, &[], &[])]);
    let mut supervisor = started(&config);
    for now in [0, 5_000, 10_000] {
        supervisor.on(&config, 0, Event::Ended(End::Exit(1)), now);
        supervisor.tick(&config, now + 400);
        supervisor.on(&config, 0, Event::Executed, now + 400);
        assert!(!actions(&mut supervisor).contains(&Action::TellLimit(0)), "at {now}");
    }
}

#[test]
fn process_that_cannot_be_made_is_tried_again_whatever_the_policy() {
    let config = board(vec![workload(NEVER, &[], &[])]);
    let mut supervisor = Supervisor::new();
    supervisor.begin(&config, false, 0);
    actions(&mut supervisor);
    supervisor.on(&config, 0, Event::Ended(End::NoProcess), 5);
    assert_eq!(actions(&mut supervisor), [Action::TellRestart(0, 0, NO_PROCESS_MS)]);
    supervisor.tick(&config, 5 + NO_PROCESS_MS);
    assert_eq!(actions(&mut supervisor), [Action::Start(0)]);
}

#[test]
fn board_goes_down_in_reverse_order_of_needs() {
    let config = board(vec![workload(ALWAYS, &[], &[]), workload(ALWAYS, &[0], &[]), workload(ALWAYS, &[], &[1])]);
    let mut supervisor = started(&config);
    supervisor.on(&config, 1, Event::Executed, 0);
    supervisor.on(&config, 2, Event::Executed, 0);
    actions(&mut supervisor);
    supervisor.shut_down(&config, Down::Poweroff, 10);
    assert_eq!(actions(&mut supervisor), [Action::TellDown(Down::Poweroff, 3), Action::Signal(2)]);
    supervisor.on(&config, 2, Event::Ended(End::Signal(15)), 20);
    assert_eq!(actions(&mut supervisor), [Action::Signal(1)]);
    supervisor.on(&config, 1, Event::Ended(End::Exit(0)), 30);
    assert_eq!(actions(&mut supervisor), [Action::Signal(0)]);
    supervisor.on(&config, 0, Event::Ended(End::Exit(0)), 40);
    assert_eq!(actions(&mut supervisor), [Action::Leave(Down::Poweroff)]);
}

#[test]
fn stop_that_is_ignored_ends_in_a_kill_and_then_without_it() {
    let config = board(vec![workload(ALWAYS, &[], &[])]);
    let mut supervisor = started(&config);
    supervisor.shut_down(&config, Down::Reboot, 0);
    actions(&mut supervisor);
    assert_eq!(supervisor.deadline(), Some(500));
    supervisor.tick(&config, 500);
    assert_eq!(actions(&mut supervisor), [Action::Kill(0)]);
    supervisor.tick(&config, 500 + KILL_MS);
    assert_eq!(actions(&mut supervisor), [Action::TellLost(0), Action::Leave(Down::Reboot)]);
}

#[test]
fn asked_twice_the_board_goes_where_it_was_asked_last() {
    let config = board(vec![workload(ALWAYS, &[], &[])]);
    let mut supervisor = started(&config);
    supervisor.shut_down(&config, Down::Reboot, 0);
    supervisor.shut_down(&config, Down::Poweroff, 1);
    supervisor.on(&config, 0, Event::Ended(End::Exit(0)), 2);
    let seen = actions(&mut supervisor);
    assert_eq!(seen, [Action::TellDown(Down::Reboot, 1), Action::Signal(0), Action::Leave(Down::Poweroff)]);
}

#[test]
fn nothing_starts_on_the_way_down() {
    let config = board(vec![workload(ALWAYS, &[], &[]), workload(ALWAYS, &[0], &[])]);
    let mut supervisor = Supervisor::new();
    supervisor.begin(&config, false, 0);
    actions(&mut supervisor);
    supervisor.shut_down(&config, Down::Reboot, 1);
    supervisor.on(&config, 0, Event::Executed, 2);
    supervisor.on(&config, 0, Event::Ended(End::Signal(15)), 3);
    assert!(!actions(&mut supervisor).iter().any(|action| matches!(action, Action::Start(_))));
}

#[test]
fn idle_board_does_what_its_config_says_once() {
    for (idle, down) in [(Idle::Stay, None), (Idle::Poweroff, Some(Down::Poweroff)), (Idle::Reboot, Some(Down::Reboot))]
    {
        let mut config = board(vec![workload(NEVER, &[], &[])]);
        config.system.idle = idle;
        let mut supervisor = started(&config);
        supervisor.on(&config, 0, Event::Ended(End::Exit(0)), 1);
        supervisor.tick(&config, 2);
        let leaves: Vec<_> = actions(&mut supervisor).into_iter().filter(|a| matches!(a, Action::Leave(_))).collect();
        assert_eq!(leaves, down.map(Action::Leave).into_iter().collect::<Vec<_>>());
    }
}

/// One step of a random history.
#[derive(Debug, Clone)]
enum Happens {
    Executed(usize),
    Ended(usize, u8),
    Later(u64),
    Down,
}

proptest! {
    /// Whatever happens: no process is started twice at once, a stop always ends, and the board leaves exactly once.
    #[test]
    fn every_history_ends_when_the_board_goes_down(
        needs in prop::collection::vec(prop::option::of(0_usize..6), 6),
        happens in prop::collection::vec(prop_oneof![
            (0_usize..6).prop_map(Happens::Executed),
            ((0_usize..6), any::<u8>()).prop_map(|(index, status)| Happens::Ended(index, status)),
            (0_u64..2_000).prop_map(Happens::Later),
            Just(Happens::Down),
        ], 0..200)
    ) {
        let limit = Some(Limit { count: 3, period_ms: 5_000, otherwise: Otherwise::Reboot });
        // A need points back only, so there is no cycle.
        let config = board(needs.iter().enumerate().map(|(index, need)| {
            let needs: Vec<usize> = need.iter().copied().filter(|need| *need < index).collect();
            workload(Restart { limit, ..ALWAYS }, &needs, &[])
        }).collect());
        let mut supervisor = Supervisor::new();
        let (mut alive, mut left, mut now) = ([false; 6], 0, 0);
        let mut carry_out = |supervisor: &mut Supervisor, alive: &mut [bool; 6]| {
            while let Some(action) = supervisor.next_action() {
                match action {
                    Action::Start(index) => {
                        assert!(!alive[index], "started while it still runs");
                        alive[index] = true;
                    }
                    Action::Leave(_) => left += 1,
                    _ => {}
                }
            }
        };
        supervisor.begin(&config, false, now);
        for step in happens.into_iter().chain([Happens::Down]) {
            carry_out(&mut supervisor, &mut alive);
            match step {
                Happens::Executed(index) if alive[index] => supervisor.on(&config, index, Event::Executed, now),
                Happens::Ended(index, status) if alive[index] => {
                    alive[index] = false;
                    supervisor.on(&config, index, Event::Ended(End::Exit(status)), now);
                }
                Happens::Later(ms) => {
                    now += ms;
                    supervisor.tick(&config, now);
                }
                Happens::Down => supervisor.shut_down(&config, Down::Poweroff, now),
                _ => {}
            }
        }
        carry_out(&mut supervisor, &mut alive);
        while let Some(deadline) = supervisor.deadline() {
            prop_assert!(deadline <= now + 6 * (500 + KILL_MS), "a deadline far away: {deadline} at {now}");
            now = deadline;
            supervisor.tick(&config, now);
            carry_out(&mut supervisor, &mut alive);
        }
        prop_assert_eq!(left, 1);
    }
}

#[test]
fn board_that_goes_down_while_workloads_wait_for_a_slot_has_no_deadline_in_the_past() {
    let config = board(vec![workload(NEVER, &[], &[]), workload(NEVER, &[], &[])]);
    let mut supervisor = Supervisor::new();
    supervisor.limit_set_ups(1);
    supervisor.begin(&config, false, 1_000);
    assert_eq!(supervisor.deadline(), Some(1_000 + SET_UP_MS));
    supervisor.shut_down(&config, Down::Reboot, 1_001);
    supervisor.on(&config, 0, Event::Ended(End::Exit(0)), 1_002);
    assert_eq!(supervisor.deadline(), None, "the loop would never sleep");
}

#[test]
fn at_stop_workload_that_says_it_is_ready_keeps_its_deadline() {
    let mut last = workload(NEVER, &[], &[]);
    last.supervision.at_stop_ms = 700;
    last.supervision.ready = crate::config::Ready::Notify;
    let config = board(vec![last]);
    let mut supervisor = Supervisor::new();
    supervisor.begin(&config, false, 0);
    assert_eq!(actions(&mut supervisor), [], "it is not its time");
    supervisor.shut_down(&config, Down::Reboot, 10);
    assert_eq!(actions(&mut supervisor), [Action::TellDown(Down::Reboot, 0), Action::Start(0)]);
    supervisor.on(&config, 0, Event::Executed, 20);
    supervisor.on(&config, 0, Event::Ready, 30);
    assert_eq!(supervisor.deadline(), Some(720));
    supervisor.tick(&config, 720);
    assert_eq!(actions(&mut supervisor), [Action::Kill(0)]);
}

#[test]
fn watchdog_is_not_fed_when_a_critical_workload_is_away_for_too_long() {
    let mut critical = workload(ALWAYS, &[], &[]);
    critical.supervision.critical_ms = 1_000;
    let config = board(vec![critical, workload(ALWAYS, &[], &[])]);
    let mut supervisor = started(&config);
    assert!(supervisor.is_sane(&config, 90_000), "it is ready");
    supervisor.on(&config, 1, Event::Ended(End::Exit(1)), 90_000);
    assert!(supervisor.is_sane(&config, 190_000), "the other one is not critical");
    supervisor.on(&config, 0, Event::Ended(End::Exit(1)), 200_000);
    assert!(supervisor.is_sane(&config, 201_000) && !supervisor.is_sane(&config, 201_001));
    supervisor.on(&config, 0, Event::Asked(Ask::Stop), 201_002);
    assert!(supervisor.is_sane(&config, 300_000), "a person wants it down");
}

#[test]
fn delays_of_workloads_that_fell_together_differ_but_the_first_one() {
    let steep = Restart { delay_ms: 8_000, max_ms: 8_000, ..ALWAYS };
    let config = board(vec![workload(steep, &[], &[]), workload(steep, &[], &[])]);
    let mut supervisor = started(&config);
    supervisor.seed(4_711);
    let mut delays = |now: u64| -> Vec<u64> {
        (0..2).for_each(|index| supervisor.on(&config, index, Event::Ended(End::Exit(1)), now));
        let told = actions(&mut supervisor);
        supervisor.tick(&config, now + 10_000);
        actions(&mut supervisor);
        (0..2).for_each(|index| supervisor.on(&config, index, Event::Executed, now + 10_000));
        told.iter()
            .filter_map(|action| if let Action::TellRestart(_, _, ms) = action { Some(*ms) } else { None })
            .collect()
    };
    assert_eq!(delays(0), [8_000, 8_000]);
    let second = delays(20_000);
    assert!(second[0] != second[1] && second.iter().all(|ms| (8_000..=9_000).contains(ms)), "{second:?}");
}
