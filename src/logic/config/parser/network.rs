//! The keys about networks. What a line says by itself is looked at when it is read; what it says about other lines,
//! when every line is known.

use super::super::error::{Error, Problem};
use super::super::limits;
use super::super::lines::{Line, Word};
use super::super::model::{Config, System, Workload};
use super::super::network::{
    Addresses, Attachment, Bridge, Gateways, HostLink, Mac, Masquerade, Network, Place, Prefix, Publish, Route, Sysctl,
    Which, WorkloadLink,
};
use super::super::values;
use super::super::vocabulary::Meaning;
use super::{Values, Wrong};
use crate::plan::Namespaces;
use core::net::IpAddr;

const LINK: &str = "a link's name of at most 15 letters, digits, -, _ and .";
const PREFIX: &str = "an address and its network's bits such as 10.0.0.2/24 or fd00::2/64";
const GATEWAY: &str = "a gateway's address behind via, one for each family";
const HOST_LINK: &str = "dhcp, up, an address such as 10.0.0.2/24, via GATEWAY, mac=, path= or mtu=";
const INNER_LINK: &str = "an address such as 10.77.0.2/24, via GATEWAY, mac=, mtu= or spoof";
const KIND: &str = "veth, macvlan, ipvlan or move";
const PUBLISH: &str = "[ADDRESS:]PORT:PORT/tcp or /udp such as 8080:80/tcp";
const SYSCTL: &str = "the name of a setting such as net.ipv4.ip_forward";

/// A link's name (dev_valid_name in net/core/dev.c, and nothing that a terminal or a path could misread).
fn link_name(text: &str) -> Option<&str> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let fits = (1..=limits::LINK_BYTES).contains(&text.len()) && text.bytes().all(letter);
    (fits && !text.starts_with(['.', '-']) && text != "lo" && text != "all" && text != "default").then_some(text)
}

/// An address and the bits of its network; not the network itself, and not everybody in it.
#[inline(never)]
fn prefix(text: &str) -> Option<Prefix> {
    let (address, length) = text.split_once('/')?;
    let (address, length) = (ip(address)?, values::number(length)?);
    let prefix = Prefix { address, length: u8::try_from(length).ok()? };
    let bits = Prefix::host(address).length;
    let is_whole =
        prefix.length + 1 < bits && (address == prefix.first() || address.is_ipv4() && address == prefix.last());
    ((1..=bits).contains(&prefix.length) && !is_whole).then_some(prefix)
}

/// An address of one host.
#[inline(never)]
fn ip(text: &str) -> Option<IpAddr> {
    let address = text.parse::<IpAddr>().ok()?;
    let is_hosts = !address.is_unspecified() && !address.is_multicast() && !address.is_loopback();
    is_hosts.then_some(address)
}

/// A network, by its first address; `default` is everywhere.
fn network(text: &str) -> Option<Prefix> {
    let (address, length) = text.split_once('/')?;
    let address = address.parse::<IpAddr>().ok()?;
    let prefix = Prefix { address, length: u8::try_from(values::number(length)?).ok()? };
    (prefix.length <= Prefix::host(address).length && prefix.first() == address).then_some(prefix)
}

fn mac(text: &str) -> Option<Mac> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    for place in &mut mac {
        let part = parts.next().filter(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        *place = u8::from_str_radix(part, 16).ok()?;
    }
    // The lowest bit of the first byte stands for several stations.
    (parts.next().is_none() && mac[0] & 1 == 0 && mac != [0; 6]).then_some(Mac(mac))
}

/// Bytes of a packet: as few as IPv4 allows (RFC 791), as many as a link can have.
fn mtu(text: &str) -> Option<u32> {
    values::number(text).filter(|mtu| (68..=65_535).contains(mtu))
}

fn port(text: &str) -> Option<u16> {
    values::number(text).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0)
}

