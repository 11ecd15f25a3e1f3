//! Published ports: which clients reach them from where, including those from before the workload.

use crate::support::wire::{Peer, beside, children, inside, net, start, until, within};
use crate::support::{Host, SOON};
use hilum_qemu::Namespace;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};

const BOARD: &str = "hilum 1\n[system]\ncontrol SOCKET\nlink eth0 192.168.9.2/24 fd09::2/64\nbridge br0 10.77.0.1/24 fd77::1/64\n\
     masquerade br0 eth0\n";

/// Returns a workload at 10.77.0.`number` that waits, with more lines.
fn workload(name: &str, number: u8, lines: &str) -> String {
    format!(
        "[workload {name}]\nroot ROOT\nexec /bin/probe on-term\n\
         link veth br0 10.77.0.{number}/24 fd77::{number:x}/64 via 10.77.0.1 via fd77::1\n{lines}"
    )
}

/// Starts PID 1 with a peer on its link, and waits for its addresses.
fn board(host: &Host, config: &str) -> (Namespace, Peer) {
    let namespace = start(host, config);
    // As a container engine does.
    inside(&namespace, &["ip", "link", "set", "lo", "up"]);
    let peer = Peer::new(&namespace);
    peer.ip(&["addr", "add", "fd09::1/64", "dev", "srv", "nodad"]);
    until("the board's addresses", || net(&namespace).contains("address fd09::2/64 on eth0"));
    (namespace, peer)
}

/// Returns the PID of the board's first process, whose network is the host's own.
fn one(namespace: &Namespace) -> u32 {
    namespace.process_one().expect("it runs").as_raw_nonzero().get().unsigned_abs()
}

/// Waits for the workload with this address; returns the PID of its first process.
fn pid_at(namespace: &Namespace, address: &str) -> u32 {
    let mut found = None;
    until(address, || {
        let has =
            |pid: &u32| beside(*pid, &["ip", "-o", "addr", "show", "dev", "eth0"]).contains(&format!("{address}/"));
        found = children(namespace).into_iter().find(has);
        found.is_some()
    });
    found.expect("it was found")
}

/// Returns a non-blocking socket of the process with this PID.
fn datagrams(pid: u32, own: &'static str) -> UdpSocket {
    let socket = within(pid, move || UdpSocket::bind(own)).expect("a port");
    socket.set_nonblocking(true).expect("a socket");
    socket
}

/// Sends until a datagram arrives; returns its source. Datagrams from before the workload was ready may be refused.
fn hear(sender: &UdpSocket, to: &str, receiver: &UdpSocket) -> std::net::SocketAddr {
    let (mut bytes, mut from) = ([0; 16], None);
    until("a datagram", || {
        let _ = sender.send_to(b"reading", to);
        from = receiver.recv_from(&mut bytes).ok().map(|(_, from)| from);
        from.is_some()
    });
    from.expect("it was heard")
}

fn connect(pid: u32, to: &str) -> std::io::Result<TcpStream> {
    let to = to.parse().expect("an address");
    within(pid, move || TcpStream::connect_timeout(&to, SOON))
}

