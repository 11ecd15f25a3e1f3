//! A source that sends more than PID 1 can read gets its share of each turn of the loop, and so do all others.
//!
//! The tests count system calls between two waits of the loop, as strace(1) sees them, during the flood.

use crate::support::wire::{Peer, children, start};
use crate::support::{Host, SOON};
use hilum_qemu::Namespace;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Maximum system calls per turn: the sum of the shares in src/runtime/turn.rs for the sources of these tests, with a
/// start and an exit of the other workload, which take sixty.
const CALLS: usize = 250;
/// Turns of the loop from an exit of the other workload to its restart, which is due 20 ms later. The sum of all turns
/// depends on when the machine runs the other processes; this does not.
const TURNS: usize = 1_000;

const OTHER: &str =
    "[workload other]\nroot ROOT\nexec /bin/probe exit 0\nrestart always delay=20ms max=20ms\nlog quiet\n";

fn with(lines: &str) -> String {
    format!("hilum 1\n[system]\ncontrol SOCKET\n[workload flood]\nroot ROOT\nlog quiet\n{lines}\n{OTHER}")
}

/// strace(1) on PID 1, into a file.
struct Trace {
    child: Child,
    file: std::path::PathBuf,
}

impl Trace {
    fn of(namespace: &Namespace, host: &Host) -> Self {
        let init = namespace.process_one().expect("PID 1").as_raw_nonzero().get();
        let file = host.scratch.path().join("trace");
        let child = Command::new("strace")
            .args(["-qq", "-s", "128", "-p", &init.to_string(), "-o", file.to_str().expect("UTF-8")])
            .stderr(Stdio::null())
            .spawn()
            .expect("strace");
        Self { child, file }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.file).unwrap_or_default()).into_owned()
    }

    fn end(mut self) -> String {
        let pid = rustix::process::Pid::from_raw(self.child.id().cast_signed()).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
        self.child.wait().expect("strace");
        self.text()
    }
}

