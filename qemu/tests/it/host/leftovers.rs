//! Remaining processes of a workload that shares the PID namespace, without a cgroup to kill them.

use crate::support::{Host, SOON, built, host};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// A duration that nobody else here sleeps for, which identifies these processes.
fn seconds(test: u32) -> u32 {
    1_000_000 + std::process::id() * 4 + test
}

fn sleepers(seconds: u32) -> usize {
    let processes = std::fs::read_dir("/proc").expect("the processes").filter_map(Result::ok);
    let wanted = format!("sleep\0{seconds}\0");
    processes
        .filter(|entry| std::fs::read_to_string(entry.path().join("cmdline")).is_ok_and(|line| line == wanted))
        .count()
}

fn with_shell(host_root: &Host, config: &str, seconds: u32) -> hilum_qemu::Namespace {
    let shell = built(&format!("image/{}/busybox/bin/busybox", host().name()));
    for name in ["sh", "sleep"] {
        std::fs::copy(&shell, host_root.root().join("bin").join(name)).expect("busybox");
    }
    host_root.start(&config.replace("SECONDS", &seconds.to_string()))
}

fn becomes(seconds: u32, count: usize) {
    let until = Instant::now() + SOON;
    while sleepers(seconds) != count {
        assert!(Instant::now() < until, "{} processes instead of {count}", sleepers(seconds));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn stopped_workload_with_shared_pids_leaves_no_process_behind() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\n[workload a]\nroot ROOT\nshare pid\n\
        exec /bin/sh -c \"sleep SECONDS & (sleep SECONDS &) ; sleep 5 & sleep SECONDS\"\n\
        [workload other]\nroot ROOT\nshare pid\nexec /bin/sh -c \"sleep SECONDS1\"\n";
    let mine = seconds(0);
    let mut namespace = with_shell(&host_root, config, mine);
    for _ in 0..3 {
        becomes(mine, 3);
        let (status, text) = host_root.ask(&["stop", "a", "-w"]);
        assert_eq!((status, sleepers(mine)), (0, 0), "{text}");
        // Other processes are not affected.
        let others: u32 = format!("{mine}1").parse().expect("a number");
        assert_eq!(sleepers(others), 1);
        let (status, text) = host_root.ask(&["start", "a", "-w"]);
        assert_eq!(status, 0, "{text}");
    }
    namespace.signal(Signal::TERM).expect("a signal");
    namespace.wait(SOON).expect("it ends");
    assert_eq!(sleepers(mine), 0);
}

#[test]
fn crashed_workload_with_shared_pids_restarts_without_old_processes() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\n[workload a]\nroot ROOT\nshare pid\n\
        exec /bin/sh -c \"sleep SECONDS & exit 1\"\nrestart always delay=10ms max=10ms limit=5/1h else=stop\n";
    let mine = seconds(1);
    let mut namespace = with_shell(&host_root, config, mine);
    namespace.console.expect("gave up after 5 restarts", SOON).expect("it ends again and again");
    becomes(mine, 0);
    namespace.signal(Signal::TERM).expect("a signal");
    namespace.wait(SOON).expect("it ends");
}
