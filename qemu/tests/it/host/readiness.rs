//! Readiness, health and reaping, with a PID 1 on this host.

use crate::support::{Host, SOON, has_in_order, has_line};
use hilum_qemu::Namespace;
use std::time::{Duration, Instant};

/// Returns workload `a` with these lines, and `b`, which needs it.
fn pair(lines: &str) -> String {
    format!(
        "hilum 1\n[system]\ncontrol SOCKET\n[workload a]\nroot ROOT\nrestart never\n{lines}\n\
         [workload b]\nroot ROOT\nexec /bin/probe on-term\nneeds a\n"
    )
}

fn start(host_root: &Host, lines: &str) -> Namespace {
    host_root.start(&pair(lines))
}

#[test]
fn every_kind_of_readiness_lets_dependents_start() {
    let host_root = host_or_return!();
    for (lines, before) in [
        ("exec /bin/probe do say:before sleep:50 exit:0\nready exit", "a | before"),
        ("exec /bin/probe do say:before sleep:50 ready-fd:9 stay\nready fd 9", "a | before"),
        ("exec /bin/probe do say:before sleep:50 ready-fd:3 stay\nready fd 3 within=5s", "a | before"),
        ("exec /bin/probe do say:before sleep:50 listen:80 stay\nready tcp 80", "a | before"),
        ("exec /bin/probe do say:before stay\nready after 50ms", "a | before"),
        ("exec /bin/probe do say:before sleep:50 notify:STATUS=up notify:READY=1 stay\nready notify", "a | before"),
    ] {
        let namespace = start(&host_root, lines);
        let console = namespace.console.expect("b | ready", SOON).unwrap_or_else(|error| panic!("{lines}: {error}"));
        has_in_order(&console, &[before, "hilum: workload \"a\": ready", "hilum: workload \"b\": started"]);
        assert!(!console.contains("not ready"), "{lines}\n{console}");
    }
}

#[test]
fn workload_not_ready_in_time_is_stopped_as_failed() {
    let host_root = host_or_return!();
    for lines in [
        "exec /bin/probe on-term\nready exit within=200ms",
        "exec /bin/probe on-term\nready fd 5 within=200ms",
        "exec /bin/probe on-term\nready tcp 80 within=200ms",
        "exec /bin/probe on-term\nready notify within=200ms",
        // It closes the descriptor without writing, which does not count.
        "exec /bin/probe do notify:READY=0 notify:STATUS=READY=1 stay\nready notify within=200ms",
    ] {
        let namespace = start(&host_root, lines);
        let console = namespace.console.expect("not started", SOON).unwrap_or_else(|error| panic!("{lines}: {error}"));
        has_in_order(
            &console,
            &[
                "hilum: workload \"a\": not ready within 200 ms; see: hilum log a",
                "hilum: workload \"a\": exited with status 0",
                "hilum: workload \"b\": not started: \"a\" failed; see: hilum log a",
            ],
        );
        let status = host_root.status("a");
        assert_eq!((status["state"].as_str(), status["reason"].as_str()), (Some("failed"), Some("not-ready")));
    }
}

#[test]
fn status_shows_the_status_text_of_a_workload() {
    let host_root = host_or_return!();
    let namespace = start(&host_root, "exec /bin/probe do notify:STATUS=42_clients notify:READY=1 stay\nready notify");
    namespace.console.expect("b | ready", SOON).expect("it is ready");
    assert_eq!(host_root.status("a")["status"], "42_clients");
}

#[test]
fn only_the_unreadable_line_of_a_notification_is_ignored() {
    let host_root = host_or_return!();
    for notice in ["READY=1|STATUS=~", "STATUS=~|READY=1", "EXTEND_TIMEOUT_USEC=x|~|READY=1", "READY=1|STATUS=^"] {
        let namespace = start(&host_root, &format!("exec /bin/probe do notify:{notice} stay\nready notify"));
        let console = namespace.console.expect("b | ready", SOON).unwrap_or_else(|error| panic!("{notice}: {error}"));
        assert_eq!(console.contains("datagram of 5015 bytes"), notice.ends_with('^'), "{console}");
    }
    // READY=1 after the maximum length is ignored, and that is reported.
    let namespace = start(&host_root, "exec /bin/probe do notify:STATUS=^|READY=1 stay\nready notify within=1s");
    let console = namespace.console.expect("not started", SOON).expect("it is not ready");
    has_line(&console, "hilum: workload \"a\": notify: datagram of 5015 bytes cut to 4096");
}

