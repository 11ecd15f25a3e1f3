//! Networks on the host, in a network namespace of their own: leftovers, and timings.

use crate::support::SOON;
use crate::support::wire::{Peer, children, inside, net, start, until, within};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// Returns this many workloads with a link, a published port and a peer.
fn linked(count: usize, lines: &str, exec: &str) -> String {
    let mut config = "hilum 1\n[system]\ncontrol SOCKET\nbridge br0 10.77.0.1/24 fd77::1/64\n".to_owned();
    for index in 0..count {
        let (address, next) = (index + 2, (index + 1) % count);
        let talk = if count > 1 { format!("talk w{next}\n") } else { String::new() };
        config += &format!(
            "[workload w{index}]\nroot ROOT\nexec {exec}\nlink veth br0 10.77.0.{address}/24 fd77::{address:x}/64 via 10.77.0.1\n\
             publish {}:80/tcp\n{talk}{lines}\n",
            9000 + index
        );
    }
    config
}

/// Returns links and rules of workloads.
fn left(text: &str) -> Vec<&str> {
    let is_theirs =
        |line: &&str| line.starts_with("rule hilum-") || (line.starts_with("link w") && line.contains(" in br0"));
    text.lines().filter(is_theirs).collect()
}

#[test]
fn a_thousand_starts_leave_no_link_and_no_rule() {
    let host = host_or_return!();
    // Each exits repeatedly, and then stays down; many are killed during their set-up.
    let runs = 124;
    let config = linked(8, &format!("restart always delay=1ms max=1ms limit={runs}/1h else=stop"), "/bin/probe exit 0");
    let namespace = start(&host, &config);
    namespace.console.expect("started, pid", SOON).expect("the first one starts");
    let begin = Instant::now();
    let (mut killed, mut chance) = (0_u32, 12_345_u32);
    // As long as there is progress the test continues, however slow the machine is.
    let (mut seen, mut until_then) = (0, Instant::now() + SOON);
    loop {
        let text = namespace.console.text();
        if (0..8).all(|index| text.contains(&format!("workload \"w{index}\": gave up"))) {
            break;
        }
        if text.len() > seen {
            (seen, until_then) = (text.len(), Instant::now() + SOON);
        }
        assert!(Instant::now() < until_then, "nothing happens any more\n{}", namespace.console.tail());
        chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        std::thread::sleep(Duration::from_millis(u64::from(chance >> 26)));
        let children = children(&namespace);
        if let Some(pid) = children.get((chance >> 8) as usize % children.len().max(1)) {
            let pid = rustix::process::Pid::from_raw(pid.cast_signed()).expect("a pid");
            killed += u32::from(rustix::process::kill_process(pid, rustix::process::Signal::KILL).is_ok());
        }
    }
    let starts = 8 * (runs + 1);
    println!("{starts} starts, {killed} processes killed on the way, in {:?}", begin.elapsed());
    let mut text = String::new();
    until("the end of every link and rule", || {
        text = net(&namespace);
        left(&text).is_empty()
    });
    // A leaked network namespace would keep its end of the pair, and with it the other one; PID 1 holds none either.
    let one = namespace.process_one().expect("it runs").as_raw_nonzero();
    let held = std::fs::read_dir(format!("/proc/{one}/fd")).expect("its descriptors");
    let held = held.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    let held: Vec<_> = held.filter(|path| path.to_string_lossy().starts_with("net:[")).collect();
    assert!(held.is_empty(), "{held:?}");
    until("the end of every process", || children(&namespace).is_empty());
    // Only the bridge, its addresses and the board's own table remain.
    assert!(text.contains("link br0") && text.contains("rule hilum forward"), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("link ")).count(), 2, "{text}");
    assert_eq!(
        text.lines().filter(|line| line.starts_with("address ") && line.contains(" on br0")).count(),
        2,
        "{text}"
    );
}

#[test]
fn thirty_two_workloads_with_links_start_at_once() {
    let host = host_or_return!();
    let time = |count: usize| {
        let begin = Instant::now();
        let namespace = start(&host, &linked(count, "", "/bin/probe on-term"));
        for index in 0..count {
            namespace.console.expect(&format!("workload \"w{index}\": started"), SOON).expect("it starts");
        }
        let passed = begin.elapsed();
        let text = net(&namespace);
        assert_eq!(left(&text).iter().filter(|line| line.starts_with("link")).count(), count, "{text}");
        passed
    };
    let (one, all) = (time(1), time(32));
    println!("1 workload with a link: {one:?}; 32 of them: {all:?}");
}

