//! Commands to a PID 1 on this host: what they answer, what they change, and what a sick client cannot do.

mod support;

use hilum_qemu::Namespace;
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, send, socket_with};
use rustix::process::Signal;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};
use support::{Host, SOON, has_in_order, has_line};

/// One workload that stays and one that depends on it.
const PAIR: &str = "hilum 1\n[system]\ncontrol SOCKET\n\
    [workload a]\nroot ROOT\nexec /bin/probe do say:one say:two say:three stay\nrestart always delay=10ms\n\
    [workload b]\nroot ROOT\nexec /bin/probe on-term\nneeds a\nrestart always delay=10ms\n";

fn pair(host_root: &Host) -> Namespace {
    let namespace = host_root.start(PAIR);
    namespace.console.expect("b | ready", SOON).expect("it starts");
    namespace
}

#[test]
fn status_tells_of_every_workload() {
    let host_root = host_or_return!();
    let _namespace = pair(&host_root);
    let (code, table) = host_root.ask(&["status"]);
    assert_eq!(code, 0, "{table}");
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0][..5], ["NAME", "STATE", "PID", "SINCE", "RESTARTS"]);
    assert_eq!((lines[1][..2].to_vec(), lines[2][..2].to_vec()), (vec!["a", "ready"], vec!["b", "ready"]), "{table}");
    assert_eq!(host_root.ask(&["status", "none"]).1, "hilum: there is no workload \"none\"; see: hilum status\n");
    let a = host_root.status("a");
    assert_eq!((a["state"].as_str(), a["restarts"].as_u64(), a["exit"].is_null()), (Some("ready"), Some(0), true));
    assert!(a["pid"].as_u64().is_some_and(|pid| pid > 1));
}

#[test]
fn start_stop_and_restart_wait_where_they_are_told_to() {
    let host_root = host_or_return!();
    let _namespace = pair(&host_root);
    assert_eq!(host_root.ask(&["stop", "a", "-w"]), (0, String::new()));
    assert_eq!(host_root.status("a")["state"], "stopped");
    assert_eq!(host_root.ask(&["status", "a"]).0, 3, "a shell sees that it does not run");
    // Stopped by a person it stays down, whatever its restart line says; and the other one is not touched.
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(
        (host_root.status("a")["state"].as_str(), host_root.status("b")["state"].as_str()),
        (Some("stopped"), Some("ready"))
    );
    assert_eq!(host_root.ask(&["stop", "b", "-w"]).0, 0);
    // What it needs comes with it.
    assert_eq!(host_root.ask(&["start", "b", "-w"]), (0, String::new()));
    assert_eq!(host_root.status("a")["state"], "ready");
    let before = host_root.status("b")["pid"].as_u64();
    assert_eq!(host_root.ask(&["restart", "b", "-w"]), (0, String::new()));
    let after = host_root.status("b");
    assert_ne!(after["pid"].as_u64(), before);
    assert_eq!((after["state"].as_str(), after["exit"].as_u64()), (Some("ready"), Some(0)));
}

#[test]
fn failed_start_is_an_exit_status_and_the_failed_need_is_shown() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\n[workload bad]\nroot ROOT\nexec /bin/probe exit 9\nrestart never\nready exit\n\
        [workload user]\nroot ROOT\nexec /bin/probe on-term\nneeds bad\n";
    let namespace = host_root.start(config);
    namespace.console.expect("not started", SOON).expect("it fails");
    let (code, text) = host_root.ask(&["start", "user", "-w"]);
    assert_eq!((code, text.as_str()), (1, "hilum: workload \"user\" failed; see: hilum log user\n"));
    let user = host_root.status("user");
    assert_eq!((user["state"].as_str(), user["need"].as_str()), (Some("failed"), Some("bad")));
    assert_eq!(host_root.status("bad")["exit"], 9);
    assert!(host_root.ask(&["status"]).1.contains("needs, and failed: bad"));
}

#[test]
fn log_keeps_the_tail_and_follows() {
    let host_root = host_or_return!();
    let _namespace = pair(&host_root);
    let texts = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.trim_start().split_once(' ').expect("a time").1.to_owned()).collect()
    };
    let (code, all) = host_root.ask(&["log", "a"]);
    assert_eq!(
        (code, &texts(&all)[..]),
        (
            0,
            &[
                "one".to_owned(),
                "did say:one 0".to_owned(),
                "two".into(),
                "did say:two 0".into(),
                "three".into(),
                "did say:three 0".into(),
                "ready".into()
            ][..]
        )
    );
    assert_eq!(texts(&host_root.ask(&["log", "a", "-n", "2"]).1), ["did say:three 0", "ready"]);
    let mut follower = host_root.command(&["log", "a", "-f", "-n", "1"]).stdout(Stdio::piped()).spawn().expect("hilum");
    let mut lines = BufReader::new(follower.stdout.take().expect("a pipe")).lines();
    let mut next = || lines.next().expect("a line").expect("text");
    assert!(next().ends_with("ready"));
    host_root.ask(&["restart", "a"]);
    assert!(next().ends_with("got TERM"));
    while !next().ends_with("three") {}
    follower.kill().and_then(|()| follower.wait()).expect("it is there");
}

