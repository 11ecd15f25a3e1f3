//! Parts of the board that come and go: devices and disks.

use super::*;

const LIMITED: Restart = Restart {
    when: When::OnFailure,
    limit: Some(crate::config::RestartLimit {
        count: 1,
        period_ms: 60_000,
        on_limit: crate::config::LimitAction::Reboot,
    }),
    ..ALWAYS
};

/// In systemd, a service with `BindsTo=` on a device unit is stopped when the device disappears, and udev starts it
/// when the device returns.
#[test]
fn unplugged_device_stops_workload_and_its_return_starts_it_without_counting_a_restart() {
    let config = board(vec![workload(LIMITED, &[], &[])]);
    let mut supervisor = started(&config);
    for now in [1_000, 2_000, 3_000] {
        supervisor.handle_event(&config, 0, Event::Lacks(Part::Devices), now);
        assert_eq!(
            (supervisor.state(0), actions(&mut supervisor)),
            (State::Stopping(now + 500), vec![Action::Signal(0)])
        );
        supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Signal(15)), now + 1);
        assert_eq!((supervisor.state(0), actions(&mut supervisor)), (State::Waiting, vec![]));
        supervisor.tick(&config, now + 900);
        assert_eq!((actions(&mut supervisor), supervisor.deadline()), (vec![], None));
        supervisor.handle_event(&config, 0, Event::Has(Part::Devices), now + 900);
        assert_eq!(actions(&mut supervisor), [Action::Start(0)]);
        supervisor.handle_event(&config, 0, Event::Executed, now + 901);
    }
    assert_eq!(supervisor.unit(0).restarts, 0);
}

/// A program that reads from an unplugged device fails before PID 1 is notified.
#[test]
fn exit_shortly_before_unplug_event_does_not_count_as_failure() {
    for (restart, status) in [(LIMITED, 1), (NEVER, 0), (NEVER, 1)] {
        let config = board(vec![workload(restart, &[], &[])]);
        let mut supervisor = started(&config);
        supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Exit(status)), 10);
        supervisor.handle_event(&config, 0, Event::Lacks(Part::Devices), 20);
        assert_eq!(supervisor.state(0), State::Waiting, "{restart:?} {status}");
        supervisor.tick(&config, 90_000);
        assert!(!actions(&mut supervisor).contains(&Action::Start(0)));
        supervisor.handle_event(&config, 0, Event::Has(Part::Devices), 90_000);
        assert_eq!(actions(&mut supervisor), [Action::Start(0)]);
        supervisor.handle_event(&config, 0, Event::Executed, 90_001);
        supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Exit(1)), 90_002);
        assert!(
            !actions(&mut supervisor).contains(&Action::Report(Notice::LimitReached(0))),
            "the first failure in a row"
        );
    }
}

#[test]
fn start_without_device_waits_and_does_not_count_as_exit() {
    let config = board(vec![workload(LIMITED, &[], &[]), workload(NEVER, &[0], &[]), workload(NEVER, &[], &[0])]);
    let mut supervisor = Supervisor::new();
    supervisor.begin(&config, false, 0);
    assert_eq!(actions(&mut supervisor), [Action::Start(0)]);
    supervisor.handle_event(&config, 0, Event::Lacks(Part::Devices), 0);
    supervisor.handle_event(&config, 0, Event::Exited(ExitReason::NoProcess), 0);
    // A workload that comes after it does not wait for a device that may never appear, and the boot is complete.
    assert_eq!(actions(&mut supervisor), [Action::Signal(0), Action::Start(2)]);
    supervisor.handle_event(&config, 2, Event::Executed, 1);
    assert_eq!((supervisor.state(0), supervisor.unit(0).last_exit()), (State::Waiting, None));
    assert!(supervisor.is_boot_complete(&config) && !supervisor.all_healthy(&config));
    // Requests for it, and for a workload that needs it, are answered.
    for index in [0, 1] {
        supervisor.handle_event(&config, index, Event::Requested(WorkloadRequest::Start), 2);
        assert_eq!(supervisor.outcome(&config, index, WorkloadRequest::Start), Some(Outcome::Waits(0)));
    }
    // Both parts must be present.
    supervisor.handle_event(&config, 0, Event::Lacks(Part::Disks), 3);
    supervisor.handle_event(&config, 0, Event::Has(Part::Devices), 3);
    assert!(!supervisor.unit(0).lacks(Part::Devices) && supervisor.unit(0).lacks(Part::Disks));
    assert_eq!(actions(&mut supervisor), []);
    supervisor.handle_event(&config, 0, Event::Has(Part::Disks), 4);
    assert_eq!(actions(&mut supervisor), [Action::Start(0)]);
}

