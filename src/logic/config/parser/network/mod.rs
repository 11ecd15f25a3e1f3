//! The keys about networks, each line by itself. `consistency.rs` checks a line against other lines when all are known.

mod consistency;
mod ip;
mod words;

pub(super) use consistency::{broken_rule, check_system, check_workload};
pub(super) use words::ip;

use super::super::address::Mac;
use super::super::error::Problem;
use super::super::keys::KeyId;
use super::super::limits;
use super::super::model::System;
use super::super::network::{
    Addresses, Attachment, Bridge, Gateways, HostLink, LineNumber, LinkMatch, Masquerade, Network, Route, Sysctl,
    SystemNetwork, WorkloadLink,
};
use super::super::pools::Pools;
use super::arguments::{Arguments, Reported};
use super::values;
use crate::split::Split;
use crate::text;
use crate::text::Text;
use consistency::{NEW_ADDRESS, NEW_ROUTE, is_among};
use core::net::IpAddr;
use words::{link_name, mac, mtu, prefix, publish, sysctl};

const LINK: Text = text!("a link's name of at most 15 letters, digits, -, _ and .");
const PREFIX: Text = text!("an address with a prefix length such as 10.0.0.2/24 or fd00::2/64");
const GATEWAY: Text = text!("a gateway's address after via, one for each family");
const HOST_LINK: Text =
    text!("dhcp, slaac, up, an address such as 10.0.0.2/24, via GATEWAY, probe ADDRESS, mac=, path= or mtu=");
const PROBED: Text = text!("the address of a host that answers to ping");
const INNER_LINK: Text = text!("an address such as 10.77.0.2/24, via GATEWAY, mac=, mtu= or spoof");
const OUTER_LINK: Text = text!("dhcp, an address such as 192.168.1.20/24, via GATEWAY, mac= or mtu=");
const KIND: Text = text!("veth, macvlan, ipvlan or move");
const PUBLISH: Text = text!("[ADDRESS:]PORT:PORT/tcp or /udp such as 8080:80/tcp, or one range of ports on both sides");
const SYSCTL: Text = text!("the name of a setting such as net.ipv4.ip_forward");

/// The options that links of boards and of workloads have in common.
#[derive(Default)]
struct Words<'a> {
    addresses: Addresses,
    gateways: Gateways,
    mac: Option<Mac>,
    mtu: u32,
    path: Option<&'a str>,
    is_dhcp: bool,
    is_slaac: bool,
    probe: Option<IpAddr>,
    may_spoof: bool,
}

/// Returns whether a remote host can have the address.
fn can_answer(address: &IpAddr) -> bool {
    !address.is_unspecified() && !address.is_loopback() && !address.is_multicast()
}

