//! `hilum exec`: a further program in a workload, confined as the workload is.

use super::pair;
use crate::support::{Host, SOON, has_line};
use hilum_qemu::Terminal;
use std::time::{Duration, Instant};

#[test]
fn exec_passes_streams_and_exit_status() {
    let host_root = host_or_return!();
    let _namespace = pair(&host_root);
    assert_eq!(host_root.ask(&["exec", "a", "/bin/probe", "exit", "42"]), (42, String::new()));
    let (code, text) = host_root.ask(&["exec", "a", "probe", "do", "say:inside"]);
    assert_eq!((code, text.as_str()), (0, "inside\ndid say:inside 0\n"));
    let (code, text) = host_root.ask(&["exec", "a", "none"]);
    assert_eq!(code, 127);
    assert_eq!(
        text,
        "hilum: exec none: ENOENT (no such file or directory): no such program in the root filesystem; write its path inside of it\n"
    );
    assert_eq!(host_root.ask(&["exec", "none", "x"]).0, 125);
    // The program is killed when its client is gone.
    let mut waiting = host_root.command(&["exec", "a", "/bin/probe", "sleep", "60000"]).spawn().expect("hilum");
    let count = || host_root.ask(&["exec", "a", "/bin/probe", "facts"]).1.matches("fact process ").count();
    let _ = count();
    std::thread::sleep(Duration::from_millis(100));
    waiting.kill().and_then(|()| waiting.wait()).expect("it is there");
    assert_eq!(host_root.ask(&["stop", "a", "-w"]).0, 0);
    assert_eq!(
        host_root.ask(&["exec", "a", "x"]),
        (125, "hilum: workload \"a\" is not running; start it with: hilum start a\n".to_owned())
    );
}