#[test]
fn stopped_workload_is_not_started_by_its_device() {
    let config = board(vec![workload(ALWAYS, &[], &[])]);
    let mut supervisor = started(&config);
    supervisor.handle_event(&config, 0, Event::Lacks(Part::Devices), 1);
    supervisor.handle_event(&config, 0, Event::Requested(WorkloadRequest::Stop), 2);
    supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Exit(0)), 3);
    supervisor.handle_event(&config, 0, Event::Has(Part::Devices), 4);
    assert_eq!((supervisor.state(0), actions(&mut supervisor)), (State::Stopped, vec![Action::Signal(0)]));
}

/// If the device returns before the program has exited, the workload starts again right after the exit.
#[test]
fn device_that_returns_before_the_exit_causes_a_start_after_it() {
    let config = board(vec![workload(NEVER, &[], &[])]);
    let mut supervisor = started(&config);
    supervisor.handle_event(&config, 0, Event::Lacks(Part::Devices), 1);
    supervisor.handle_event(&config, 0, Event::Has(Part::Devices), 1);
    assert_eq!(actions(&mut supervisor), [Action::Signal(0)]);
    supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Exit(0)), 3);
    assert_eq!(actions(&mut supervisor), [Action::Start(0)]);
}

#[test]
fn shutdown_does_not_wait_for_a_device() {
    let config = board(vec![workload(ALWAYS, &[], &[]), workload(ALWAYS, &[], &[])]);
    let mut supervisor = started(&config);
    supervisor.handle_event(&config, 0, Event::Lacks(Part::Devices), 1);
    supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Exit(0)), 2);
    supervisor.shut_down(&config, ShutdownKind::Poweroff, 3);
    supervisor.handle_event(&config, 1, Event::Lacks(Part::Devices), 4);
    supervisor.handle_event(&config, 1, Event::Exited(ExitReason::Exit(0)), 5);
    assert!(actions(&mut supervisor).contains(&Action::Shutdown(ShutdownKind::Poweroff)));
}

/// At boot a disk may appear a moment later: the order of `after` is kept, and requests wait.
#[test]
fn after_waits_for_a_disk_that_is_expected() {
    let config = board(vec![workload(NEVER, &[], &[1]), workload(NEVER, &[], &[])]);
    let mut supervisor = Supervisor::new();
    supervisor.set_awaited(Part::Disks, true);
    supervisor.begin(&config, false, 0);
    assert_eq!(actions(&mut supervisor), [Action::Start(1)]);
    supervisor.put_back(&config, 1, Part::Disks, 0);
    assert_eq!((supervisor.state(1), actions(&mut supervisor)), (State::Waiting, vec![]));
    assert!(!supervisor.is_boot_complete(&config));
    assert_eq!(supervisor.outcome(&config, 1, WorkloadRequest::Start), None);
    let mut both = WorkloadSet::EMPTY;
    both.insert(0);
    both.insert(1);
    supervisor.has_part(&config, both, Part::Disks, 1);
    assert_eq!(actions(&mut supervisor), [Action::Start(1)], "in their order");
    supervisor.put_back(&config, 1, Part::Disks, 2);
    assert_eq!(actions(&mut supervisor), []);
    // The disk is no longer expected.
    supervisor.set_awaited(Part::Disks, false);
    supervisor.tick(&config, 3);
    assert_eq!(actions(&mut supervisor), [Action::Start(0)]);
}
