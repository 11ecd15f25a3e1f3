//! hilum as PID 1 of a PID namespace on this host: starts, exits, restarts and output.

use crate::support::{SOON, STAY, has_in_order, has_line, host, one};
use rustix::process::Signal;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn exit_status_is_reported() {
    let host_root = host_or_return!();
    for code in [0, 1, 42, 255] {
        let (status, console) = host_root.run(&one(&format!("exec /bin/probe exit {code}\nrestart never")));
        has_line(&console, &format!("hilum: workload \"a\": exited with status {code}"));
        assert_eq!(status.code(), Some(0), "the end of a workload is not the end of a board\n{console}");
    }
}

#[test]
fn failed_start_reports_the_step_and_a_hint() {
    let host_root = host_or_return!();
    let script = host_root.root().join("bin/script");
    std::fs::write(&script, "#!/bin/none\n").expect("a file");
    for (exec, line) in [
        (
            "/bin/none",
            "exec /bin/none: ENOENT (no such file or directory): no such program in the root filesystem; write its path inside of it",
        ),
        (
            "/bin/script",
            "exec /bin/script: EACCES (permission denied): not executable for its user; set mode 755 on it and its folders",
        ),
    ] {
        let (_, console) = host_root.run(&one(&format!("exec {exec}\nrestart never")));
        has_line(&console, &format!("hilum: workload \"a\": {line}"));
        // One line says it all; hilum's own exit status is not shown as the program's.
        assert!(!console.contains("exited with status"), "{console}");
    }
    let (_, console) = host_root.run(&one("exec /bin/probe\ndirectory /none\nrestart never"));
    has_line(
        &console,
        "hilum: workload \"a\": enter directory /none: ENOENT (no such file or directory): no such folder in the root filesystem; correct the directory line, or create it",
    );
}

#[test]
fn failed_program_that_printed_an_error_of_the_confinement_gets_a_likely_remedy() {
    let host_root = host_or_return!();
    let run = |said: &str, code: u8, rest: &str| {
        host_root.run(&one(&format!("exec /bin/probe do \"say:{said}\" exit:{code}\nrestart never\n{rest}"))).1
    };
    let remedy = "hilum: workload \"a\": likely remedy for what it printed: ";
    for (said, expected) in [
        ("mkdir failed (30 Read-only file system)", "add overlay to the root line, or a volume there"),
        (
            "setgroups Operation not permitted",
            "write its user in the user line, or add: capability chown setuid setgid",
        ),
    ] {
        let console = run(said, 3, "");
        has_in_order(
            &console,
            &[&format!("a | {said}"), "hilum: workload \"a\": exited with status 3", &format!("{remedy}{expected}")],
        );
    }
    for console in [run("Read-only file system", 0, ""), run("all is well", 1, "")] {
        assert!(!console.contains("remedy"), "{console}");
    }
    // Not ready in time.
    let config = one(
        "exec /bin/probe do \"say:Permission denied\" sleep:60000\nrestart never\nready notify within=100ms\nstop KILL",
    );
    has_line(
        &host_root.run(&config).1,
        &format!("{remedy}add a volume there, correct the user line, or for programs in /tmp: tmp 16M exec"),
    );
    // Once for each run.
    let config =
        one("exec /bin/probe must \"say:No such file or directory\" exit:1\nrestart on-failure delay=1ms limit=1/10m");
    assert_eq!(host_root.run(&config).1.matches("remedy").count(), 2);
    // Stopped by request.
    let mut running =
        host_root.start(&one("exec /bin/probe do \"say:Permission denied\" sleep:60000\nreaper\nstop KILL"));
    running.console.expect("a | Permission denied", SOON).expect("it starts");
    running.signal(Signal::TERM).expect("a signal");
    assert!(!running.wait(SOON).expect("it ends").1.contains("remedy"));
}