/// `[ADDRESS:]PORT:PORT/tcp|udp`
fn publish(text: &str) -> Option<Publish> {
    let (text, protocol) = text.rsplit_once('/')?;
    let is_udp = ["tcp", "udp"].iter().position(|known| *known == protocol)? == 1;
    let (rest, to) = text.rsplit_once(':')?;
    let (address, from) = match rest.rsplit_once(':') {
        Some((address, from)) => {
            let inner = address.strip_prefix('[').and_then(|address| address.strip_suffix(']'));
            let address = ip(inner.unwrap_or(address))?;
            (Some(address).filter(|address| address.is_ipv6() == inner.is_some()), from)
        }
        None => (None, rest),
    };
    // An address that was there and is none is no address for all.
    (address.is_some() == rest.contains(':')).then_some(())?;
    Some(Publish { address, port: port(from)?, to: port(to)?, is_udp })
}

/// A setting's name: parts of letters, digits, `-` and `_`, separated by dots or slashes (sysctl(8)).
fn sysctl(text: &str) -> Option<&str> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let part = |part: &str| !part.is_empty() && part.bytes().all(letter);
    (text.len() <= limits::PATH_BYTES / 2 && text.split(['.', '/']).all(part)).then_some(text)
}

/// What both kinds of links have.
#[derive(Default)]
struct Words<'a> {
    addresses: Addresses,
    gateways: Gateways,
    mac: Option<Mac>,
    mtu: u32,
    path: Option<&'a str>,
    is_dhcp: bool,
    may_spoof: bool,
}

