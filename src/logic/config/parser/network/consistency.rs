//! Checks lines about networks against other lines, when all lines are known.

use super::super::super::address::Prefix;
use super::super::super::error::{Error, Problem};
use super::super::super::lexer::{Line, Word};
use super::super::super::limits;
use super::super::super::model::{Config, Workload};
use super::super::super::network::{Addresses, Attachment, HostLink, LinkMatch, Network, Publish, WorkloadLink};
use super::super::super::pools::Pools;
use super::words::{ip, network as network_of, prefix, publish};
use crate::namespaces::Namespaces;
use crate::text;
use crate::text::Text;
use core::net::IpAddr;

pub(super) const NEW_ADDRESS: Text = text!("an unused address");
const NEW_NETWORK: Text = text!("a network that overlaps no other bridge or link");
const NEW_NAME: Text = text!("a name unused by other links and bridges");
const KNOWN_BRIDGE: Text = text!("the name of a bridge in [system]");
const EARLIER_LINK: Text = text!("the name of a link line above this one");
const NEW_VLAN: Text = text!("a VLAN that no other line has of this link");
const KNOWN_LINK: Text = text!("the name of a link in [system]");
const IN_BRIDGE: Text = text!("an address in the bridge's network");
const BRIDGE_ADDRESS: Text = text!("the bridge's own address, the only gateway there");
const GIVEN_AWAY: Text = text!("a link without addresses that no other line uses");
const NOT_BEHIND: Text = text!("a network outside of those of bridges and links");
pub(super) const NEW_ROUTE: Text = text!("a network without another route line");
const NEAR: Text = text!("a gateway in the network of a link's address");
const NEW_PORT: Text = text!("a host port that no other line publishes");

/// Checks a line of the board's section.
pub(in super::super) fn check_system<'a>(line: &Line<'a>, config: &Config<'a>) -> Result<(), Error<'a>> {
    let wrong = |word: &Word<'a>, expected| Err(at(line, word, expected));
    let network = &config.system.network;
    let (key, name) = (line.words[0].text, line.words.get(1));
    let Some(name) = name else { return Ok(()) };
    match key {
        "link" | "bridge" => {
            // An earlier line with the same name, or with an overlapping network.
            let clash = |number: u32, other: &str, addresses: &Addresses| {
                if number >= line.number {
                    return None;
                }
                if other == name.text {
                    return Some((name, NEW_NAME));
                }
                let overlaps = |own: Prefix| addresses.iter().any(|address| address.overlaps(own));
                let mut networks = prefixes(line);
                networks.find(|(_, own)| overlaps(*own)).map(|(word, _)| (word, NEW_NETWORK))
            };
            let links = || network.links.iter().find_map(|link| clash(link.line.0, link.name, &link.addresses));
            let mut bridges = network.bridges.iter();
            let bridges = || bridges.find_map(|bridge| clash(bridge.line.0, bridge.name, &bridge.addresses));
            if let Some((word, expected)) = links().or_else(bridges) {
                return wrong(word, expected);
            }
            if let Some(link) = network.links.iter().find(|link| link.line.0 == line.number) {
                check_gateways(line, &link.addresses)?;
                check_vlan(line, link, &network.links)?;
            }
        }
        // A route is set together with the link of its gateway, so a gateway on no link would never be used.
        "route" => {
            let gateway = &line.words[line.words.len() - 1];
            if ip(gateway.text).is_none_or(|address| !network.is_near(address)) {
                return wrong(gateway, NEAR);
            }
            // A wider network does not hide the bridges' own networks.
            let bridges = network.bridges.iter().flat_map(|bridge| &bridge.addresses);
            let mut behind = bridges.chain(network.links.iter().flat_map(|link| &link.addresses));
            let takes = |to: Prefix| behind.any(|own| own.length <= to.length && own.overlaps(to));
            if network_of(name.text).is_some_and(takes) {
                return wrong(name, NOT_BEHIND);
            }
        }
        "masquerade" => {
            if network.bridge(name.text).is_none() {
                return wrong(name, KNOWN_BRIDGE);
            }
            if let Some(link) =
                line.words.get(2).filter(|link| !network.links.iter().any(|known| known.name == link.text))
            {
                return wrong(link, KNOWN_LINK);
            }
        }
        _ => {}
    }
    Ok(())
}

/// Refuses a VLAN without a line of its parent above, and a duplicate one.
fn check_vlan<'a>(line: &Line<'a>, link: &HostLink<'a>, links: &[HostLink<'a>]) -> Result<(), Error<'a>> {
    let LinkMatch::Vlan { parent, .. } = link.which else { return Ok(()) };
    let earlier = || links.iter().take_while(|other| other.line.0 < line.number);
    if !earlier().any(|other| other.name == parent) {
        return Err(at(line, &line.words[3], EARLIER_LINK));
    }
    if earlier().any(|other| other.which == link.which) {
        return Err(at(line, &line.words[4], NEW_VLAN));
    }
    Ok(())
}

