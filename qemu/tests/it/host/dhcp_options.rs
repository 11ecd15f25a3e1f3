//! Options of DHCP servers besides the address: routes, MTU, domains, time servers. The reference server is dnsmasq;
//! for others see `dhcp_servers.rs`.

use crate::support::wire::{DHCP, Peer, inside, net, start, until};
use crate::support::{Host, SOON};
use hilum_qemu::Namespace;

const RANGE: &str = "192.168.9.50,192.168.9.50,120";

fn routes(namespace: &Namespace) -> String {
    inside(namespace, &["ip", "-4", "route", "show", "dev", "eth0"])
}

/// Returns a board with a lease from dnsmasq with these options.
fn leased(host: &Host, config: &str, words: &[&str]) -> (Namespace, Peer) {
    let namespace = start(host, config);
    let mut peer = Peer::new(&namespace);
    peer.serve_options(host.scratch.path(), RANGE, words);
    namespace.console.expect("link eth0: 192.168.9.50/24 ", SOON).expect("an answer");
    (namespace, peer)
}

fn has(namespace: &Namespace, lines: &[&str]) {
    for line in lines {
        until(line, || routes(namespace).lines().any(|found| found.trim_end() == *line));
    }
}

/// systemd-networkd: the same; with option 121 it ignores option 3, and routes to a router outside of the network are
/// on-link.
#[test]
fn classless_routes_override_the_router() {
    let host = host_or_return!();
    let option = "--dhcp-option=121,0.0.0.0/0,172.16.0.1,172.16.0.1/32,0.0.0.0,10.9.0.0/16,192.168.9.7";
    let (namespace, _peer) = leased(&host, DHCP, &[option]);
    has(
        &namespace,
        &[
            "default via 172.16.0.1 proto static metric 100",
            "172.16.0.1 proto static scope link metric 100",
            "10.9.0.0/16 via 192.168.9.7 proto static metric 100",
        ],
    );
    let text = routes(&namespace);
    assert!(!text.contains("via 192.168.9.1 "), "the router of option 3 is not used: {text}");
    assert!(namespace.console.text().contains("192.168.9.50/24 via 172.16.0.1 from"), "{}", namespace.console.text());
}

/// systemd-networkd: adds an on-link route to a router outside of the network.
#[test]
fn router_outside_of_the_lease_network_is_reached_on_link() {
    let host = host_or_return!();
    let (namespace, peer) = leased(&host, DHCP, &["--dhcp-option=3,192.168.77.1"]);
    has(
        &namespace,
        &["default via 192.168.77.1 proto static metric 100", "192.168.77.1 proto static scope link metric 100"],
    );
    peer.ip(&["address", "add", "192.168.77.1/32", "dev", "srv"]);
    peer.ip(&["address", "add", "203.0.113.5/32", "dev", "srv"]);
    let answer = inside(&namespace, &["ping", "-c", "1", "-W", "10", "203.0.113.5"]);
    assert!(answer.contains(" 0% packet loss"), "{answer}");
}

/// systemd-networkd: accepts such a route.
#[test]
fn classless_route_into_a_bridge_network_is_refused_and_reported() {
    let host = host_or_return!();
    let config = DHCP.replace("link eth0", "bridge br0 10.77.0.1/24\nlink eth0");
    let (namespace, _peer) = leased(&host, &config, &["--dhcp-option=121,10.77.0.0/25,192.168.9.1"]);
    let line = "link eth0: 192.168.9.50/24 from 192.168.9.1 refused: it overlaps 10.77.0.1/24 of bridge br0";
    namespace.console.expect(line, SOON).expect("that is told");
    assert!(!net(&namespace).contains("192.168.9.50"), "{}", net(&namespace));
    // A wider route does no harm.
    let host = host_or_return!();
    let (namespace, _peer) = leased(&host, &config, &["--dhcp-option=121,10.0.0.0/8,192.168.9.1"]);
    has(&namespace, &["10.0.0.0/8 via 192.168.9.1 proto static metric 100"]);
    assert!(inside(&namespace, &["ip", "route", "get", "10.77.0.2"]).contains("dev br0"));
}