impl<'a> Values<'_, 'a> {
    /// Reads one of the board's keys that this file is about.
    pub(super) fn system_network(&mut self, system: &mut System<'a>) -> Result<(), Wrong> {
        let line = Place(self.line.number);
        let network = &mut system.network;
        match self.key.meaning {
            Meaning::Link => {
                let name = self.take(LINK, link_name)?;
                let words = self.link_words(HOST_LINK, false)?;
                let which = match (words.path, words.mac) {
                    (Some(path), _) => Which::Path(path),
                    (None, Some(mac)) => Which::Mac(mac),
                    _ => Which::Name,
                };
                let Words { addresses, gateways, mtu, is_dhcp, .. } = words;
                let link = HostLink { line, name, which, mtu, has_dhcp: is_dhcp, addresses, gateways };
                if network.links.push(link).is_err() {
                    return self.too_many("link lines", limits::HOST_LINKS);
                }
            }
            Meaning::Bridge => {
                let name = self.take(LINK, link_name)?;
                let mut addresses = Addresses::new();
                loop {
                    let prefix = self.take(PREFIX, prefix)?;
                    if is_among(&addresses, prefix) {
                        return Err(self.unexpected(NEW_ADDRESS));
                    }
                    if addresses.push(prefix).is_err() {
                        return self.too_many("addresses", limits::ADDRESSES);
                    }
                    if !self.has_more() {
                        break;
                    }
                }
                if network.bridges.push(Bridge { line, name, addresses }).is_err() {
                    return self.too_many("bridge lines", limits::BRIDGES);
                }
            }
            Meaning::Masquerade => {
                let (bridge, link) = (self.take(LINK, link_name)?, self.take(LINK, link_name)?);
                if network.masquerades.push(Masquerade { bridge, link }).is_err() {
                    return self.too_many("masquerade lines", limits::MASQUERADES);
                }
            }
            Meaning::Route => {
                let to = self.take("a network by its first address, such as 10.9.0.0/16", self::network)?;
                let _ = self.choose("via", &["via"])?;
                let gateway = self.take("a gateway's address of the same family", |text| {
                    ip(text).filter(|gateway| gateway.is_ipv4() == to.address.is_ipv4())
                })?;
                if network.routes.push(Route { to, gateway }).is_err() {
                    return self.too_many("route lines", limits::ROUTES);
                }
            }
            Meaning::Nameserver => loop {
                let server = self.take("the address of a name server", ip)?;
                if network.name_servers.push(server).is_err() {
                    return self.too_many("name servers", limits::NAME_SERVERS);
                }
                if !self.has_more() {
                    break;
                }
            },
            _ => {
                let name = self.take(SYSCTL, sysctl)?;
                let value = self.word("a value")?;
                if system.sysctls.push(Sysctl { name, value }).is_err() {
                    return self.too_many("sysctl lines", limits::SYSCTLS);
                }
            }
        }
        Ok(())
    }

    /// Reads one of the workload's keys that this file is about; gives whether it was one.
    pub(super) fn network(&mut self, workload: &mut Workload<'a>) -> Result<bool, Wrong> {
        let network = &mut workload.network;
        match self.key.meaning {
            Meaning::WorkloadLink => {
                let kind = self.choose(KIND, &["veth", "macvlan", "ipvlan", "move"])?;
                let parent = self.take(LINK, link_name)?;
                let attachment = match kind {
                    0 => Attachment::Bridge(parent),
                    1 => Attachment::Macvlan(parent),
                    2 => Attachment::Ipvlan(parent),
                    _ => Attachment::Moved(parent),
                };
                let Words { addresses, gateways, mac, mtu, may_spoof, .. } = self.link_words(INNER_LINK, true)?;
                // One that is given away may be set up by the program itself.
                if addresses.is_empty() && !matches!(attachment, Attachment::Moved(_)) {
                    return self.error(self.line.end, Problem::Missing(self.key.name, INNER_LINK));
                }
                let line = Place(self.line.number);
                let link = WorkloadLink { line, attachment, addresses, gateways, mac, mtu, may_spoof };
                if network.links.push(link).is_err() {
                    return self.too_many("link lines", limits::LINKS);
                }
            }
            Meaning::Publish => {
                let publish = self.take(PUBLISH, publish)?;
                if network.publish.push(publish).is_err() {
                    return self.too_many("publish lines", limits::PUBLISHED);
                }
            }
            Meaning::Resolv => network.has_resolv = true,
            // The names are looked up when every workload is known.
            Meaning::Talk => self.next = self.line.words.len(),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The words behind a link's name.
    fn link_words(&mut self, expected: &'static str, is_inner: bool) -> Result<Words<'a>, Wrong> {
        let mut words = Words::default();
        let mut is_up = is_inner;
        while self.has_more() || !is_up {
            let word = self.word(expected)?;
            is_up = true;
            let is_known = match (word, word.split_once('=')) {
                ("via", _) => {
                    let gateway = self.take(GATEWAY, |text| {
                        ip(text).filter(|new| words.gateways.iter().all(|old| old.is_ipv4() != new.is_ipv4()))
                    })?;
                    words.gateways.push(gateway).is_ok()
                }
                ("dhcp", _) if !is_inner => {
                    words.is_dhcp = true;
                    true
                }
                ("up", _) if !is_inner => true,
                ("spoof", _) if is_inner => {
                    words.may_spoof = true;
                    true
                }
                (_, Some(("mac", text))) => {
                    words.mac = mac(text);
                    words.mac.is_some()
                }
                (_, Some(("mtu", text))) => {
                    words.mtu = mtu(text).unwrap_or(0);
                    words.mtu > 0
                }
                (_, Some(("path", text))) if !is_inner => {
                    words.path = values::path(text);
                    words.path.is_some()
                }
                _ => match prefix(word) {
                    Some(_) if words.addresses.is_full() => return self.too_many("addresses", limits::ADDRESSES),
                    Some(prefix) if is_among(&words.addresses, prefix) => return Err(self.unexpected(NEW_ADDRESS)),
                    Some(prefix) => words.addresses.push(prefix).is_ok(),
                    None => false,
                },
            };
            if !is_known {
                return Err(self.unexpected(expected));
            }
        }
        Ok(words)
    }
}

const NEW_ADDRESS: &str = "an address that is not taken";
const NEW_NETWORK: &str = "a network that overlaps with none of another bridge or link";
const NEW_NAME: &str = "a name that no other link or bridge has";
const KNOWN_BRIDGE: &str = "the name of a bridge line of [system]";
const KNOWN_LINK: &str = "the name of a link line of [system]";
const IN_BRIDGE: &str = "an address in the bridge's network";
const BRIDGE_ADDRESS: &str = "the bridge's own address: it is the only gateway there";
const GIVEN_AWAY: &str = "a link that no other line uses or gives an address";
const NEAR: &str = "a gateway in the network of a link's address";
const NEW_PORT: &str = "a port of the board that no other line publishes";

/// What the other lines say about a line of the board's section.
pub(super) fn check_system<'a>(line: &Line<'a>, config: &Config<'a>) -> Result<(), Error<'a>> {
    let wrong = |word: &Word<'a>, expected| Err(at(line, word, expected));
    let network = &config.system.network;
    let (key, name) = (line.words[0].text, line.words.get(1));
    let Some(name) = name else { return Ok(()) };
    match key {
        "link" | "bridge" => {
            // What an earlier line has of this one: its name, or a network of it.
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
            }
        }
        // It is set with the link that its gateway is a neighbour on; with none it never would be.
        "route" => {
            let gateway = &line.words[line.words.len() - 1];
            if ip(gateway.text).is_none_or(|address| !network.is_near(address)) {
                return wrong(gateway, NEAR);
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

/// The words of a line that are addresses with a network.
fn prefixes<'l, 'a>(line: &'l Line<'a>) -> impl Iterator<Item = (&'l Word<'a>, Prefix)> {
    line.words.iter().skip(2).filter_map(|word| Some((word, prefix(word.text)?)))
}

/// The gateways of a line: the words behind `via`.
fn gateways<'l, 'a>(line: &'l Line<'a>) -> impl Iterator<Item = (&'l Word<'a>, IpAddr)> {
    let behind = line.words.iter().zip(line.words.iter().skip(1)).filter(|(via, _)| via.text == "via");
    behind.filter_map(|(_, word)| Some((word, ip(word.text)?)))
}

fn is_among(addresses: &Addresses, prefix: Prefix) -> bool {
    addresses.iter().any(|other| other.address == prefix.address)
}

fn check_gateways<'a>(line: &Line<'a>, addresses: &Addresses) -> Result<(), Error<'a>> {
    let mut far = gateways(line).filter(|(_, gateway)| !addresses.iter().any(|address| address.contains(*gateway)));
    far.next().map_or(Ok(()), |(word, _)| Err(at(line, word, NEAR)))
}

fn at<'a>(line: &Line<'a>, word: &Word<'a>, expected: &'static str) -> Error<'a> {
    Error { line: line.number, column: word.column, problem: Problem::Value(word.text, expected) }
}

/// What the other lines say about a line of the section of the workload at `index`; `talk` is read only now.
pub(super) fn check_workload<'a>(line: &Line<'a>, config: &mut Config<'a>, index: usize) -> Result<(), Error<'a>> {
    match line.words[0].text {
        "link" => check_link(line, config, index),
        "publish" => check_publish(line, config, index),
        "talk" => read_talk(line, config, index),
        _ => Ok(()),
    }
}

fn check_link<'a>(line: &Line<'a>, config: &Config<'a>, index: usize) -> Result<(), Error<'a>> {
    let wrong = |word: &Word<'a>, expected| Err(at(line, word, expected));
    let links = config.workloads[index].network.links.iter();
    let (Some(link), Some(parent)) = (links.clone().find(|link| link.line.0 == line.number), line.words.get(2)) else {
        return Ok(());
    };
    let others = || {
        let all = config.workloads.iter().flat_map(|workload| &workload.network.links);
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
        Attachment::Moved(name) => {
            let boards = config.system.network.links.iter().find(|link| link.name == name);
            // A line that only gives it its name is how one knows which it is.
            if boards.is_some_and(|link| link.has_dhcp || !link.addresses.is_empty())
                || others().any(|other| other.attachment.name() == name)
            {
                return wrong(parent, GIVEN_AWAY);
            }
            check_gateways(line, &link.addresses)?;
        }
    }
    for (word, own) in prefixes(line) {
        let network = &config.system.network;
        let has = |addresses: &Addresses| addresses.iter().any(|other| other.address == own.address);
        if network.bridges.iter().any(|bridge| has(&bridge.addresses))
            || network.links.iter().any(|link| has(&link.addresses))
            // Of two with the same one, the later is told.
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
        other.port == own.port && other.is_udp == own.is_udp && !is_apart
    };
    // Up to this section this line is one of them; of two workloads with the same port the later is told.
    let before = config.workloads[..=index].iter().flat_map(|workload| &workload.network.publish);
    if before.filter(|other| is_taken(other)).count() > 1 {
        return Err(at(line, word, NEW_PORT));
    }
    let workload = &config.workloads[index];
    let is_published = |is_ipv4| {
        own.address.is_none_or(|own| own.is_ipv4() == is_ipv4) && workload.network.answering(is_ipv4).is_some()
    };
    if !is_published(true) && !is_published(false) {
        let problem = Problem::Rule(workload.name, "publish needs a link veth with an address of that family and via");
        return Err(Error { line: line.number, column: line.words[0].column, problem });
    }
    Ok(())
}

/// `talk NAME...`, where `board` is the board itself.
fn read_talk<'a>(line: &Line<'a>, config: &mut Config<'a>, index: usize) -> Result<(), Error<'a>> {
    const BRIDGED: &str = "a workload with a link veth, or board for the board itself";
    for word in &line.words[1..] {
        let error = |problem| Err(Error { line: line.number, column: word.column, problem });
        let other = config.workloads.iter().position(|workload| workload.name == word.text);
        match other {
            Some(_) if word.text == "board" => return error(Problem::Value("board", "another name for that workload")),
            None if word.text == "board" => config.workloads[index].network.talks_to_board = true,
            None => return error(Problem::NoWorkload(word.text)),
            Some(other) if other == index => return error(Problem::Itself(word.text)),
            Some(other) if config.workloads[other].network.bridged().next().is_none() => {
                return error(Problem::Value(word.text, BRIDGED));
            }
            Some(other) => config.workloads[index].network.talk.insert(other),
        }
    }
    let missing = |problem, column| Err(Error { line: line.number, column, problem });
    if line.words.len() == 1 {
        return missing(Problem::Missing("talk", "the names of workloads, or board"), line.end);
    }
    let workload = &config.workloads[index];
    if workload.network.bridged().next().is_none() {
        let problem = Problem::Rule(workload.name, "talk needs a link veth with an address");
        return missing(problem, line.words[0].column);
    }
    Ok(())
}

/// What has to hold of a workload's network as a whole; gives what does not, and what to do.
pub(super) fn broken_rule(workload: &Workload<'_>) -> Option<&'static str> {
    let Network { links, publish, .. } = &workload.network;
    if workload.isolation.shared & Namespaces::flag("net") != 0 && !(links.is_empty() && publish.is_empty()) {
        return Some("link and publish belong to a network of its own; remove them, or share net");
    }
    let has_no_meaning = |link: &WorkloadLink<'_>| match link.attachment {
        Attachment::Bridge(_) => false,
        Attachment::Macvlan(_) => link.may_spoof,
        Attachment::Ipvlan(_) | Attachment::Moved(_) => link.mac.is_some() || link.may_spoof,
    };
    let text = "spoof has a meaning for veth alone, mac= for veth and macvlan; remove them elsewhere";
    links.iter().any(has_no_meaning).then_some(text)
}