#[test]
fn barrier_is_answered_and_passed_descriptors_are_closed() {
    let host_root = host_or_return!();
    let exec = "exec /bin/probe do barrier:1 notify:STATUS=before barrier:64 say:passed stay\nready notify within=60s";
    let namespace = start(&host_root, exec);
    // The barrier returns when the other side has closed the descriptor, without a READY=1.
    namespace.console.expect("a | passed", SOON).expect("it is answered");
    for did in ["barrier:1", "barrier:64"] {
        has_line(&namespace.console.text(), &format!("a | did {did} 0"));
    }
    // What was sent before a barrier is processed when it is answered.
    assert_eq!(host_root.status("a")["status"], "before");
    let first = namespace.process_one().expect("process 1").as_raw_nonzero();
    let descriptors = || std::fs::read_dir(format!("/proc/{first}/fd")).expect("process 1").count();
    let before = descriptors();
    // More descriptors than a process may have open (RLIMIT_NOFILE, 1024).
    let flood = ["barrier:64"; 24].join(" ");
    drop(namespace);
    let namespace =
        start(&host_root, &format!("exec /bin/probe do {flood} notify:READY=1 stay\nready notify within=60s"));
    namespace.console.expect("b | ready", SOON).expect("it still hears");
    let console = namespace.console.text();
    assert_eq!(console.matches("a | did barrier:64 0").count(), 24, "{console}");
    let first = namespace.process_one().expect("process 1").as_raw_nonzero();
    let after = std::fs::read_dir(format!("/proc/{first}/fd")).expect("process 1").count();
    // The second workload runs as well now.
    assert!(after <= before + 4, "{before} descriptors became {after}");
}

#[test]
fn failing_check_of_every_kind_causes_restarts_up_to_the_limit() {
    let host_root = host_or_return!();
    for health in ["tcp 80", "file /run/alive", "exec /bin/probe exit 1", "exec /bin/none", "notify"] {
        let config = format!(
            "hilum 1\n[system]\n[workload a]\nroot ROOT\nexec /bin/probe on-term\nhealth {health} interval=50ms failures=2\n\
             restart always delay=1ms max=1ms limit=1/1m else=poweroff\n"
        );
        let (_, console) = host_root.run(&config);
        has_in_order(
            &console,
            &[
                "hilum: workload \"a\": unhealthy: 2 failed checks; see: hilum log a",
                "a | got TERM",
                "hilum: workload \"a\": restart 1 in 1 ms",
                "hilum: workload \"a\": unhealthy: 2 failed checks; see: hilum log a",
                "hilum: workload \"a\": gave up after 1 restart in 60 s: power off",
            ],
        );
    }
}

#[test]
fn healthy_workload_of_every_kind_is_left_alone() {
    let host_root = host_or_return!();
    std::fs::write(host_root.root().join("alive"), "").expect("a file");
    for (exec, health) in [
        ("do listen:80 stay", "tcp 80"),
        ("on-term", "file /alive"),
        ("on-term", "exec /bin/probe exit 0"),
        (
            "do notify:WATCHDOG=1 sleep:20 notify:WATCHDOG=1 sleep:20 notify:WATCHDOG=1 sleep:20 notify:WATCHDOG=1 say:end stay",
            "notify",
        ),
    ] {
        // The timeout of a check on a busy machine.
        let interval = if health == "notify" { "200ms" } else { "100ms" };
        let lines = format!("exec /bin/probe {exec}\nhealth {health} interval={interval} failures=1");
        let namespace = start(&host_root, &lines);
        namespace.console.expect("a | ready", SOON).unwrap_or_else(|error| panic!("{health}: {error}"));
        if health != "notify" {
            std::thread::sleep(Duration::from_millis(300));
        }
        assert!(!namespace.console.text().contains("unhealthy"), "{health}\n{}", namespace.console.text());
    }
}