#[test]
fn log_flood_leaves_the_last_line_and_a_count_of_what_went() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\nconsole off\n[workload a]\nroot ROOT\nexec /bin/probe flood 20000\nrestart never\n";
    let _namespace = host_root.start(config);
    host_root.expect_state("a", "finished");
    let (_, log) = host_root.ask(&["log", "a"]);
    assert!(log.lines().last().is_some_and(|line| line.ends_with("flood line 19999 of 20000")), "{log}");
    let dropped = host_root.status("a")["dropped_lines"].as_u64().expect("a count");
    assert_eq!(dropped as usize + log.lines().count(), 20_000);
    // One that reads slowly hears how much it missed.
    let (_, slow) = host_root.ask(&["log", "a", "-n", "5"]);
    assert_eq!(slow.lines().count(), 5);
}

#[test]
fn lines_above_the_rate_are_counted_and_quiet_ones_stay_off_the_console() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\n[workload a]\nroot ROOT\nexec /bin/probe flood 500\nrestart never\n\
        log quiet rate=10/1h\n";
    let namespace = host_root.start(config);
    host_root.expect_state("a", "finished");
    let (_, log) = host_root.ask(&["log", "a"]);
    assert_eq!(log.lines().count(), 11, "{log}");
    assert!(log.ends_with("(490 lines above the rate were not kept)\n"), "{log}");
    assert!(!namespace.console.text().contains("flood"), "{}", namespace.console.text());
}

