//! The most common DHCP servers besides dnsmasq as references for the client: ISC dhcpd, and its successor Kea.
//!
//! Each test says what systemd-networkd does for the same replies (systemd.network(5), `[DHCPv4]`, and RFC 2131 4.4.5,
//! which both follow).

use crate::support::wire::{DHCP, Peer, inside, net, start, until};
use crate::support::{Host, SOON};
use hilum_qemu::Namespace;
use std::path::Path;

fn has_routes(namespace: &Namespace, lines: &[&str]) {
    let routes = || inside(namespace, &["ip", "-4", "route", "show", "dev", "eth0"]);
    for line in lines {
        until(line, || routes().lines().any(|found| found.trim_end() == *line));
    }
}

/// Returns a pool of one address, number 50 of a network, in the form of Kea's `subnet4`, with times in seconds and
/// options.
fn kea(network: &str, [renew, rebind, valid]: [u32; 3], options: &str) -> String {
    format!(
        "\"valid-lifetime\": {valid}, \"renew-timer\": {renew}, \"rebind-timer\": {rebind},\n\
         \"subnet4\": [ {{ \"id\": 1, \"subnet\": \"{network}.0/24\",\n\
         \"pools\": [ {{ \"pool\": \"{network}.50 - {network}.50\" }} ],\n\
         \"option-data\": [ {{ \"name\": \"routers\", \"data\": \"{network}.1\" }}{options} ] }} ]"
    )
}

/// Starts Kea at the peer, with a pool of one address; returns its log.
fn serve(host: &Host, peer: &mut Peer, network: &str, times: [u32; 3]) -> std::path::PathBuf {
    peer.serve_kea(host.scratch.path(), &kea(network, times, ""))
}

/// Returns how often Kea has sent a message of this type.
fn sent(log: &Path, kind: &str) -> usize {
    Peer::count(log, &format!("trying to send packet {kind} "))
}

/// systemd-networkd: applies all of it.
#[test]
fn lease_of_isc_dhcpd_is_applied_with_its_routes() {
    let host = host_or_return!();
    let namespace = start(&host, DHCP);
    let mut peer = Peer::new(&namespace);
    let text = "option classless code 121 = array of unsigned integer 8;\n\
                subnet 192.168.9.0 netmask 255.255.255.0 {\n  range 192.168.9.50 192.168.9.50;\n\
                option routers 192.168.9.1;\n  option classless 0, 192, 168, 9, 9, 24, 10, 9, 8, 192, 168, 9, 7;\n\
                option domain-search \"eng.corp.test\", \"corp.test\";\n  option ntp-servers 192.168.9.4;\n\
                default-lease-time 120;\n  min-lease-time 60;\n  option dhcp-renewal-time 10;\n}\nauthoritative;\n";
    let log = peer.serve_isc(host.scratch.path(), "-4", text);
    let line = "link eth0: 192.168.9.50/24 via 192.168.9.9 from 192.168.9.1 for 120 s";
    namespace.console.expect(line, SOON).expect("a lease");
    has_routes(
        &namespace,
        &["default via 192.168.9.9 proto static metric 100", "10.9.8.0/24 via 192.168.9.7 proto static metric 100"],
    );
    let told = host.ask(&["net"]).1;
    assert!(told.contains(", time server 192.168.9.4, search eng.corp.test, search corp.test\n"), "{told}");
    let given = Peer::count(&log, "DHCPACK");
    until("a renewal", || Peer::count(&log, "DHCPACK") > given);
}

/// systemd-networkd: the same; MTU and domains if `UseMTU=` and `UseDomains=` say so. With option 121 it ignores option
/// 3, and it sends the host name (`SendHostname=yes`).
#[test]
fn lease_of_kea_is_applied_with_all_options_and_renewed() {
    let host = host_or_return!();
    let config = DHCP.replace("control", "hostname board-7\ncontrol");
    let namespace = host.start_wrapped(&config, &["unshare", "--net", "--uts"]);
    let mut peer = Peer::new(&namespace);
    // Kea 2.2 has no name for option 121: the default route over .9, and 10.9.8.0/24 over .7.
    let options = ", { \"code\": 121, \"csv-format\": false, \"data\": \"00C0A80909180A0908C0A80907\" },\n\
                   { \"name\": \"domain-search\", \"data\": \"eng.corp.test, corp.test\" },\n\
                   { \"name\": \"domain-name\", \"data\": \"lan.test\" }, { \"name\": \"interface-mtu\", \"data\": \"1400\" },\n\
                   { \"name\": \"ntp-servers\", \"data\": \"192.168.9.4\" },\n\
                   { \"name\": \"domain-name-servers\", \"data\": \"192.168.9.3\" }";
    let log = peer.serve_kea(host.scratch.path(), &kea("192.168.9", [10, 60, 120], options));
    let line = "link eth0: 192.168.9.50/24 via 192.168.9.9 from 192.168.9.1 for 120 s";
    namespace.console.expect(line, SOON).expect("a lease");
    has_routes(
        &namespace,
        &["default via 192.168.9.9 proto static metric 100", "10.9.8.0/24 via 192.168.9.7 proto static metric 100"],
    );
    until("its MTU", || net(&namespace).contains(" mtu 1400 "));
    let told = host.ask(&["net"]).1;
    let all = ", mtu 1400, name server 192.168.9.3, time server 192.168.9.4, search eng.corp.test, search corp.test, \
               search lan.test\n";
    assert!(told.contains(all), "{told}");
    assert!(Peer::count(&host.scratch.path().join("kea.leases"), ",board-7,") > 0, "the host's name");
    // Only its own server is asked again.
    let (given, offered) = (sent(&log, "DHCPACK"), sent(&log, "DHCPOFFER"));
    until("a renewal", || sent(&log, "DHCPACK") > given);
    assert_eq!(sent(&log, "DHCPOFFER"), offered);
    assert!(!namespace.console.text().contains(" expired"), "{}", namespace.console.text());
}

