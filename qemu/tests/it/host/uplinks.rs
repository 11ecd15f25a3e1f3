//! Several uplinks: which one is used when cables are unplugged, and what `hilum net` reports.

use crate::support::wire::{Peer, inside, net, start, until};
use crate::support::{Host, SOON};
use hilum_qemu::Namespace;

const WORKLOAD: &str = "[workload a]\nroot ROOT\nexec /bin/probe on-term\n";

/// Returns the route to a destination.
fn way(namespace: &Namespace, to: &str) -> String {
    inside(namespace, &["ip", "route", "get", to])
}

fn goes_by(namespace: &Namespace, to: &str, link: &str) {
    until(&format!("{to} by {link}"), || way(namespace, to).contains(&format!(" dev {link} ")));
}

/// Returns what PID 1 reports about its uplinks.
fn uplinks(host: &Host) -> String {
    host.ask(&["net"]).1
}

fn says(host: &Host, line: &str) {
    until(line, || uplinks(host).lines().any(|found| found == line));
}

/// Creates the second network: 192.168.10.1/24 and fd10::1/64 at the other end of `eth1`.
fn second(namespace: &Namespace) -> Peer {
    let peer = Peer::by(namespace, "eth1");
    peer.ip(&["address", "del", "192.168.9.1/24", "dev", "srv"]);
    peer.ip(&["address", "add", "192.168.10.1/24", "dev", "srv"]);
    peer.ip(&["address", "add", "fd10::1/64", "dev", "srv", "nodad"]);
    peer
}

/// systemd-networkd: without a carrier it removes addresses, routes and name servers of a link
/// (`IgnoreCarrierLoss=no`), and sets them again when it returns; metrics are 1024 unless `RouteMetric=` is set.
#[test]
fn second_dhcp_uplink_is_used_when_the_first_loses_its_carrier() {
    let host = host_or_return!();
    let namespace =
        start(&host, &format!("hilum 1\n[system]\ncontrol SOCKET\nlink eth0 dhcp\nlink eth1 dhcp\n{WORKLOAD}"));
    let console = &namespace.console;
    let folder = |name: &str| {
        let path = host.scratch.path().join(name);
        std::fs::create_dir(&path).expect("a folder");
        path
    };
    let mut other = second(&namespace);
    other.serve_range(&folder("second"), "192.168.10.50,192.168.10.50,120");
    console.expect("link eth1: 192.168.10.50/24 via 192.168.10.1 from 192.168.10.1", SOON).expect("a lease");
    goes_by(&namespace, "203.0.113.1", "eth1");
    says(&host, "uplink eth0 IPv4: not used: it is not there");
    let mut first = Peer::new(&namespace);
    let log = first.serve(&folder("first"));
    console.expect("link eth0: 192.168.9.50/24 via 192.168.9.1 from 192.168.9.1", SOON).expect("a lease");
    // By the order of the lines, and not that of the leases.
    goes_by(&namespace, "203.0.113.1", "eth0");
    says(&host, "uplink eth0 IPv4: used");
    says(&host, "uplink eth1 IPv4: not used: eth0 comes first");
    let lease = uplinks(&host).lines().find(|line| line.starts_with("lease eth0: ")).expect("a line").to_owned();
    assert!(lease.starts_with("lease eth0: 192.168.9.50/24 from 192.168.9.1, 1"), "{lease}");
    assert!(lease.ends_with(" s left, name server 192.168.9.3"), "{lease}");

    first.ip(&["link", "set", "srv", "down"]);
    goes_by(&namespace, "203.0.113.1", "eth1");
    // Addresses in the network of the dead link are also reached by the other one.
    goes_by(&namespace, "192.168.9.7", "eth1");
    says(&host, "uplink eth0 IPv4: not used: no carrier");
    says(&host, "uplink eth1 IPv4: used");
    let text = net(&namespace);
    assert!(!text.contains("route default via 192.168.9.1"), "{text}");

    // It is preferred again when its server has confirmed the lease, and not before.
    let acknowledged = Peer::count(&log, "DHCPACK");
    first.ip(&["link", "set", "srv", "up"]);
    goes_by(&namespace, "203.0.113.1", "eth0");
    assert!(Peer::count(&log, "DHCPACK") > acknowledged, "it asked again");
    says(&host, "uplink eth1 IPv4: not used: eth0 comes first");

    // Both are unplugged: there is no route. One returns without its server: better than nothing.
    first.stop_serving();
    other.ip(&["link", "set", "srv", "down"]);
    first.ip(&["link", "set", "srv", "down"]);
    until("no way", || !way(&namespace, "203.0.113.1").contains(" dev "));
    first.ip(&["link", "set", "srv", "up"]);
    goes_by(&namespace, "203.0.113.1", "eth0");
    other.ip(&["link", "set", "srv", "up"]);
    goes_by(&namespace, "203.0.113.1", "eth1");
    says(&host, "uplink eth0 IPv4: not used: its lease is not confirmed since the carrier returned");
}

