//! Every system call that PID 1 makes once the board runs fails, with each errno that it may fail with: PID 1 never exits
//! by that, and the way down ends in time.
//!
//! strace(1) makes them fail, at every second call, while workloads fail and restart and a person asks for things. Which
//! calls there are is read from a trace of the same.

use crate::support::{Host, SOON};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long a board may take to go down whatever fails: the grace of its workloads, the time of a killed one, and slack.
const DOWN: Duration = Duration::from_secs(15);

const CONFIG: &str = "hilum 1\n[system]\ncontrol SOCKET\n\
    [workload churn]\nroot ROOT\nexec /bin/probe do say:turn sleep:15 exit:1\nrestart always delay=5ms max=5ms\n\
    [workload a]\nroot ROOT\nexec /bin/probe do notify:READY=1 stay\nready notify\nhealth exec /bin/probe exit 0 interval=100ms\nstop TERM 1s\n\
    [workload b]\nroot ROOT\nexec /bin/probe on-term\nneeds a\nstop TERM 1s\n";

/// What a call is made to fail with: what its manual page says that it may, where PID 1 cannot rule it out.
fn errnos(call: &str) -> &'static [&'static str] {
    match call {
        // They cannot fail with the arguments that they get here: the kernel has no path to an error.
        "clock_gettime" | "exit_group" | "rt_sigprocmask" | "getpid" | "geteuid" | "umask" | "restart_syscall" => &[],
        "epoll_wait" | "epoll_pwait" | "epoll_pwait2" | "ppoll" | "poll" => &["EINTR", "ENOMEM"],
        "epoll_ctl" => &["ENOMEM", "ENOSPC"],
        "wait4" | "waitid" => &["EINTR", "ECHILD"],
        "read" => &["EINTR", "EAGAIN", "EIO"],
        "write" => &["EINTR", "EAGAIN", "EIO", "ENOSPC"],
        "clone3" | "clone" => &["EAGAIN", "ENOMEM", "EPERM"],
        "openat" | "open" | "openat2" | "pipe2" | "socketpair" | "accept4" | "fcntl" | "dup3" => {
            &["EMFILE", "ENFILE", "EINTR"]
        }
        "recvmsg" | "recvfrom" | "sendmsg" | "sendto" => &["EAGAIN", "ECONNRESET", "ENOBUFS"],
        "close" => &["EINTR", "EIO"],
        _ => &["ENOMEM", "EIO"],
    }
}

/// strace(1) on PID 1, from now on.
fn trace(init: i32, words: &[&str]) -> Child {
    let child = Command::new("strace")
        .args(["-qq", "-p", &init.to_string()])
        .args(words)
        .stderr(Stdio::null())
        .stdin(Stdio::null())
        .spawn()
        .expect("strace");
    let until = Instant::now() + SOON;
    while std::fs::read_to_string(format!("/proc/{init}/status")).is_ok_and(|status| status.contains("TracerPid:\t0")) {
        assert!(Instant::now() < until, "strace did not attach");
        std::thread::sleep(Duration::from_millis(1));
    }
    child
}

