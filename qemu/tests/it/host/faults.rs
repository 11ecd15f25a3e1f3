//! Every system call that PID 1 makes once the board runs is made to fail, with each errno that is possible: PID 1
//! never exits because of that, and a shutdown ends in time.
//!
//! strace(1) makes every second call fail while workloads fail and restart and clients send requests. The list of calls
//! comes from a trace of the same activity.

use crate::support::{Host, SOON};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The maximum duration of a shutdown with failing calls: the grace period of workloads, the time after a kill, and
/// slack.
const DOWN: Duration = Duration::from_secs(15);

const CONFIG: &str = "hilum 1\n[system]\ncontrol SOCKET\n\
    [workload churn]\nroot ROOT\nexec /bin/probe do say:turn sleep:15 exit:1\nrestart always delay=5ms max=5ms\n\
    [workload a]\nroot ROOT\nexec /bin/probe do notify:READY=1 stay\nready notify\nhealth exec /bin/probe exit 0 interval=100ms\nstop TERM 1s\n\
    [workload b]\nroot ROOT\nexec /bin/probe on-term\nneeds a\ncontrol status\nstop TERM 1s\n";

/// Returns the errnos that a call may fail with according to its manual page, unless PID 1 can rule them out.
fn errnos(call: &str) -> &'static [&'static str] {
    match call {
        // They cannot fail with these arguments: the kernel has no error path.
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

/// Runs one board, traced by `words`, with activity; then shuts it down.
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
                // It may not have been answered; it matters only that nobody else waits for it.
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
fn no_failing_system_call_kills_pid_1_or_hangs_the_shutdown() {
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
    // They wait more than they compute.
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| {
                    while let Some((call, errno)) = { next.lock().expect("nobody panics with it").next() } {
                        let inject = format!("inject={call}:error={errno}:when=1+2");
                        let console = history(&["-o", "/dev/null", "-e", &inject]);
                        // The faults have an effect: errors that can be reported are reported.
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

/// CASES 29: a disk that hangs blocks sync(2) for ever.
#[test]
fn hanging_sync_does_not_block_the_shutdown() {
    let host_root = host_or_return!();
    let mut namespace = host_root.start(crate::support::STAY);
    namespace.console.expect("a | ready", SOON).expect("it starts");
    let init = namespace.process_one().expect("PID 1").as_raw_nonzero().get();
    let mut strace =
        trace(init, &["-f", "-o", "/dev/null", "-e", "trace=sync", "-e", "inject=sync:delay_enter=100000000"]);
    namespace.signal(Signal::TERM).expect("a signal");
    let deadline = Duration::from_secs(20);
    namespace.console.expect("hilum: power off", deadline).expect("it goes on without");
    // The namespace cannot exit before strace detaches.
    strace.kill().and_then(|()| strace.wait()).expect("strace");
    let (status, console) = namespace.wait(SOON).expect("it ends");
    assert_eq!(status.code(), Some(0), "{console}");
    assert!(console.contains("hilum: sync: timed out after 10 s, continuing"), "{console}");
}

/// CASES 9: there are no free descriptors.
#[test]
fn board_recovers_after_running_out_of_descriptors() {
    let host_root = host_or_return!();
    let section = |index| {
        format!("[workload w{index}]\nroot ROOT\nexec /bin/probe on-term\nrestart always delay=50ms max=50ms\n")
    };
    let sections: String = (0..8).map(section).collect();
    let config = format!("hilum 1\n[system]\ncontrol SOCKET\n{sections}");
    let mut namespace = host_root.start_wrapped(&config, &["prlimit", "--nofile=26:26", "--"]);
    // Not all workloads can run at once; the others are retried, and PID 1 continues.
    namespace.console.expect("EMFILE", SOON).expect("it runs out of them");
    std::thread::sleep(Duration::from_millis(500));
    let answered = (0..20).any(|_| host_root.ask(&["stop", "w0"]).0 == 0);
    assert!(answered, "{}", namespace.console.tail());
    namespace.signal(Signal::TERM).expect("a signal");
    let (status, console) = namespace.wait(DOWN).expect("it ends in time");
    assert_eq!(status.code(), Some(0), "{console}");
    assert!(!console.contains("panic"), "{console}");
}

/// The kernel refuses to create a user namespace for a process whose root is not that of its mount namespace, with an
/// errno that does not say so (user_namespaces(7), EPERM).
#[test]
fn board_in_a_chroot_explains_why_user_namespaces_fail() {
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
