//! Parses the entries of a dump: links, addresses, routes, rules. Missing attributes keep their default; malformed
//! entries yield `None`.

use super::answer::{attribute, attributes, word};
use super::kernel::*;
use crate::config::{Mac, Prefix};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkEntry<'a> {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: &'a str,
    /// Whether it is up (IFF_UP).
    pub is_up: bool,
    /// Whether it has a carrier (IFF_LOWER_UP).
    pub has_carrier: bool,
    /// Its MAC address, if it has one.
    pub mac: Option<Mac>,
    /// Its MTU.
    pub mtu: u32,
    /// The index of its bridge; 0 for none.
    pub master: u32,
    /// Received packets and bytes.
    pub received: (u64, u64),
    /// Sent packets and bytes.
    pub sent: (u64, u64),
    /// Whether it was deleted.
    pub is_gone: bool,
}

/// Returns text without its terminating NUL.
fn text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes.split(|byte| *byte == 0).next().unwrap_or_default()).unwrap_or_default()
}

fn long(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match *bytes {
        [a, b, c, d] => Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d))),
        _ => Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?))),
    }
}

impl<'a> LinkEntry<'a> {
    /// Parses a message of this type. An event of wireless extensions has the type of a link's, but nothing of the link except its
    /// flags and its name (rtnetlink_ifinfo_prep in net/wireless/wext-core.c): it is no entry.
    pub fn read(kind: u16, body: &'a [u8]) -> Option<Self> {
        if kind != RTM_NEWLINK && kind != RTM_DELLINK {
            return None;
        }
        let (index, flags, rest) = (word(body, 4)?, word(body, 8)?, body.get(16..)?);
        let number = |kind| attribute(rest, kind).and_then(|value| word(value, 0));
        // Packets received and sent, bytes received and sent.
        let counts = attribute(rest, IFLA_STATS64).unwrap_or_default();
        Some(Self {
            index,
            name: text(attribute(rest, IFLA_IFNAME)?),
            is_up: flags & IFF_UP != 0,
            has_carrier: flags & IFF_LOWER_UP != 0,
            mac: attribute(rest, IFLA_ADDRESS).and_then(|mac| Some(Mac(mac.try_into().ok()?))),
            mtu: number(IFLA_MTU)?,
            master: number(IFLA_MASTER).unwrap_or(0),
            received: (long(counts, 0), long(counts, 16)),
            sent: (long(counts, 8), long(counts, 24)),
            is_gone: kind == RTM_DELLINK,
        })
    }
}

/// An address of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressEntry {
    /// The link's index.
    pub index: u32,
    /// The address.
    pub prefix: Prefix,
}

impl AddressEntry {
    /// Parses a message of this type.
    pub fn read(kind: u16, body: &[u8]) -> Option<Self> {
        let (length, rest) = (*body.get(1)?, body.get(8..)?);
        // IFA_LOCAL, or IFA_ADDRESS if there is no peer address.
        let found = attribute(rest, IFA_LOCAL).or_else(|| attribute(rest, IFA_ADDRESS))?;
        (kind == RTM_NEWADDR).then_some(())?;
        Some(Self { index: word(body, 4)?, prefix: Prefix { address: address(found)?, length } })
    }
}

/// A route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteEntry {
    /// The destination; `None` for a default route.
    pub to: Option<Prefix>,
    /// The gateway.
    pub gateway: Option<IpAddr>,
    /// The index of the link.
    pub index: u32,
    /// Its origin (RTPROT_KERNEL 2, RTPROT_STATIC 4, RTPROT_RA 9; rtnetlink(7)).
    pub protocol: u8,
}

impl RouteEntry {
    /// Returns whether the kernel created it, for an address or a router advertisement.
    pub const fn is_kernels(&self) -> bool {
        matches!(self.protocol, RTPROT_KERNEL | RTPROT_RA)
    }

    /// Parses a message of this type, if it is a unicast route of the main table.
    pub fn read(kind: u16, body: &[u8]) -> Option<Self> {
        let [_, length, _, _, table, protocol, _, what, ..] = *body else { return None };
        (kind == RTM_NEWROUTE && table == RT_TABLE_MAIN && what == RTN_UNICAST).then_some(())?;
        let rest = body.get(12..)?;
        Some(Self {
            to: attribute(rest, RTA_DST).and_then(address).map(|address| Prefix { address, length }),
            gateway: attribute(rest, RTA_GATEWAY).and_then(address),
            index: attribute(rest, RTA_OIF).and_then(|value| word(value, 0)).unwrap_or(0),
            protocol,
        })
    }
}

/// A rule of nf_tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleEntry<'a> {
    /// Its table.
    pub table: &'a str,
    /// Its chain.
    pub chain: &'a str,
    /// Its comment.
    pub words: &'a str,
    /// Its counters of packets and bytes, if it has any.
    pub counted: Option<(u64, u64)>,
}

impl<'a> RuleEntry<'a> {
    /// Parses a message of this type.
    pub fn read(kind: u16, body: &'a [u8]) -> Option<Self> {
        (kind == NFTABLES | NFT_MSG_NEWRULE).then_some(())?;
        let rest = body.get(4..)?;
        let expressions = attribute(rest, 4).unwrap_or_default();
        let counter = attributes(expressions).map(|(_, expression)| expression);
        let counter = counter.filter(|expression| attribute(expression, 1).is_some_and(|name| text(name) == "counter"));
        let counted = counter.filter_map(|expression| attribute(expression, 2)).next();
        let number = |data, kind| attribute(data, kind).map_or(0, |bytes| long(bytes, 0).to_be());
        Some(Self {
            table: text(attribute(rest, 1)?),
            chain: text(attribute(rest, 2)?),
            words: text(attribute(rest, 7).and_then(|data| data.get(2..)).unwrap_or_default()),
            counted: counted.map(|data| (number(data, 2), number(data, 1))),
        })
    }
}