/// Iterates over the words of a line that are addresses with a prefix length.
fn prefixes<'l, 'a>(line: &'l Line<'a>) -> impl Iterator<Item = (&'l Word<'a>, Prefix)> {
    line.words.iter().skip(2).filter_map(|word| Some((word, prefix(word.text)?)))
}

/// Iterates over the gateways of a line: the words after `via`.
fn gateways<'l, 'a>(line: &'l Line<'a>) -> impl Iterator<Item = (&'l Word<'a>, IpAddr)> {
    let behind = line.words.iter().zip(line.words.iter().skip(1)).filter(|(via, _)| via.text == "via");
    behind.filter_map(|(_, word)| Some((word, ip(word.text)?)))
}

pub(super) fn is_among(addresses: &Addresses, prefix: Prefix) -> bool {
    addresses.iter().any(|other| other.address == prefix.address)
}

fn check_gateways<'a>(line: &Line<'a>, addresses: &Addresses) -> Result<(), Error<'a>> {
    let mut far = gateways(line).filter(|(_, gateway)| !addresses.iter().any(|address| address.contains(*gateway)));
    far.next().map_or(Ok(()), |(word, _)| Err(at(line, word, NEAR)))
}

fn at<'a>(line: &Line<'a>, word: &Word<'a>, expected: Text) -> Error<'a> {
    Error { line: line.number, column: word.column, problem: Problem::Value(word.text, expected) }
}

/// Checks a line of the workload at `index`, and reads `talk`.
pub(in super::super) fn check_workload<'a>(
    line: &Line<'a>,
    config: &mut Config<'a>,
    index: usize,
) -> Result<(), Error<'a>> {
    match line.words[0].text {
        "link" => check_link(line, config, index),
        "publish" => check_publish(line, config, index),
        "talk" => read_talk(line, config, index),
        _ => Ok(()),
    }
}

fn too_many_leases<'a>(line: &Line<'a>, word: &Word<'a>) -> Result<(), Error<'a>> {
    let problem = Problem::TooMany(text!("dhcp links"), limits::LEASED_LINKS as u32);
    Err(Error { line: line.number, column: word.column, problem })
}

fn check_link<'a>(line: &Line<'a>, config: &Config<'a>, index: usize) -> Result<(), Error<'a>> {
    let wrong = |word: &Word<'a>, expected| Err(at(line, word, expected));
    let links = config.pools.of(config.workload(index).network.links).iter();
    let (Some(link), Some(parent)) = (links.clone().find(|link| link.line.0 == line.number), line.words.get(2)) else {
        return Ok(());
    };
    let others = || {
        let all = config.workloads.iter().flat_map(|workload| config.pools.of(workload.network.links));
        all.filter(|other| other.line.0 != line.number)
    };
    match link.attachment {
        Attachment::Bridge(name) => {
            let Some(bridge) = config.system.network.bridge(name) else { return wrong(parent, KNOWN_BRIDGE) };
            for (word, own) in prefixes(line) {
                if !bridge.addresses.iter().any(|address| address.contains(own.address)) {
                    return wrong(word, IN_BRIDGE);
                }
            }
            for (word, gateway) in gateways(line) {
                if !bridge.addresses.iter().any(|address| address.address == gateway) {
                    return wrong(word, BRIDGE_ADDRESS);
                }
            }
        }
        Attachment::Macvlan(name) | Attachment::Ipvlan(name) => {
            if !config.system.network.links.iter().any(|link| link.name == name) {
                return wrong(parent, KNOWN_LINK);
            }
            check_gateways(line, &link.addresses)?;
        }
        Attachment::Physical(name) => {
            let boards = config.system.network.links.iter().find(|link| link.name == name);
            // A line that only names a link is allowed, because it identifies the link. A VLAN would be deleted with
            // the workload's network namespace.
            let is_vlan = |link: &HostLink<'_>| matches!(link.which, LinkMatch::Vlan { .. });
            let is_used =
                |link: &HostLink<'_>| link.has_dhcp || link.has_slaac || !link.addresses.is_empty() || is_vlan(link);
            let is_parent =
                |link: &HostLink<'_>| matches!(link.which, LinkMatch::Vlan { parent, .. } if parent == name);
            if boards.is_some_and(is_used)
                || config.system.network.links.iter().any(is_parent)
                || others().any(|other| other.attachment.name() == name)
            {
                return wrong(parent, GIVEN_AWAY);
            }
            check_gateways(line, &link.addresses)?;
        }
    }
    // Of too many lines, the first one that exceeds the limit is reported.
    let is_leased = |other: &&WorkloadLink<'_>| other.has_dhcp && other.line.0 < line.number;
    if link.has_dhcp && others().filter(is_leased).count() >= limits::LEASED_LINKS {
        return too_many_leases(line, parent);
    }
    for (word, own) in prefixes(line) {
        let network = &config.system.network;
        let has = |addresses: &Addresses| addresses.iter().any(|other| other.address == own.address);
        if network.bridges.iter().any(|bridge| has(&bridge.addresses))
            || network.links.iter().any(|link| has(&link.addresses))
            // Of two lines with the same address, the later one is reported.
            || others().any(|other| other.line.0 < line.number && has(&other.addresses))
        {
            return wrong(word, NEW_ADDRESS);
        }
    }
    Ok(())
}