#[test]
fn addresses_are_in_status_and_reload_connects_new_workloads() {
    let host = host_or_return!();
    let namespace = start(&host, &linked(1, "", "/bin/probe on-term"));
    host.expect_state("w0", "ready");
    assert_eq!(host.status("w0")["addresses"], serde_json::json!(["10.77.0.2", "fd77::2"]));
    let (_, table) = host.ask(&["status"]);
    assert!(table.contains(" 10.77.0.2 "), "{table}");
    let pid = host.status("w0")["pid"].clone();
    host.configure(&linked(2, "", "/bin/probe on-term").replace("talk w1\n", ""));
    assert_eq!(host.ask(&["reload"]), (0, String::new()), "{}", namespace.console.tail());
    host.expect_state("w1", "ready");
    assert_eq!(host.status("w0")["pid"], pid, "it goes on as it was");
    let neighbours = inside(&namespace, &["ip", "neigh", "show", "dev", "br0"]);
    assert!(neighbours.contains("10.77.0.3 lladdr") && neighbours.contains("PERMANENT"), "{neighbours}");
    // When stopped, it leaves neither rules nor ports.
    assert_eq!(host.ask(&["stop", "w1", "-w"]).0, 0);
    until("the end of its link and rules", || !left(&net(&namespace)).iter().any(|line| line.contains("w1")));
    assert!(left(&net(&namespace)).iter().any(|line| line.contains("publish 9000:80/tcp")));
}

/// A host on the board's external network has a route to a workload's network, and sends packets there.
#[test]
fn external_neighbour_cannot_reach_workloads_through_the_board() {
    let host = host_or_return!();
    let config = linked(1, "", "/bin/probe on-term")
        .replace("[system]\n", "[system]\nlink eth0 192.168.9.2/24\nroute 10.9.0.0/16 via 192.168.9.1\n");
    let namespace = start(&host, &config);
    let peer = Peer::new(&namespace);
    host.expect_state("w0", "ready");
    until("the board's address", || net(&namespace).contains("address 192.168.9.2/24 on eth0"));
    assert!(net(&namespace).contains("route 10.9.0.0/16 via 192.168.9.1 dev eth0"), "{}", net(&namespace));
    // One reply ends it, however long it may take.
    let ping = |address: &str, seconds: &str| {
        peer.command("ping").args(["-q", "-c", "1", "-W", seconds, address]).status().expect("ping").success()
    };
    peer.ip(&["route", "add", "10.77.0.0/24", "via", "192.168.9.2"]);
    assert!(ping("192.168.9.2", "20"), "the board answers");
    assert!(!ping("10.77.0.2", "1"), "what is behind it does not");
    let text = net(&namespace);
    let refused = text.lines().find(|line| line.starts_with("rule hilum forward: refused to br0")).expect("the rule");
    assert!(!refused.ends_with("; 0 packets 0 bytes"), "it came that far: {refused}");
}

/// Returns the source address that the peer sees for a connection from the network namespace of the process with this
/// PID.
fn caller(peer: &Peer, from: u32, to: &'static str) -> IpAddr {
    let listener = within(peer.pid(), || TcpListener::bind("[::]:7000").expect("a port"));
    let stream = within(from, move || TcpStream::connect_timeout(&to.parse().expect("an address"), SOON));
    stream.unwrap_or_else(|error| panic!("{to}: {error}"));
    listener.accept().expect("it was connected").1.ip().to_canonical()
}

