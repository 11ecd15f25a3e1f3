//! Exits of workloads, and the reactions: restarts, delays, limits, the watchdog.

use super::*;
use crate::config::{LimitAction, RestartLimit};

#[test]
fn restart_never_leaves_it_down() {
    let config = board(vec![workload(NEVER, &[], &[])]);
    for (end, state) in [(ExitReason::Exit(0), State::Finished), (ExitReason::Exit(3), State::Failed)] {
        let mut supervisor = started(&config);
        supervisor.handle_event(&config, 0, Event::Exited(end), 10);
        assert_eq!((actions(&mut supervisor), supervisor.state(0)), (vec![], state));
    }
}

#[test]
fn restart_on_failure_reacts_to_status_and_signal() {
    let config = board(vec![workload(Restart { when: When::OnFailure, ..ALWAYS }, &[], &[])]);
    let follows = |end| {
        let mut supervisor = started(&config);
        supervisor.handle_event(&config, 0, Event::Exited(end), 10);
        actions(&mut supervisor)
    };
    assert_eq!(follows(ExitReason::Exit(0)), []);
    assert_eq!(follows(ExitReason::Exit(1)), [Action::Report(Notice::Restart(0, 1, 100))]);
    assert_eq!(follows(ExitReason::Signal(9)), [Action::Report(Notice::Restart(0, 1, 100))]);
}

#[test]
fn delay_doubles_up_to_its_maximum() {
    let config = board(vec![workload(ALWAYS, &[], &[])]);
    let mut supervisor = started(&config);
    let mut now = 0;
    for (count, delay) in [(1, 100), (2, 200), (3, 350), (4, 350)] {
        supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Exit(0)), now);
        assert_eq!(actions(&mut supervisor), [Action::Report(Notice::Restart(0, count, delay))]);
        assert_eq!(supervisor.deadline(), Some(now + delay));
        supervisor.tick(&config, now + delay - 1);
        assert_eq!(actions(&mut supervisor), []);
        now += delay;
        supervisor.tick(&config, now);
        assert_eq!(actions(&mut supervisor), [Action::Start(0)]);
        supervisor.handle_event(&config, 0, Event::Executed, now);
    }
}

#[test]
fn delay_resets_after_a_steady_run() {
    let config = board(vec![workload(ALWAYS, &[], &[])]);
    let mut supervisor = started(&config);
    supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Exit(0)), 0);
    supervisor.tick(&config, 100);
    supervisor.handle_event(&config, 0, Event::Executed, 100);
    actions(&mut supervisor);
    supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Exit(0)), 60_100);
    assert_eq!(actions(&mut supervisor), [Action::Report(Notice::Restart(0, 1, 100))]);
}

#[test]
fn reached_limit_ends_restarts_with_its_action() {
    for (on_limit, down) in [
        (LimitAction::Stop, None),
        (LimitAction::Reboot, Some(ShutdownKind::Reboot)),
        (LimitAction::Poweroff, Some(ShutdownKind::Poweroff)),
    ] {
        let limit = Some(RestartLimit { count: 2, period_ms: 10_000, on_limit });
        let config = board(vec![workload(Restart { limit, ..ALWAYS }, &[], &[])]);
        let mut supervisor = started(&config);
        for now in [1_000, 2_000] {
            supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Exit(1)), now);
            supervisor.tick(&config, now + 400);
            supervisor.handle_event(&config, 0, Event::Executed, now + 400);
        }
        actions(&mut supervisor);
        supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Exit(1)), 3_000);
        let mut expected = vec![Action::Report(Notice::LimitReached(0))];
        expected.extend(
            down.into_iter().flat_map(|down| [Action::Report(Notice::ShutDown(down, 0)), Action::Shutdown(down)]),
        );
        assert_eq!(actions(&mut supervisor), expected);
        assert_eq!(supervisor.state(0), State::Failed);
    }
}

#[test]
fn limit_counts_only_within_its_period() {
    let limit = Some(RestartLimit { count: 1, period_ms: 1_000, on_limit: LimitAction::Stop });
    let config = board(vec![workload(Restart { limit, ..ALWAYS }, &[], &[])]);
    let mut supervisor = started(&config);
    for now in [0, 5_000, 10_000] {
        supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Exit(1)), now);
        supervisor.tick(&config, now + 400);
        supervisor.handle_event(&config, 0, Event::Executed, now + 400);
        assert!(!actions(&mut supervisor).contains(&Action::Report(Notice::LimitReached(0))), "at {now}");
    }
}

#[test]
fn failed_process_creation_is_retried_with_any_policy() {
    let config = board(vec![workload(NEVER, &[], &[])]);
    let mut supervisor = Supervisor::new();
    supervisor.begin(&config, false, 0);
    actions(&mut supervisor);
    supervisor.handle_event(&config, 0, Event::Exited(ExitReason::NoProcess), 5);
    assert_eq!(actions(&mut supervisor), [Action::Report(Notice::Restart(0, 0, NO_PROCESS_MS))]);
    supervisor.tick(&config, 5 + NO_PROCESS_MS);
    assert_eq!(actions(&mut supervisor), [Action::Start(0)]);
}

#[test]
fn watchdog_is_not_fed_if_a_critical_workload_is_down_too_long() {
    let mut critical = workload(ALWAYS, &[], &[]);
    critical.supervision.critical_ms = 1_000;
    let config = board(vec![critical, workload(ALWAYS, &[], &[])]);
    let mut supervisor = started(&config);
    assert!(supervisor.may_feed_watchdog(&config, 90_000), "it is ready");
    supervisor.handle_event(&config, 1, Event::Exited(ExitReason::Exit(1)), 90_000);
    assert!(supervisor.may_feed_watchdog(&config, 190_000), "the other one is not critical");
    supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Exit(1)), 200_000);
    assert!(supervisor.may_feed_watchdog(&config, 201_000) && !supervisor.may_feed_watchdog(&config, 201_001));
    supervisor.handle_event(&config, 0, Event::Requested(WorkloadRequest::Stop), 201_002);
    assert!(supervisor.may_feed_watchdog(&config, 300_000), "a person wants it down");
}

#[test]
fn delays_have_jitter_from_the_second_restart_on() {
    let steep = Restart { delay_ms: 8_000, max_ms: 8_000, ..ALWAYS };
    let config = board(vec![workload(steep, &[], &[]), workload(steep, &[], &[])]);
    let mut supervisor = started(&config);
    supervisor.seed(4_711);
    let mut delays = |now: u64| -> Vec<u64> {
        (0..2).for_each(|index| supervisor.handle_event(&config, index, Event::Exited(ExitReason::Exit(1)), now));
        let done = actions(&mut supervisor);
        supervisor.tick(&config, now + 10_000);
        actions(&mut supervisor);
        (0..2).for_each(|index| supervisor.handle_event(&config, index, Event::Executed, now + 10_000));
        done.iter()
            .filter_map(|action| if let Action::Report(Notice::Restart(_, _, ms)) = action { Some(*ms) } else { None })
            .collect()
    };
    assert_eq!(delays(0), [8_000, 8_000]);
    let second = delays(20_000);
    assert!(second[0] != second[1] && second.iter().all(|ms| (8_000..=9_000).contains(ms)), "{second:?}");
}