fn check_publish<'a>(line: &Line<'a>, config: &Config<'a>, index: usize) -> Result<(), Error<'a>> {
    let Some((word, own)) = line.words.get(1).and_then(|word| Some((word, publish(word.text)?))) else { return Ok(()) };
    let is_taken = |other: &Publish| {
        let is_apart = matches!((other.address, own.address), (Some(left), Some(right)) if left != right);
        let has_port = other.port <= own.last && own.port <= other.last;
        has_port && other.is_udp == own.is_udp && !is_apart
    };
    // The sections up to this one include the line itself. Of two workloads with the same port, the later one is
    // reported.
    let before = config.workloads[..=index].iter().flat_map(|workload| config.pools.of(workload.network.publish));
    if before.filter(|other| is_taken(other)).count() > 1 {
        return Err(at(line, word, NEW_PORT));
    }
    let workload = config.workload(index);
    let is_published = |is_ipv4| {
        own.address.is_none_or(|own| own.is_ipv4() == is_ipv4)
            && workload.network.published_address(&config.pools, is_ipv4).is_some()
    };
    if !is_published(true) && !is_published(false) {
        let problem =
            Problem::Rule(workload.name, text!("publish needs a link veth with an address and via of that family"));
        return Err(Error { line: line.number, column: line.words[0].column, problem });
    }
    Ok(())
}

/// `talk NAME...`, where `board` means the board itself.
fn read_talk<'a>(line: &Line<'a>, config: &mut Config<'a>, index: usize) -> Result<(), Error<'a>> {
    const BRIDGED: Text = text!("a workload with a link veth, or board for the host");
    for word in &line.words[1..] {
        let error = |problem| Err(Error { line: line.number, column: word.column, problem });
        let other = config.find(word.text);
        match other {
            Some(_) if word.text == "board" => {
                return error(Problem::Value("board", text!("another name for that workload")));
            }
            None if word.text == "board" => config.workloads[index].network.talks_to_board = true,
            None => return error(Problem::NoWorkload(word.text)),
            Some(other) if other == index => return error(Problem::Itself(word.text)),
            Some(other) if config.workload(other).network.bridged(&config.pools).next().is_none() => {
                return error(Problem::Value(word.text, BRIDGED));
            }
            Some(other) => config.workloads[index].network.talk.insert(other),
        }
    }
    let missing = |problem, column| Err(Error { line: line.number, column, problem });
    if line.words.len() == 1 {
        return missing(Problem::Missing("talk", text!("the names of workloads, or board")), line.end);
    }
    let workload = config.workload(index);
    if workload.network.bridged(&config.pools).next().is_none() {
        let problem = Problem::Rule(workload.name, text!("talk needs a link veth with an address"));
        return missing(problem, line.words[0].column);
    }
    Ok(())
}

/// Checks the rules for a workload's network as a whole. Returns the problem and the remedy, or `None`.
pub(in super::super) fn broken_rule<'a>(workload: &Workload<'a>, pools: &Pools<'a>) -> Option<Text> {
    let Network { links, publish, .. } = &workload.network;
    if workload.isolation.shared & Namespaces::NET != 0 && !(links.is_empty() && publish.is_empty()) {
        return Some(text!("link and publish need a network of its own; remove them, or share net"));
    }
    let has_no_meaning = |link: &WorkloadLink<'_>| match link.attachment {
        Attachment::Bridge(_) => false,
        Attachment::Macvlan(_) => link.may_spoof,
        Attachment::Ipvlan(_) | Attachment::Physical(_) => link.mac.is_some() || link.may_spoof,
    };
    let text = text!("spoof is only for veth, mac= only for veth and macvlan");
    pools.of(*links).iter().any(has_no_meaning).then_some(text)
}
