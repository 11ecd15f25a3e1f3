//! hilum as PID 1 of a PID namespace on this host: the same code in milliseconds.

mod support;

use rustix::process::Signal;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::{Host, SOON, fact, facts, has_in_order, has_line, host, isolation};

/// The host, or the end of the test where there are no namespaces.
macro_rules! host_or_return {
    () => {
        match Host::new() {
            Some(host) => host,
            None => return,
        }
    };
}

const STAY: &str = "hilum 1\n[workload a]\nroot ROOT\nexec /bin/probe on-term\nstop TERM 2s\n";

/// One workload with these lines, and the board powers off when it is over.
fn one(lines: &str) -> String {
    format!("hilum 1\n[system]\nidle poweroff\n[workload a]\nroot ROOT\n{lines}\n")
}

#[test]
fn workload_is_isolated() {
    let host_root = host_or_return!();
    let lines = "exec /bin/probe facts \"two words\"\nenv LANG C.UTF-8\ndirectory /tmp\nhostname front\nuser 1000:50\nrestart never";
    let (status, console) = host_root.run(&one(lines));
    assert_eq!(status.code(), Some(0), "{console}");
    isolation::check(&console, "a", host());
    for name in ["pid", "mnt", "uts", "ipc", "net", "cgroup"] {
        let own = std::fs::read_link(format!("/proc/self/ns/{name}")).expect("a namespace");
        let found = facts(&console, "a", "namespace");
        assert!(!found.contains(&format!("{name} {}", own.display())), "it shares {name} with the host");
    }
}

#[test]
fn uid_0_has_no_capability_either() {
    let host_root = host_or_return!();
    let (_, console) = host_root.run(&one("exec /bin/probe facts\nrestart never"));
    assert_eq!(fact(&console, "a", "user"), "0:0");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(facts(&console, "a", "status").contains(&format!("{set}: 0000000000000000")), "{set}\n{console}");
    }
}

#[test]
fn exit_status_is_told() {
    let host_root = host_or_return!();
    for code in [0, 1, 42, 255] {
        let (status, console) = host_root.run(&one(&format!("exec /bin/probe exit {code}\nrestart never")));
        has_line(&console, &format!("hilum: workload \"a\": exited with status {code}"));
        assert_eq!(status.code(), Some(0), "the end of a workload is not the end of a board\n{console}");
    }
}

#[test]
fn failed_start_tells_the_step_and_the_hint() {
    let host_root = host_or_return!();
    let script = host_root.root().join("bin/script");
    std::fs::write(&script, "#!/bin/none\n").expect("a file");
    for (exec, line) in [
        ("/bin/none", "exec /bin/none: ENOENT (no such file or directory): the program is not in the root filesystem"),
        ("/bin/script", "exec /bin/script: EACCES (permission denied): it is not an executable file"),
    ] {
        let (_, console) = host_root.run(&one(&format!("exec {exec}\nrestart never")));
        has_line(&console, &format!("hilum: workload \"a\": {line}"));
        // The line says it all; hilum's own exit status is not shown as if it were the program's.
        assert!(!console.contains("exited with status"), "{console}");
    }
    let (_, console) = host_root.run(&one("exec /bin/probe\ndirectory /none\nrestart never"));
    has_line(&console, "hilum: workload \"a\": enter directory /none: ENOENT (no such file or directory)");
}

#[test]
fn symbolic_link_in_the_root_filesystem_leads_no_mount_elsewhere() {
    let host_root = host_or_return!();
    let canary = host_root.scratch.path().join("canary");
    std::fs::create_dir(&canary).expect("a folder");
    for place in ["proc", "dev", "tmp"] {
        let at = host_root.root().join(place);
        std::fs::remove_dir(&at).expect("it is empty");
        std::os::unix::fs::symlink(&canary, &at).expect("a link");
        let (_, console) = host_root.run(&one("exec /bin/probe exit 0\nrestart never"));
        let line = format!(
            "hilum: workload \"a\": mount /{place}: ELOOP (a symbolic link is in the way): the root filesystem has a symbolic link where a folder is needed"
        );
        has_line(&console, &line);
        assert_eq!(std::fs::read_dir(&canary).expect("it is there").count(), 0, "something was made in the canary");
        std::fs::remove_file(&at).expect("the link");
        std::fs::create_dir(&at).expect("a folder");
    }
}

#[test]
fn start_order_follows_needs_and_a_failed_need_is_told() {
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
            "hilum: workload \"never\": not started: \"broken\" failed",
            "hilum: power off",
        ],
    );
}

