//! What comes from the board's wire and is not taken: leases that overlap, router advertisements, names of links.

mod support;

use support::SOON;
use support::wire::{Peer, inside, net, start, until};

#[test]
fn name_of_a_link_controls_no_terminal() {
    let host = host_or_return!();
    let namespace = start(&host, "hilum 1\n[workload a]\nroot ROOT\nexec /bin/probe on-term\n");
    namespace.console.expect("workload \"a\": started", SOON).expect("it starts");
    let made = inside(&namespace, &["ip", "link", "add", "x\u{1b}[2Jy", "type", "veth", "peer", "name", "far"]);
    assert_eq!(made, "");
    let text = net(&namespace);
    assert!(text.contains("link x?[2Jy") && !text.contains('\u{1b}'), "{text}");
}

/// Only a link whose line says so takes an address and a router from whoever advertises one (RFC 4861).
#[test]
fn router_advertisements_are_taken_by_a_link_with_slaac_alone() {
    for (words, is_taken) in
        [("up", false), ("dhcp", false), ("192.168.9.2/24", false), ("slaac", true), ("dhcp slaac", true)]
    {
        let host = host_or_return!();
        // A bridge with IPv6 makes the board forward, which would close its ears otherwise.
        let config = format!(
            "hilum 1\n[system]\nlink eth0 {words}\nbridge br0 fd77::1/64\n[workload a]\nroot ROOT\nexec /bin/probe on-term\n"
        );
        let namespace = start(&host, &config);
        namespace.console.expect("workload \"a\": started", SOON).expect("it starts");
        let peer = Peer::new(&namespace);
        peer.ip(&["address", "add", "fd55::1/64", "dev", "srv"]);
        let file = host.scratch.path().join("radvd.conf");
        let text =
            "interface srv { AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; prefix fd55::/64 { }; };\n";
        std::fs::write(&file, text).expect("a file");
        let pid_file = host.scratch.path().join("radvd.pid");
        let mut radvd = peer
            .command("radvd")
            .args(["--nodaemon", "--logmethod", "stderr", "--config"])
            .arg(&file)
            .arg("--pidfile")
            .arg(&pid_file)
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("radvd");
        // What the board has heard, taken or not: the kernel counts it.
        let heard = || {
            let text = inside(&namespace, &["cat", "/proc/net/dev_snmp6/eth0"]);
            let line = text
                .lines()
                .find(|line| line.starts_with("Icmp6InRouterAdvertisements"))
                .unwrap_or_default()
                .to_owned();
            line.split_whitespace().nth(1).and_then(|count| count.parse().ok()).unwrap_or(0_u32)
        };
        until("two advertisements", || heard() >= 2);
        if is_taken {
            until("an address", || net(&namespace).contains("address fd55:"));
        }
        let text = net(&namespace);
        radvd.kill().expect("it runs");
        radvd.wait().expect("it runs");
        assert_eq!(text.contains("address fd55:"), is_taken, "{words}: {text}");
        let has_route =
            text.lines().any(|line| line.starts_with("route default via fe80:") && line.ends_with("over eth0"));
        assert_eq!(has_route, is_taken, "{words}: {text}");
    }
}

/// A server on the outer wire cannot take over what goes to a workload, or from one to another.
#[test]
fn lease_inside_of_a_bridges_network_or_around_it_is_refused_and_told() {
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
        let line = "is refused: it overlaps 10.77.0.1/24 of bridge br0; give one of them another network";
        namespace.console.expect(&format!("link eth0: {refused} from "), SOON).expect("that is told");
        namespace.console.expect(line, SOON).expect("with what to do");
        // It is asked for again, and neither taken nor told again.
        let acknowledged = Peer::count(&log, "DHCPACK");
        until("a renewal", || Peer::count(&log, "DHCPACK") > acknowledged);
        let text = net(&namespace);
        let has_route = text.lines().any(|line| line.starts_with("route 10.") && line.ends_with("over eth0"));
        assert!(!text.contains(refused) && !has_route && !text.contains("route default"), "{text}");
        assert_eq!(namespace.console.text().matches("is refused").count(), 1, "{}", namespace.console.tail());
        namespace.console.expect("workload \"a\": started", SOON).expect("it goes on");
    }
}
