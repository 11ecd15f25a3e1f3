//! Announcements of routers and DHCPv6 servers on an IPv6 network. The reference implementations are radvd, dnsmasq and
//! ISC dhcpd.

use crate::support::wire::{Peer, beside, children, inside, start, until};
use crate::support::{Host, SOON};
use hilum_qemu::Namespace;

const CONFIG: &str =
    "hilum 1\n[system]\ncontrol SOCKET\nlink eth0 slaac\n[workload a]\nroot ROOT\nexec /bin/probe on-term\n";

/// Returns a board on a network whose other end has an IPv6 address.
fn board(host: &Host, config: &str) -> (Namespace, Peer) {
    let namespace = start(host, config);
    namespace.console.expect("workload \"a\": started", SOON).expect("it starts");
    let peer = Peer::new(&namespace);
    peer.ip(&["address", "add", "fd55::1/64", "dev", "srv", "nodad"]);
    (namespace, peer)
}

/// Returns what PID 1 knows about the routers of eth0, without their own address.
fn heard(host: &Host) -> String {
    let text = host.ask(&["net"]).1;
    let line = text.lines().find(|line| line.starts_with("router eth0:")).unwrap_or_default();
    line.split(' ').filter(|word| !word.starts_with("fe80:")).collect::<Vec<_>>().join(" ")
}

fn hears(host: &Host, wanted: &str) {
    until(wanted, || heard(host) == wanted);
}

/// systemd-networkd: uses both for their lifetime (`UseDNS=`; domains if `UseDomains=` says so).
#[test]
fn name_servers_and_domains_of_routers_expire_with_their_lifetime() {
    let host = host_or_return!();
    let (namespace, mut peer) = board(&host, CONFIG);
    let names = |seconds: u32| {
        format!(
            "AdvDefaultLifetime 9000; prefix fd55::/64 {{ }}; RDNSS fd55::53 fd55::54 {{ AdvRDNSSLifetime {seconds}; }}; \
             DNSSL eng.corp.test corp.test {{ AdvDNSSLLifetime {seconds}; }};"
        )
    };
    peer.advertise(host.scratch.path(), &names(12));
    let all = "router eth0: name server fd55::53 name server fd55::54 search eng.corp.test search corp.test";
    hears(&host, all);
    until("the way", || inside(&namespace, &["ip", "-6", "route"]).contains("default via fe80:"));
    let text = host.ask(&["net"]).1;
    assert!(text.contains("uplink eth0 IPv6: used\n"), "{text}");
    // On kernels with support (5.12), in the order of the lines.
    let routes = inside(&namespace, &["ip", "-6", "route"]);
    assert!(routes.contains("metric 100"), "{routes}");
    // The router falls silent: the information expires on time.
    peer.stop_advertising();
    assert_eq!(heard(&host), all);
    hears(&host, "router eth0:");
    // A lifetime of 0 has an immediate effect.
    peer.advertise(host.scratch.path(), &names(3_000));
    hears(&host, all);
    peer.advertise(host.scratch.path(), &names(0));
    hears(&host, "router eth0:");
}

/// systemd-networkd: uses stateless DHCPv6 if a router sets the flag "other" (`DHCPv6Client=yes` of `[IPv6AcceptRA]`).
#[test]
fn dhcpv6_server_is_asked_if_a_router_announces_it() {
    // dnsmasq is both; its name servers come only by DHCPv6 if advertisements must not contain them.
    let host = host_or_return!();
    let (_namespace, mut peer) = board(&host, CONFIG);
    let folder = host.scratch.path();
    peer.advertise(folder, "prefix fd55::/64 { }; AdvOtherConfigFlag on;");
    let mut command = peer.command("dnsmasq");
    command.args(["--no-daemon", "--port=0", "--conf-file=/dev/null", "--interface=srv", "--log-dhcp", "--user=root"]);
    command.args(["--dhcp-range=fd55::,static", "--dhcp-option=option6:dns-server,[fd55::53]"]);
    command.args(["--dhcp-option=option6:domain-search,corp.test"]);
    command.arg(format!("--dhcp-leasefile={}", folder.join("leases").display()));
    let log = folder.join("dnsmasq.log");
    peer.run_server(command, &log);
    hears(&host, "router eth0: name server fd55::53 search corp.test");
    assert!(Peer::count(&log, "DHCPINFORMATION-REQUEST") > 0);
}