/// systemd-networkd: the same for static addresses, unless `ConfigureWithoutCarrier=` is set.
#[test]
fn second_static_uplink_is_used_when_the_first_loses_its_carrier() {
    let host = host_or_return!();
    let config = format!(
        "hilum 1\n[system]\ncontrol SOCKET\nlink eth0 192.168.9.2/24 via 192.168.9.1 fd09::2/64 via fd09::1\n\
         link eth1 192.168.10.2/24 via 192.168.10.1 fd10::2/64 via fd10::1\n{WORKLOAD}"
    );
    let namespace = start(&host, &config);
    let first = Peer::new(&namespace);
    let other = second(&namespace);
    let both = |link: &str| ["203.0.113.1", "2001:db8::1"].iter().for_each(|to| goes_by(&namespace, to, link));
    both("eth0");
    says(&host, "uplink eth1 IPv6: not used: eth0 comes first");
    for _ in 0..3 {
        first.ip(&["link", "set", "srv", "down"]);
        both("eth1");
        says(&host, "uplink eth0 IPv6: not used: no carrier");
        says(&host, "uplink eth1 IPv4: used");
        first.ip(&["link", "set", "srv", "up"]);
        both("eth0");
        other.ip(&["link", "set", "srv", "down"]);
        both("eth0");
        other.ip(&["link", "set", "srv", "up"]);
        says(&host, "uplink eth1 IPv4: not used: eth0 comes first");
    }
    let text = inside(&namespace, &["ip", "route"]) + &inside(&namespace, &["ip", "-6", "route"]);
    for line in [
        "default via 192.168.9.1 dev eth0 proto static metric 100",
        "default via 192.168.10.1 dev eth1 proto static metric 101",
        "default via fd09::1 dev eth0 proto static metric 100",
        "default via fd10::1 dev eth1 proto static metric 101",
    ] {
        assert_eq!(text.matches(line).count(), 1, "{line} in {text}");
    }
}

/// systemd-networkd: has no such feature; mwan3 of OpenWrt counts lost pings in the same way.
#[test]
fn uplink_with_a_failing_probe_loses_preference_until_it_answers() {
    let host = host_or_return!();
    let config = format!(
        "hilum 1\n[system]\ncontrol SOCKET\nlink eth0 192.168.9.2/24 fd09::2/64 via 192.168.9.1 via fd09::1 probe 203.0.113.9\n\
         link eth1 192.168.10.2/24 fd10::2/64 via 192.168.10.1 via fd10::1 probe fd10::1\n{WORKLOAD}"
    );
    let namespace = start(&host, &config);
    let first = Peer::new(&namespace);
    let _other = second(&namespace);
    // Behind the router, as a probed address should be.
    let answer = |is_there: &str| first.ip(&["address", is_there, "203.0.113.9/32", "dev", "srv"]);
    answer("add");
    let console = &namespace.console;
    for to in ["198.51.100.1", "2001:db8::1"] {
        goes_by(&namespace, to, "eth0");
    }
    answer("del");
    console.expect("link eth0: 203.0.113.9 does not answer; other uplinks come first", 2 * SOON).expect("that is told");
    for (to, family) in [("198.51.100.1", "IPv4"), ("2001:db8::1", "IPv6")] {
        goes_by(&namespace, to, "eth1");
        says(&host, &format!("uplink eth0 {family}: not used: its probe has no answer"));
        says(&host, &format!("uplink eth1 {family}: used"));
    }
    // Addresses in its own network stay reachable there.
    goes_by(&namespace, "192.168.9.7", "eth0");
    answer("add");
    console.expect("link eth0: 203.0.113.9 answers again", 2 * SOON).expect("that is told");
    goes_by(&namespace, "198.51.100.1", "eth0");
    assert!(!console.text().contains("link eth1: fd10::1 does not answer"), "{}", console.text());
}

/// Starts a board whose cards have the names of other lines.
fn swapped(host: &Host, cards: &[(&str, u8)], lines: &str) -> Namespace {
    let make: String = cards
        .iter()
        .map(|(name, mac)| format!("ip link add {name} address 02:00:00:00:00:0{mac} type veth peer name far{mac}; "))
        .collect();
    let config = format!("hilum 1\n[system]\n{lines}{WORKLOAD}");
    host.start_wrapped(&config, &["unshare", "--net", "sh", "-c", &format!("{make} exec \"$@\""), "sh"])
}

/// systemd-udevd: since v197 does not rename to a name in use (EEXIST is logged, the kernel's name stays); before that
/// it used `rename1`.
#[test]
fn swapped_interface_names_are_corrected() {
    for (cards, lines, wanted) in [
        (
            &[("eth0", 1), ("eth1", 2)][..],
            "link eth1 mac=02:00:00:00:00:01 192.168.1.2/24\nlink eth0 mac=02:00:00:00:00:02 192.168.2.2/24\n",
            &[("eth1", 1), ("eth0", 2)][..],
        ),
        // A cycle of three, with lines in another order.
        (
            &[("eth0", 1), ("eth1", 2), ("eth2", 3)],
            "link eth0 mac=02:00:00:00:00:03 192.168.3.2/24\nlink eth2 mac=02:00:00:00:00:02 192.168.2.2/24\n\
             link eth1 mac=02:00:00:00:00:01 192.168.1.2/24\n",
            &[("eth1", 1), ("eth2", 2), ("eth0", 3)],
        ),
        // The other card has a line that does not identify it: it is the remaining one.
        (
            &[("eth0", 1), ("eth1", 2)],
            "link eth0 192.168.2.2/24\nlink eth1 mac=02:00:00:00:00:01 192.168.1.2/24\n",
            &[("eth1", 1), ("eth0", 2)],
        ),
    ] {
        let host = host_or_return!();
        let namespace = swapped(&host, cards, lines);
        namespace.console.expect("workload \"a\": started", SOON).expect("it starts");
        for (name, number) in wanted {
            let address = format!("address 192.168.{number}.2/24 on {name}\n");
            until(&address, || net(&namespace).contains(&address));
            let text = net(&namespace);
            let card = text.lines().find(|line| line.starts_with(&format!("link {name} "))).unwrap_or_default();
            assert!(card.contains(&format!("02:00:00:00:00:0{number}")), "{name}: {text}");
        }
        let text = namespace.console.text();
        assert!(!text.contains("EEXIST") && !text.contains("EBUSY"), "{text}");
        assert!(!net(&namespace).contains("link rename"), "{}", net(&namespace));
    }
}