/// The kernel remembers the NAT decision for the first datagram of each pair of ports. Docker has flushed such UDP
/// entries since moby#44752, podman's netavark deletes them; systemd-networkd publishes nothing.
#[test]
fn sender_active_before_the_workload_reaches_it() {
    let host = host_or_return!();
    let config = BOARD.to_owned() + &workload("w0", 2, "publish 9001:81/udp\n");
    let (namespace, peer) = board(&host, &config);
    host.expect_state("w0", "ready");
    let sender = datagrams(peer.pid(), "192.168.9.1:7777");
    let sender_6 = datagrams(peer.pid(), "[fd09::1]:7777");
    let connections = || inside(&namespace, &["cat", "/proc/net/nf_conntrack"]);
    for _ in 0..2 {
        assert_eq!(host.ask(&["stop", "w0", "-w"]).0, 0);
        // A process on the board has the port now, and receives from earlier senders.
        hear(&sender, "192.168.9.2:9001", &datagrams(one(&namespace), "192.168.9.2:9001"));
        hear(&sender_6, "[fd09::2]:9001", &datagrams(one(&namespace), "[fd09::2]:9001"));
        let text = connections();
        assert!(text.contains("sport=7777 dport=9001") && !text.contains("10.77.0.2"), "{text}");
        assert_eq!(host.ask(&["start", "w0", "-w"]).0, 0);
        let inner = datagrams(pid_at(&namespace, "10.77.0.2"), "[::]:81");
        assert_eq!(hear(&sender, "192.168.9.2:9001", &inner).port(), 7777);
        assert_eq!(hear(&sender_6, "[fd09::2]:9001", &inner).ip().to_string(), "fd09::1");
        assert!(connections().contains("src=10.77.0.2 dst=192.168.9.1 sport=81"), "{}", connections());
    }
}

/// Datagrams to an address that is gone go to another workload that has its port by now. Docker and podman delete the
/// entries of a container's address when it exits.
#[test]
fn sender_follows_a_port_that_reload_moves_to_another_workload() {
    let host = host_or_return!();
    let publish = "publish 9001:81/udp\n";
    let (namespace, peer) = board(&host, &(BOARD.to_owned() + &workload("w0", 2, publish) + &workload("w1", 3, "")));
    let sender = datagrams(peer.pid(), "192.168.9.1:7777");
    host.expect_state("w0", "ready");
    hear(&sender, "192.168.9.2:9001", &datagrams(pid_at(&namespace, "10.77.0.2"), "[::]:81"));
    host.configure(&(BOARD.to_owned() + &workload("w0", 2, "") + &workload("w1", 3, publish)));
    assert_eq!(host.ask(&["reload"]), (0, String::new()), "{}", namespace.console.tail());
    host.expect_state("w1", "ready");
    until("the rule", || net(&namespace).contains("rule hilum-w1 publish: publish 9001:81/udp"));
    hear(&sender, "192.168.9.2:9001", &datagrams(pid_at(&namespace, "10.77.0.3"), "[::]:81"));
}

/// Docker does not touch TCP connections when a container starts, and neither does this.
#[test]
fn open_connection_survives_other_workloads() {
    let host = host_or_return!();
    let config =
        BOARD.to_owned() + &workload("w0", 2, "publish 9000:80/tcp\n") + &workload("w1", 3, "publish 9001:80/udp\n");
    let (namespace, peer) = board(&host, &config);
    host.expect_state("w0", "ready");
    let server = within(pid_at(&namespace, "10.77.0.2"), || TcpListener::bind("[::]:80")).expect("a port");
    let mut asking = connect(peer.pid(), "192.168.9.2:9000").expect("it is published");
    let mut answering = server.accept().expect("it was connected").0;
    answering.set_read_timeout(Some(SOON)).expect("a deadline");
    for words in [["restart", "w1", "-w"], ["stop", "w1", "-w"]] {
        assert_eq!(host.ask(&words).0, 0);
        asking.write_all(b"x").expect("it goes on");
        answering.read_exact(&mut [0]).expect("it is heard");
    }
}