impl<'a> Arguments<'_, 'a> {
    /// Reads a key of the board's section that belongs to this file.
    pub(super) fn system_network(&mut self, system: &mut System<'a>) -> Result<(), Reported> {
        let network = &mut system.network;
        match self.key.id {
            KeyId::Link => self.host_link(network, system.site_line)?,
            KeyId::Bridge => self.bridge(network)?,
            KeyId::Masquerade => {
                let (bridge, link) = (self.text(LINK, link_name)?, self.text(LINK, link_name)?);
                if network.masquerades.push(Masquerade { bridge, link }).is_err() {
                    return self.too_many(text!("masquerade lines"), limits::MASQUERADES);
                }
            }
            KeyId::Route => {
                let to = self.take(text!("a network without host bits, such as 10.9.0.0/16"), words::network)?;
                if network.routes.iter().any(|other| other.to == to) {
                    return Err(self.unexpected(NEW_ROUTE));
                }
                let _ = self.choose(text!("via"), "via")?;
                let gateway = self.take(text!("a gateway's address of the same family"), |text| {
                    ip(text).filter(|gateway| gateway.is_ipv4() == to.address.is_ipv4())
                })?;
                if network.routes.push(Route { to, gateway }).is_err() {
                    return self.too_many(text!("route lines"), limits::ROUTES);
                }
            }
            KeyId::Nameserver => loop {
                let server = self.take(text!("the address of a name server"), ip)?;
                if network.name_servers.push(server).is_err() {
                    return self.too_many(text!("name servers"), limits::NAME_SERVERS);
                }
                if !self.has_more() {
                    break;
                }
            },
            _ => {
                let name = self.text(SYSCTL, sysctl)?;
                let value = self.word(text!("a value"))?;
                if system.sysctls.push(Sysctl { name, value }).is_err() {
                    return self.too_many(text!("sysctl lines"), limits::SYSCTLS);
                }
            }
        }
        Ok(())
    }

    /// `link NAME WORD...`. The line of a site takes the place of the link with its name, whose line is above `site_line`.
    fn host_link(&mut self, network: &mut SystemNetwork<'a>, site_line: u32) -> Result<(), Reported> {
        let line = LineNumber(self.line.number);
        let name = self.text(LINK, link_name)?;
        let is_vlan = self.line.words.get(self.next).is_some_and(|word| word.text == "vlan");
        let mut which = LinkMatch::Name;
        if is_vlan {
            self.next += 1;
            let parent = self.text(LINK, link_name)?;
            // 0 means no VLAN, and the last number is reserved.
            let id = self.figure(text!("a VLAN's number from 1 to 4094"), |text| {
                values::number(text).filter(|id| (1..4095).contains(id))
            })?;
            which = LinkMatch::Vlan { parent, id: id as u16 };
        }
        let words = self.link_words(HOST_LINK, false)?;
        match (words.path, words.mac) {
            (None, None) => {}
            _ if is_vlan => return Err(self.unexpected(text!("neither mac= nor path= for a VLAN"))),
            (Some(path), _) => which = LinkMatch::Path(path),
            (None, Some(mac)) => which = LinkMatch::Mac(mac),
        }
        let Words { addresses, gateways, mtu, is_dhcp, is_slaac, probe, .. } = words;
        let link =
            HostLink { line, name, which, mtu, has_dhcp: is_dhcp, has_slaac: is_slaac, probe, addresses, gateways };
        if let Some(other) = network.links.iter_mut().find(|other| other.name == name && other.line.0 < site_line) {
            *other = link;
        } else if network.links.push(link).is_err() {
            return self.too_many(text!("link lines"), limits::HOST_LINKS);
        }
        Ok(())
    }

    /// `bridge NAME ADDRESS...`
    fn bridge(&mut self, network: &mut SystemNetwork<'a>) -> Result<(), Reported> {
        let line = LineNumber(self.line.number);
        let name = self.text(LINK, link_name)?;
        let mut addresses = Addresses::new();
        loop {
            let prefix = self.take(PREFIX, prefix)?;
            if is_among(&addresses, prefix) {
                return Err(self.unexpected(NEW_ADDRESS));
            }
            if addresses.push(prefix).is_err() {
                return self.too_many(text!("addresses"), limits::ADDRESSES);
            }
            if !self.has_more() {
                break;
            }
        }
        if network.bridges.push(Bridge { line, name, addresses }).is_err() {
            return self.too_many(text!("bridge lines"), limits::BRIDGES);
        }
        Ok(())
    }

    /// Reads a workload's key that belongs to this file. Returns false if the key belongs elsewhere.
    pub(super) fn network(&mut self, network: &mut Network<'a>, pools: &mut Pools<'a>) -> Result<bool, Reported> {
        match self.key.id {
            KeyId::WorkloadLink => {
                let kind = self.choose(KIND, "veth macvlan ipvlan move")?;
                let parent = self.text(LINK, link_name)?;
                let attachment = match kind {
                    0 => Attachment::Bridge(parent),
                    1 => Attachment::Macvlan(parent),
                    2 => Attachment::Ipvlan(parent),
                    _ => Attachment::Physical(parent),
                };
                let expected = if let 1 | 2 = kind { OUTER_LINK } else { INNER_LINK };
                let words = self.link_words(expected, true)?;
                let Words { addresses, gateways, mac, mtu, may_spoof, is_dhcp: has_dhcp, .. } = words;
                // The program itself may configure a physical link.
                if addresses.is_empty() && !has_dhcp && !matches!(attachment, Attachment::Physical(_)) {
                    return self.error(self.line.end, Problem::Missing(self.key.name, expected));
                }
                let line = LineNumber(self.line.number);
                let link = WorkloadLink { line, attachment, has_dhcp, addresses, gateways, mac, mtu, may_spoof };
                if !pools.push(&mut network.links, link, limits::LINKS) {
                    return self.too_many(text!("link lines"), limits::LINKS);
                }
            }
            KeyId::Publish => {
                let publish = self.take(PUBLISH, publish)?;
                if !pools.push(&mut network.publish, publish, limits::PUBLISHED) {
                    return self.too_many(text!("publish lines"), limits::PUBLISHED);
                }
            }
            KeyId::Resolv => network.has_resolv = true,
            // Names are resolved when all workloads are known.
            KeyId::Talk => self.next = self.line.words.len(),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Reads the words after a link's name.
    fn link_words(&mut self, expected: Text, is_inner: bool) -> Result<Words<'a>, Reported> {
        let mut words = Words::default();
        let mut is_up = is_inner;
        while self.has_more() || !is_up {
            let word = self.word(expected)?;
            is_up = true;
            let is_known = match (word, word.cut(b'=')) {
                ("via", _) => {
                    let gateway = self.take(GATEWAY, |text| {
                        ip(text).filter(|new| words.gateways.iter().all(|old| old.is_ipv4() != new.is_ipv4()))
                    })?;
                    words.gateways.push(gateway).is_ok()
                }
                ("dhcp", _) if !is_inner || expected == OUTER_LINK => {
                    words.is_dhcp = true;
                    true
                }
                ("slaac", _) if !is_inner => {
                    words.is_slaac = true;
                    true
                }
                ("probe", _) if !is_inner => {
                    words.probe = Some(self.take(PROBED, |text| ip(text).filter(can_answer))?);
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
                    Some(_) if words.addresses.is_full() => {
                        return self.too_many(text!("addresses"), limits::ADDRESSES);
                    }
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