/// One board, traced by `words`, on which things happen; then it goes down.
fn history(words: &[&str]) -> String {
    let host_root = Host::new().expect("root");
    let mut namespace = host_root.start(CONFIG);
    namespace.console.expect("b | ready", SOON).expect("it starts");
    let init = namespace.process_one().expect("PID 1").as_raw_nonzero().get();
    let mut strace = trace(init, words);
    for ask in [
        &["status"][..],
        &["log", "churn", "-n", "3"],
        &["restart", "b"],
        &["exec", "a", "/bin/probe", "exit", "0"],
        &["reload"],
        &["stop", "b"],
        &["start", "b"],
        &["timeline"],
    ] {
        let mut child = host_root.command(ask).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("hilum");
        let until = Instant::now() + Duration::from_millis(500);
        while child.try_wait().expect("a child").is_none() {
            if Instant::now() > until {
                // It may not have been answered; that nobody else waits for it is what matters.
                child.kill().expect("it is there");
                child.wait().expect("it is there");
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    std::thread::sleep(Duration::from_millis(150));
    namespace
        .signal(Signal::TERM)
        .unwrap_or_else(|error| panic!("{words:?}: it has exited: {error}\n{}", namespace.console.tail()));
    let (status, console) = namespace.wait(DOWN).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    strace.wait().expect("strace ends with it");
    assert_eq!(status.code(), Some(0), "{words:?}\n{console}");
    assert!(!console.contains("panic"), "{words:?}\n{console}");
    console
}

#[test]
fn no_failing_system_call_ends_pid_1_or_hangs_the_way_down() {
    let host_root = host_or_return!();
    let file = host_root.scratch.path().join("trace");
    let path = file.to_str().expect("UTF-8");
    history(&["-o", path]);
    let text = std::fs::read_to_string(&file).expect("the trace");
    let names = text.lines().filter_map(|line| line.split_once('(')).map(|(name, _)| name.trim().to_owned());
    let calls: BTreeSet<String> =
        names.filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.is_empty()).collect();
    assert!(calls.len() > 15, "{calls:?}");
    for needed in ["clone3", "wait4", "pipe2", "accept4"] {
        assert!(calls.contains(needed), "no {needed} in {calls:?}");
    }
    let sites: Vec<(String, &str)> =
        calls.iter().flat_map(|call| errnos(call).iter().map(move |errno| (call.clone(), *errno))).collect();
    println!("{} system calls, {} ways to fail: {calls:?}", calls.len(), sites.len());
    let next = Mutex::new(sites.iter());
    // They wait more than they work.
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| {
                    while let Some((call, errno)) = { next.lock().expect("nobody panics with it").next() } {
                        let inject = format!("inject={call}:error={errno}:when=1+2");
                        let console = history(&["-o", "/dev/null", "-e", &inject]);
                        // It does bite: where there is something to tell it is told.
                        let is_told = call != "clone3" || console.contains(&format!("start: {errno}"));
                        assert!(is_told, "{inject}\n{console}");
                    }
                })
            })
            .collect();
        for worker in workers {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

/// CASES 29: a disk that does not answer holds sync(2) up for ever.
#[test]
fn sync_that_hangs_does_not_hold_the_way_down_up() {
    let host_root = host_or_return!();
    let mut namespace = host_root.start(crate::support::STAY);
    namespace.console.expect("a | ready", SOON).expect("it starts");
    let init = namespace.process_one().expect("PID 1").as_raw_nonzero().get();
    let mut strace =
        trace(init, &["-f", "-o", "/dev/null", "-e", "trace=sync", "-e", "inject=sync:delay_enter=100000000"]);
    namespace.signal(Signal::TERM).expect("a signal");
    let deadline = Duration::from_secs(20);
    namespace.console.expect("hilum: power off", deadline).expect("it goes on without");
    // The namespace cannot end before strace lets go of what it holds up.
    strace.kill().and_then(|()| strace.wait()).expect("strace");
    let (status, console) = namespace.wait(SOON).expect("it ends");
    assert_eq!(status.code(), Some(0), "{console}");
    assert!(console.contains("hilum: sync: timed out after 10 s, continuing"), "{console}");
}

/// CASES 9: no descriptor is left.
#[test]
fn board_without_descriptors_answers_when_there_are_some_again() {
    let host_root = host_or_return!();
    let section = |index| {
        format!("[workload w{index}]\nroot ROOT\nexec /bin/probe on-term\nrestart always delay=50ms max=50ms\n")
    };
    let sections: String = (0..8).map(section).collect();
    let config = format!("hilum 1\n[system]\ncontrol SOCKET\n{sections}");
    let mut namespace = host_root.start_wrapped(&config, &["prlimit", "--nofile=26:26", "--"]);
    // Not all of them can be there at once; those that cannot are tried again, and PID 1 goes on.
    namespace.console.expect("EMFILE", SOON).expect("it runs out of them");
    std::thread::sleep(Duration::from_millis(500));
    let answered = (0..20).any(|_| host_root.ask(&["stop", "w0"]).0 == 0);
    assert!(answered, "{}", namespace.console.tail());
    namespace.signal(Signal::TERM).expect("a signal");
    let (status, console) = namespace.wait(DOWN).expect("it ends in time");
    assert_eq!(status.code(), Some(0), "{console}");
    assert!(!console.contains("panic"), "{console}");
}

/// The kernel makes no user namespace for one whose root is not that of its mount namespace, and its answer does not say so
/// (user_namespaces(7), EPERM).
#[test]
fn board_in_a_chroot_says_that_namespaces_take_none() {
    let host_root = host_or_return!();
    let place = host_root.scratch.path().join("other");
    std::fs::create_dir(&place).expect("a folder");
    let script = "place=$1; shift; mount --rbind / \"$place\" && exec chroot \"$place\" \"$@\"";
    let wrap = ["sh", "-c", script, "sh", place.to_str().expect("UTF-8")];
    let namespace = host_root.start_wrapped(&crate::support::one("exec /bin/probe exit 0\nrestart never"), &wrap);
    let why = "EPERM (operation not permitted): namespaces need CAP_SYS_ADMIN, no chroot, and a seccomp filter that allows clone3";
    let line = format!("hilum: workload \"a\": start: {why}\n");
    namespace.console.expect(&line, SOON).expect("what the kernel does not say");
}