/// Clients of a published port, by all addresses. Docker's proxy and rules, and podman's netavark, serve all of these
/// (netavark not at ::1); systemd-nspawn's --port serves neither the container itself nor 127.0.0.1.
#[test]
fn published_ports_work_from_inside_workloads_and_the_board() {
    let host = host_or_return!();
    let config = BOARD.to_owned()
        + &workload("w0", 2, "publish 9000:80/tcp\npublish 9001:81/udp\n")
        + &workload("w1", 3, "")
        + &workload("friend", 4, "talk w0\n");
    let (namespace, peer) = board(&host, &config);
    host.expect_state("w0", "ready");
    let own = pid_at(&namespace, "10.77.0.2");
    let server = within(own, || TcpListener::bind("[::]:80")).expect("a port");
    let inner = datagrams(own, "[::]:81");
    let lan = ["192.168.9.2:9000", "[fd09::2]:9000"];
    let bridge = ["10.77.0.1:9000", "[fd77::1]:9000"];
    let loopback = ["127.0.0.1:9000", "127.9.9.9:9000"];
    // A workload with the host's network is where PID 1 is.
    for (who, pid, addresses) in [
        ("peer", peer.pid(), vec![lan]),
        ("itself", own, vec![lan, bridge]),
        ("stranger", pid_at(&namespace, "10.77.0.3"), vec![lan, bridge]),
        ("friend", pid_at(&namespace, "10.77.0.4"), vec![lan, bridge]),
        ("board", one(&namespace), vec![lan, bridge, loopback]),
    ] {
        for to in addresses.concat() {
            let mut asking = connect(pid, to).unwrap_or_else(|error| panic!("{who} at {to}: {error}"));
            let mut answering = server.accept().expect("it was connected").0;
            answering.write_all(b"x").expect("sent");
            asking.set_read_timeout(Some(SOON)).expect("a deadline");
            asking.read_exact(&mut [0]).unwrap_or_else(|error| panic!("{who} at {to}: {error}"));
        }
    }
    let asking = datagrams(one(&namespace), "0.0.0.0:0");
    for to in ["192.168.9.2:9001", "10.77.0.1:9001", "127.0.0.1:9001"] {
        let from = hear(&asking, to, &inner);
        inner.send_to(b"answer", from).expect("sent");
        until("the answer", || asking.recv_from(&mut [0; 16]).is_ok_and(|(_, from)| from.to_string() == to));
    }
    // This stays the board's own.
    let refused = connect(one(&namespace), "[::1]:9000").expect_err("nothing is published there").kind();
    assert_eq!(refused, ErrorKind::ConnectionRefused);
}

/// With `route_localnet` a neighbour could reach services that listen only at 127.0.0.1 (CVE-2020-8558 of kube-proxy,
/// which Docker's and podman's rules prevent as well).
#[test]
fn loopback_of_the_board_is_unreachable_from_a_bridge() {
    let host = host_or_return!();
    let lines = "publish 9001:81/udp\ntalk board\n";
    let (namespace, _peer) = board(&host, &(BOARD.to_owned() + &workload("w0", 2, lines)));
    host.expect_state("w0", "ready");
    let own = pid_at(&namespace, "10.77.0.2");
    until("the setting", || inside(&namespace, &["cat", "/proc/sys/net/ipv4/conf/br0/route_localnet"]).trim() == "1");
    let private = datagrams(one(&namespace), "127.0.0.1:5000");
    let public = datagrams(one(&namespace), "10.77.0.1:5000");
    // As the host's root in its network, which a workload is not: 127.0.0.1 is behind the board.
    for words in [
        &["sysctl", "-q", "net.ipv4.conf.all.route_localnet=1"][..],
        &["ip", "route", "del", "local", "127.0.0.0/8", "dev", "lo", "table", "local"],
        &["ip", "route", "del", "local", "127.0.0.1", "dev", "lo", "table", "local"],
        &["ip", "route", "add", "127.0.0.0/8", "via", "10.77.0.1", "src", "10.77.0.2"],
    ] {
        let said = beside(own, words);
        assert!(said.is_empty(), "{words:?}: {said}");
    }
    let sender = datagrams(own, "10.77.0.2:0");
    until("the rule that drops", || {
        sender.send_to(b"x", "127.0.0.1:5000").expect("sent");
        let text = net(&namespace);
        let line = text.lines().find(|line| line.starts_with("rule hilum input: not to loopback br0; "));
        !line.expect("the rule").ends_with("; 0 packets 0 bytes")
    });
    hear(&sender, "10.77.0.1:5000", &public);
    assert_eq!(private.recv_from(&mut [0; 16]).expect_err("nothing arrives").kind(), ErrorKind::WouldBlock);
}