#[test]
fn lines_go_to_a_file_that_is_turned_over() {
    let host_root = host_or_return!();
    let file = host_root.scratch.path().join("log");
    let config = format!(
        "hilum 1\n[system]\nlog {} size=4096\nidle poweroff\n[workload a]\nroot ROOT\nexec /bin/probe flood 200\nrestart never\n",
        file.display()
    );
    let (_, console) = host_root.run(&config);
    let read = |name: &str| std::fs::read_to_string(host_root.scratch.path().join(name)).expect("a log");
    // Process 1 waits for the file before it ends, which ends everybody in its namespace.
    assert!(read("log").contains("exited with status 0"), "{}\n{console}", read("log"));
    assert!(read("log").len() <= 4096 && read("log.1").len() <= 4096 + 1400, "the files are too large");
    assert!(read("log.1").contains("flood line"), "{}", read("log.1"));
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
fn exec_runs_inside_with_the_streams_and_the_exit_status_of_the_program() {
    let host_root = host_or_return!();
    let _namespace = pair(&host_root);
    assert_eq!(host_root.ask(&["exec", "a", "/bin/probe", "exit", "42"]), (42, String::new()));
    let (code, text) = host_root.ask(&["exec", "a", "probe", "do", "say:inside"]);
    assert_eq!((code, text.as_str()), (0, "inside\ndid say:inside 0\n"));
    let (code, text) = host_root.ask(&["exec", "a", "none"]);
    assert_eq!(code, 127);
    assert_eq!(
        text,
        "hilum: exec none: ENOENT (no such file or directory): the program is not in the root filesystem; write its path as it is inside\n"
    );
    assert_eq!(host_root.ask(&["exec", "none", "x"]).0, 1);
    // What is gone with its client is gone inside.
    let mut waiting = host_root.command(&["exec", "a", "/bin/probe", "sleep", "60000"]).spawn().expect("hilum");
    let count = || host_root.ask(&["exec", "a", "/bin/probe", "facts"]).1.matches("fact process ").count();
    let _ = count();
    std::thread::sleep(Duration::from_millis(100));
    waiting.kill().and_then(|()| waiting.wait()).expect("it is there");
    assert_eq!(host_root.ask(&["stop", "a", "-w"]).0, 0);
    assert_eq!(
        host_root.ask(&["exec", "a", "x"]),
        (1, "hilum: workload \"a\" does not run; start it with: hilum start a\n".to_owned())
    );
}

#[test]
fn exec_is_confined_as_the_workload_is() {
    let host_root = host_or_return!();
    let lines = "root ROOT\nuser 7:8\numask 077\nenv A 1\nrlimit nofile 99\nhostname same\nrestart never\n";
    let config = format!(
        "hilum 1\n[system]\ncontrol SOCKET\nconsole off\n[workload a]\nexec /bin/probe on-term\n{lines}\
         [workload b]\nexec /bin/probe facts\n{lines}"
    );
    let _namespace = host_root.start(&config);
    host_root.expect_state("a", "ready");
    host_root.expect_state("b", "finished");
    // What the workload's own program sees is compared with a table in `isolation.rs`. What a further one sees has to be
    // the same, but for what differs between any two workloads, and for the other processes that it sees.
    let facts = |text: &str| -> Vec<String> {
        let differs = ["fact namespace", "fact mount", "fact process", "fact argument", "fact pid", "fact session"];
        let facts = text.lines().filter_map(|line| Some(&line[line.find("fact ")?..]));
        // Of a descriptor its number: the streams are others.
        let facts = facts.map(|fact| if fact.starts_with("fact descriptor") { &fact[..17] } else { fact });
        facts.filter(|fact| !differs.iter().any(|start| fact.starts_with(start))).map(str::to_owned).collect()
    };
    let own = facts(&host_root.ask(&["log", "b"]).1);
    let (code, inside) = host_root.ask(&["exec", "a", "/bin/probe", "facts"]);
    assert_eq!(code, 0, "{inside}");
    assert!(own.len() > 40, "{own:?}");
    assert_eq!(facts(&inside), own);
    let (_, tried) =
        host_root.ask(&["exec", "a", "/bin/probe", "do", "mount:tmpfs:/tmp", "unshare:10000000", "kill:1"]);
    assert!(tried.contains("did mount:tmpfs:/tmp 1") && tried.contains("did unshare:10000000 1"), "{tried}");
}

/// CVE-2016-9962: what enters a workload is traced by somebody inside, and what it has is taken.
#[test]
fn process_that_enters_a_workload_cannot_be_opened_from_inside() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\n[workload a]\nroot ROOT\nexec /bin/probe prowl 4000\n\
        capability sys_ptrace\nseccomp off\nlandlock off\nrestart never\n";
    let namespace = host_root.start(config);
    host_root.expect_state("a", "ready");
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (execs, seen) = std::thread::scope(|scope| {
        // The twin: with the board's own rights the same processes can be opened, so there is something to find.
        let twin = scope.spawn(|| {
            let mut seen = 0_u32;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
                    let path = entry.path();
                    let status = std::fs::read_to_string(path.join("status")).unwrap_or_default();
                    let depth = status
                        .lines()
                        .find(|line| line.starts_with("NSpid:"))
                        .map_or(0, |line| line.split_whitespace().count());
                    let is_open = depth == 4 && std::fs::File::open(path.join("mem")).is_ok();
                    let comm = std::fs::read_to_string(path.join("comm")).unwrap_or_default();
                    seen += u32::from(is_open && comm.starts_with("hilum"));
                }
            }
            seen
        });
        let mut execs = 0;
        while namespace.console.expect("prowled: of hilum", Duration::ZERO).is_err() && execs < 5_000 {
            execs += u32::from(host_root.ask(&["exec", "a", "/bin/probe", "exit", "0"]).0 == 0);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        (execs, twin.join().expect("the twin"))
    });
    let console = namespace.console.expect("prowled: of hilum", SOON).expect("it ends");
    println!("{execs} programs entered, {seen} opened by the twin");
    has_line(&console, "a | prowled: of hilum 0");
    assert!(execs > 100 && seen > 0, "{execs} programs entered, {seen} opened by the twin");
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
        // In another order, one new, one changed, one gone.
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
    // The logs are still theirs.
    assert!(host_root.ask(&["log", "a"]).1.ends_with("ready\n"));
    let wrong = host_root.configure(&format!("{head}[workload a]\nroot ROOT\nexce /bin/probe\n"));
    let (code, text) = host_root.ask(&["reload"]);
    let expected =
        format!("hilum: {}:6:1: unknown key \"exce\" in [workload]; did you mean \"exec\"?\n", wrong.display());
    assert_eq!((code, text), (1, expected));
    host_root.configure("hilum 1\n[system]\ncontrol SOCKET\nhostname other\n");
    assert_eq!(host_root.ask(&["reload"]).1, "hilum: the [system] section has changed; that takes a reboot\n");
    assert_eq!((pid("a"), pid("b")), (a, b), "what is wrong changes nothing");
}

