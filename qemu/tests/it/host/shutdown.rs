//! hilum as PID 1 of a PID namespace on this host: signals and shutdown.

use crate::support::{SOON, STAY, has_in_order, has_line};
use rustix::process::Signal;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

#[test]
fn sigterm_stops_in_reverse_order_and_exits_with_0() {
    let host_root = host_or_return!();
    let section = |name: &str, rest: &str| format!("[workload {name}]\nroot ROOT\nexec /bin/probe on-term\n{rest}\n");
    let config = format!("hilum 1\n{}{}{}", section("c", "needs b"), section("b", "needs a"), section("a", ""));
    let mut namespace = host_root.start(&config);
    for name in ["a", "b", "c"] {
        namespace.console.expect(&format!("{name} | ready"), SOON).expect("it handles signals");
    }
    namespace.signal(Signal::TERM).expect("a signal");
    let (status, console) = namespace.wait(SOON).expect("it ends");
    assert_eq!(status.code(), Some(0), "{console}");
    has_in_order(
        &console,
        &[
            "hilum: stopping 3 workloads",
            "hilum: workload \"c\": exited with status 0",
            "hilum: workload \"b\": exited with status 0",
            "hilum: workload \"a\": exited with status 0",
            "hilum: power off",
        ],
    );
}

/// Returns the maximum number of workloads, each of which exits at SIGTERM.
fn thirty_two() -> String {
    let section = |index| format!("[workload w{index}]\nroot ROOT\nexec /bin/probe on-term\n");
    format!("hilum 1\n{}", (0..32).map(section).collect::<String>())
}

#[test]
fn maximum_number_of_workloads_starts_and_stops() {
    let host_root = host_or_return!();
    let mut namespace = host_root.start(&thirty_two());
    let until = Instant::now() + SOON;
    while namespace.console.text().matches(" | ready").count() < 32 {
        assert!(Instant::now() < until, "not all came up\n{}", namespace.console.tail());
        std::thread::sleep(Duration::from_millis(5));
    }
    namespace.signal(Signal::TERM).expect("a signal");
    let (status, console) = namespace.wait(SOON).expect("it ends");
    assert_eq!(status.code(), Some(0), "{console}");
    assert_eq!(console.matches("exited with status 0").count(), 32, "{console}");
    has_line(&console, "hilum: stopping 32 workloads");
}

#[test]
fn shutdown_during_boot_ends_in_time() {
    let host_root = host_or_return!();
    let mut namespace = host_root.start(&thirty_two());
    namespace.console.expect("\"w0\": started", SOON).expect("it starts");
    namespace.signal(Signal::TERM).expect("a signal");
    let asked = Instant::now();
    let (status, console) = namespace.wait(SOON).expect("it ends");
    assert_eq!(status.code(), Some(0), "{console}");
    // Some were started and some were only due; a program that does not exist yet at the signal is killed.
    assert!(asked.elapsed() < Duration::from_secs(15), "{console}");
    assert!(!console.contains("cannot be killed"), "{console}");
    has_line(&console, "hilum: power off");
}

#[test]
fn sigint_reboots_as_in_pid_namespaces() {
    let host_root = host_or_return!();
    let mut namespace = host_root.start(STAY);
    namespace.console.expect("a | ready", SOON).expect("it starts");
    namespace.signal(Signal::INT).expect("a signal");
    let (status, console) = namespace.wait(SOON).expect("it ends");
    has_in_order(&console, &["a | got TERM", "hilum: reboot"]);
    // pid_namespaces(7): the parent sees SIGHUP. unshare(1) ends by the same signal, or with 128 and its number.
    assert!(status.signal() == Some(1) || status.code() == Some(129), "{status}");
}

#[test]
fn sigpwr_powers_off() {
    let host_root = host_or_return!();
    let mut namespace = host_root.start(STAY);
    namespace.console.expect("a | ready", SOON).expect("it starts");
    namespace.signal(Signal::POWER).expect("a signal");
    let (status, console) = namespace.wait(SOON).expect("it ends");
    assert_eq!(status.code(), Some(0), "{console}");
    has_line(&console, "hilum: power off");
}

#[test]
fn signal_during_early_boot_is_not_lost() {
    let host_root = host_or_return!();
    // The program may not exist yet when it is stopped, and then it takes the whole grace period.
    let config = STAY.replace("TERM 2s", "TERM 100ms");
    for _ in 0..20 {
        let mut namespace = host_root.start(&config);
        // At once: PID 1 may not have read its configuration.
        let pid = namespace.process_one().expect("PID 1");
        let until = Instant::now() + SOON;
        let blocked = |pid: rustix::process::Pid| {
            let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap_or_default();
            status.lines().any(|line| line.starts_with("SigBlk:") && !line.ends_with("0000000000000000"))
        };
        while !blocked(pid) {
            assert!(Instant::now() < until, "hilum never blocked its signals");
        }
        namespace.signal(Signal::TERM).expect("a signal");
        let (status, console) = namespace.wait(SOON).expect("it ends");
        assert_eq!(status.code(), Some(0), "{console}");
    }
}

#[test]
fn workload_that_ignores_sigterm_is_killed_after_its_grace_period() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[workload a]\nroot ROOT\nexec /bin/probe ignore-term\nstop TERM 300ms\n";
    let mut namespace = host_root.start(config);
    namespace.console.expect("a | ready", SOON).expect("it starts");
    let asked = Instant::now();
    namespace.signal(Signal::TERM).expect("a signal");
    let (status, console) = namespace.wait(SOON).expect("it ends");
    assert_eq!(status.code(), Some(0), "{console}");
    assert!(asked.elapsed() >= Duration::from_millis(300), "it did not get its grace");
    has_in_order(
        &console,
        &["hilum: workload \"a\": stop timed out, sending SIGKILL", "hilum: workload \"a\": killed by SIGKILL"],
    );
}

#[test]
fn broken_config_is_reported_before_the_policy_applies() {
    let host_root = host_or_return!();
    let mut namespace = host_root.start("hilum 1\n[workload a]\nroot /r\nexec x\n");
    let line = "hilum.conf:4:6: found \"x\", expected an absolute path without .., of at most 255 bytes";
    namespace.console.expect(line, SOON).expect("the error");
    namespace.console.expect("hilum: reboot in 10 s", SOON).expect("the policy");
    assert!(namespace.wait(Duration::from_millis(300)).is_err(), "PID 1 ended before its policy");
}

#[test]
fn signal_skips_the_wait_of_the_policy() {
    let host_root = host_or_return!();
    let mut namespace = host_root.start("hilum 2\n");
    namespace.console.expect("hilum: reboot in 10 s", SOON).expect("the policy");
    let asked = Instant::now();
    namespace.signal(Signal::TERM).expect("a signal");
    let (status, console) = namespace.wait(SOON).expect("it ends");
    assert!(asked.elapsed() < Duration::from_secs(8), "it waited for its policy");
    assert_eq!(status.code(), Some(0), "{console}");
    has_line(&console, "hilum: power off");
}
