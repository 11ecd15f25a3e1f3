//! Input from the external network that must be refused: overlapping leases, router advertisements, names of links.

use crate::support::SOON;
use crate::support::wire::{Peer, advertisements, beside, children, inside, net, start, until};
use hilum_qemu::Namespace;

/// Returns the host's PID of PID 1.
fn process_one(namespace: &Namespace) -> u32 {
    namespace.process_one().expect("it runs").as_raw_nonzero().get().unsigned_abs()
}

#[test]
fn link_name_cannot_control_the_terminal() {
    let host = host_or_return!();
    let namespace = start(&host, "hilum 1\n[workload a]\nroot ROOT\nexec /bin/probe on-term\n");
    namespace.console.expect("workload \"a\": started", SOON).expect("it starts");
    let made = inside(&namespace, &["ip", "link", "add", "x\u{1b}[2Jy", "type", "veth", "peer", "name", "far"]);
    assert_eq!(made, "");
    let text = net(&namespace);
    assert!(text.contains("link x?[2Jy") && !text.contains('\u{1b}'), "{text}");
}

/// Only a configured link accepts addresses and routers from advertisements (RFC 4861).
///
/// systemd-networkd: accepts them on every link that it configures, unless the link forwards or has `IPv6AcceptRA=no`.
#[test]
fn only_links_with_slaac_accept_router_advertisements() {
    for (words, is_taken) in
        [("up", false), ("dhcp", false), ("192.168.9.2/24", false), ("slaac", true), ("dhcp slaac", true)]
    {
        let host = host_or_return!();
        // A bridge with IPv6 makes the board forward, which would otherwise disable advertisements.
        let config = format!(
            "hilum 1\n[system]\nlink eth0 {words}\nbridge br0 fd77::1/64\n[workload a]\nroot ROOT\nexec /bin/probe on-term\n"
        );
        let namespace = start(&host, &config);
        namespace.console.expect("workload \"a\": started", SOON).expect("it starts");
        let mut peer = Peer::new(&namespace);
        peer.ip(&["address", "add", "fd55::1/64", "dev", "srv"]);
        peer.advertise(host.scratch.path(), "prefix fd55::/64 { };");
        let one = process_one(&namespace);
        until("two advertisements", || advertisements(one, "eth0") >= 2);
        if is_taken {
            until("an address", || net(&namespace).contains("address fd55:"));
        }
        let text = net(&namespace);
        assert_eq!(text.contains("address fd55:"), is_taken, "{words}: {text}");
        let has_route =
            text.lines().any(|line| line.starts_with("route default via fe80:") && line.ends_with("dev eth0"));
        assert_eq!(has_route, is_taken, "{words}: {text}");
    }
}

/// An external server cannot take over traffic to or between workloads.
///
/// systemd-networkd: configures such a lease.
#[test]
fn lease_that_overlaps_a_bridge_network_is_refused_and_reported() {
    for (peer, range, refused) in [
        ("10.77.0.60/25", "10.77.0.50,10.77.0.50,255.255.255.128,120", "10.77.0.50/25"),
        ("10.1.0.1/8", "10.77.9.50,10.77.9.50,255.0.0.0,120", "10.77.9.50/8"),
    ] {
        let host = host_or_return!();
        let workload = "link veth br0 10.77.0.2/24 via 10.77.0.1\n";
        let config = format!(
            "hilum 1\n[system]\nlink eth0 dhcp\nbridge br0 10.77.0.1/24\n\
             [workload a]\nroot ROOT\nexec /bin/probe on-term\n{workload}"
        );
        let namespace = start(&host, &config);
        let mut peer_of = Peer::new(&namespace);
        peer_of.ip(&["address", "add", peer, "dev", "srv"]);
        let log = peer_of.serve_range(host.scratch.path(), range);
        let line = "refused: it overlaps 10.77.0.1/24 of bridge br0; renumber one of them";
        namespace.console.expect(&format!("link eth0: {refused} from "), SOON).expect("that is told");
        namespace.console.expect(line, SOON).expect("with what to do");
        // The client requests it again; it is neither applied nor reported again.
        let acknowledged = Peer::count(&log, "DHCPACK");
        until("a renewal", || Peer::count(&log, "DHCPACK") > acknowledged);
        let text = net(&namespace);
        let has_route = text.lines().any(|line| line.starts_with("route 10.") && line.ends_with("dev eth0"));
        assert!(!text.contains(refused) && !has_route && !text.contains("route default"), "{text}");
        assert_eq!(namespace.console.text().matches(" refused: ").count(), 1, "{}", namespace.console.tail());
        namespace.console.expect("workload \"a\": started", SOON).expect("it goes on");
    }
}