/// systemd-networkd: the same (`DHCPv6Client=yes` of `[IPv6AcceptRA]`); `always` asks in any case.
#[test]
fn isc_dhcpv6_server_is_asked_only_if_a_router_announces_it() {
    let host = host_or_return!();
    let (_namespace, mut peer) = board(&host, CONFIG);
    let folder = host.scratch.path();
    let text = "subnet6 fd55::/64 { }\noption dhcp6.name-servers fd55::53, fd55::54;\n\
                option dhcp6.domain-search \"eng.corp.test\", \"corp.test\";\noption dhcp6.info-refresh-time 900;\n";
    let log = peer.serve_isc(folder, "-6", text);
    until("a server", || Peer::count(&log, "Server starting service") > 0);
    peer.advertise(folder, "prefix fd55::/64 { };");
    hears(&host, "router eth0:");
    assert_eq!(Peer::count(&log, "Information-request"), 0, "nobody said so");
    peer.advertise(folder, "prefix fd55::/64 { }; AdvOtherConfigFlag on;");
    hears(&host, "router eth0: name server fd55::53 name server fd55::54 search eng.corp.test search corp.test");
}

/// The default route of a router gets the preference of its link, on kernels with support (5.12).
///
/// systemd-networkd: `RouteMetric=` of `[IPv6AcceptRA]`, which is fixed: it probes nothing.
#[test]
fn default_route_of_a_router_gets_the_preference_of_its_link() {
    let host = host_or_return!();
    let config = CONFIG.replace("slaac", "slaac probe fd55::99");
    let (namespace, mut peer) = board(&host, &config);
    peer.advertise(host.scratch.path(), "prefix fd55::/64 { };");
    let routes = || inside(&namespace, &["ip", "-6", "route", "show", "default"]);
    until("a route", || routes().contains("metric 100 "));
    let line = "link eth0: fd55::99 does not answer; other uplinks come first";
    namespace.console.expect(line, 2 * SOON).expect("that is told");
    until("another metric", || routes().contains("metric 1100 ") && !routes().contains("metric 100 "));
    peer.ip(&["address", "add", "fd55::99/64", "dev", "srv", "nodad"]);
    namespace.console.expect("link eth0: fd55::99 answers again", 2 * SOON).expect("that is told");
    until("its metric again", || routes().contains("metric 100 ") && !routes().contains("metric 1100 "));
}

/// systemd-networkd: leaves this to the kernel; a link without a carrier has no routes.
#[test]
fn second_router_is_used_when_the_first_loses_its_carrier() {
    let host = host_or_return!();
    let config = CONFIG.replace("link eth0 slaac", "link eth0 slaac\nlink eth1 slaac");
    let (namespace, mut first) = board(&host, &config);
    let folder = |name: &str| {
        let path = host.scratch.path().join(name);
        std::fs::create_dir(&path).expect("a folder");
        path
    };
    first.advertise(&folder("first"), "prefix fd55::/64 { }; RDNSS fd55::53 { };");
    let mut second = Peer::by(&namespace, "eth1");
    second.ip(&["address", "add", "fd66::1/64", "dev", "srv", "nodad"]);
    second.advertise(&folder("second"), "prefix fd66::/64 { };");
    let goes_by = |link: &str| {
        until(link, || inside(&namespace, &["ip", "route", "get", "2001:db8::1"]).contains(&format!(" dev {link} ")));
    };
    until("both", || inside(&namespace, &["ip", "-6", "route", "show", "default"]).lines().count() == 2);
    goes_by("eth0");
    hears(&host, "router eth0: name server fd55::53");
    first.ip(&["link", "set", "srv", "down"]);
    goes_by("eth1");
    hears(&host, "");
    until("that is said", || host.ask(&["net"]).1.contains("uplink eth1 IPv6: used\n"));
    first.ip(&["link", "set", "srv", "up"]);
    goes_by("eth0");
    hears(&host, "router eth0: name server fd55::53");
}

/// An IPv6-only network is sufficient for a workload behind a bridge.
///
/// systemd-networkd: the same with `IPMasquerade=ipv6` of the link to the container.
#[test]
fn workload_reaches_the_outside_over_ipv6_only() {
    let host = host_or_return!();
    let config = CONFIG.replace("[workload", "bridge br0 fd77::1/64\nmasquerade br0 eth0\n[workload");
    let (namespace, mut peer) = board(&host, &(config + "link veth br0 fd77::2/64 via fd77::1\n"));
    peer.ip(&["address", "add", "2001:db8::5/128", "dev", "srv", "nodad"]);
    peer.advertise(host.scratch.path(), "prefix fd55::/64 { };");
    let has_address = |pid: &u32| beside(*pid, &["ip", "-6", "address"]).contains("fd77::2/64");
    let workload = children(&namespace).into_iter().find(has_address).expect("its process");
    until("an answer", || {
        beside(workload, &["ping", "-6", "-c", "1", "-W", "5", "2001:db8::5"]).contains(" 0% packet loss")
    });
}
