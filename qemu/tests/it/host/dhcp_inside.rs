//! Links of workloads that get their addresses by DHCP (`link macvlan LINK dhcp`). The judges are dnsmasq and ISC dhcpd.
//! systemd-nspawn leaves this to a systemd-networkd inside of the container.

use crate::support::wire::{Peer, beside, children, start, until};
use crate::support::{Host, SOON};
use hilum_qemu::Namespace;

const RANGE: &str = "192.168.9.50,192.168.9.59,120";

fn config(link: &str) -> String {
    format!(
        "hilum 1\n[system]\ncontrol SOCKET\nlink eth0 192.168.9.2/24\n\
         [workload a]\nroot ROOT\nexec /bin/probe on-term\nhostname meter\nlink {link}\nrestart always delay=100ms\n"
    )
}

/// Returns the pid of the process that has an address in a network of its own.
fn holder(namespace: &Namespace, address: &str) -> Option<u32> {
    children(namespace).into_iter().find(|pid| beside(*pid, &["ip", "-4", "address"]).contains(address))
}

/// Returns the pids of the DHCP clients.
fn clients(namespace: &Namespace) -> Vec<u32> {
    let status = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let is_client = |pid: &u32| status(pid).contains("Uid:\t65534") && !status(pid).contains("State:\tZ");
    children(namespace).into_iter().filter(is_client).collect()
}

/// Returns a board whose workload has a lease of dnsmasq, the address, and what dnsmasq logs.
fn leased(host: &Host, link: &str) -> (Namespace, Peer, std::path::PathBuf) {
    let namespace = start(host, &config(link));
    let mut peer = Peer::new(&namespace);
    let log = peer.serve_options(
        host.scratch.path(),
        RANGE,
        &["--dhcp-option=121,10.9.0.0/16,192.168.9.7,0.0.0.0/0,192.168.9.1"],
    );
    namespace.console.expect("link a.0: 192.168.9.5", SOON).expect("an answer");
    (namespace, peer, log)
}

#[test]
fn lease_of_a_workloads_macvlan_is_set_inside_renewed_and_ends_with_it() {
    let host = host_or_return!();
    let (namespace, peer, log) = leased(&host, "macvlan eth0 dhcp");
    let inside = |words: &[&str]| beside(holder(&namespace, " 192.168.9.5").expect("its process"), words);
    until("its address and routes", || {
        let (address, routes) = (inside(&["ip", "address", "show", "eth0"]), inside(&["ip", "route"]));
        address.contains(" dynamic ")
            && routes.contains("default via 192.168.9.1 dev eth0")
            && routes.contains("10.9.0.0/16 via 192.168.9.7 dev eth0")
    });
    // The board's own are as they were.
    let board = crate::support::wire::net(&namespace);
    assert!(board.contains("address 192.168.9.2/24 on eth0") && !board.contains("default via"), "{board}");
    let told = host.ask(&["net"]).1;
    assert!(told.contains("lease a.0: 192.168.9.5"), "{told}");
    assert!(Peer::count(&log, "client provides name: meter") > 0);
    let answer = inside(&["ping", "-c", "1", "-W", "10", "192.168.9.1"]);
    assert!(answer.contains(" 0% packet loss"), "{answer}");
    let given = Peer::count(&log, "DHCPACK");
    until("a renewal", || Peer::count(&log, "DHCPACK") > given);
    // A client that is killed is made again, in the same network.
    let found = Peer::count(&log, "DHCPDISCOVER");
    let [client] = clients(&namespace)[..] else { panic!("one client") };
    let pid = rustix::process::Pid::from_raw(client.cast_signed()).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is there");
    namespace.console.expect("link a.0: its DHCP client exited; restarting it", SOON).expect("that is told");
    until("another client's question", || Peer::count(&log, "DHCPDISCOVER") > found);
    // So is one whose wire was another one meanwhile.
    let found = Peer::count(&log, "DHCPDISCOVER");
    peer.ip(&["link", "set", "srv", "down"]);
    namespace.console.expect("link eth0: carrier lost", SOON).expect("that is told");
    peer.ip(&["link", "set", "srv", "up"]);
    until("a question on the wire that returned", || Peer::count(&log, "DHCPDISCOVER") > found);
    // Another run has another network, and another client in it.
    let before = clients(&namespace);
    assert_eq!(host.ask(&["restart", "a"]).0, 0);
    until("the lease of another run", || holder(&namespace, " 192.168.9.5").is_some());
    until("one client", || clients(&namespace).len() == 1 && clients(&namespace) != before);
    // What a reload leaves alone keeps its client.
    let before = clients(&namespace);
    host.configure(&(config("macvlan eth0 dhcp") + "[workload b]\nroot ROOT\nexec /bin/probe on-term\n"));
    assert_eq!(host.ask(&["reload"]).0, 0, "{}", namespace.console.tail());
    host.expect_state("b", "ready");
    assert_eq!(clients(&namespace), before);
    assert_eq!(host.ask(&["stop", "a"]).0, 0);
    until("the end of its client", || clients(&namespace).is_empty());
    assert!(!host.ask(&["net"]).1.contains("lease a.0"), "it has no lease");
}

