//! The messages that set up the network: the board's bridges and rules, and the links of workloads, on both sides.
//!
//! A workload's link is one end of a veth pair whose other end is a port of a bridge. Ports are isolated: a frame
//! reaches the board and no other port. Traffic to other destinations is routed by the board, where the rules see it,
//! for both families and with connection tracking. There is no ARP or neighbour discovery: both ends have permanent
//! neighbour entries, which cannot be poisoned.
//!
//! Outgoing packets of a workload are checked at its port: a packet with a foreign source address is dropped, and
//! allowed destinations are recorded as a mark. These rules are in a table of the workload. Another table of the
//! workload has its published ports. Both are removed when it exits. The board's table decides only by mark, connection
//! and link, and does not change.

use super::filter::{self, Family, Hook};
use super::route::{self, Neighbours};
use super::rule::{Rule, Verdict};
use super::writer::Writer;
use crate::config::{Attachment, Bridge, Config, Network, Pools, Prefix, Publish, Workload, WorkloadLink, port_name};
use crate::fixed_string::text;
use core::net::{IpAddr, Ipv4Addr};
use heapless::String;

/// The board's table.
const TABLE: &str = "hilum";

/// Bytes of the largest rules of a workload: 31 peers over four links, and 8 ports.
pub const WORKLOAD_RULES_BYTES: usize = 128 * 1024;

/// Loopback addresses (RFC 1122, section 3.2.1.3).
const LOOPBACK: Prefix = Prefix { address: IpAddr::V4(Ipv4Addr::LOCALHOST), length: 8 };

/// The marks: the packet may go to another workload, or to the board itself.
const TO_PEER: u32 = 0x6869_6c01;
const TO_BOARD: u32 = 0x6869_6c02;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// Returns the name of a workload's tables.
fn table_name(workload: &str) -> String<40> {
    // Names have at most 32 bytes.
    text(format_args!("{TABLE}-{workload}"))
}

/// Returns whether a workload needs tables.
pub fn has_tables<'a>(network: &Network<'a>, pools: &Pools<'a>) -> bool {
    network.bridged(pools).next().is_some()
}

/// Returns the comment of a rule.
fn words(parts: &[&str]) -> String<60> {
    let mut text = String::new();
    // Text that does not fit is dropped; it is only informative.
    parts.iter().for_each(|part| _ = text.push_str(part));
    text
}

/// Writes the board's table for the whole configuration. `is_router` means that the board may forward other packets as
/// well.
pub fn board_rules(writer: &mut Writer<'_>, config: &Config<'_>, is_router: bool) {
    let network = &config.system.network;
    filter::batch(writer, |batch| {
        batch.table(Family::Inet, TABLE);
        batch.chain("input", Hook::Input, Verdict::Accept);
        let policy = if is_router { Verdict::Accept } else { Verdict::Drop };
        batch.chain("forward", Hook::Forward, policy);
        batch.rule("forward", "established", |rule| rule.established().verdict(Verdict::Accept));
        for Bridge { name, .. } in &network.bridges {
            // Only to a bridge: a route from outside may lead the peer's address elsewhere.
            batch.rule("forward", &words(&["talk behind ", name]), |rule| {
                rule.marked(TO_PEER).outgoing(name).count().verdict(Verdict::Accept);
            });
        }
        for masquerade in &network.masquerades {
            let words = words(&["masquerade ", masquerade.bridge, " ", masquerade.link]);
            batch.rule("forward", &words, |rule| {
                rule.incoming(masquerade.bridge).outgoing(masquerade.link).count().verdict(Verdict::Accept);
            });
        }
        for Bridge { name, .. } in &network.bridges {
            batch.rule("forward", &words(&["published behind ", name]), |rule| {
                rule.outgoing(name).redirected().count().verdict(Verdict::Accept);
            });
        }
        for Bridge { name, .. } in &network.bridges {
            batch.rule("forward", &words(&["refused from ", name]), |rule| {
                rule.incoming(name).count().verdict(Verdict::Drop);
            });
            batch.rule("forward", &words(&["refused to ", name]), |rule| {
                rule.outgoing(name).count().verdict(Verdict::Drop);
            });
            batch.rule("input", &words(&["established ", name]), |rule| {
                rule.incoming(name).established().verdict(Verdict::Accept);
            });
            // A bridge with published ports accepts packets to the board's loopback (`route_localnet`): allow only
            // replies.
            batch.rule("input", &words(&["not to loopback ", name]), |rule| {
                rule.incoming(name).family_of(LOOPBACK.address).destination(LOOPBACK).count().verdict(Verdict::Drop);
            });
            for (protocol, request) in [(ICMP, 8), (ICMPV6, 128)] {
                batch.rule("input", &words(&["ping from ", name]), |rule| {
                    rule.incoming(name).protocol(protocol).echo_request(request).verdict(Verdict::Accept);
                });
            }
            batch.rule("input", &words(&["talk board from ", name]), |rule| {
                rule.incoming(name).marked(TO_BOARD).count().verdict(Verdict::Accept);
            });
            batch.rule("input", &words(&["refused from ", name]), |rule| {
                rule.incoming(name).count().verdict(Verdict::Drop);
            });
        }
        if !network.masquerades.is_empty() {
            batch.chain("postrouting", Hook::Source, Verdict::Accept);
        }
        for masquerade in &network.masquerades {
            let bridge = network.bridge(masquerade.bridge);
            for prefix in bridge.iter().flat_map(|bridge| &bridge.addresses) {
                batch.rule("postrouting", &words(&["masquerade ", masquerade.bridge, " ", masquerade.link]), |rule| {
                    rule.family_of(prefix.address).source(*prefix).outgoing(masquerade.link).masquerade();
                });
            }
        }
    });
}

