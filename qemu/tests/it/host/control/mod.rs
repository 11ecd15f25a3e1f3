//! Commands to a PID 1 on this host: replies and effects. This file: status, starts and stops, signals, reload, the
//! timeline.

mod clients;
mod exec;
mod log;
mod needs;
mod rights;
mod updates;
use crate::support::{Host, SOON};
use hilum_qemu::Namespace;
use std::time::Duration;

/// One long-running workload, and one that depends on it.
const PAIR: &str = "hilum 1\n[system]\ncontrol SOCKET\n\
    [workload a]\nroot ROOT\nexec /bin/probe do say:one say:two say:three stay\nrestart always delay=10ms\n\
    [workload b]\nroot ROOT\nexec /bin/probe on-term\nneeds a\nrestart always delay=10ms\n";

fn pair(host_root: &Host) -> Namespace {
    let namespace = host_root.start(PAIR);
    namespace.console.expect("b | ready", SOON).expect("it starts");
    namespace
}

#[test]
fn status_lists_every_workload() {
    let host_root = host_or_return!();
    let _namespace = pair(&host_root);
    let (code, table) = host_root.ask(&["status"]);
    assert_eq!(code, 0, "{table}");
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0][..5], ["NAME", "STATE", "PID", "SINCE", "RESTARTS"]);
    assert_eq!((lines[1][..2].to_vec(), lines[2][..2].to_vec()), (vec!["a", "ready"], vec!["b", "ready"]), "{table}");
    assert_eq!(host_root.ask(&["status", "none"]).1, "hilum: unknown workload \"none\"; see: hilum status\n");
    let a = host_root.status("a");
    assert_eq!((a["state"].as_str(), a["restarts"].as_u64(), a["exit"].is_null()), (Some("ready"), Some(0), true));
    assert!(a["pid"].as_u64().is_some_and(|pid| pid > 1));
}

#[test]
fn status_shows_no_time_for_a_workload_that_never_started() {
    let host_root = host_or_return!();
    let section = |name: &str, lines: &str| format!("[workload {name}]\nroot ROOT\nexec /bin/probe on-term\n{lines}\n");
    let last = section("last", "at-stop");
    let slow = section("slow", "ready fd 3 within=1h");
    let waits = section("waits", "needs slow");
    let _namespace = host_root.start(&format!("hilum 1\n[system]\ncontrol SOCKET\n{last}{slow}{waits}"));
    host_root.expect_state("slow", "starting");
    let (_, table) = host_root.ask(&["status"]);
    for name in ["last", "waits"] {
        let line = table.lines().find(|line| line.starts_with(name)).expect("a line");
        assert_eq!(line.split_whitespace().nth(3), Some("-"), "{table}");
        assert!(host_root.status(name)["since_ms"].is_null());
    }
    assert!(host_root.status("slow")["since_ms"].is_u64());
    // A workload that is stopped before it ever ran is stopped from then on.
    assert_eq!(host_root.ask(&["stop", "waits", "-w"]).0, 0);
    assert!(host_root.status("waits")["since_ms"].as_u64().is_some_and(|ms| ms < 20_000));
}

#[test]
fn start_stop_and_restart_wait_if_requested() {
    let host_root = host_or_return!();
    let _namespace = pair(&host_root);
    assert_eq!(host_root.ask(&["stop", "a", "-w"]), (0, String::new()));
    assert_eq!(host_root.status("a")["state"], "stopped");
    assert_eq!(host_root.ask(&["status", "a"]).0, 3, "a shell sees that it does not run");
    // Stopped by a request it stays down, whatever its restart line says; the other one is not affected.
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(
        (host_root.status("a")["state"].as_str(), host_root.status("b")["state"].as_str()),
        (Some("stopped"), Some("ready"))
    );
    assert_eq!(host_root.ask(&["stop", "b", "-w"]).0, 0);
    // Its need is started too.
    assert_eq!(host_root.ask(&["start", "b", "-w"]), (0, String::new()));
    assert_eq!(host_root.status("a")["state"], "ready");
    let before = host_root.status("b")["pid"].as_u64();
    assert_eq!(host_root.ask(&["restart", "b", "-w"]), (0, String::new()));
    let after = host_root.status("b");
    assert_ne!(after["pid"].as_u64(), before);
    assert_eq!((after["state"].as_str(), after["exit"].as_u64()), (Some("ready"), Some(0)));
}