/// Observes for a while: the other workload starts three times, `status` is answered three times, and no turn exceeds
/// its calls. `sign` is a call that shows that the flood arrives.
fn look_on(host: &Host, namespace: &mut Namespace, sign: &str) {
    let starts = |host: &Host| host.status("other")["restarts"].as_u64().unwrap_or(0);
    let trace = Trace::of(namespace, host);
    let until = Instant::now() + SOON;
    let (first, mut answers, mut has_arrived) = (starts(host), 0, false);
    while answers < 3 || starts(host) < first + 3 || !has_arrived {
        answers += usize::from(host.status("other")["state"].is_string());
        // The trace grows by megabytes, so it is not read again.
        has_arrived = has_arrived || trace.text().contains(sign);
        assert!(
            Instant::now() < until,
            "{answers} answers; {} turns; {}",
            turns(&trace.text()).count(),
            namespace.console.tail()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let text = trace.end();
    let most = turns(&text).max_by_key(Vec::len).expect("a turn");
    println!(
        "{} turns, at most {} system calls in one, {:?} to a restart",
        turns(&text).count(),
        most.len(),
        turns_to_restart(&text)
    );
    let late = turns_to_restart(&text);
    assert!(late.is_some_and(|late| late < TURNS), "{late:?} turns from an exit to a restart");
    assert!(most.len() <= CALLS, "{} calls: {:#?}", most.len(), &most[..CALLS]);
    namespace.signal(rustix::process::Signal::TERM).expect("a signal");
    let (status, console) = namespace.wait(SOON).expect("it ends");
    assert_eq!(status.code(), Some(0), "{console}");
}

/// Returns the system calls between two waits.
fn turns(trace: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines: Vec<&str> = trace.lines().collect();
    let turns: Vec<Vec<&str>> =
        lines.split(|line| line.starts_with("epoll_") && line.contains("wait")).map(<[&str]>::to_vec).collect();
    turns.into_iter()
}

/// Returns the most turns from an exit of the other workload to the next clone; `None` if there was no exit.
fn turns_to_restart(trace: &str) -> Option<usize> {
    let (mut since, mut most) = (None, None);
    for (number, calls) in turns(trace).enumerate() {
        if let Some(exited) = since.filter(|_| calls.iter().any(|call| call.starts_with("clone"))) {
            most = most.max(Some(number - exited));
            since = None;
        }
        if calls.iter().any(|call| call.contains("\\\"other\\\": exited")) {
            since = since.or(Some(number));
        }
    }
    most
}

fn flooded(lines: &str, sign: &str) {
    let host = host_or_return!();
    let mut namespace = host.start(&with(lines));
    host.expect_state("flood", "ready");
    look_on(&host, &mut namespace, sign);
}

#[test]
fn flood_on_the_ready_descriptor_blocks_nobody() {
    let host = host_or_return!();
    let mut namespace = host.start(&with("exec /bin/probe flood-descriptor 3\nuser 1\nready fd 3 within=10m"));
    namespace.console.expect("\"flood\": started", SOON).expect("it starts");
    look_on(&host, &mut namespace, "\"xxxx");
}

#[test]
fn flood_of_empty_lines_blocks_nobody() {
    flooded("exec /bin/probe flood-lines", "\"\\n\\n\\n\\n");
}

#[test]
fn flood_on_the_notify_socket_blocks_nobody() {
    flooded("exec /bin/probe flood-notify\nready exec\nhealth notify interval=1h failures=3", "STATUS=again");
}

#[test]
fn flood_of_orphans_blocks_nobody() {
    flooded("exec /bin/probe flood-orphans\nshare pid", "wait4(");
}

#[test]
fn full_pipe_of_an_exited_workload_is_read_completely_in_turns() {
    let host = host_or_return!();
    let lines = "[workload flood]\nroot ROOT\nexec /bin/probe flood 40000\nrestart never\n";
    let mut namespace = host.start(&format!("hilum 1\n[system]\ncontrol SOCKET\n{lines}{OTHER}"));
    namespace.console.expect("\"other\": started", SOON).expect("it starts");
    look_on(&host, &mut namespace, "flood line");
}

#[test]
fn flood_of_control_clients_blocks_nobody() {
    let host = host_or_return!();
    let mut namespace = host.start(&with("exec /bin/probe flood-lines"));
    host.expect_state("flood", "ready");
    let follow = || {
        let mut command = host.command(&["log", "flood", "-f"]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("hilum")
    };
    let mut listening: Vec<Child> = (0..4).map(|_| follow()).collect();
    look_on(&host, &mut namespace, "sendto(");
    for child in &mut listening {
        child.wait().expect("it ends with PID 1");
    }
}

/// One connection is accepted for each socket and turn; a request has a bounded reply.
#[test]
fn flood_on_the_control_socket_of_a_workload_blocks_nobody() {
    let host = host_or_return!();
    let mut namespace = host.start(&with("exec /bin/probe on-term\ncontrol status"));
    host.expect_state("flood", "ready");
    let mut sockets = children(&namespace).into_iter().map(|pid| format!("/proc/{pid}/root/run/hilum.sock"));
    let path = sockets.rfind(|path| std::path::Path::new(path).exists()).expect("a socket");
    let step = || {
        use rustix::net::{
            AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, send, socket_with,
        };
        let connected = (0..16).filter_map(|_| {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).ok()?;
            connect(&socket, &SocketAddrUnix::new(path.as_str()).ok()?).ok()?;
            let _ = send(&socket, b"h\x01\x01\0\0\0\0\0", SendFlags::NOSIGNAL);
            Some(socket)
        });
        drop(connected.collect::<Vec<_>>());
    };
    during(step, || look_on(&host, &mut namespace, "accept4("));
}

/// Runs `step` repeatedly in a thread while `meanwhile` runs.
fn during(step: impl Fn() + Sync, meanwhile: impl FnOnce()) {
    let ends = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ends.load(Ordering::Relaxed) {
                step();
            }
        });
        // A failed test ends the thread as well.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(meanwhile));
        ends.store(true, Ordering::Relaxed);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Real-time signals are queued (signal(7)), and PID 1 takes all signals by one descriptor.
#[test]
fn flood_of_signals_blocks_nobody() {
    let host = host_or_return!();
    let mut namespace = host.start(&with("exec /bin/probe on-term"));
    host.expect_state("flood", "ready");
    let init = namespace.process_one().expect("PID 1").as_raw_nonzero().to_string();
    let shell = format!("for turn in $(seq 1000); do kill -37 {init} || exit; done");
    let step = || _ = Command::new("sh").args(["-c", &shell]).stderr(Stdio::null()).status();
    during(step, || look_on(&host, &mut namespace, "\"%\\0\\0\\0"));
}

fn with_link(lines: &str) -> String {
    format!("hilum 1\n[system]\ncontrol SOCKET\nlink eth0 {lines}\n{OTHER}")
}

#[test]
fn flood_of_link_events_blocks_nobody() {
    let host = host_or_return!();
    let mut namespace = start(&host, &with_link("10.9.8.7/24"));
    namespace.console.expect("\"other\": started", SOON).expect("it starts");
    let _peer = Peer::new(&namespace);
    let init = namespace.process_one().expect("PID 1").as_raw_nonzero().to_string();
    let changes: String = (0..2_000).map(|number| format!("link set lo mtu {}\n", 30_000 + number)).collect();
    let batch = host.scratch.path().join("batch");
    std::fs::write(&batch, changes).expect("a file");
    let step = || {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--target", &init, "--", "ip", "-batch"]).arg(&batch).stderr(Stdio::null());
        let _ = command.status();
    };
    during(step, || look_on(&host, &mut namespace, "nlmsg_seq=0, nlmsg_pid=0}"));
}

/// Returns the matching descriptors of a process as descriptors of this process (pidfd_getfd(2)).
fn stolen(pid: u32, is_it: impl Fn(&str) -> bool) -> Vec<OwnedFd> {
    let process = rustix::process::Pid::from_raw(pid.cast_signed()).expect("a pid");
    let pidfd = rustix::process::pidfd_open(process, rustix::process::PidfdFlags::empty()).expect("it runs");
    let folder = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors");
    let entries = folder.filter_map(Result::ok);
    let wanted =
        entries.filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|link| is_it(&link.to_string_lossy())));
    let numbers = wanted.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    numbers
        .filter_map(|number: i32| {
            rustix::process::pidfd_getfd(&pidfd, number, rustix::process::PidfdGetfdFlags::empty()).ok()
        })
        .collect()
}

