//! Requests, the needs that are started with them, and waiting for needs.

use super::*;

fn starts(supervisor: &mut Supervisor) -> Vec<usize> {
    let starts = actions(supervisor).into_iter();
    starts.filter_map(|action| if let Action::Start(index) = action { Some(index) } else { None }).collect()
}

/// `2` needs `1`, which needs `0`; all are ready.
fn chain() -> (Config<'static>, Supervisor) {
    let config = board(vec![workload(ALWAYS, &[], &[]), workload(ALWAYS, &[0], &[]), workload(ALWAYS, &[1], &[])]);
    let mut supervisor = started(&config);
    supervisor.handle_event(&config, 1, Event::Executed, 0);
    supervisor.handle_event(&config, 2, Event::Executed, 0);
    actions(&mut supervisor);
    (config, supervisor)
}

#[test]
fn workload_waits_for_its_needs_after_the_delay() {
    let (config, mut supervisor) = chain();
    supervisor.handle_event(&config, 1, Event::Exited(ExitReason::Exit(1)), 1_000);
    supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Exit(1)), 1_050);
    actions(&mut supervisor);
    supervisor.tick(&config, 1_100);
    assert_eq!((starts(&mut supervisor), supervisor.state(1)), (vec![], State::Waiting));
    assert_eq!(supervisor.unit(1).restarts, 1);
    supervisor.tick(&config, 1_150);
    assert_eq!(starts(&mut supervisor), [0]);
    supervisor.handle_event(&config, 0, Event::Executed, 1_160);
    assert_eq!(starts(&mut supervisor), [1]);
    // The count of restarts in a row continues.
    supervisor.handle_event(&config, 1, Event::Exited(ExitReason::Exit(1)), 1_170);
    assert_eq!(actions(&mut supervisor), [Action::Report(Notice::Restart(1, 2, 200))]);
}

#[test]
fn delays_that_end_together_respect_the_limit_of_set_ups() {
    let config = board(vec![workload(ALWAYS, &[], &[]), workload(ALWAYS, &[], &[])]);
    let mut supervisor = started(&config);
    supervisor.set_max_parallel_starts(1);
    (0..2).for_each(|index| supervisor.handle_event(&config, index, Event::Exited(ExitReason::Exit(1)), 1_000));
    supervisor.tick(&config, 1_100);
    assert_eq!(starts(&mut supervisor), [0]);
    supervisor.handle_event(&config, 0, Event::Executed, 1_110);
    assert_eq!(starts(&mut supervisor), [1]);
}

#[test]
fn request_starts_needs_in_any_state() {
    for ask in [WorkloadRequest::Start, WorkloadRequest::Restart] {
        for state in [State::Stopping(500), State::Killing(2_500), State::Lost, State::Stopped, State::Failed] {
            let (config, mut supervisor) = chain();
            for index in [2, 1] {
                supervisor.handle_event(&config, index, Event::Requested(WorkloadRequest::Stop), 10);
                supervisor.handle_event(&config, index, Event::Exited(ExitReason::Exit(0)), 10);
            }
            supervisor.handle_event(&config, 0, Event::Requested(WorkloadRequest::Stop), 10);
            supervisor.units[0].state = state;
            let has_ended = matches!(state, State::Stopped | State::Failed);
            actions(&mut supervisor);
            supervisor.handle_event(&config, 2, Event::Requested(ask), 20);
            if !has_ended {
                supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Exit(0)), 30);
            }
            for index in 0..3 {
                assert_eq!(supervisor.outcome(&config, 2, ask), None, "{state:?}");
                assert_eq!(starts(&mut supervisor), [index], "{state:?}");
                supervisor.handle_event(&config, index, Event::Executed, 40);
            }
            assert_eq!(supervisor.outcome(&config, 2, ask), Some(Outcome::Done));
        }
    }
}

#[test]
fn start_keeps_the_restart_count_of_needs() {
    let (config, mut supervisor) = chain();
    supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Exit(1)), 1_000);
    supervisor.handle_event(&config, 2, Event::Requested(WorkloadRequest::Start), 1_001);
    assert_eq!(starts(&mut supervisor), [0], "it does not sit its delay out");
    supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Exit(1)), 1_010);
    assert_eq!(actions(&mut supervisor), [Action::Report(Notice::Restart(0, 2, 200))]);
}

#[test]
fn restart_is_refused_if_a_need_would_not_come_up() {
    let (config, mut supervisor) = chain();
    supervisor.units[0].state = State::Lost;
    assert_eq!(supervisor.refusal(&config, 1), Some(Outcome::Waits(0)));
    assert_eq!(supervisor.refusal(&config, 2), None, "what it needs runs");
}