#[test]
fn failed_start_is_an_exit_status_and_names_the_failed_need() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\n[workload bad]\nroot ROOT\nexec /bin/probe exit 9\nrestart never\nready exit\n\
        [workload user]\nroot ROOT\nexec /bin/probe on-term\nneeds bad\n";
    let namespace = host_root.start(config);
    namespace.console.expect("not started", SOON).expect("it fails");
    let (code, text) = host_root.ask(&["start", "user", "-w"]);
    assert_eq!(
        (code, text.as_str()),
        (1, "hilum: workload \"user\" was not started: \"bad\" failed; see: hilum log bad\n")
    );
    let user = host_root.status("user");
    assert_eq!((user["state"].as_str(), user["need"].as_str()), (Some("failed"), Some("bad")));
    assert_eq!(host_root.status("bad")["exit"], 9);
    assert!(host_root.ask(&["status"]).1.contains("failed need: bad"));
}

#[test]
fn signal_reaches_the_first_process() {
    let host_root = host_or_return!();
    let namespace = pair(&host_root);
    assert_eq!(host_root.ask(&["signal", "b", "TERM"]), (0, String::new()));
    namespace.console.expect("b | got TERM", SOON).expect("it is told");
    namespace.console.expect("workload \"b\": restart 1", SOON).expect("nobody asked it to stay down");
    assert_eq!(host_root.ask(&["signal", "none", "TERM"]).0, 1);
}

#[test]
fn reload_touches_only_what_changed() {
    let host_root = host_or_return!();
    let section = |name: &str, rest: &str| format!("[workload {name}]\nroot ROOT\nexec /bin/probe on-term\n{rest}\n");
    let head = "hilum 1\n[system]\ncontrol SOCKET\n";
    let config = |sections: &[String]| format!("{head}{}", sections.concat());
    let namespace = host_root.start(&config(&[section("a", ""), section("b", "needs a"), section("c", "")]));
    host_root.expect_state("c", "ready");
    host_root.expect_state("b", "ready");
    let pid = |name: &str| host_root.status(name)["pid"].as_u64();
    let (a, b, c) = (pid("a"), pid("b"), pid("c"));
    for turn in 0..3 {
        // In another order, one new, one changed, one removed.
        let changed = format!("env TURN {turn}");
        host_root.configure(&config(&[
            section("new", ""),
            section("c", &changed),
            section("b", "needs a"),
            section("a", ""),
        ]));
        assert_eq!(host_root.ask(&["reload"]), (0, String::new()), "{}", namespace.console.tail());
        host_root.expect_state("new", "ready");
        host_root.expect_state("c", "ready");
        assert_eq!((pid("a"), pid("b")), (a, b), "they were not touched");
        assert_ne!(pid("c"), c);
        host_root.configure(&config(&[section("a", ""), section("b", "needs a"), section("c", &changed)]));
        assert_eq!(host_root.ask(&["reload"]).0, 0);
        assert_eq!(host_root.ask(&["status", "new"]).0, 1, "it is gone");
        assert_eq!((pid("a"), pid("b")), (a, b));
    }
    // They still have their logs.
    assert!(host_root.ask(&["log", "a"]).1.ends_with("ready\n"));
    let wrong = host_root.configure(&format!("{head}[workload a]\nroot ROOT\nexce /bin/probe\n"));
    let (code, text) = host_root.ask(&["reload"]);
    let expected =
        format!("hilum: {}:6:1: unknown key \"exce\" in [workload]; did you mean \"exec\"?\n", wrong.display());
    assert_eq!((code, text), (1, expected));
    host_root.configure("hilum 1\n[system]\ncontrol SOCKET\nhostname other\n");
    assert_eq!(host_root.ask(&["reload"]).1, "hilum: [system] has changed; reboot to apply it\n");
    assert_eq!((pid("a"), pid("b")), (a, b), "what is wrong changes nothing");
}

#[test]
fn timeline_shows_the_boot_in_order() {
    let host_root = host_or_return!();
    let _namespace = pair(&host_root);
    let (code, text) = host_root.ask(&["timeline"]);
    assert_eq!(code, 0);
    let times: Vec<f64> = text.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
    assert!(times.len() > 5 && times.is_sorted(), "{text}");
    let steps: Vec<&str> = text.lines().filter_map(|line| line.split("us  ").nth(1)).collect();
    assert_eq!(
        steps,
        [
            "kernel started",
            "hilum entered",
            "filesystems mounted",
            "configuration read",
            "board arranged",
            "a: start",
            "a: program executed",
            "b: start",
            "b: program executed"
        ]
    );
}
