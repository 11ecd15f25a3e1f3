//! What a configuration says about networks: the board's links and bridges, and what a workload's network namespace
//! has in it.

use super::address::{Mac, Prefix, hash};
use super::limits;
use super::span::Span;
use super::workload_set::WorkloadSet;
use crate::fixed_string::text;
use core::fmt;
use core::net::IpAddr;
use heapless::Vec;

/// A line of the file. Two are always equal: what a line says does not depend on where it stands.
#[derive(Debug, Clone, Copy)]
pub struct LineNumber(pub u32);

impl PartialEq for LineNumber {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for LineNumber {}

/// Addresses of one link.
pub type Addresses = Vec<Prefix, { limits::ADDRESSES }>;
/// Gateways of one link: one for each family.
pub type Gateways = Vec<IpAddr, 2>;

/// Which of the board's links a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkMatch<'a> {
    /// The one with the line's own name.
    Name,
    /// The one with this MAC address, which gets the name.
    Mac(Mac),
    /// The one whose device has this path below /sys/devices, which gets the name.
    Path(&'a str),
    /// One that is made: what a link of an earlier line carries with this VLAN's tag (IEEE 802.1Q).
    Vlan {
        /// That link's name.
        parent: &'a str,
        /// The VLAN's number.
        id: u16,
    },
}

/// `link`: a link of the board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostLink<'a> {
    /// Its line in the file.
    pub line: LineNumber,
    /// Its name.
    pub name: &'a str,
    /// Which one it is.
    pub which: LinkMatch<'a>,
    /// Bytes of its largest packet; 0 for the kernel's choice.
    pub mtu: u32,
    /// Whether it gets an address by DHCP.
    pub has_dhcp: bool,
    /// Whether it takes an IPv6 address and routers from router advertisements (RFC 4862).
    pub has_slaac: bool,
    /// `probe`: who has to answer, or it stands back behind other uplinks.
    pub probe: Option<IpAddr>,
    /// Its addresses.
    pub addresses: Addresses,
    /// Where everything else goes.
    pub gateways: Gateways,
}

/// `bridge`: what workloads are connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge<'a> {
    /// Its line in the file.
    pub line: LineNumber,
    /// Its name.
    pub name: &'a str,
    /// Its addresses: the workloads' gateways.
    pub addresses: Addresses,
}

impl Bridge<'_> {
    /// Its MAC address.
    pub fn mac(&self) -> Mac {
        Mac::of(&["bridge", self.name], 0)
    }
}

/// `masquerade`: what is behind a bridge may go out over a link, in the link's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Masquerade<'a> {
    /// The bridge's name.
    pub bridge: &'a str,
    /// The link's name.
    pub link: &'a str,
}

/// `route`: a network that is behind a gateway of one of the board's links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The network.
    pub to: Prefix,
    /// The gateway, which is a neighbour on one of the links.
    pub gateway: IpAddr,
}

/// `sysctl`: a setting of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sysctl<'a> {
    /// Its name, with dots or slashes.
    pub name: &'a str,
    /// What it is set to.
    pub value: &'a str,
}

/// The board's networks.
#[derive(Debug, PartialEq, Eq)]
pub struct SystemNetwork<'a> {
    /// `link`
    pub links: Vec<HostLink<'a>, { limits::HOST_LINKS }>,
    /// `bridge`
    pub bridges: Vec<Bridge<'a>, { limits::BRIDGES }>,
    /// `masquerade`
    pub masquerades: Vec<Masquerade<'a>, { limits::MASQUERADES }>,
    /// `route`
    pub routes: Vec<Route, { limits::ROUTES }>,
    /// `nameserver`: they come before those that DHCP gives.
    pub name_servers: Vec<IpAddr, { limits::NAME_SERVERS }>,
}

impl SystemNetwork<'_> {
    /// None at all.
    pub const EMPTY: Self = Self {
        links: Vec::new(),
        bridges: Vec::new(),
        masquerades: Vec::new(),
        routes: Vec::new(),
        name_servers: Vec::new(),
    };

    /// Whether the address is a neighbour's on a link with a fixed one.
    pub fn is_near(&self, address: IpAddr) -> bool {
        self.links.iter().any(|link| link.addresses.iter().any(|own| own.contains(address)))
    }

    /// Returns the bridge with this name.
    pub fn bridge(&self, name: &str) -> Option<&Bridge<'_>> {
        self.bridges.iter().find(|bridge| bridge.name == name)
    }
}

