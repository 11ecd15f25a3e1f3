//! Sequences of events with the expected actions. This file has the shared helpers, and the order of starts.

mod corruption;
mod history;
mod parts;
mod requests;
mod restarts;
mod shutdown;

use super::*;
use crate::config::{Config, Ready, Restart, Signal, Stop, When, Workload, WorkloadSet};

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
    config.slots = crate::config::Slots::in_order();
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
            supervisor.handle_event(config, index, Event::Executed, 0);
        }
    }
    supervisor
}

#[test]
fn set_ups_in_parallel_are_limited() {
    let config = board(vec![workload(NEVER, &[], &[]), workload(NEVER, &[], &[]), workload(NEVER, &[], &[])]);
    let mut supervisor = Supervisor::new();
    supervisor.set_max_parallel_starts(1);
    supervisor.begin(&config, false, 1_000);
    assert_eq!(actions(&mut supervisor), [Action::Start(0)]);
    supervisor.tick(&config, 1_050);
    assert_eq!(actions(&mut supervisor), []);
    supervisor.handle_event(&config, 0, Event::Executed, 1_060);
    assert_eq!(actions(&mut supervisor), [Action::Start(1)]);
    // A set-up that waits for something does not block the others for ever, and the loop wakes up in time.
    assert_eq!(supervisor.deadline(), Some(1_060 + SET_UP_MS));
    supervisor.tick(&config, 1_060 + SET_UP_MS);
    assert_eq!(actions(&mut supervisor), [Action::Start(2)]);
    assert_eq!(supervisor.deadline(), None);
}

#[test]
fn independent_workloads_start_together() {
    let config = board(vec![workload(NEVER, &[], &[]), workload(NEVER, &[], &[])]);
    let mut supervisor = Supervisor::new();
    supervisor.begin(&config, false, 0);
    assert_eq!(actions(&mut supervisor), [Action::Start(0), Action::Start(1)]);
}

#[test]
fn workload_starts_when_its_needs_are_ready() {
    let config = board(vec![workload(NEVER, &[1], &[]), workload(NEVER, &[], &[])]);
    let mut supervisor = Supervisor::new();
    supervisor.begin(&config, false, 0);
    assert_eq!(actions(&mut supervisor), [Action::Start(1)]);
    supervisor.handle_event(&config, 1, Event::Executed, 5);
    assert_eq!(actions(&mut supervisor), [Action::Start(0)]);
}

#[test]
fn failed_need_fails_its_dependents_with_a_reason() {
    let config = board(vec![workload(NEVER, &[1], &[]), workload(NEVER, &[2], &[]), workload(NEVER, &[], &[])]);
    let mut supervisor = Supervisor::new();
    supervisor.begin(&config, false, 0);
    actions(&mut supervisor);
    supervisor.handle_event(&config, 2, Event::Exited(ExitReason::Exit(1)), 5);
    assert_eq!(
        actions(&mut supervisor),
        [Action::Report(Notice::NeedFailed(1, 2)), Action::Report(Notice::NeedFailed(0, 1))]
    );
    assert_eq!(supervisor.state(0), State::Failed);
}

#[test]
fn finished_need_counts_as_up() {
    let config = board(vec![workload(NEVER, &[], &[]), workload(NEVER, &[0], &[])]);
    let mut supervisor = Supervisor::new();
    supervisor.begin(&config, false, 0);
    supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Exit(0)), 1);
    assert_eq!(actions(&mut supervisor), [Action::Start(0), Action::Start(1)]);
}

#[test]
fn workloads_that_fail_in_turns_hold_up_nobody_behind_them() {
    // Both are never ready in time, and the second one starts after the first one.
    let failing = |after: &[usize]| {
        let mut workload = workload(ALWAYS, &[], after);
        (workload.supervision.ready, workload.supervision.ready_within_ms) = (Ready::Notify, 900);
        workload
    };
    let config = board(vec![failing(&[]), failing(&[0]), workload(NEVER, &[], &[0, 1])]);
    let mut supervisor = started(&config);
    let mut starts = Vec::new();
    while let Some(now) = supervisor.deadline().filter(|now| *now < 10_000) {
        supervisor.tick(&config, now);
        for action in actions(&mut supervisor) {
            match action {
                Action::Start(index) => {
                    starts.push((index, now));
                    supervisor.handle_event(&config, index, Event::Executed, now);
                }
                Action::Signal(index) => {
                    supervisor.handle_event(&config, index, Event::Exited(ExitReason::Signal(15)), now);
                }
                _ => {}
            }
        }
    }
    // The first one fails at 900, and the second one starts; when that one has failed as well, the third one starts.
    assert_eq!(starts.iter().find(|(index, _)| *index == 2), Some(&(2, 1_800)), "{starts:?}");
}

#[test]
fn after_only_orders_starts() {
    let config = board(vec![workload(NEVER, &[], &[1]), workload(NEVER, &[], &[])]);
    let mut supervisor = Supervisor::new();
    supervisor.begin(&config, false, 0);
    assert_eq!(actions(&mut supervisor), [Action::Start(1)]);
    supervisor.handle_event(&config, 1, Event::Exited(ExitReason::Exit(1)), 5);
    assert_eq!(actions(&mut supervisor), [Action::Start(0)]);
}