#[test]
fn start_order_follows_needs_and_a_failed_need_is_reported() {
    let host_root = host_or_return!();
    let section = |name: &str, rest: &str| format!("[workload {name}]\nroot ROOT\nrestart never\n{rest}\n");
    let config = [
        "hilum 1\n[system]\nidle poweroff\n".to_owned(),
        section("last", "exec /bin/probe exit 0\nneeds first"),
        section("never", "exec /bin/probe exit 0\nneeds broken"),
        section("broken", "exec /bin/none\nneeds last"),
        section("first", "exec /bin/probe sleep 50"),
    ]
    .concat();
    let (_, console) = host_root.run(&config);
    has_in_order(
        &console,
        &[
            "hilum: workload \"first\": started",
            "hilum: workload \"last\": started",
            "hilum: workload \"broken\": exec /bin/none: ENOENT",
            "hilum: workload \"never\": not started: \"broken\" failed; see: hilum log broken",
            "hilum: power off",
        ],
    );
}

#[test]
fn killed_workload_is_restarted_on_failure() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[workload a]\nroot ROOT\nexec /bin/probe on-term\nrestart on-failure delay=50ms\n";
    let mut namespace = host_root.start(config);
    namespace.console.expect("a | ready", SOON).expect("it starts");
    let init = namespace.process_one().expect("PID 1").as_raw_nonzero();
    let children = std::fs::read_to_string(format!("/proc/{init}/task/{init}/children")).expect("its children");
    let workload = children.trim().parse().ok().and_then(rustix::process::Pid::from_raw).expect("one child");
    rustix::process::kill_process(workload, Signal::KILL).expect("it is there");
    namespace.console.expect("restart 1 in 50 ms", SOON).expect("it is restarted");
    let until = Instant::now() + SOON;
    while namespace.console.text().matches("a | ready").count() < 2 {
        assert!(Instant::now() < until, "it did not start again\n{}", namespace.console.tail());
        std::thread::sleep(Duration::from_millis(5));
    }
    has_in_order(&namespace.console.text(), &["hilum: workload \"a\": killed by SIGKILL"]);
    namespace.signal(Signal::TERM).expect("a signal");
    assert_eq!(namespace.wait(SOON).expect("it ends").0.code(), Some(0));
}

#[test]
fn status_of_immediate_exits_is_recorded() {
    let host_root = host_or_return!();
    // Each run is a new PID namespace: the exit of a child before its descriptor was watched must be noticed.
    let config = one("exec /bin/probe exit 7\nrestart always delay=1ms max=1ms limit=300/30s else=poweroff");
    let (status, console) = host_root.run(&config);
    assert_eq!(status.code(), Some(0), "{console}");
    assert_eq!(console.matches("exited with status 7").count(), 301);
    has_line(&console, "hilum: workload \"a\": gave up after 300 restarts in 30 s: power off");
}

#[test]
fn orphan_storm_leaves_no_zombie() {
    let host_root = host_or_return!();
    let mut namespace = host_root.start(STAY);
    namespace.console.expect("a | ready", SOON).expect("it starts");
    let init = namespace.process_one().expect("PID 1").as_raw_nonzero();
    // From outside into the namespace of PID 1, which adopts the orphans.
    let storm = Command::new("nsenter")
        .arg(format!("--pid=/proc/{init}/ns/pid"))
        .arg(crate::support::probe(host()))
        .args(["orphans", "20000"])
        .stdout(Stdio::piped())
        .output()
        .expect("nsenter");
    assert_eq!(String::from_utf8_lossy(&storm.stdout), "left 20000 orphans\n");
    let children = || std::fs::read_to_string(format!("/proc/{init}/task/{init}/children")).expect("its children");
    let until = Instant::now() + SOON;
    while children().split_whitespace().count() > 1 {
        assert!(Instant::now() < until, "left behind: {}", children());
        std::thread::sleep(Duration::from_millis(5));
    }
    // The workload itself was not mistaken for an orphan.
    namespace.signal(Signal::TERM).expect("a signal");
    let (status, console) = namespace.wait(SOON).expect("it ends");
    assert_eq!(status.code(), Some(0), "{console}");
    has_line(&console, "hilum: workload \"a\": exited with status 0");
}

#[test]
fn orphans_inside_a_workload_are_killed_with_it() {
    let host_root = host_or_return!();
    let (status, console) = host_root.run(&one("exec /bin/probe orphans 2000\nrestart never"));
    assert_eq!(status.code(), Some(0), "{console}");
    has_in_order(
        &console,
        &["a | left 2000 orphans", "hilum: workload \"a\": exited with status 0", "hilum: power off"],
    );
}

#[test]
fn last_line_without_newline_is_shown() {
    let host_root = host_or_return!();
    let (_, console) = host_root.run(&one("exec /bin/probe partial\nrestart never"));
    has_in_order(&console, &["a | no newline", "hilum: workload \"a\": exited with status 0"]);
}