/// Where a workload's link leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attachment<'a> {
    /// To a bridge of the board.
    Bridge(&'a str),
    /// Out over a link of the board, with a MAC address of its own.
    Macvlan(&'a str),
    /// Out over a link of the board, with the link's MAC address.
    Ipvlan(&'a str),
    /// It is a link of the board itself, given away.
    Physical(&'a str),
}

impl<'a> Attachment<'a> {
    /// Returns the name of what it leads to.
    pub const fn name(self) -> &'a str {
        match self {
            Self::Bridge(name) | Self::Macvlan(name) | Self::Ipvlan(name) | Self::Physical(name) => name,
        }
    }

    /// Returns the word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Bridge(_) => "veth",
            Self::Macvlan(_) => "macvlan",
            Self::Ipvlan(_) => "ipvlan",
            Self::Physical(_) => "move",
        }
    }
}

/// `link`: a link of a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadLink<'a> {
    /// Its line in the file.
    pub line: LineNumber,
    /// Where it leads.
    pub attachment: Attachment<'a>,
    /// Its addresses.
    pub addresses: Addresses,
    /// Where everything else goes.
    pub gateways: Gateways,
    /// `mac=`
    pub mac: Option<Mac>,
    /// `mtu=`; 0 for the kernel's choice.
    pub mtu: u32,
    /// `spoof`: whether it may send with addresses that are not its own.
    pub may_spoof: bool,
}

/// `publish`: a port of the board that leads to the workload, or a range of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish {
    /// The board's address. `None` for each of them.
    pub address: Option<IpAddr>,
    /// The board's port, the first one of a range.
    pub port: u16,
    /// The last one of a range; the same without one.
    pub last: u16,
    /// The workload's port, the first one of a range. A range is the same on both sides.
    pub to: u16,
    /// UDP, and not TCP.
    pub is_udp: bool,
}

impl fmt::Display for Publish {
    /// As the file says it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(IpAddr::V4(address)) => write!(formatter, "{address}:")?,
            Some(IpAddr::V6(address)) => write!(formatter, "[{address}]:")?,
            None => {}
        }
        let protocol = if self.is_udp { "udp" } else { "tcp" };
        let Self { port, last, to, .. } = self;
        match port == last {
            true => write!(formatter, "{port}:{to}/{protocol}"),
            false => write!(formatter, "{port}-{last}:{port}-{last}/{protocol}"),
        }
    }
}

/// What a workload's network namespace has in it besides its loopback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network<'a> {
    /// `link`; inside, they are eth0, eth1, and so on.
    pub links: Span<WorkloadLink<'a>>,
    /// `publish`
    pub publish: Span<Publish>,
    /// `talk`: the workloads that it may open connections to.
    pub talk: WorkloadSet,
    /// `talk board`: whether it may open connections to the board itself.
    pub talks_to_board: bool,
    /// `resolv`: whether it has the board's name servers.
    pub has_resolv: bool,
}

/// The names of links inside of a workload, in their order.
const INNER_LINKS: [&str; limits::LINKS] = ["eth0", "eth1", "eth2", "eth3"];

impl Network<'_> {
    /// Nothing.
    pub const EMPTY: Self = Self {
        links: Span::NONE,
        publish: Span::NONE,
        talk: WorkloadSet::EMPTY,
        talks_to_board: false,
        has_resolv: false,
    };
}

impl<'a> WorkloadLink<'a> {
    /// Its name inside, as link `number` of its workload. A link that was given away keeps its own: it comes back to the
    /// board under it.
    pub fn inner_name(&self, number: u8) -> &'a str {
        match self.attachment {
            Attachment::Physical(name) => name,
            _ => INNER_LINKS.get(usize::from(number)).copied().unwrap_or_default(),
        }
    }

    /// Returns the MAC address of link `number` of the workload with this name, inside; the same at each start. A link that
    /// leads out of the board has one that depends on its parent's, so that boards differ.
    pub fn mac(&self, name: &str, number: u8, parent: Mac) -> Mac {
        self.mac.unwrap_or_else(|| match self.attachment {
            Attachment::Bridge(_) => Mac::of(&["veth", name], number),
            // It has 17 letters.
            _ => Mac::of(&[&text::<18>(format_args!("{parent}")), name], number),
        })
    }
}

/// Returns the name of a bridge's port for link `number` of the workload with this name: `web.0`. Longer names are cut, and
/// told apart by their hash; a link's name has at most 15 bytes (IFNAMSIZ).
pub fn port_name(name: &str, number: u8) -> heapless::String<15> {
    // Both fit: 13 letters and 2, or 8 and 4 and 2.
    match name.len() {
        ..=13 => text(format_args!("{name}.{number}")),
        _ => text(format_args!("{}{:04x}.{number}", &name[..8], hash(&[name], 0) as u16)),
    }
}