/// Writes the tables of a workload: outgoing rules and published ports.
pub fn workload_rules(writer: &mut Writer<'_>, config: &Config<'_>, workload: &Workload<'_>) {
    let network = &workload.network;
    let table = table_name(workload.name);
    filter::batch(writer, |batch| {
        batch.table(Family::Netdev, &table);
        for (number, link) in (0..).zip(config.pools.of(network.links)) {
            if let Attachment::Bridge(_) = link.attachment {
                let port = port_name(workload.name, number);
                batch.chain(&port, Hook::Ingress(&port), Verdict::Accept);
                sending_rules(batch, &port, config, workload, link, number);
            }
        }
        batch.table(Family::Inet, &table);
        if network.publish.is_empty() {
            return;
        }
        for (chain, hook) in PUBLISHED {
            batch.chain(chain, hook, Verdict::Accept);
        }
        batch.chain(HAIRPIN, Hook::Source, Verdict::Accept);
        for is_ipv4 in [true, false] {
            let Some((_, own, board)) = network.published_address(&config.pools, is_ipv4) else { continue };
            for publish in config.pools.of(network.publish) {
                if publish.address.is_none_or(|address| address.is_ipv4() == is_ipv4) {
                    publish_rules(batch, publish, own);
                }
            }
            // A workload that connects to its own published port would drop replies from its own address; and packets
            // from the board's loopback have no return path.
            let own = Prefix::host(own);
            for source in &[own, LOOPBACK][..if is_ipv4 { 2 } else { 1 }] {
                batch.rule(HAIRPIN, &text::<60>(format_args!("from {source}")), |rule| {
                    rule.family_of(board).source(*source).destination(own).count().send_from(board);
                });
            }
        }
    });
}