/// A renewal with another network is checked like the first lease.
///
/// systemd-networkd: configures it.
#[test]
fn renewal_into_a_bridge_network_is_refused_and_the_address_removed() {
    let host = host_or_return!();
    let config = "hilum 1\n[system]\nlink eth0 dhcp\nbridge br0 10.77.0.1/24\n\
                  [workload a]\nroot ROOT\nexec /bin/probe on-term\n";
    let namespace = start(&host, config);
    let mut peer = Peer::new(&namespace);
    peer.ip(&["address", "add", "10.77.1.1/24", "dev", "srv"]);
    let range = |mask: &str| format!("10.77.1.50,10.77.1.50,{mask},120");
    peer.serve_range(host.scratch.path(), &range("255.255.255.0"));
    namespace.console.expect("link eth0: 10.77.1.50/24 via 10.77.1.1 from 10.77.1.1", SOON).expect("a good lease");
    // The server's network grows over that of the bridge.
    peer.ip(&["address", "del", "10.77.1.1/24", "dev", "srv"]);
    peer.ip(&["address", "add", "10.77.1.1/16", "dev", "srv"]);
    peer.serve_range(host.scratch.path(), &range("255.255.0.0"));
    let line = "link eth0: 10.77.1.50/16 from 10.77.1.1 refused: it overlaps 10.77.0.1/24 of bridge br0; \
                renumber one of them";
    namespace.console.expect(line, 2 * SOON).expect("that is told");
    let text = net(&namespace);
    let has_route = text.lines().any(|line| line.starts_with("route 10.77.") && line.ends_with("dev eth0"));
    assert!(!text.contains("10.77.1.50") && !has_route && !text.contains("route default"), "{text}");
}

/// Two links to networks with the same addresses: the first one gets the lease, until its cable is unplugged.
///
/// systemd-networkd: configures both; the route with the lower metric is used.
#[test]
fn lease_for_another_links_network_is_refused_until_that_loses_it() {
    let host = host_or_return!();
    let config = "hilum 1\n[system]\nlink eth0 dhcp\nlink eth1 dhcp\n\
                  [workload a]\nroot ROOT\nexec /bin/probe on-term\n";
    let namespace = start(&host, config);
    let console = &namespace.console;
    let folder = |name: &str| {
        let path = host.scratch.path().join(name);
        std::fs::create_dir(&path).expect("a folder");
        path
    };
    let mut first = Peer::by(&namespace, "eth0");
    first.serve(&folder("first"));
    console.expect("link eth0: 192.168.9.50/24 via 192.168.9.1 from 192.168.9.1", SOON).expect("a lease");
    let mut second = Peer::by(&namespace, "eth1");
    let log = second.serve_range(&folder("second"), "192.168.9.60,192.168.9.60,120");
    let line = "link eth1: 192.168.9.60/24 from 192.168.9.1 refused: it overlaps 192.168.9.50/24 of link eth0; \
                use only one of the two links, or renumber one of them";
    console.expect(line, SOON).expect("that is told");
    let acknowledged = Peer::count(&log, "DHCPACK");
    until("a renewal", || Peer::count(&log, "DHCPACK") > acknowledged);
    let text = net(&namespace);
    assert!(text.contains("address 192.168.9.50/24 on eth0") && !text.contains("192.168.9.60"), "{text}");
    assert!(text.contains("route default via 192.168.9.1 dev eth0"), "the first one goes on: {text}");

    // It takes over at once, not at its next renewal.
    first.ip(&["link", "set", "srv", "down"]);
    console.expect("link eth0: the lease of 192.168.9.50/24 expired", SOON).expect("that is told");
    console.expect("link eth1: 192.168.9.60/24 via 192.168.9.1 from 192.168.9.1", SOON).expect("it takes it");
    let text = net(&namespace);
    assert!(text.contains("address 192.168.9.60/24 on eth1") && !text.contains("192.168.9.50"), "{text}");
    assert!(text.contains("route default via 192.168.9.1 dev eth1"), "{text}");
    assert!(!text.contains("route default via 192.168.9.1 dev eth0"), "{text}");
    // When the cable is back, this is the second one.
    first.ip(&["link", "set", "srv", "up"]);
    let line = "link eth0: 192.168.9.50/24 from 192.168.9.1 refused: it overlaps 192.168.9.60/24 of link eth1";
    console.expect(line, SOON).expect("that is told");
    // When the other one's server revokes its lease, the first one takes over.
    second.serve_range(&host.scratch.path().join("second"), "192.168.9.70,192.168.9.80,120");
    console.expect("link eth1: the lease of 192.168.9.60/24 expired", 2 * SOON).expect("that is told");
    until("the first again", || net(&namespace).contains("address 192.168.9.50/24 on eth0"));
    assert_eq!(console.text().matches(" refused: ").count(), 2, "once each: {}", console.tail());
}

