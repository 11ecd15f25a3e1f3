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

/// systemd: `After=time-sync.target`, which a service of the client of time servers reaches. It delays the whole boot target.
#[test]
fn workload_that_needs_the_time_waits_without_delaying_others_and_starts_with_it() {
    let config = board(vec![workload(ALWAYS, &[], &[]), workload(ALWAYS, &[0], &[]), workload(ALWAYS, &[], &[0])]);
    let mut supervisor = Supervisor::new();
    supervisor.begin(&config, false, 1);
    assert_eq!(actions(&mut supervisor), [Action::Start(0)]);
    supervisor.put_back(&config, 0, Part::Time, 2);
    // The one that needs it waits as well; the one that only comes after it does not.
    assert_eq!(actions(&mut supervisor), [Action::Start(2)]);
    supervisor.handle_event(&config, 2, Event::Executed, 3);
    assert!(supervisor.unit(0).lacks(Part::Time) && supervisor.is_boot_complete(&config));
    assert!(supervisor.all_healthy(&config), "it is no failure of the boot");
    let all = [0, 1, 2].into_iter().fold(WorkloadSet::EMPTY, |mut all, index| {
        all.insert(index);
        all
    });
    supervisor.has_part(&config, all, Part::Time, 4);
    assert_eq!(actions(&mut supervisor), [Action::Start(0)]);
    supervisor.handle_event(&config, 0, Event::Executed, 5);
    assert_eq!(actions(&mut supervisor), [Action::Start(1)]);
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
    assert!(supervisor.is_boot_complete(&config));
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

/// A board whose first workload is on a disk that may be unplugged.
fn on_a_disk(restart: Restart) -> (Config<'static>, Supervisor) {
    let first = Workload { root: "/dev/sda", ..workload(restart, &[], &[]) };
    let config = board(vec![first, workload(NEVER, &[], &[])]);
    let mut supervisor = started(&config);
    supervisor.set_follows_parts(true);
    (config, supervisor)
}

fn exit(supervisor: &mut Supervisor, config: &Config<'_>, status: u8, now: u64) -> Vec<Action> {
    supervisor.handle_event(config, 0, Event::Exited(ExitReason::Exit(status)), now);
    actions(supervisor)
}

/// A driver may hang up long before its node goes (`usb_serial_disconnect` of drivers/usb/serial/usb-serial.c waits for
/// its requests in between): the program exits, starts again, and exits at once, because the device no longer answers.
/// systemd counts each of these starts.
#[test]
fn restarts_and_limit_of_a_workload_whose_device_was_leaving_do_not_shut_the_board_down() {
    let (config, mut supervisor) = on_a_disk(LIMITED);
    // One restart of its own, long before.
    assert_eq!(exit(&mut supervisor, &config, 1, 10), [Action::Report(Notice::Restart(0, 1, 100))]);
    supervisor.tick(&config, 110);
    supervisor.handle_event(&config, 0, Event::Executed, 110);
    assert_eq!(actions(&mut supervisor), [Action::Start(0)]);
    for hung_up in [100_000, 200_000] {
        assert_eq!(exit(&mut supervisor, &config, 1, hung_up), [Action::Report(Notice::Restart(0, 1, 100))]);
        supervisor.tick(&config, hung_up + 100);
        supervisor.handle_event(&config, 0, Event::Executed, hung_up + 101);
        assert_eq!(actions(&mut supervisor), [Action::Start(0)]);
        // It would reboot the board.
        assert_eq!(exit(&mut supervisor, &config, 1, hung_up + 110), []);
        assert_eq!(supervisor.outcome(&config, 0, WorkloadRequest::Start), None);
        assert_eq!(supervisor.unit(0).restarts, 2);
        let gone = hung_up + 110 + LEAVING_MS - 1;
        supervisor.tick(&config, gone);
        supervisor.handle_event(&config, 0, Event::Lacks(Part::Devices), gone);
        assert_eq!((supervisor.state(0), supervisor.unit(0).restarts), (State::Waiting, 1));
        supervisor.tick(&config, gone + 2 * LEAVING_MS);
        assert_eq!(actions(&mut supervisor), []);
        supervisor.handle_event(&config, 0, Event::Has(Part::Devices), gone + 60_000);
        supervisor.handle_event(&config, 0, Event::Executed, gone + 60_001);
        assert_eq!(actions(&mut supervisor), [Action::Start(0)]);
    }
}

/// The device goes while the program runs again.
#[test]
fn restart_shortly_before_the_device_goes_is_taken_back_and_an_earlier_one_is_not() {
    for (passed, restarts) in [(LEAVING_MS, 0), (LEAVING_MS + 1, 1)] {
        let (config, mut supervisor) = on_a_disk(LIMITED);
        exit(&mut supervisor, &config, 1, 100_000);
        supervisor.tick(&config, 100_100);
        supervisor.handle_event(&config, 0, Event::Executed, 100_101);
        supervisor.handle_event(&config, 0, Event::Lacks(Part::Disks), 100_000 + passed);
        exit(&mut supervisor, &config, 1, 100_001 + passed);
        assert_eq!((supervisor.state(0), supervisor.unit(0).restarts), (State::Waiting, restarts));
        supervisor.handle_event(&config, 0, Event::Has(Part::Disks), 110_000);
        supervisor.handle_event(&config, 0, Event::Executed, 110_001);
        assert_eq!(actions(&mut supervisor), [Action::Start(0)]);
        let is_counted = exit(&mut supervisor, &config, 1, 110_002).is_empty();
        assert_eq!(is_counted, restarts == 1, "the limit's only restart");
    }
}

#[test]
fn limit_of_a_workload_whose_device_stays_applies_a_moment_later() {
    let (config, mut supervisor) = on_a_disk(LIMITED);
    exit(&mut supervisor, &config, 1, 10);
    supervisor.tick(&config, 110);
    supervisor.handle_event(&config, 0, Event::Executed, 111);
    actions(&mut supervisor);
    assert_eq!(exit(&mut supervisor, &config, 1, 120), []);
    assert_eq!(supervisor.deadline(), Some(120 + LEAVING_MS));
    supervisor.tick(&config, 120 + LEAVING_MS);
    assert!(actions(&mut supervisor).contains(&Action::Report(Notice::LimitReached(0))));
    assert_eq!(supervisor.shutting_down(), Some(ShutdownKind::Reboot));
    // Without parts that may go, or without reports of them, nothing waits.
    let (config, mut supervisor) = on_a_disk(NEVER);
    supervisor.set_follows_parts(false);
    exit(&mut supervisor, &config, 1, 10);
    assert_eq!(supervisor.state(0), State::Failed);
}

/// A program that reads the end of its device may exit with success, and be the last one.
#[test]
fn board_that_powers_off_when_idle_does_not_do_so_because_a_device_is_leaving() {
    let (mut config, mut supervisor) = on_a_disk(NEVER);
    config.system.idle = crate::config::Idle::Poweroff;
    supervisor.handle_event(&config, 1, Event::Exited(ExitReason::Exit(0)), 10);
    exit(&mut supervisor, &config, 0, 10);
    supervisor.handle_event(&config, 0, Event::Lacks(Part::Devices), 1_000);
    assert_eq!((supervisor.state(0), supervisor.shutting_down()), (State::Waiting, None));
    supervisor.handle_event(&config, 0, Event::Has(Part::Devices), 2_000);
    supervisor.handle_event(&config, 0, Event::Executed, 2_001);
    exit(&mut supervisor, &config, 0, 3_000);
    supervisor.tick(&config, 3_000 + LEAVING_MS);
    assert_eq!(supervisor.shutting_down(), Some(ShutdownKind::Poweroff));
}

/// A reset does not bring a device that nobody has plugged in, but it may revive one that has disappeared.
#[test]
fn only_a_part_that_was_there_since_the_boot_makes_a_critical_workload_or_the_boot_bad() {
    let mut critical = workload(ALWAYS, &[0], &[]);
    critical.supervision.critical_ms = 1_000;
    let mut config = board(vec![workload(ALWAYS, &[], &[]), critical]);
    config.workloads[0].supervision.critical_ms = 1_000;
    let mut supervisor = Supervisor::new();
    supervisor.set_awaited(Part::Disks, true);
    supervisor.begin(&config, false, 0);
    supervisor.put_back(&config, 0, Part::Disks, 0);
    assert!(!supervisor.all_healthy(&config), "it may still appear");
    supervisor.set_awaited(Part::Disks, false);
    assert!(supervisor.all_healthy(&config) && supervisor.may_feed_watchdog(&config, 90_000));
    supervisor.handle_event(&config, 0, Event::Has(Part::Disks), 100_000);
    assert!(!supervisor.all_healthy(&config), "it starts");
    supervisor.handle_event(&config, 0, Event::Executed, 100_000);
    supervisor.handle_event(&config, 1, Event::Executed, 100_000);
    assert!(supervisor.all_healthy(&config) && supervisor.may_feed_watchdog(&config, 190_000));
    supervisor.handle_event(&config, 0, Event::Lacks(Part::Disks), 200_000);
    supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Exit(0)), 200_000);
    assert_eq!(supervisor.state(0), State::Waiting);
    assert!(!supervisor.all_healthy(&config) && !supervisor.may_feed_watchdog(&config, 201_001));
}