#[test]
fn hanging_check_counts_as_failed_and_leaves_no_process() {
    let host_root = host_or_return!();
    let namespace =
        start(&host_root, "exec /bin/probe on-term\nhealth exec /bin/probe sleep 100000 interval=100ms failures=3");
    let console = namespace.console.expect("unhealthy", SOON).expect("it is found out");
    has_line(&console, "hilum: workload \"a\": unhealthy: 3 failed checks; see: hilum log a");
    let init = namespace.process_one().expect("PID 1").as_raw_nonzero();
    let children = || std::fs::read_to_string(format!("/proc/{init}/task/{init}/children")).expect("its children");
    let until = Instant::now() + SOON;
    // Only b is left.
    while children().split_whitespace().count() > 1 {
        assert!(Instant::now() < until, "left behind: {}", children());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn reaper_forwards_signals_reaps_and_passes_on_the_status() {
    let host_root = host_or_return!();
    let namespace = start(&host_root, "exec /bin/probe do say:here exit:5\nreaper");
    let console = namespace.console.expect("exited with status 5", SOON).expect("the status");
    has_line(&console, "a | here");
    // As PID 1 of its namespace, a program without a handler would not receive SIGTERM.
    let namespace = start(&host_root, "exec /bin/probe do say:deaf sleep:60000\nreaper\nstop TERM 20s");
    namespace.console.expect("a | deaf", SOON).expect("it starts");
    assert_eq!(host_root.ask(&["stop", "a", "-w"]).0, 0);
    namespace.console.expect("hilum: workload \"a\": exited with status 143", SOON).expect("the signal's status");
    // Orphans of the program are reaped by the reaper.
    let namespace = start(&host_root, "exec /bin/probe orphans 500\nreaper");
    namespace.console.expect("a | left 500 orphans", SOON).expect("they are left");
    namespace.console.expect("workload \"a\": exited with status 0", SOON).expect("it ends");
}

#[test]
fn reaper_cannot_be_read_or_traced_from_inside() {
    let host_root = host_or_return!();
    let namespace = start(
        &host_root,
        "exec /bin/probe do open:/proc/1/exe:r open:/proc/1/mem:r open:/proc/1/environ:r stay\nreaper",
    );
    let console = namespace.console.expect("a | ready", SOON).expect("it tries");
    for line in ["did open:/proc/1/exe:r 13", "did open:/proc/1/mem:r 13", "did open:/proc/1/environ:r 13"] {
        has_line(&console, &format!("a | {line}"));
    }
    // The counter-check: a readable process gives another result.
    let namespace = start(&host_root, "exec /bin/probe do open:/proc/1/environ:r stay");
    let console = namespace.console.expect("a | ready", SOON).expect("it tries");
    has_line(&console, "a | did open:/proc/1/environ:r 0");
}

#[test]
fn dependents_are_restarted_with_a_failing_workload() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[system]\n[workload a]\nroot ROOT\nexec /bin/probe do sleep:100 exit:1\n\
        restart always delay=1ms max=1ms limit=4/1m else=poweroff\n[workload b]\nroot ROOT\nexec /bin/probe on-term\nneeds a\n";
    let (_, console) = host_root.run(config);
    has_in_order(
        &console,
        &[
            "hilum: workload \"a\": restart 3",
            "hilum: workload \"b\": restarting, because \"a\" keeps failing",
            "b | got TERM",
        ],
    );
    assert!(!console.split("restart 3").next().expect("a start").contains("keeps failing"), "{console}");
}

#[test]
fn at_stop_workloads_run_one_by_one_after_all_others() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\n[workload last]\nroot ROOT\nexec /bin/probe do say:last\nat-stop\nrestart always\n\
        [workload slow]\nroot ROOT\nexec /bin/probe sleep 60000\nat-stop within=200ms\n\
        [workload a]\nroot ROOT\nexec /bin/probe on-term\n";
    let mut namespace = host_root.start(config);
    namespace.console.expect("a | ready", SOON).expect("it starts");
    assert!(!namespace.console.text().contains("last |"), "it is not its time");
    assert_eq!(host_root.ask(&["poweroff"]).0, 0);
    let (_, console) = namespace.wait(SOON).expect("it ends");
    has_in_order(
        &console,
        &[
            "a | got TERM",
            "last | last",
            "hilum: workload \"slow\": started",
            "hilum: workload \"slow\": stop timed out, sending SIGKILL",
            "hilum: power off",
        ],
    );
}