/// systemd-networkd: sends the host name (`SendHostname=yes`); uses MTU, domains and time servers if `UseMTU=`,
/// `UseDomains=` (both off by default) and `UseNTP=` say so, and raises an MTU to 1280 if the link has IPv6.
#[test]
fn host_name_is_sent_and_mtu_domains_and_time_servers_are_used() {
    let host = host_or_return!();
    let config = DHCP.replace("control", "hostname board-7\ncontrol");
    let namespace = host.start_wrapped(&config, &["unshare", "--net", "--uts"]);
    let mut peer = Peer::new(&namespace);
    let mtu_is = |wanted: &str| until(wanted, || net(&namespace).contains(&format!(" mtu {wanted} ")));
    let words = ["--dhcp-option=26,1400", "--dhcp-option=42,192.168.9.4", "--dhcp-option=15,lan.test"];
    let list = "--dhcp-option=119,eng.corp.test,corp.test";
    let log = peer.serve_options(host.scratch.path(), RANGE, &[&words[..], &[list]].concat());
    namespace.console.expect("link eth0: 192.168.9.50/24 via 192.168.9.1", SOON).expect("a lease");
    mtu_is("1400");
    until("the host's name", || Peer::count(&log, "client provides name: board-7") > 0);
    let told = host.ask(&["net"]).1;
    let line = told.lines().find(|line| line.starts_with("lease eth0: ")).unwrap_or_default();
    let wanted = ", mtu 1400, name server 192.168.9.3, time server 192.168.9.4, search eng.corp.test, search corp.test, \
                  search lan.test";
    assert!(line.ends_with(wanted), "{line}");
    // Without the option, the next renewal restores the MTU; one that is too small for IPv6 is raised.
    peer.serve_options(host.scratch.path(), RANGE, &[]);
    mtu_is("1500");
    peer.serve_options(host.scratch.path(), RANGE, &["--dhcp-option=26,600"]);
    mtu_is("1280");
}

/// systemd-networkd: renews at the server's identifier, whoever relayed the reply.
#[test]
fn lease_via_a_relay_agent_is_renewed_at_the_server() {
    let host = host_or_return!();
    let namespace = start(&host, DHCP);
    let mut relay = Peer::new(&namespace);
    // A link of the board that is otherwise unused; its peer is the server's network.
    let mut server = Peer::by(&namespace, "unused");
    let (near, far) = (relay.pid().to_string(), server.pid().to_string());
    relay.ip(&["link", "add", "rl0", "type", "veth", "peer", "name", "rl1", "netns", &far]);
    relay.ip(&["address", "add", "10.5.0.1/24", "dev", "rl0"]);
    relay.ip(&["link", "set", "rl0", "up"]);
    server.ip(&["address", "flush", "dev", "srv"]);
    server.ip(&["address", "add", "10.5.0.2/24", "dev", "rl1"]);
    server.ip(&["link", "set", "rl1", "up"]);
    server.ip(&["route", "add", "192.168.9.0/24", "via", "10.5.0.1"]);
    assert!(
        near != far
            && relay.command("sysctl").args(["-qw", "net.ipv4.ip_forward=1"]).status().expect("sysctl").success()
    );
    let folder = host.scratch.path();
    let mut agent = relay.command("dnsmasq");
    agent.args([
        "--no-daemon",
        "--port=0",
        "--conf-file=/dev/null",
        "--dhcp-relay=192.168.9.1,10.5.0.2",
        "--user=root",
    ]);
    relay.run_server(agent, &folder.join("relay.log"));
    let log = folder.join("server.log");
    let mut dhcp = server.command("dnsmasq");
    dhcp.args(["--no-daemon", "--port=0", "--conf-file=/dev/null", "--log-dhcp", "--user=root"]);
    dhcp.args(["--dhcp-range=192.168.9.50,192.168.9.50,255.255.255.0,120", "--dhcp-option=58,10"]);
    dhcp.args(["--dhcp-option=3,192.168.9.1"]).arg(format!("--dhcp-leasefile={}", folder.join("leases").display()));
    server.run_server(dhcp, &log);
    let line = "link eth0: 192.168.9.50/24 via 192.168.9.1 from 10.5.0.2 for 120 s";
    namespace.console.expect(line, 2 * SOON).expect("a lease by the agent");
    // The agent is stopped: renewals do not need it.
    relay.stop_serving();
    let given = Peer::count(&log, "DHCPACK");
    until("a renewal", || Peer::count(&log, "DHCPACK") > given);
    assert_eq!(Peer::count(&log, "DHCPDISCOVER"), Peer::count(&log, "DHCPOFFER"));
    assert!(!namespace.console.text().contains(" expired"), "{}", namespace.console.text());
}