/// A TCP and a UDP port, requested from outside over IPv4 and IPv6, and outgoing connections.
#[test]
fn published_ports_and_masquerade_work_in_both_families() {
    let host = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\nlink eth0 192.168.9.2/24 fd09::2/64\nbridge br0 10.77.0.1/24 fd77::1/64\n\
        masquerade br0 eth0\n[workload w0]\nroot ROOT\nexec /bin/probe on-term\n\
        link veth br0 10.77.0.2/24 fd77::2/64 via 10.77.0.1 via fd77::1\n\
        publish 9000:80/tcp\npublish 9001:81/udp\npublish 192.168.9.2:9002:80/tcp\n";
    let namespace = start(&host, config);
    let peer = Peer::new(&namespace);
    peer.ip(&["addr", "add", "fd09::1/64", "dev", "srv", "nodad"]);
    host.expect_state("w0", "ready");
    until("the board's addresses", || net(&namespace).contains("address fd09::2/64 on eth0"));
    let [inside] = children(&namespace)[..] else { panic!("one workload: {:?}", children(&namespace)) };
    let (server, datagrams) = within(inside, || {
        let datagrams = UdpSocket::bind("[::]:81").expect("a port");
        datagrams.set_read_timeout(Some(SOON)).expect("a deadline");
        (TcpListener::bind("[::]:80").expect("a port"), datagrams)
    });
    let connect = |to: &'static str| {
        within(peer.pid(), move || TcpStream::connect_timeout(&to.parse().expect("an address"), SOON).map(|_| ()))
    };
    for (to, from) in
        [("192.168.9.2:9000", "192.168.9.1"), ("[fd09::2]:9000", "fd09::1"), ("192.168.9.2:9002", "192.168.9.1")]
    {
        connect(to).unwrap_or_else(|error| panic!("{to}: {error}"));
        let found = server.accept().expect("it was connected").1.ip().to_canonical();
        assert_eq!(found.to_string(), from, "the workload sees who asks");
    }
    for to in ["192.168.9.2:80", "[fd09::2]:9002"] {
        let refused = connect(to).expect_err("nothing is published there").kind();
        assert_eq!(refused, std::io::ErrorKind::ConnectionRefused, "{to}");
    }
    for (own, to) in [("0.0.0.0:0", "192.168.9.2:9001"), ("[::]:0", "[fd09::2]:9001")] {
        let asking = within(peer.pid(), move || {
            let socket = UdpSocket::bind(own).expect("a port");
            socket.set_read_timeout(Some(SOON)).expect("a deadline");
            // From then on it only receives from that address and port.
            socket.connect(to).expect("an address");
            socket.send(b"question").expect("sent");
            socket
        });
        let mut bytes = [0; 16];
        let (length, from) = datagrams.recv_from(&mut bytes).expect("the question");
        assert_eq!(&bytes[..length], b"question");
        datagrams.send_to(b"answer", from).expect("sent");
        assert_eq!(asking.recv(&mut bytes).expect("the answer"), 6, "{to}");
    }
    assert_eq!(caller(&peer, inside, "192.168.9.1:7000").to_string(), "192.168.9.2", "it is in the board's name");
    assert_eq!(caller(&peer, inside, "[fd09::1]:7000").to_string(), "fd09::2");
    // When stopped, its ports are removed. The test's own sockets would keep its network namespace.
    drop((server, datagrams));
    assert_eq!(host.ask(&["stop", "w0", "-w"]).0, 0);
    until("the end of its rules", || left(&net(&namespace)).is_empty());
    for to in ["192.168.9.2:9000", "[fd09::2]:9000"] {
        let refused = connect(to).expect_err("nobody is there").kind();
        assert_eq!(refused, std::io::ErrorKind::ConnectionRefused, "{to}");
    }
}

/// Microseconds from the start of PID 1 to a workload's program, and from the start of a workload to its program on a
/// running board: without a link, and with one.
#[test]
fn cost_of_a_link_is_printed() {
    let host = host_or_return!();
    let first = |config: &str| {
        let namespace = start(&host, config);
        namespace.console.between("first workload after ", " us", SOON).expect("it starts").parse::<u64>().ok()
    };
    let plain = "hilum 1\n[workload w0]\nroot ROOT\nexec /bin/probe on-term\n";
    println!(
        "microseconds from PID 1 to the program: {:?} without a link, {:?} with bridge, rules and link",
        first(plain),
        first(&linked(1, "", "/bin/probe on-term"))
    );
    let config = linked(1, "", "/bin/probe on-term") + "[workload plain]\nroot ROOT\nexec /bin/probe on-term\n";
    let _namespace = start(&host, &config);
    let usual = |name: &str| {
        host.expect_state(name, "ready");
        let mut all: Vec<u64> = (0..RESTARTS).map(|_| restart(&host, name)).collect();
        all.sort_unstable();
        all[RESTARTS / 2]
    };
    let (without, with) = (usual("plain"), usual("w0"));
    println!(
        "microseconds from a workload's start to its program, of {RESTARTS}: {without} without a link, {with} with one"
    );
}