/// RTP and FTP need many ports. Docker creates a rule and a proxy for each of them, podman one rule for all, as hilum
/// does.
#[test]
fn range_of_ports_is_published() {
    let host = host_or_return!();
    let lines = "publish 5000-5010:5000-5010/udp\n";
    let (namespace, peer) = board(&host, &(BOARD.to_owned() + &workload("w0", 2, lines)));
    host.expect_state("w0", "ready");
    let own = pid_at(&namespace, "10.77.0.2");
    let sender = datagrams(peer.pid(), "192.168.9.1:7777");
    for (port, socket) in [(5000, "[::]:5000"), (5007, "[::]:5007"), (5010, "[::]:5010")] {
        hear(&sender, &format!("192.168.9.2:{port}"), &datagrams(own, socket));
    }
    for (port, socket) in [(4999, "[::]:4999"), (5011, "[::]:5011")] {
        hear(&sender, &format!("192.168.9.2:{port}"), &datagrams(one(&namespace), socket));
    }
}

/// A kernel with br_netfilter applies packet rules to bridged frames: a redirected one would go from port to port.
/// Docker enables that and needs it; a board with its own bridges disables it, as systemd's br_netfilter users do by
/// sysctl.d.
#[test]
fn bridged_frames_skip_packet_rules_and_doctor_checks_it() {
    let host = host_or_return!();
    let setting = "net.bridge.bridge-nf-call-iptables";
    let (namespace, _peer) = board(&host, &(BOARD.to_owned() + &workload("w0", 2, "publish 9000:80/tcp\n")));
    host.expect_state("w0", "ready");
    let values = || inside(&namespace, &["sysctl", "-n", setting, "net.bridge.bridge-nf-call-ip6tables"]);
    if values().contains("cannot stat") {
        panic!("this test needs a kernel with br_netfilter: modprobe br_netfilter");
    }
    assert_eq!(values(), "0\n0\n");
    let doctor =
        || inside(&namespace, &[crate::support::hilum(crate::support::host()).to_str().expect("UTF-8"), "doctor"]);
    assert!(doctor().contains(&format!("yes setting {setting} is 0")), "{}", doctor());
    inside(&namespace, &["sysctl", "-q", &format!("{setting}=1")]);
    let line = format!("NO  setting {setting} is 1: 0 keeps packet rules from what only passes a bridge");
    assert!(doctor().contains(&line), "{}", doctor());
}

/// The rules of a shared network namespace belong to the network, and are removed with it.
#[test]
fn rules_of_a_shared_network_are_removed_with_it() {
    let host = host_or_return!();
    let member = "[workload member]\nroot ROOT\nexec /bin/probe on-term\nshare net=pod\n";
    let pod = workload("pod", 2, "publish 9001:81/udp\n") + member;
    let rest = BOARD.to_owned() + &workload("w1", 3, "");
    let (namespace, peer) = board(&host, &rest);
    host.expect_state("w1", "ready");
    // PID 1 enters the shared network for a moment when it creates it.
    host.configure(&(rest.clone() + &pod));
    assert_eq!(host.ask(&["reload"]), (0, String::new()), "{}", namespace.console.tail());
    host.expect_state("member", "ready");
    let sender = datagrams(peer.pid(), "192.168.9.1:7777");
    hear(&sender, "192.168.9.2:9001", &datagrams(pid_at(&namespace, "10.77.0.2"), "[::]:81"));
    host.configure(&rest);
    assert_eq!(host.ask(&["reload"]), (0, String::new()), "{}", namespace.console.tail());
    until("the end of its rules", || !net(&namespace).contains("rule hilum-pod"));
    hear(&sender, "192.168.9.2:9001", &datagrams(one(&namespace), "0.0.0.0:9001"));
}