/// A board and its workload on one wire.
#[test]
fn lease_inside_that_nobody_renews_is_over_in_time_and_comes_back() {
    let host = host_or_return!();
    let namespace = start(&host, &config("macvlan eth0 dhcp").replace("eth0 192.168.9.2/24", "eth0 dhcp"));
    let mut peer = Peer::new(&namespace);
    let folder = host.scratch.path();
    let text = "subnet 192.168.9.0 netmask 255.255.255.0 {\n  range 192.168.9.50 192.168.9.59;\n\
                option routers 192.168.9.1;\n  default-lease-time 20;\n  min-lease-time 20;\n  max-lease-time 20;\n}\n\
                authoritative;\n";
    std::fs::write(folder.join("dhcpd.conf"), text).expect("a file");
    std::fs::write(folder.join("dhcpd.leases"), "").expect("a file");
    let serve = |peer: &mut Peer| {
        let mut command = peer.command("/usr/sbin/dhcpd");
        command.args(["-4", "-d", "-user", "root", "-group", "root", "-cf"]).arg(folder.join("dhcpd.conf"));
        command.arg("-lf").arg(folder.join("dhcpd.leases")).arg("-pf").arg(folder.join("dhcpd.pid")).arg("srv");
        peer.run_server(command, &folder.join("dhcpd.log"));
    };
    serve(&mut peer);
    let console = &namespace.console;
    console.expect("link a.0: 192.168.9.5", SOON).expect("a lease for the workload");
    console.expect("link eth0: 192.168.9.5", SOON).expect("a lease for the board");
    let text = console.text();
    let address = |link: &str| {
        let (_, rest) = text.split_once(&format!("link {link}: 192.")).expect("a line");
        rest.split('/').next().expect("an address").to_owned()
    };
    assert_ne!(address("a.0"), address("eth0"), "{text}");
    let process = holder(&namespace, &format!("192.{}/24", address("a.0"))).expect("its process");
    peer.stop_serving();
    let _ = std::fs::remove_file(folder.join("dhcpd.pid"));
    let line = format!("link a.0: the lease of 192.{}/24 expired", address("a.0"));
    console.expect(&line, 3 * SOON).expect("that is told");
    until("no address", || !beside(process, &["ip", "-4", "address", "show", "eth0"]).contains("192.168.9."));
    let routes = beside(process, &["ip", "route"]);
    assert!(!routes.contains("default"), "{routes}");
    serve(&mut peer);
    until("a lease again", || beside(process, &["ip", "route"]).contains("default via 192.168.9.1"));
}

#[test]
fn lease_in_the_network_of_the_workloads_other_link_is_refused_and_silence_is_told() {
    let host = host_or_return!();
    let config = config("macvlan eth0 dhcp\nlink veth br0 192.168.9.130/26")
        .replace("link eth0 192.168.9.2/24", "link eth0 up\nbridge br0 192.168.9.129/26");
    let namespace = start(&host, &config);
    let mut peer = Peer::new(&namespace);
    namespace.console.expect("link a.0: no DHCP server has answered; still asking", 2 * SOON).expect("that is told");
    peer.serve_options(host.scratch.path(), RANGE, &[]);
    let line = " from 192.168.9.1 refused: it overlaps 192.168.9.130/26 of link eth1";
    namespace.console.expect(line, 3 * SOON).expect("that is told");
    assert!(holder(&namespace, " 192.168.9.5").is_none());
}