const RESTARTS: usize = 21;

/// Restarts a workload. Returns the microseconds from its start to its program, by the board's clock.
fn restart(host: &crate::support::Host, name: &str) -> u64 {
    assert_eq!(host.ask(&["restart", name, "-w"]), (0, String::new()));
    let (_, timeline) = host.ask(&["timeline"]);
    // "  2752.820372 s      25856 us  w0: program executed"
    let at = |what: &str| {
        let line = timeline.lines().rfind(|line| line.ends_with(&format!("  {name}: {what}"))).expect("a line");
        let seconds = line.trim_start().split(' ').next().and_then(|text| text.parse::<f64>().ok());
        (seconds.expect("a time") * 1e6) as u64
    };
    at("program executed") - at("start")
}

/// strace(1) on PID 1 until `is_enough` of its output. Returns the calls that wait.
///
/// The kernel waits for an RCU grace period when the last descriptor of an nf_tables socket is closed, and at an
/// unmount; and a helper may never answer.
fn blocking_calls(
    host: &crate::support::Host,
    namespace: &hilum_qemu::Namespace,
    is_enough: impl Fn(&str) -> bool,
) -> Vec<String> {
    let init = namespace.process_one().expect("PID 1").as_raw_nonzero().get();
    let file = host.scratch.path().join("trace");
    let path = file.to_str().expect("UTF-8");
    let mut strace = std::process::Command::new("strace")
        .args(["-qq", "-yy", "-p", &init.to_string(), "-o", path])
        .spawn()
        .expect("strace");
    let text = || String::from_utf8_lossy(&std::fs::read(&file).unwrap_or_default()).into_owned();
    until("enough calls", || is_enough(&text()));
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(strace.id().cast_signed()).expect("a pid"),
        rustix::process::Signal::INT,
    )
    .expect("it runs");
    strace.wait().expect("strace");
    let waits = |line: &&str| {
        let name = line.split('(').next().unwrap_or_default();
        let closes = name == "close" && line.contains("NETLINK");
        let reaps = (name == "wait4" || name == "waitid") && !line.contains("WNOHANG");
        closes || reaps || ["umount2", "pivot_root", "poll", "ppoll", "nanosleep", "clock_nanosleep"].contains(&name)
    };
    text().lines().filter(waits).map(str::to_owned).collect()
}

#[test]
fn pid_1_makes_no_blocking_call_while_connected_workloads_start_and_exit() {
    let host = host_or_return!();
    let config = linked(4, "restart always delay=20ms max=20ms", "/bin/probe exit 0");
    let mut namespace = start(&host, &config);
    namespace.console.expect("\"w3\": restart 1", SOON).expect("they start");
    let requests =
        |text: &str| text.lines().filter(|line| line.starts_with("sendto(") && line.contains("NETLINK")).count();
    // Rules that PID 1 takes away.
    let found = blocking_calls(&host, &namespace, |text| requests(text) >= 20);
    assert!(found.is_empty(), "{found:#?}");
    namespace.signal(rustix::process::Signal::TERM).expect("a signal");
    namespace.wait(SOON).expect("it ends");
}

/// PID 1 itself creates a network that workloads share, and the links of it.
#[test]
fn pid_1_does_not_wait_for_a_missing_link_of_a_shared_network() {
    let host = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\nlink x0 up\n\
        [workload a]\nroot ROOT\nexec /bin/probe on-term\nlink macvlan x0 192.168.9.2/24\n\
        [workload b]\nroot ROOT\nexec /bin/probe on-term\nshare net=a\n\
        [workload other]\nroot ROOT\nexec /bin/probe exit 0\nrestart always delay=20ms max=20ms\n";
    let namespace = start(&host, config);
    namespace.console.expect("\"other\": started", SOON).expect("it starts");
    let tries = || namespace.console.text().matches("workload \"a\": start: ENODEV").count();
    let mut found = blocking_calls(&host, &namespace, |_| tries() >= 2);
    // The kernel does not wait when a socket for routes is closed.
    found.retain(|line| !line.starts_with("close("));
    assert!(found.is_empty(), "{} calls that wait: {:#?}", found.len(), &found[..1]);
    // The next attempt finds it.
    let _peer = Peer::by(&namespace, "x0");
    for name in ["a", "b"] {
        host.expect_state(name, "ready");
    }
}