/// The chains of published ports: for packets from outside and from workloads, and for packets of the board.
const PUBLISHED: [(&str, Hook<'_>); 2] = [("publish", Hook::Destination), ("publish-own", Hook::OwnDestination)];
/// The chain for connections to published ports whose replies would take another path.
const HAIRPIN: &str = "hairpin";

/// Redirects a published port to an address.
#[inline(never)]
fn publish_rules(batch: &mut filter::Batch<'_, '_>, publish: &Publish, own: IpAddr) {
    let words = text::<60>(format_args!("publish {publish}"));
    for (chain, _) in PUBLISHED {
        batch.rule(chain, &words, |rule| {
            rule.family_of(own);
            match publish.address {
                Some(address) => rule.destination(Prefix::host(address)),
                // A reply to ::1 would arrive on a bridge, where the kernel cannot route it (rt6_need_strict in
                // net/ipv6/route.c).
                None => rule.at_board().not_loopback_6(own),
            };
            rule.protocol(if publish.is_udp { UDP } else { TCP }).ports(publish.port, publish.last).count();
            // In a range, the port is not changed.
            rule.redirect(own, if publish.port == publish.last { publish.to } else { 0 });
        });
    }
}

/// Writes the rules for what a port may send, and where to.
fn sending_rules(
    batch: &mut filter::Batch<'_, '_>,
    port: &str,
    config: &Config<'_>,
    workload: &Workload<'_>,
    link: &WorkloadLink<'_>,
    number: u8,
) {
    let mac = link.mac(workload.name, number, crate::config::Mac([0; 6]));
    let mut refuse = |what: &str, body: &dyn Fn(&mut Rule<'_, '_>)| {
        batch.rule(port, what, |rule| {
            body(rule);
            rule.count().verdict(Verdict::Drop);
        });
    };
    if !link.may_spoof {
        refuse("not its own MAC address", &|rule| _ = rule.not_sender(mac.0));
        for is_ipv4 in [true, false] {
            refuse("not its own address", &|rule| {
                rule.family(true, is_ipv4);
                let own = link.addresses.iter().filter(|prefix| prefix.address.is_ipv4() == is_ipv4);
                own.for_each(|prefix| _ = rule.not_source(prefix.address));
            });
        }
        refuse("neither IPv4 nor IPv6", &|rule| _ = rule.family(false, true).family(false, false));
    } else {
        // The board would take it for its own packet.
        refuse("from loopback", &|rule| _ = rule.family(true, true).source(LOOPBACK));
    }
    for peer in workload.network.talk.iter().filter_map(|peer| config.workloads.get(peer)) {
        for (_, other) in workload.network.peer_addresses(&peer.network, &config.pools).filter(|(by, _)| *by == number)
        {
            batch.rule(port, &words(&["talk ", peer.name]), |rule| {
                rule.family_of(other.address).destination(Prefix::host(other.address));
                rule.mark_as(TO_PEER).verdict(Verdict::Accept);
            });
        }
    }
    if workload.network.talks_to_board {
        batch.rule(port, "talk board", |rule| _ = rule.mark_as(TO_BOARD));
    }
}

/// Writes one rule of each kind, with or without NAT, to probe the kernel.
pub fn try_rules(writer: &mut Writer<'_>, has_nat: bool) {
    filter::batch(writer, |batch| {
        batch.table(Family::Inet, TABLE);
        if !has_nat {
            batch.chain("forward", Hook::Forward, Verdict::Accept);
            batch.rule("forward", "", |rule| rule.established().count().verdict(Verdict::Accept));
            batch.table(Family::Netdev, TABLE);
            batch.chain("ingress", Hook::Ingress("lo"), Verdict::Accept);
            return;
        }
        batch.chain("publish", Hook::Destination, Verdict::Accept);
        batch.rule("publish", "", |rule| {
            rule.family_of(core::net::Ipv4Addr::LOCALHOST.into()).at_board().protocol(TCP).ports(1, 1);
            rule.redirect(core::net::Ipv4Addr::LOCALHOST.into(), 1);
        });
        batch.chain("masquerade", Hook::Source, Verdict::Accept);
        batch.rule("masquerade", "", |rule| {
            rule.family_of(core::net::Ipv4Addr::LOCALHOST.into()).masquerade();
        });
    });
}

/// Removes the tables of a workload.
pub fn remove_workload_rules(writer: &mut Writer<'_>, workload: &str) {
    let table = table_name(workload);
    filter::batch(writer, |batch| {
        batch.remove_table(Family::Netdev, &table);
        batch.remove_table(Family::Inet, &table);
    });
}

/// Brings up the bridge with this index, and adds its addresses.
pub fn set_up_bridge(writer: &mut Writer<'_>, bridge: &Bridge<'_>, index: u32, has_ipv6: bool) {
    if has_ipv6 {
        route::stop_addresses(writer, index);
    }
    route::set_link(writer, index, 0);
    for prefix in &bridge.addresses {
        route::add_address(writer, index, *prefix, Neighbours::OnLink, 0);
    }
}

/// Adds neighbour entries and routes for a workload behind the bridge with this index, whether it runs or not.
///
/// Each IPv6 address also gets its own route. The kernel prefers the longer prefix, and among equal ones the lower
/// metric; routes of router advertisements have a metric of at least 256 (`IP6_RT_PRIO_ADDRCONF`). The route to the
/// workload therefore stays valid whatever network is advertised on a link with `slaac`. For IPv4, PID 1 checks the
/// leases itself.
pub fn bridge_neighbours<'a>(
    writer: &mut Writer<'_>,
    workload: &Workload<'a>,
    pools: &Pools<'a>,
    bridge: &Bridge<'_>,
    index: u32,
) {
    for (number, link, prefix) in workload.network.bridged(pools) {
        if link.attachment == Attachment::Bridge(bridge.name) {
            let mac = link.mac(workload.name, number, crate::config::Mac([0; 6]));
            route::add_neighbour(writer, index, prefix.address, mac);
            if prefix.address.is_ipv6() {
                route::add_route(writer, index, Prefix::host(prefix.address), None, 1);
            }
        }
    }
}

/// Configures a link inside of its namespace, where it has this index.
pub fn inner_link(writer: &mut Writer<'_>, config: &Config<'_>, link: &WorkloadLink<'_>, index: u32, has_ipv6: bool) {
    if has_ipv6 {
        route::stop_addresses(writer, index);
    }
    route::set_link(writer, index, link.mtu);
    let bridge = match link.attachment {
        Attachment::Bridge(name) => config.system.network.bridge(name),
        _ => None,
    };
    let neighbours = if bridge.is_some() { Neighbours::Nobody } else { Neighbours::OnLink };
    for prefix in &link.addresses {
        route::add_address(writer, index, *prefix, neighbours, 0);
    }
    if let Some(bridge) = bridge {
        for prefix in &link.addresses {
            // Its network is routed by the board, the only neighbour.
            if let Some(board) = bridge.addresses.iter().find(|board| board.contains(prefix.address)) {
                route::add_neighbour(writer, index, board.address, bridge.mac());
                route::add_route(writer, index, Prefix::host(board.address), None, 0);
                let network = Prefix { address: prefix.first(), length: prefix.length };
                if network.length < Prefix::host(network.address).length {
                    route::add_route(writer, index, network, Some(board.address), 0);
                }
            }
        }
    }
    for gateway in &link.gateways {
        route::add_route(writer, index, Prefix::everywhere(*gateway), Some(*gateway), 0);
    }
}