#[test]
fn sigterm_stops_in_reverse_order_and_exits_with_0() {
    let host_root = host_or_return!();
    let section = |name: &str, rest: &str| format!("[workload {name}]\nroot ROOT\nexec /bin/probe on-term\n{rest}\n");
    let config = format!("hilum 1\n{}{}{}", section("c", "needs b"), section("b", "needs a"), section("a", ""));
    let mut namespace = host_root.start(&config);
    namespace.console.expect("c | ready", SOON).expect("it starts");
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

/// As many workloads as there can be, each of which ends at SIGTERM.
fn thirty_two() -> String {
    let section = |index| format!("[workload w{index}]\nroot ROOT\nexec /bin/probe on-term\n");
    format!("hilum 1\n{}", (0..32).map(section).collect::<String>())
}

#[test]
fn as_many_workloads_as_fit_start_and_stop() {
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
fn board_that_goes_down_while_it_starts_ends_in_time() {
    let host_root = host_or_return!();
    let mut namespace = host_root.start(&thirty_two());
    namespace.console.expect("\"w0\": started", SOON).expect("it starts");
    namespace.signal(Signal::TERM).expect("a signal");
    let asked = Instant::now();
    let (status, console) = namespace.wait(SOON).expect("it ends");
    assert_eq!(status.code(), Some(0), "{console}");
    // Some were started and some were only due; a program that is not there yet when the signal comes is killed.
    assert!(asked.elapsed() < Duration::from_secs(15), "{console}");
    assert!(!console.contains("cannot be killed"), "{console}");
    has_line(&console, "hilum: power off");
}

#[test]
fn sigint_reboots_as_pid_namespaces_tell_it() {
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
fn signal_that_comes_before_anything_is_set_up_is_not_lost() {
    let host_root = host_or_return!();
    for _ in 0..20 {
        let mut namespace = host_root.start(STAY);
        // At once: PID 1 may not have read its configuration, or not even be executed yet.
        let mut pid = namespace.process_one().expect("a child");
        // Until it is hilum, a SIGTERM is for the shell-like child of unshare, which the kernel protects as process 1.
        let until = Instant::now() + SOON;
        while !std::fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero()))
            .is_ok_and(|name| name == "hilum\n")
        {
            assert!(Instant::now() < until, "hilum is not executed");
            pid = namespace.process_one().expect("a child");
        }
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
fn workload_that_ignores_term_is_killed_after_its_grace() {
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
        &["hilum: workload \"a\": stop: not done in time, killing it", "hilum: workload \"a\": killed by SIGKILL"],
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
fn status_of_every_exit_is_recorded_though_it_ends_at_once() {
    let host_root = host_or_return!();
    // Each run is a new PID namespace: a child that ended before its descriptor was watched has to be seen all the same.
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
    // From outside into the namespace of PID 1, which is where its orphans go.
    let storm = Command::new("nsenter")
        .arg(format!("--pid=/proc/{init}/ns/pid"))
        .arg(support::probe(host()))
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
fn orphans_inside_a_workload_end_with_it() {
    let host_root = host_or_return!();
    let (status, console) = host_root.run(&one("exec /bin/probe orphans 2000\nrestart never"));
    assert_eq!(status.code(), Some(0), "{console}");
    has_in_order(
        &console,
        &["a | left 2000 orphans", "hilum: workload \"a\": exited with status 0", "hilum: power off"],
    );
}

#[test]
fn kill_of_everything_stays_inside() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[workload b]\nroot ROOT\nexec /bin/probe on-term\n\
        [workload a]\nroot ROOT\nexec /bin/probe kill-all\nrestart never\n";
    let mut namespace = host_root.start(config);
    namespace.console.expect("\"a\": exited with status 0", SOON).expect("it ends");
    namespace.console.expect("b | ready", SOON).expect("it starts");
    namespace.signal(Signal::TERM).expect("a signal");
    let (status, console) = namespace.wait(SOON).expect("it ends");
    assert_eq!(status.code(), Some(0), "{console}");
    has_in_order(&console, &["b | got TERM", "hilum: workload \"b\": exited with status 0"]);
}

#[test]
fn last_line_without_newline_is_shown() {
    let host_root = host_or_return!();
    let (_, console) = host_root.run(&one("exec /bin/probe partial\nrestart never"));
    has_in_order(&console, &["a | no newline", "hilum: workload \"a\": exited with status 0"]);
}

#[test]
fn control_characters_of_a_workload_do_not_reach_the_terminal() {
    let host_root = host_or_return!();
    let (_, console) = host_root.run(&one("exec /bin/probe escape\nrestart never"));
    has_line(&console, "a | red ?[31m bell ? clear ?[2J end");
}

#[test]
fn flood_is_shown_in_order_and_ends() {
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
fn terminal_that_nobody_reads_does_not_stop_the_board() {
    let host_root = host_or_return!();
    let file = host_root.scratch.path().join("full.conf");
    let text =
        "hilum 1\n[system]\nidle poweroff\n[workload a]\nroot ROOT\nexec /bin/probe flood 20000\nrestart never\n";
    std::fs::write(&file, text.replace("ROOT", host_root.root().to_str().expect("UTF-8"))).expect("a config");
    // A pipe whose reader does nothing: it is full after 64 KiB.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount", "--kill-child=KILL", "--"]).arg(support::hilum(host()));
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
fn closed_standard_descriptors_are_replaced() {
    let host_root = host_or_return!();
    let canary = host_root.scratch.path().join("seen");
    std::fs::write(&canary, "").expect("a file");
    // With 0, 1 and 2 closed the next opened file would become standard output. Nothing can be seen then, so the sign
    // is that the board comes up and goes down.
    let wrap = ["sh", "-c", "exec \"$0\" \"$@\" 0<&- 1>&- 2>&-"];
    let (status, console) = host_root
        .start_wrapped(&one("exec /bin/probe facts\nrestart never"), &wrap)
        .wait(SOON)
        .expect("it ends by itself");
    assert_eq!((status.code(), console.as_str()), (Some(0), ""));
}

#[test]
fn strangers_descriptors_reach_no_workload() {
    let host_root = host_or_return!();
    let wrap = ["sh", "-c", "exec 7</etc/passwd; exec \"$0\" \"$@\""];
    let (_, console) = host_root
        .start_wrapped(&one("exec /bin/probe facts\nrestart never"), &wrap)
        .wait(SOON)
        .expect("it ends by itself");
    assert_eq!(facts(&console, "a", "descriptor").len(), 3, "{console}");
}

#[test]
fn ignored_signals_of_the_starter_are_not_inherited() {
    let host_root = host_or_return!();
    let wrap = ["sh", "-c", "trap '' PIPE HUP USR1; exec \"$0\" \"$@\""];
    let (_, console) = host_root
        .start_wrapped(&one("exec /bin/probe facts\nrestart never"), &wrap)
        .wait(SOON)
        .expect("it ends by itself");
    assert!(facts(&console, "a", "status").contains(&"SigIgn: 0000000000000000".to_owned()), "{console}");
}

#[test]
fn broken_config_is_told_and_nothing_exits_before_the_policy() {
    let host_root = host_or_return!();
    let mut namespace = host_root.start("hilum 1\n[workload a]\nroot /r\nexec x\n");
    let line = "hilum.conf:4:6: found \"x\", expected an absolute path without .., of at most 255 bytes";
    namespace.console.expect(line, SOON).expect("the error");
    namespace.console.expect("hilum: reboot in 10 s", SOON).expect("the policy");
    assert!(namespace.wait(Duration::from_millis(300)).is_err(), "PID 1 ended before its policy");
}

#[test]
fn person_need_not_wait_for_the_policy() {
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

#[test]
fn host_is_as_it_was() {
    let host_root = host_or_return!();
    let mounts = || {
        let text = std::fs::read_to_string("/proc/self/mountinfo").expect("the mounts");
        text.lines().map(|line| line.split(' ').nth(4).unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let groups = || {
        let listing = Command::new("find").args(["/sys/fs/cgroup", "-type", "d"]).output().expect("find");
        String::from_utf8_lossy(&listing.stdout).into_owned()
    };
    let name = || std::fs::read_to_string("/proc/sys/kernel/hostname").expect("the host name");
    let before = (mounts(), groups(), name());
    let text = one("exec /bin/probe attempt\nrestart never").replace("idle poweroff", "idle poweroff\nhostname taken");
    let (status, console) = host_root.run(&text);
    assert_eq!(status.code(), Some(0), "{console}");
    assert_eq!((mounts(), groups(), name()), before);
    let attempts: Vec<&str> = console.lines().filter(|line| line.starts_with("a | attempt ")).collect();
    assert_eq!(attempts.len(), 14, "{console}");
    assert!(attempts.iter().all(|line| line.contains("setuid") || !line.ends_with(" 0")), "{attempts:?}");
}

#[test]
fn commands_answer_on_a_host() {
    let hilum = support::hilum(host());
    let run = |words: &[&str]| {
        let output = Command::new(&hilum).args(words).output().expect("hilum");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../initramfs/appliances/demo/hilum.conf");
    let demo = demo.to_str().expect("UTF-8");
    let version = format!("hilum {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run(&["version"]), (Some(0), version, String::new()));
    assert_eq!(run(&["check", "--config", demo]), (Some(0), format!("{demo}: good, 2 workloads\n"), String::new()));
    let (status, plan, _) = run(&["explain", "web", "--config", demo]);
    assert_eq!(status, Some(0));
    has_in_order(
        &plan,
        &[
            " 0  clone into own namespaces: pid mnt uts ipc net cgroup",
            " 2  set host name web",
            " 7  attach root /images/busybox: ro,nosuid,nodev",
        ],
    );
    assert!(plan.lines().last().is_some_and(|line| line.ends_with("  exec /bin/httpd")), "{plan}");
    let missing = format!("hilum: {demo}: there is no workload \"none\"\n");
    assert_eq!(run(&["explain", "none", "--config", demo]), (Some(1), String::new(), missing));
    let absent = "hilum: /none: ENOENT (no such file or directory)\n".to_owned();
    assert_eq!(run(&["check", "--config", "/none"]), (Some(1), String::new(), absent));
    assert_eq!(run(&["--help"]).0, Some(0));
    for (words, line) in [
        (&[][..], "hilum: a command is missing; see: hilum help\n"),
        (&["explain"], "hilum: explain: the name of a workload is missing; see: hilum help\n"),
        (&["fly"], "hilum: unknown command or arguments; see: hilum help\n"),
        (&["a", "b", "c", "d", "e"], "hilum: too many arguments; see: hilum help\n"),
    ] {
        assert_eq!(run(words), (Some(2), String::new(), line.to_owned()), "{words:?}");
    }
}