/// Returns a root filesystem that also has busybox.
fn with_busybox() -> Option<Host> {
    let host_root = Host::new()?;
    let busybox = crate::support::built(&format!("image/{}/busybox/bin/busybox", crate::support::host().name()));
    std::fs::copy(busybox, host_root.root().join("bin/busybox")).expect("busybox");
    for name in ["sh", "httpd", "sleep"] {
        std::os::unix::fs::symlink("busybox", host_root.root().join("bin").join(name)).expect("a link");
    }
    Some(host_root)
}

#[test]
fn daemonizing_program_is_reported_as_failure() {
    let Some(host_root) = with_busybox() else { return };
    let early =
        "hilum: workload \"a\": exited before it was ready; if it daemonizes, keep it in the foreground (httpd -f)";
    for reaper in ["", "reaper\n"] {
        let namespace = start(&host_root, &format!("exec /bin/httpd -p 81\nready tcp 81\n{reaper}"));
        let console = namespace.console.expect("\"b\": not started", SOON).expect("it has not come up");
        has_in_order(
            &console,
            &[
                "hilum: workload \"a\": exited with status 0",
                early,
                "hilum: workload \"b\": not started: \"a\" failed; see: hilum log a",
            ],
        );
        assert!(!console.contains("\"b\": started") && !console.contains("\"a\": ready"), "{console}");
        let status = host_root.status("a");
        assert_eq!((status["state"].as_str(), status["reason"].as_str()), (Some("failed"), Some("early")));
        assert_eq!(status["exit"], 0);
    }
    // The hint in the message works.
    let namespace = start(&host_root, "exec /bin/httpd -f -p 81\nready tcp 81");
    namespace.console.expect("b | ready", SOON).expect("it comes up");
}

#[test]
fn exit_0_before_readiness_is_restarted_on_failure() {
    let host_root = host_or_return!();
    for ready in ["tcp 80", "fd 3", "notify", "after 1h"] {
        let config = format!(
            "hilum 1\n[system]\n[workload a]\nroot ROOT\nexec /bin/probe exit 0\nready {ready}\n\
             restart on-failure delay=1ms max=1ms limit=2/1m else=poweroff\n[workload b]\nroot ROOT\nexec /bin/probe exit 0\nneeds a\n"
        );
        let (_, console) = host_root.run(&config);
        assert_eq!(console.matches("\"a\": exited before it was ready;").count(), 3, "{ready}\n{console}");
        has_line(&console, "hilum: workload \"a\": gave up after 2 restarts in 60 s: power off");
        assert!(!console.contains("\"b\": started"), "{ready}\n{console}");
    }
    // What it sent before its exit counts, however fast it was.
    for lines in
        ["exec /bin/probe do ready-fd:3 exit:0\nready fd 3", "exec /bin/probe do notify:READY=1 exit:0\nready notify"]
    {
        let namespace = start(&host_root, lines);
        let console = namespace.console.expect("b | ready", SOON).expect("it was ready");
        has_in_order(&console, &["hilum: workload \"a\": ready", "hilum: workload \"a\": exited with status 0"]);
        assert_eq!(host_root.status("a")["state"], "finished", "{lines}");
    }
}
