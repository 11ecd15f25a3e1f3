//! Clients that send many requests, never read, send invalid messages, or are not authorised.

use super::pair;
use crate::support::{Host, SOON, has_in_order, has_line};
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, send, socket_with};
use rustix::process::Signal;
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn many_parallel_poweroff_requests_cause_one_orderly_shutdown() {
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
fn thousand_silent_clients_do_not_block_others() {
    let host_root = host_or_return!();
    let namespace = pair(&host_root);
    let init = namespace.process_one().expect("PID 1").as_raw_nonzero();
    let descriptors = || std::fs::read_dir(format!("/proc/{init}/fd")).expect("its descriptors").count();
    let before = descriptors();
    let mut sockets = Vec::new();
    let ask_for_lines = b"h\x01\x02\x01\xff\xff\xff\xffa\0";
    for _ in 0..1_000 {
        // A full backlog is a valid result; then PID 1 gets its turn.
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
fn invalid_messages_are_refused_and_change_nothing() {
    let host_root = host_or_return!();
    let mut namespace = pair(&host_root);
    let long = vec![b'x'; 100_000];
    let mut seed = 1_u32;
    let random: Vec<Vec<u8>> = (0..200)
        .map(|length: usize| {
            (0..length)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    // Nothing that begins like a request: those are fuzzed in the library.
                    (seed >> 24) as u8 | 0x80
                })
                .collect()
        })
        .collect();
    for message in [&b""[..], &long, b"h\x01\x63\0\0\0\0\0", b"h\x02\x01\0\0\0\0\0"]
        .into_iter()
        .chain(random.iter().map(Vec::as_slice))
    {
        // A full backlog is a valid result.
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
fn only_root_may_use_the_control_socket() {
    let host_root = host_or_return!();
    let _namespace = pair(&host_root);
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(host_root.socket()).expect("it is there").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    // Even if the socket's mode allows everybody.
    std::fs::set_permissions(host_root.socket(), std::os::unix::fs::PermissionsExt::from_mode(0o777))
        .expect("its mode");
    let hilum = host_root.root().join("hilum");
    std::fs::copy(crate::support::hilum(crate::support::host()), &hilum).expect("a copy that everybody can read");
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