#[test]
fn flood_from_the_dhcp_client_blocks_nobody() {
    let host = host_or_return!();
    let mut namespace = start(&host, &with_link("dhcp"));
    namespace.console.expect("\"other\": started", SOON).expect("it starts");
    let _peer = Peer::new(&namespace);
    let is_client = |pid: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.contains("Uid:\t65534") && status.contains("Seccomp:\t2")
    };
    let mut clients = Vec::new();
    crate::support::wire::until("a client", || {
        clients = children(&namespace).into_iter().filter(is_client).collect();
        !clients.is_empty()
    });
    let sockets = stolen(clients[0], |link| link.starts_with("socket:"));
    let step = || {
        for socket in &sockets {
            // The network socket does not accept this.
            let _ = rustix::net::send(socket.as_fd(), b"nonsense", rustix::net::SendFlags::DONTWAIT);
        }
    };
    during(step, || look_on(&host, &mut namespace, "nonsense"));
}

/// The report pipe of a set-up is closed when its program is executed, so only a stopped set-up has it.
#[test]
fn flood_of_set_up_records_blocks_nobody() {
    let host = host_or_return!();
    let config = with("exec /bin/probe exit 0\nrestart always delay=1ms max=1ms");
    let mut namespace = start(&host, &config);
    namespace.console.expect("\"other\": started", SOON).expect("it starts");
    let init = namespace.process_one().expect("PID 1").as_raw_nonzero().get();
    let own = std::fs::read_link(format!("/proc/{init}/exe")).expect("its file");
    let console = std::fs::read_link(format!("/proc/{init}/fd/2")).expect("its console");
    let is_set_up = |pid: u32| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|file| file == own);
    // The other workload has to go on: its set-up is not the one to stop.
    let is_flood = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let inside = status.lines().find_map(|line| line.strip_prefix("NSpid:")?.split_whitespace().nth(1));
        inside.and_then(|inside| inside.parse::<u32>().ok()).is_some_and(|inside| host.status("flood")["pid"] == inside)
    };
    let signal = |pid: u32, signal| {
        let pid = rustix::process::Pid::from_raw(pid.cast_signed()).expect("a pid");
        let _ = rustix::process::kill_process(pid, signal);
    };
    let mut pipes = Vec::new();
    crate::support::wire::until("a set-up that is stopped", || {
        for pid in children(&namespace) {
            signal(pid, rustix::process::Signal::STOP);
            if is_set_up(pid) && is_flood(pid) {
                pipes = stolen(pid, |link| link.starts_with("pipe:") && Some(link) != console.to_str());
            }
            // The one for its output, and the one for its reports, which is closed before the program is executed.
            let which = pipes.iter().map(|pipe| rustix::fs::fstat(pipe).expect("a pipe").st_ino);
            if which.collect::<std::collections::BTreeSet<_>>().len() >= 2 {
                return true;
            }
            signal(pid, rustix::process::Signal::CONT);
        }
        false
    });
    let step = || {
        for pipe in &pipes {
            let _ = rustix::io::ioctl_fionbio(pipe, true);
            let _ = rustix::io::write(pipe, &[0xff; 9 * 400]);
        }
    };
    during(step, || look_on(&host, &mut namespace, "\\377\", 9) = 9"));
}
