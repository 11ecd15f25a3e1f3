//! Network namespaces that workloads keep over their restarts, and those that are thrown away.

use crate::support::wire::{Peer, beside, children, inside, net, start, until, within};
use crate::support::{Host, SOON};
use hilum_qemu::Namespace;
use rustix::process::{Pid, Signal, kill_process};
use std::io::Read;
use std::net::{TcpListener, TcpStream};

const BOARD: &str = "hilum 1\n[system]\ncontrol SOCKET\nlink eth0 192.168.9.2/24\nbridge br0 10.77.0.1/24 fd77::1/64\n";
const LINK: &str = "link veth br0 10.77.0.2/24 fd77::2/64 via 10.77.0.1\npublish 9000:80/tcp\n";

/// Starts PID 1 with a workload `w`, and with `x`, which has nothing to do with it.
fn board(host: &Host, lines: &str) -> Namespace {
    let other = "[workload x]\nroot ROOT\nexec /bin/probe on-term\nlink veth br0 10.77.0.3/24\n";
    let namespace = start(host, &format!("{BOARD}[workload w]\nroot ROOT\n{lines}{other}"));
    host.expect_state("x", "ready");
    namespace
}

/// The lines of a workload that waits for SIGTERM, with more lines.
fn waits(lines: &str) -> String {
    format!("exec /bin/probe on-term\n{lines}")
}

/// Returns the host's PID of the first process of `w`, which runs.
fn pid(host: &Host, namespace: &Namespace) -> u32 {
    find(host, namespace).expect("its process")
}

fn find(host: &Host, namespace: &Namespace) -> Option<u32> {
    let inner = host.status("w")["pid"].as_u64()?.to_string();
    let is_it = |pid: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
        pids.split_whitespace().rev().nth(1) == Some(&inner)
    };
    children(namespace).into_iter().find(is_it)
}

/// Returns the network namespace of a process, as in `net:[4026532008]`.
fn network(pid: u32) -> String {
    std::fs::read_link(format!("/proc/{pid}/ns/net")).expect("its namespace").to_string_lossy().into_owned()
}

/// Restarts `w` in a way of its own, and returns its networks before and after.
fn networks(host: &Host, namespace: &Namespace, again: &dyn Fn(u32)) -> (String, String) {
    host.expect_state("w", "ready");
    let before = pid(host, namespace);
    // The number of a namespace that is gone may be that of the next one.
    let (_held, old) = (std::fs::File::open(format!("/proc/{before}/ns/net")).expect("it runs"), network(before));
    again(before);
    until("its next process", || {
        host.status("w")["state"] == "ready" && find(host, namespace).is_some_and(|now| now != before)
    });
    (old, network(pid(host, namespace)))
}

fn restart(host: &Host) {
    assert_eq!(host.ask(&["restart", "w", "-w"]).0, 0);
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid.cast_signed()).expect("a pid"), Signal::KILL).expect("it runs");
}

/// A restart changes neither links nor rules, and what the kernel knows of connections goes on.
#[test]
fn restart_keeps_links_rules_and_connections() {
    let host = host_or_return!();
    let namespace = board(&host, &waits(LINK));
    let peer = Peer::new(&namespace);
    host.expect_state("w", "ready");
    until("the board's address", || net(&namespace).contains("address 192.168.9.2/24 on eth0"));
    let connect = |server: TcpListener| {
        let asking = within(peer.pid(), || TcpStream::connect_timeout(&"192.168.9.2:9000".parse().expect("it"), SOON));
        let mut asking = asking.expect("it is published");
        drop(server.accept().expect("it was connected"));
        assert_eq!(asking.read(&mut [0]).expect("the end of it"), 0);
    };
    let before = pid(&host, &namespace);
    // The server closes first, so its end is the one that remembers the connection.
    connect(within(before, || TcpListener::bind("[::]:80")).expect("a port"));
    let waits = |pid: u32| beside(pid, &["ss", "-tan", "state", "time-wait"]);
    until("the end of the connection", || waits(before).contains(":80 "));
    let links = |pid: u32| {
        let text = beside(pid, &["ip", "-o", "link", "show", "eth0"]);
        (text, inside(&namespace, &["ip", "-o", "link", "show", "master", "br0"]))
    };
    let rules = || inside(&namespace, &["nft", "-a", "list", "ruleset"]);
    let (linked, ruled) = (links(before), rules());
    assert!(ruled.contains("hilum-w"), "{ruled}");

    let (old, new) = networks(&host, &namespace, &|_| restart(&host));
    assert_eq!(old, new);
    let after = pid(&host, &namespace);
    assert_eq!(links(after), linked);
    // The handles would be others if the rules had been made again.
    assert_eq!(rules(), ruled);
    assert!(waits(after).contains(":80 "), "{}", waits(after));
    connect(within(after, || TcpListener::bind("[::]:80")).expect("the port again"));
    // It can do there what it could before.
    let (_, text) = host.ask(&["exec", "w", "/bin/probe", "do", "listen:443"]);
    assert!(text.contains("did listen:443 0"), "{text}");
}

