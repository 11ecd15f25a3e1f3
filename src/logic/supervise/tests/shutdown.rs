//! Shutdown: its order and deadlines, and its effect on workloads that have not started.

use super::*;
use crate::config::Idle;

#[test]
fn shutdown_is_in_reverse_order_of_needs() {
    let config = board(vec![workload(ALWAYS, &[], &[]), workload(ALWAYS, &[0], &[]), workload(ALWAYS, &[], &[1])]);
    let mut supervisor = started(&config);
    supervisor.handle_event(&config, 1, Event::Executed, 0);
    supervisor.handle_event(&config, 2, Event::Executed, 0);
    actions(&mut supervisor);
    supervisor.shut_down(&config, ShutdownKind::Poweroff, 10);
    assert_eq!(
        actions(&mut supervisor),
        [Action::Report(Notice::ShutDown(ShutdownKind::Poweroff, 3)), Action::Signal(2)]
    );
    supervisor.handle_event(&config, 2, Event::Exited(ExitReason::Signal(15)), 20);
    assert_eq!(actions(&mut supervisor), [Action::Signal(1)]);
    supervisor.handle_event(&config, 1, Event::Exited(ExitReason::Exit(0)), 30);
    assert_eq!(actions(&mut supervisor), [Action::Signal(0)]);
    supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Exit(0)), 40);
    assert_eq!(actions(&mut supervisor), [Action::Shutdown(ShutdownKind::Poweroff)]);
}

#[test]
fn ignored_stop_leads_to_kill_and_then_to_giving_up() {
    let config = board(vec![workload(ALWAYS, &[], &[])]);
    let mut supervisor = started(&config);
    supervisor.shut_down(&config, ShutdownKind::Reboot, 0);
    actions(&mut supervisor);
    assert_eq!(supervisor.deadline(), Some(500));
    supervisor.tick(&config, 500);
    assert_eq!(actions(&mut supervisor), [Action::Kill(0)]);
    supervisor.tick(&config, 500 + KILL_MS);
    assert_eq!(
        actions(&mut supervisor),
        [Action::Report(Notice::NotKilled(0)), Action::Shutdown(ShutdownKind::Reboot)]
    );
}

#[test]
fn last_shutdown_request_decides_how() {
    let config = board(vec![workload(ALWAYS, &[], &[])]);
    let mut supervisor = started(&config);
    supervisor.shut_down(&config, ShutdownKind::Reboot, 0);
    supervisor.shut_down(&config, ShutdownKind::Poweroff, 1);
    supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Exit(0)), 2);
    let seen = actions(&mut supervisor);
    assert_eq!(
        seen,
        [
            Action::Report(Notice::ShutDown(ShutdownKind::Reboot, 1)),
            Action::Signal(0),
            Action::Shutdown(ShutdownKind::Poweroff)
        ]
    );
}

#[test]
fn nothing_starts_during_shutdown() {
    let config = board(vec![workload(ALWAYS, &[], &[]), workload(ALWAYS, &[0], &[])]);
    let mut supervisor = Supervisor::new();
    supervisor.begin(&config, false, 0);
    actions(&mut supervisor);
    supervisor.shut_down(&config, ShutdownKind::Reboot, 1);
    supervisor.handle_event(&config, 0, Event::Executed, 2);
    supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Signal(15)), 3);
    assert!(!actions(&mut supervisor).iter().any(|action| matches!(action, Action::Start(_))));
}

#[test]
fn idle_action_happens_once() {
    for (idle, down) in
        [(Idle::Stay, None), (Idle::Poweroff, Some(ShutdownKind::Poweroff)), (Idle::Reboot, Some(ShutdownKind::Reboot))]
    {
        let mut config = board(vec![workload(NEVER, &[], &[])]);
        config.system.idle = idle;
        let mut supervisor = started(&config);
        supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Exit(0)), 1);
        supervisor.tick(&config, 2);
        let leaves: Vec<_> =
            actions(&mut supervisor).into_iter().filter(|a| matches!(a, Action::Shutdown(_))).collect();
        assert_eq!(leaves, down.map(Action::Shutdown).into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn shutdown_while_workloads_wait_has_no_deadline_in_the_past() {
    let config = board(vec![workload(NEVER, &[], &[]), workload(NEVER, &[], &[])]);
    let mut supervisor = Supervisor::new();
    supervisor.set_max_parallel_starts(1);
    supervisor.begin(&config, false, 1_000);
    assert_eq!(supervisor.deadline(), Some(1_000 + SET_UP_MS));
    supervisor.shut_down(&config, ShutdownKind::Reboot, 1_001);
    supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Exit(0)), 1_002);
    assert_eq!(supervisor.deadline(), None, "the loop would never sleep");
}

#[test]
fn at_stop_workload_keeps_its_deadline_when_ready() {
    let mut last = workload(NEVER, &[], &[]);
    last.supervision.at_stop_ms = 700;
    last.supervision.ready = crate::config::Ready::Notify;
    let config = board(vec![last]);
    let mut supervisor = Supervisor::new();
    supervisor.begin(&config, false, 0);
    assert_eq!(actions(&mut supervisor), [], "it is not its time");
    supervisor.shut_down(&config, ShutdownKind::Reboot, 10);
    assert_eq!(actions(&mut supervisor), [Action::Report(Notice::ShutDown(ShutdownKind::Reboot, 0)), Action::Start(0)]);
    supervisor.handle_event(&config, 0, Event::Executed, 20);
    supervisor.handle_event(&config, 0, Event::Ready, 30);
    assert_eq!(supervisor.deadline(), Some(720));
    supervisor.tick(&config, 720);
    assert_eq!(actions(&mut supervisor), [Action::Kill(0)]);
}