/// An external router cannot take over traffic to a workload either.
///
/// systemd-networkd: configures it, unless `PrefixDenyList=` lists the prefix.
#[test]
fn advertised_network_that_overlaps_a_bridge_is_removed_and_reported() {
    for (what, network) in [
        ("prefix fd77::/80 { AdvAutonomous off; };", "fd77::/80"),
        ("prefix fd77::2/128 { AdvAutonomous off; };", "fd77::2/128"),
        ("prefix fd77::/64 { };", "fd77::/64"),
        ("route fd77::/96 { };", ""),
    ] {
        let host = host_or_return!();
        let config = "hilum 1\n[system]\nlink eth0 slaac\nbridge br0 fd77::1/64\n\
                      [workload a]\nroot ROOT\nexec /bin/probe on-term\nlink veth br0 fd77::2/64 via fd77::1\n";
        let namespace = start(&host, config);
        namespace.console.expect("workload \"a\": started", SOON).expect("it starts");
        let mut peer = Peer::new(&namespace);
        peer.ip(&["address", "add", "fd55::1/64", "dev", "srv"]);
        peer.advertise(host.scratch.path(), &format!("prefix fd55::/64 {{ }}; {what}"));
        // The route to the workload never changes, however often it is checked.
        let way = |to: &str| inside(&namespace, &["ip", "-6", "route", "get", to]);
        let one = process_one(&namespace);
        until("three advertisements", || {
            let way = way("fd77::2");
            assert!(way.contains("dev br0"), "{what}: {way}");
            advertisements(one, "eth0") >= 3
        });
        until("what is good of them", || net(&namespace).contains("address fd55:"));
        if !network.is_empty() {
            let line = format!(
                "link eth0: {network} of a router advertisement refused: it overlaps fd77::1/64 of bridge br0;"
            );
            namespace.console.expect(&line, SOON).expect("that is told");
            assert_eq!(namespace.console.text().matches(" refused: ").count(), 1, "{}", namespace.console.tail());
        }
        until("what nobody has is not out there", || way("fd77::3").contains("dev br0"));
        until("no address and no route of it", || {
            let text = net(&namespace);
            !text.lines().any(|line| line.contains(" fd77:") && line.ends_with(" eth0"))
        });
    }
}

/// A link of a workload uses only its line, and no advertisements.
///
/// systemd-nspawn: leaves it to the networkd of the container, which accepts them.
#[test]
fn link_of_a_workload_ignores_router_advertisements() {
    // The name inside is the parent's in both. ipvlan is configured like macvlan.
    for line in ["macvlan eth0 192.168.9.2/24", "move eth0 192.168.9.2/24"] {
        let host = host_or_return!();
        let own = if line.starts_with("move") { "" } else { "link eth0 up\n" };
        let config = format!("hilum 1\n[system]\n{own}[workload a]\nroot ROOT\nexec /bin/probe on-term\nlink {line}\n");
        let namespace = start(&host, &config);
        let mut peer = Peer::new(&namespace);
        namespace.console.expect("workload \"a\": started", SOON).expect("it starts");
        peer.ip(&["address", "add", "fd55::1/64", "dev", "srv"]);
        peer.advertise(host.scratch.path(), "prefix fd55::/64 { };");
        let has_address = |pid: &u32| beside(*pid, &["ip", "-4", "address"]).contains("192.168.9.2/24");
        let workload = children(&namespace).into_iter().find(has_address).expect("its process");
        until("two advertisements", || advertisements(workload, "eth0") >= 2);
        let text = beside(workload, &["ip", "-6", "address"]) + &beside(workload, &["ip", "-6", "route"]);
        assert!(!text.contains("fd55:") && !text.contains("default"), "{line}: {text}");
    }
}

/// The same applies to a bridge without IPv6.
///
/// systemd-networkd: ignores them where the link forwards.
#[test]
fn bridge_ignores_router_advertisements() {
    let host = host_or_return!();
    let namespace =
        start(&host, "hilum 1\n[system]\nbridge br0 10.77.0.1/24\n[workload a]\nroot ROOT\nexec /bin/probe on-term\n");
    namespace.console.expect("workload \"a\": started", SOON).expect("it starts");
    let setting = |name: &str| inside(&namespace, &["cat", &format!("/proc/sys/net/ipv6/conf/br0/{name}")]);
    for name in ["accept_ra", "autoconf"] {
        until(name, || setting(name) == "0\n");
    }
}