#[test]
fn exec_is_confined_like_its_workload() {
    let host_root = host_or_return!();
    let lines = "root ROOT\nuser 7:8\numask 077\nenv A 1\nrlimit nofile 99\nhostname same\nrestart never\n";
    let config = format!(
        "hilum 1\n[system]\ncontrol SOCKET\nconsole off\n[workload a]\nexec /bin/probe on-term\n{lines}\
         [workload b]\nexec /bin/probe facts\n{lines}"
    );
    let _namespace = host_root.start(&config);
    host_root.expect_state("a", "ready");
    host_root.expect_state("b", "finished");
    // `isolation.rs` compares what the workload's own program sees with a table. A further program must see the same,
    // except for what differs between any two workloads, and the other processes.
    let facts = |text: &str| -> Vec<String> {
        let differs = ["fact namespace", "fact mount", "fact process", "fact argument", "fact pid", "fact session"];
        let facts = text.lines().filter_map(|line| Some(&line[line.find("fact ")?..]));
        // Only the number of a descriptor, because the streams differ.
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

#[test]
fn exec_returns_the_documented_exit_statuses() {
    let host_root = host_or_return!();
    let _namespace = pair(&host_root);
    let root = host_root.root();
    let mode = std::os::unix::fs::PermissionsExt::from_mode;
    std::fs::write(root.join("bin/plain"), "text").expect("a file");
    std::fs::write(root.join("bin/script"), "#!/bin/none\n").expect("a file");
    std::fs::set_permissions(root.join("bin/script"), mode(0o755)).expect("its mode");
    std::fs::write(root.join("bin/foreign"), "\x7fELF and no more").expect("a file");
    std::fs::set_permissions(root.join("bin/foreign"), mode(0o755)).expect("its mode");
    let code = |words: &[&str]| host_root.ask(words).0;
    for (status, words) in [
        (0, &["/bin/probe", "exit", "0"][..]),
        (3, &["/bin/probe", "exit", "3"]),
        (124, &["/bin/probe", "exit", "124"]),
        (255, &["/bin/probe", "exit", "255"]),
        (126, &["/bin/plain"]),
        (126, &["/bin/foreign"]),
        (126, &["/bin"]),
        (127, &["/bin/none"]),
        (127, &["none"]),
        (127, &["/bin/script"]),
        (128 + 9, &["/bin/probe", "do", "end-by:9"]),
        (128 + 15, &["/bin/probe", "do", "end-by:15"]),
    ] {
        assert_eq!(code(&[&["exec", "a"][..], words].concat()), status, "{words:?}");
    }
    assert_eq!(code(&["exec", "none", "/bin/probe"]), 125, "unknown");
    assert_eq!(code(&["stop", "a", "-w"]), 0);
    assert_eq!(code(&["exec", "a", "/bin/probe"]), 125, "stopped");
    assert_eq!(code(&["exec", "a"]), 2, "misused");
    let mut command = std::process::Command::new(crate::support::hilum(crate::support::host()));
    let nobody = command.args(["--socket", "/none", "exec", "a", "x"]).output().expect("hilum");
    assert_eq!(nobody.status.code(), Some(125), "nobody listens");
}

/// Images link their log files there.
#[test]
fn dev_stdout_can_be_opened_with_reaper_and_by_exec() {
    let host_root = host_or_return!();
    let opens = ["/dev/stdout", "/dev/stderr", "/proc/self/fd/1", "/proc/self/fd/2", "/dev/fd/1"];
    let writes: Vec<String> = opens.iter().map(|path| format!("write:{path}:{path}.")).collect();
    let section = |name: &str, lines: &str| {
        format!(
            "[workload {name}]\nroot ROOT\nexec /bin/probe do {} write:/proc/1/fd/1:one. stay\n{lines}\n",
            writes.join(" ")
        )
    };
    let config = format!(
        "hilum 1\n[system]\ncontrol SOCKET\n{}{}{}",
        section("plain", "user 5"),
        section("reaped", "user 5\nreaper"),
        section("shared", "user 5\nshare user")
    );
    let namespace = host_root.start(&config);
    for name in ["plain", "reaped", "shared"] {
        host_root.expect_state(name, "ready");
        let mut log = String::new();
        crate::support::wire::until("its last line", || {
            log = host_root.ask(&["log", name]).1;
            log.contains("did write:/proc/1/fd/1:one. ")
        });
        for path in opens {
            assert!(log.contains(&format!("did write:{path}:{path}. 0")), "{name} {path}: {log}");
        }
        // The reaper has a copy of PID 1's memory, and must not be readable.
        let expected = if name == "reaped" { 13 } else { 0 };
        assert!(log.contains(&format!("did write:/proc/1/fd/1:one. {expected}")), "{name}: {log}");
        for way in ["-T", "-t"] {
            let words: Vec<&str> = writes.iter().map(String::as_str).collect();
            let words = [&["exec", name, way, "/bin/probe", "must"][..], &words].concat();
            let (code, said) = host_root.ask(&words);
            assert_eq!(code, 0, "{name} {way}: {said}");
            assert!(opens.iter().all(|path| said.contains(&format!("{path}."))), "{name} {way}: {said}");
        }
        let (_, said) = host_root.ask(&["exec", name, "/bin/probe", "do", "write:/proc/1/fd/1:one."]);
        assert_eq!(said, "did write:/proc/1/fd/1:one. 13\n", "{name}");
    }
    drop(namespace);
}

/// CVE-2016-9962: a process inside traces a process that enters the workload, and takes its descriptors.
#[test]
fn joining_process_cannot_be_opened_from_inside() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\n[workload a]\nroot ROOT\nexec /bin/probe prowl 4000\n\
        capability sys_ptrace\nseccomp off\nlandlock off\nrestart never\n";
    let namespace = host_root.start(config);
    host_root.expect_state("a", "ready");
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (execs, seen) = std::thread::scope(|scope| {
        // The counter-check: with the host's rights the same processes can be opened, so there is something to find.
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

/// Landlock's scopes (kernel 6.12): a joining program has its own domain, which excludes the workload itself.
#[test]
fn exec_can_signal_its_workload_and_reach_its_sockets() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\n\
        [workload a]\nroot ROOT\nexec /bin/probe do hear:well stay\nuser 5\n\
        health exec /bin/probe must kill:1 make:/tmp/healthy interval=1s failures=3\n\
        [workload b]\nroot ROOT\nexec /bin/probe on-term\nuser 5\nshare pid\n\
        [workload c]\nroot ROOT\nexec /bin/probe on-term\nuser 5\nshare pid\nlandlock off\n";
    let namespace = host_root.start(config);
    for name in ["a", "b", "c"] {
        host_root.expect_state(name, "ready");
    }
    let (code, text) = host_root.ask(&["exec", "a", "/bin/probe", "must", "kill:1", "speak:well"]);
    assert_eq!(code, 0, "{text}");
    // Its health check does the same.
    let until = Instant::now() + SOON;
    while host_root.ask(&["exec", "a", "/bin/probe", "must", "open:/tmp/healthy:r"]).0 != 0 {
        assert!(Instant::now() < until && host_root.status("a")["restarts"] == 0, "{}", namespace.console.tail());
        std::thread::sleep(Duration::from_millis(20));
    }
    // In the host's PID namespace, the scope is the restriction.
    let own = |name: &str| format!("kill:{}", inner_pid(&host_root, name));
    let refused = host_root.ask(&["exec", "b", "/bin/probe", "do", &own("b"), &own("a")]).1;
    assert_eq!(refused, format!("did {} 1\ndid {} 1\n", own("b"), own("a")));
    assert_eq!(host_root.ask(&["exec", "c", "/bin/probe", "must", &own("c")]).0, 0, "without Landlock");
    let (_, explained) =
        host_root.ask(&["explain", "b", "--config", host_root.configure(config).to_str().expect("UTF-8")]);
    assert!(explained.contains("exec cannot signal it"), "{explained}");
}

/// Returns the PID of a workload's first process as PID 1 sees it.
fn inner_pid(host_root: &Host, name: &str) -> u64 {
    host_root.status(name)["pid"].as_u64().expect("it runs")
}

/// devpts(5): all instances together have a limit, and so has the instance of each workload.
#[test]
fn exhausting_terminals_affects_only_the_own_workload() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\n\
        [workload a]\nroot ROOT\nexec /bin/probe do terminals stay\nuser 5\nrlimit nofile 4096\n\
        [workload b]\nroot ROOT\nexec /bin/probe on-term\n";
    let namespace = host_root.start(config);
    namespace.console.expect("a | did terminals 28", SOON).expect("it runs out of them");
    has_line(&namespace.console.text(), "a | opened 64 terminals");
    host_root.expect_state("b", "ready");
    let run = |name: &str| {
        let command = host_root.command(&["exec", name, "-t", "/bin/probe", "do", "say:inside"]);
        Terminal::start(command, 24, 80).and_then(|mut terminal| terminal.wait(SOON)).expect("it ends")
    };
    let (status, screen) = run("b");
    assert_eq!((status.code(), screen.contains("inside\n")), (Some(0), true), "{screen}");
    let (status, screen) = run("a");
    assert_eq!(status.code(), Some(125));
    has_line(
        &screen,
        "hilum: open terminal /dev/pts/ptmx: ENOSPC (no space left on device): out of pseudo-terminals; use -T to run without one",
    );
    assert_eq!(host_root.ask(&["exec", "a", "-T", "/bin/probe", "do", "say:inside"]).1, "inside\ndid say:inside 0\n");
}

/// The kernel counts them for the owner of the user namespaces, which is PID 1's user for all workloads.
#[test]
fn exhausting_inotify_instances_affects_only_the_own_workload() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\n\
        [workload a]\nroot ROOT\nexec /bin/probe do watchers:64 watchers:1 stay\nuser 5\nrlimit nofile 4096\n\
        [workload b]\nroot ROOT\nexec /bin/probe on-term\nuser 5\n";
    let _namespace = host_root.start(config);
    host_root.expect_state("a", "ready");
    host_root.expect_state("b", "ready");
    let log = host_root.ask(&["log", "a"]).1;
    // EMFILE
    assert!(log.contains("did watchers:64 0") && log.contains("did watchers:1 24"), "{log}");
    let (code, said) = host_root.ask(&["exec", "b", "/bin/probe", "must", "watchers:16"]);
    assert_eq!(code, 0, "{said}");
}