#[test]
fn timeline_tells_the_boot_in_order() {
    let host_root = host_or_return!();
    let _namespace = pair(&host_root);
    let (code, text) = host_root.ask(&["timeline"]);
    assert_eq!(code, 0);
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

#[test]
fn poweroff_asked_many_times_at_once_is_one_orderly_end() {
    let host_root = host_or_return!();
    let mut namespace = pair(&host_root);
    let asking: Vec<_> = (0..20)
        .map(|index| {
            host_root.command(&[["poweroff", "reboot"][index % 2]]).stderr(Stdio::null()).spawn().expect("hilum")
        })
        .collect();
    asking.into_iter().for_each(|mut child| assert!(child.wait().is_ok()));
    host_root.ask(&["poweroff"]);
    let (_, console) = namespace.wait(SOON).expect("it ends");
    has_in_order(&console, &["hilum: stopping 2 workloads", "b | got TERM", "a | got TERM"]);
    assert_eq!(console.matches("hilum: stopping").count(), 1);
}

fn knock(host_root: &Host) -> rustix::io::Result<rustix::fd::OwnedFd> {
    let socket =
        socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)?;
    connect(&socket, &SocketAddrUnix::new(host_root.socket())?)?;
    Ok(socket)
}

#[test]
fn thousand_clients_that_never_read_keep_nobody_from_being_answered() {
    let host_root = host_or_return!();
    let namespace = pair(&host_root);
    let init = namespace.process_one().expect("PID 1").as_raw_nonzero();
    let descriptors = || std::fs::read_dir(format!("/proc/{init}/fd")).expect("its descriptors").count();
    let before = descriptors();
    let mut sockets = Vec::new();
    let ask_for_lines = b"h\x01\x02\x01\xff\xff\xff\xffa\0";
    for _ in 0..1_000 {
        // A full backlog is an answer as well; then PID 1 gets its turn.
        match knock(&host_root) {
            Ok(socket) => {
                let _ = send(&socket, ask_for_lines, SendFlags::NOSIGNAL);
                sockets.push(socket);
            }
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    assert_eq!(host_root.ask(&["status", "a"]).0, 0);
    assert!(descriptors() <= before + 8, "{} of {before}", descriptors());
    drop(sockets);
    let until = Instant::now() + SOON;
    while descriptors() > before {
        assert!(Instant::now() < until, "{} of {before}", descriptors());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn empty_oversized_and_random_messages_are_refused_and_change_nothing() {
    let host_root = host_or_return!();
    let mut namespace = pair(&host_root);
    let long = vec![b'x'; 100_000];
    let mut seed = 1_u32;
    let random: Vec<Vec<u8>> = (0..200)
        .map(|length: usize| {
            (0..length)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    // Nothing that begins like a request: those are fuzzed where they are read.
                    (seed >> 24) as u8 | 0x80
                })
                .collect()
        })
        .collect();
    for message in [&b""[..], &long, b"h\x01\x63\0\0\0\0\0", b"h\x02\x01\0\0\0\0\0"]
        .into_iter()
        .chain(random.iter().map(Vec::as_slice))
    {
        // A full backlog is an answer as well.
        let until = Instant::now() + SOON;
        let socket = loop {
            match knock(&host_root) {
                Ok(socket) => break socket,
                Err(errno) => assert!(Instant::now() < until, "{errno}"),
            }
        };
        let _ = send(&socket, message, SendFlags::NOSIGNAL);
    }
    assert_eq!(host_root.ask(&["status", "b"]).0, 0);
    assert_eq!(host_root.status("b")["restarts"], 0);
    namespace.signal(Signal::TERM).expect("a signal");
    let (_, console) = namespace.wait(SOON).expect("it ends");
    assert!(!console.contains("panic"), "{console}");
    has_line(&console, "hilum: power off");
}

#[test]
fn nobody_but_root_can_ask() {
    let host_root = host_or_return!();
    let _namespace = pair(&host_root);
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(host_root.socket()).expect("it is there").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    // Even where somebody opens the file to all.
    std::fs::set_permissions(host_root.socket(), std::os::unix::fs::PermissionsExt::from_mode(0o777))
        .expect("its mode");
    let hilum = host_root.root().join("hilum");
    std::fs::copy(support::hilum(support::host()), &hilum).expect("a copy that everybody can read");
    let output = std::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(&hilum)
        .arg("--socket")
        .arg(host_root.socket())
        .arg("poweroff")
        .output()
        .expect("setpriv");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(host_root.ask(&["status", "a"]).0, 0, "it did not go down");
}