#[test]
fn lost_workload_that_exits_later_can_be_started() {
    let (config, mut supervisor) = chain();
    supervisor.handle_event(&config, 2, Event::Requested(WorkloadRequest::Stop), 0);
    supervisor.tick(&config, 500);
    supervisor.tick(&config, 500 + KILL_MS);
    assert_eq!(supervisor.outcome(&config, 2, WorkloadRequest::Stop), Some(Outcome::Lost));
    supervisor.handle_event(&config, 2, Event::Exited(ExitReason::Signal(9)), 9_000);
    assert_eq!(supervisor.state(2), State::Stopped);
    actions(&mut supervisor);
    supervisor.handle_event(&config, 2, Event::Requested(WorkloadRequest::Start), 9_001);
    assert_eq!(starts(&mut supervisor), [2]);
}

#[test]
fn after_does_not_wait_for_a_stopped_workload() {
    let mut config = board(vec![workload(NEVER, &[], &[]), workload(NEVER, &[0], &[]), workload(NEVER, &[], &[1])]);
    config.workloads[0].supervision.ready = crate::config::Ready::Notify;
    let mut supervisor = started(&config);
    supervisor.handle_event(&config, 0, Event::Requested(WorkloadRequest::Stop), 10);
    supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Exit(0)), 20);
    assert_eq!(starts(&mut supervisor), [2]);
    supervisor.handle_event(&config, 2, Event::Executed, 30);
    assert!(supervisor.is_boot_complete(&config), "the rest of the boot goes on");
}

#[test]
fn safe_mode_starts_the_needs_of_safe_workloads() {
    let mut config = board(vec![workload(NEVER, &[], &[]), workload(NEVER, &[0], &[]), workload(NEVER, &[], &[])]);
    config.workloads[1].supervision.is_safe = true;
    let mut supervisor = Supervisor::new();
    supervisor.begin(&config, true, 0);
    assert_eq!(starts(&mut supervisor), [0]);
    supervisor.handle_event(&config, 0, Event::Executed, 10);
    assert_eq!(starts(&mut supervisor), [1]);
    assert_eq!(supervisor.state(2), State::Stopped);
}

#[test]
fn successful_exit_before_readiness_is_a_failure() {
    use crate::config::Ready;
    let on_failure = Restart { when: When::OnFailure, ..ALWAYS };
    for ready in [Ready::Exec, Ready::Exit, Ready::Fd(3), Ready::Tcp(80), Ready::Notify, Ready::After(500)] {
        let mut config = board(vec![workload(on_failure, &[], &[]), workload(NEVER, &[0], &[])]);
        config.workloads[0].supervision.ready = ready;
        let mut supervisor = started(&config);
        actions(&mut supervisor);
        supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Exit(0)), 10);
        let is_fine = matches!(ready, Ready::Exec | Ready::Exit);
        assert_eq!(supervisor.state(0) == State::Finished, is_fine, "{ready:?}");
        assert_eq!(actions(&mut supervisor).contains(&Action::Report(Notice::ExitedEarly(0))), !is_fine, "{ready:?}");
        assert_eq!(supervisor.state(1) == State::Waiting, !is_fine, "{ready:?}");
        // Once it was ready, it may exit with success.
        if !is_fine {
            supervisor.tick(&config, 200);
            supervisor.handle_event(&config, 0, Event::Executed, 200);
            supervisor.handle_event(&config, 0, Event::Ready, 210);
            supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Exit(0)), 220);
            assert_eq!(supervisor.state(0), State::Finished, "{ready:?}");
        }
    }
}

#[test]
fn one_accepted_connection_before_daemonizing_does_not_make_ready() {
    let mut config = board(vec![workload(NEVER, &[], &[]), workload(NEVER, &[0], &[])]);
    config.workloads[0].supervision.ready = crate::config::Ready::Tcp(80);
    let mut supervisor = started(&config);
    supervisor.handle_event(&config, 0, Event::Checked(true), 10);
    supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Exit(0)), 20);
    assert_eq!((supervisor.state(0), supervisor.state(1)), (State::Failed, State::Failed));
    let mut supervisor = started(&config);
    let looks =
        [(true, State::Starting(0)), (false, State::Starting(0)), (true, State::Starting(0)), (true, State::Ready)];
    for (is_good, state) in looks {
        supervisor.handle_event(&config, 0, Event::Checked(is_good), 10);
        assert_eq!(supervisor.state(0), state);
    }
}