#[test]
fn flood_of_output_is_shown_in_order() {
    let host_root = host_or_return!();
    let (status, console) = host_root.run(&one("exec /bin/probe flood 20000\nrestart never"));
    assert_eq!(status.code(), Some(0));
    let mut last = None;
    for line in console.lines().filter_map(|line| line.strip_prefix("a | flood line ")) {
        let number: u32 = line.split(' ').next().and_then(|word| word.parse().ok()).expect("a number");
        assert!(last < Some(number), "{number} after {last:?}");
        last = Some(number);
    }
    assert_eq!(last, Some(19_999), "the end of a flood is what has to be seen");
}

#[test]
fn unread_terminal_does_not_stop_the_board() {
    let host_root = host_or_return!();
    let file = host_root.scratch.path().join("full.conf");
    let text =
        "hilum 1\n[system]\nidle poweroff\n[workload a]\nroot ROOT\nexec /bin/probe flood 20000\nrestart never\n";
    std::fs::write(&file, text.replace("ROOT", host_root.root().to_str().expect("UTF-8"))).expect("a config");
    // A pipe whose reader does nothing is full after 64 KiB.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount", "--kill-child=KILL", "--"]).arg(crate::support::hilum(host()));
    command.arg("--config").arg(&file).stdin(Stdio::null());
    let mut child = command.stdout(writer.try_clone().expect("a copy")).stderr(writer).spawn().expect("unshare");
    drop(command);
    let until = Instant::now() + SOON;
    let status = loop {
        match child.try_wait().expect("it can be asked") {
            Some(status) => break status,
            None if Instant::now() < until => std::thread::sleep(Duration::from_millis(10)),
            None => {
                child.kill().expect("it is ours");
                child.wait().expect("it is ours");
                panic!("the board waits for its terminal");
            }
        }
    };
    assert_eq!(status.code(), Some(0));
    drop(reader);
}

#[test]
fn pid_1_sleeps_while_idle() {
    let host_root = host_or_return!();
    let section = |name: &str, lines: &str| format!("[workload {name}]\nroot ROOT\n{lines}\n");
    let sections = [
        section("mute", "exec /bin/probe do say:before mute stay"),
        section("again", "exec /bin/probe exit 1\nrestart always delay=1h max=1h"),
        section("broken", "exec /none\nrestart always delay=1h max=1h"),
        section("unready", "exec /bin/probe do say:here stay\nready fd 5"),
        section("notify", "exec /bin/probe do say:here stay\nready notify"),
        section("waits", "exec /bin/probe do stay\nneeds unready"),
        section("over", "exec /bin/probe exit 0\nrestart never"),
        section("asked", "exec /bin/probe on-term"),
    ];
    let config = format!("hilum 1\n[system]\ncontrol SOCKET\n{}", sections.concat());
    let mut namespace = host_root.start(&config);
    host_root.expect_state("asked", "ready");
    // Idle connections, and a closed one; a restarted workload; another configuration.
    let stays: Vec<_> =
        (0..3).map(|_| host_root.command(&["log", "-f", "mute"]).stdout(Stdio::null()).spawn()).collect();
    assert_eq!(host_root.ask(&["log", "mute"]).0, 0);
    assert_eq!(host_root.ask(&["restart", "asked"]).0, 0);
    host_root.configure(&config.replace("exec /bin/probe exit 0", "exec /bin/probe exit 3"));
    assert_eq!(host_root.ask(&["reload"]), (0, String::new()));
    std::thread::sleep(Duration::from_secs(1));
    // A spinning loop uses nearly two hundred of them in two seconds, and many even on a busy machine.
    let init = namespace.process_one().expect("PID 1").as_raw_nonzero().get();
    let spent = || crate::support::processor_ticks(init);
    let before = spent();
    std::thread::sleep(Duration::from_secs(2));
    let after = spent();
    assert!(after < before + 10, "{before} {after} {}", namespace.console.text());
    for child in stays {
        let mut child = child.expect("hilum");
        child.kill().and_then(|()| child.wait()).expect("its end");
    }
    namespace.signal(Signal::TERM).expect("PID 1");
    namespace.wait(SOON).expect("it ends");
}