/// The first failure is nobody's fault; after the second one in a row nothing of the network may be its cause.
#[test]
fn second_failure_in_a_row_gets_a_new_network() {
    let host = host_or_return!();
    let namespace = board(&host, &waits(&format!("{LINK}restart always delay=1ms max=1ms\n")));
    let (first, second) = networks(&host, &namespace, &kill);
    assert_eq!(first, second);
    let (second, third) = networks(&host, &namespace, &kill);
    assert_ne!(second, third);
    until("its rules", || net(&namespace).contains("rule hilum-w publish: publish 9000:80/tcp"));
    // On request it is kept all the same.
    let (third, fourth) = networks(&host, &namespace, &|_| restart(&host));
    assert_eq!(third, fourth);
}

/// Each of these could have changed its network, needs to be its owner, or may lose its link.
#[test]
fn network_that_could_have_been_changed_is_not_kept() {
    let host = host_or_return!();
    for lines in ["capability net_admin\n", "capability net_raw\n", "capability sys_admin\nprivileged\n", "sys\n"] {
        let namespace = board(&host, &waits(&format!("{LINK}{lines}")));
        let (before, after) = networks(&host, &namespace, &|_| restart(&host));
        assert_ne!(before, after, "{lines}");
        drop(namespace);
    }
    // One without any line of a network keeps its empty one.
    let namespace = board(&host, &waits(""));
    let (before, after) = networks(&host, &namespace, &|_| restart(&host));
    assert_eq!(before, after);
}

/// What stays down holds nothing, and what was unhealthy starts afresh.
#[test]
fn network_ends_with_a_stop_a_changed_line_and_an_unhealthy_run() {
    let host = host_or_return!();
    let namespace = board(&host, &waits(LINK));
    let (before, after) = networks(&host, &namespace, &|_| {
        assert_eq!(host.ask(&["stop", "w", "-w"]).0, 0);
        until("the end of its rules", || !net(&namespace).contains("rule hilum-w"));
        assert_eq!(host.ask(&["start", "w", "-w"]).0, 0);
    });
    assert_ne!(before, after);
    let changed = waits(&LINK.replace("10.77.0.2/24", "10.77.0.9/24"));
    let other = "[workload x]\nroot ROOT\nexec /bin/probe on-term\nlink veth br0 10.77.0.3/24\n";
    let (before, after) = networks(&host, &namespace, &|_| {
        host.configure(&format!("{BOARD}[workload w]\nroot ROOT\n{changed}{other}"));
        assert_eq!(host.ask(&["reload"]), (0, String::new()), "{}", namespace.console.tail());
        host.expect_state("w", "ready");
    });
    assert_ne!(before, after);
    let addresses = beside(pid(&host, &namespace), &["ip", "-o", "addr", "show", "eth0"]);
    assert!(addresses.contains("10.77.0.9/24") && !addresses.contains("10.77.0.2/"), "{addresses}");
    drop(namespace);

    let health = "health file /never interval=1s failures=1\nrestart always delay=1ms\n";
    let namespace = board(&host, &waits(&format!("{LINK}{health}")));
    let (before, after) = networks(&host, &namespace, &|_| {});
    assert_ne!(before, after, "{}", namespace.console.tail());
}