/// RFC 2131 4.4.5, as in systemd-networkd: a NAK removes the address at once, and the client starts over.
#[test]
fn renumbered_kea_network_replaces_the_address() {
    let host = host_or_return!();
    let namespace = start(&host, DHCP);
    let mut peer = Peer::new(&namespace);
    serve(&host, &mut peer, "192.168.9", [10, 60, 120]);
    let console = &namespace.console;
    console.expect("link eth0: 192.168.9.50/24 via 192.168.9.1", SOON).expect("a lease");
    // The network is renumbered; a renewing client still finds the server at the old address.
    peer.stop_serving();
    peer.ip(&["address", "add", "192.168.33.1/24", "dev", "srv"]);
    let log = serve(&host, &mut peer, "192.168.33", [10, 60, 120]);
    console.expect("link eth0: the lease of 192.168.9.50/24 expired", SOON).expect("that is told");
    assert!(sent(&log, "DHCPNAK") > 0);
    // Kea replies to clients without an address from its first address.
    peer.stop_serving();
    peer.ip(&["address", "del", "192.168.9.1/24", "dev", "srv"]);
    serve(&host, &mut peer, "192.168.33", [10, 60, 120]);
    let line = "link eth0: 192.168.33.50/24 via 192.168.33.1 from 192.168.33.1 for 120 s";
    console.expect(line, 2 * SOON).expect("the other");
    let text = net(&namespace);
    assert!(text.contains("address 192.168.33.50/24 on eth0") && !text.contains("192.168.9."), "{text}");
}

/// systemd-networkd: keeps the address while rebinding (T2), and accepts the reply of any server that has the lease.
#[test]
fn lease_is_rebound_when_kea_moves_to_another_address() {
    let host = host_or_return!();
    let namespace = start(&host, DHCP);
    let mut peer = Peer::new(&namespace);
    let times = [10, 15, 120];
    serve(&host, &mut peer, "192.168.9", times);
    let console = &namespace.console;
    console.expect("link eth0: 192.168.9.50/24 via 192.168.9.1 from 192.168.9.1 for 120 s", SOON).expect("a lease");
    // The same leases at another address: nobody has the first one.
    peer.stop_serving();
    peer.ip(&["address", "add", "192.168.9.2/24", "dev", "srv"]);
    peer.ip(&["address", "del", "192.168.9.1/24", "dev", "srv"]);
    peer.ip(&["address", "replace", "192.168.9.2/24", "dev", "srv"]);
    let log = serve(&host, &mut peer, "192.168.9", times);
    let line = "link eth0: 192.168.9.50/24 via 192.168.9.1 from 192.168.9.2 for 120 s";
    console.expect(line, 2 * SOON).expect("anybody is asked");
    assert_eq!(sent(&log, "DHCPOFFER"), 0, "it did not begin anew");
    assert!(!console.text().contains(" expired"), "{}", console.text());
}

/// RFC 2131 4.4.5, as in systemd-networkd: at the end of the lease the address is removed, and the client broadcasts
/// for a new one.
#[test]
fn lease_expires_without_kea_and_is_reacquired_when_it_returns() {
    let host = host_or_return!();
    let namespace = start(&host, DHCP);
    let mut peer = Peer::new(&namespace);
    let times = [10, 15, 20];
    serve(&host, &mut peer, "192.168.9", times);
    let console = &namespace.console;
    let line = "link eth0: 192.168.9.50/24 via 192.168.9.1 from 192.168.9.1 for 20 s";
    console.expect(line, SOON).expect("a lease");
    peer.stop_serving();
    console.expect("link eth0: the lease of 192.168.9.50/24 expired", 2 * SOON).expect("that is told");
    let text = net(&namespace);
    assert!(!text.contains("192.168.9.50") && !text.contains("route default"), "{text}");
    serve(&host, &mut peer, "192.168.9", times);
    until("the lease again", || console.text().matches(line).count() == 2);
}
