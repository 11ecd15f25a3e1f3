//! What a configuration says about networks: the board's links and bridges, and what a workload's network namespace
//! has in it.

use super::address::{Mac, Prefix, hash};
use super::limits;
use super::lists::{Lists, Part};
use super::model::WorkloadSet;
use crate::text::text;
use core::fmt;
use core::net::IpAddr;
use heapless::Vec;

/// A line of the file. Two are always equal: what a line says does not depend on where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Place(pub u32);

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Place {}

/// Addresses of one link.
pub type Addresses = Vec<Prefix, { limits::ADDRESSES }>;
/// Gateways of one link: one for each family.
pub type Gateways = Vec<IpAddr, 2>;

/// Which of the board's links a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which<'a> {
    /// The one with the line's own name.
    Name,
    /// The one with this MAC address, which gets the name.
    Mac(Mac),
    /// The one whose device has this path below /sys/devices, which gets the name.
    Path(&'a str),
}

/// `link`: a link of the board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostLink<'a> {
    /// Its line in the file.
    pub line: Place,
    /// Its name.
    pub name: &'a str,
    /// Which one it is.
    pub which: Which<'a>,
    /// Bytes of its largest packet; 0 for the kernel's choice.
    pub mtu: u32,
    /// Whether it gets an address by DHCP.
    pub has_dhcp: bool,
    /// Whether it takes an IPv6 address and routers from router advertisements (RFC 4862).
    pub has_slaac: bool,
    /// Its addresses.
    pub addresses: Addresses,
    /// Where everything else goes.
    pub gateways: Gateways,
}

/// `bridge`: what workloads are connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge<'a> {
    /// Its line in the file.
    pub line: Place,
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

    /// The bridge with this name.
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
    Moved(&'a str),
}

impl<'a> Attachment<'a> {
    /// The name of what it leads to.
    pub const fn name(self) -> &'a str {
        match self {
            Self::Bridge(name) | Self::Macvlan(name) | Self::Ipvlan(name) | Self::Moved(name) => name,
        }
    }

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Bridge(_) => "veth",
            Self::Macvlan(_) => "macvlan",
            Self::Ipvlan(_) => "ipvlan",
            Self::Moved(_) => "move",
        }
    }
}

/// `link`: a link of a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadLink<'a> {
    /// Its line in the file.
    pub line: Place,
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

/// `publish`: a port of the board that leads to the workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish {
    /// The board's address; none for each of them.
    pub address: Option<IpAddr>,
    /// The board's port.
    pub port: u16,
    /// The workload's port.
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
        write!(formatter, "{}:{}/{}", self.port, self.to, if self.is_udp { "udp" } else { "tcp" })
    }
}

/// What a workload's network namespace has in it besides its loopback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network<'a> {
    /// `link`; inside, they are eth0, eth1, and so on.
    pub links: Part<WorkloadLink<'a>>,
    /// `publish`
    pub publish: Part<Publish>,
    /// `talk`: the workloads that it may open connections to.
    pub talk: WorkloadSet,
    /// `talk board`: whether it may open connections to the board itself.
    pub talks_to_board: bool,
    /// `resolv`: whether it has the board's name servers.
    pub has_resolv: bool,
}

/// The names of links inside of a workload, in their order.
const INNER_LINKS: [&str; limits::LINKS] = ["eth0", "eth1", "eth2", "eth3"];

impl<'a> Network<'a> {
    /// Nothing.
    pub const EMPTY: Self = Self {
        links: Part::NONE,
        publish: Part::NONE,
        talk: WorkloadSet::EMPTY,
        talks_to_board: false,
        has_resolv: false,
    };

    /// Every address of its links.
    pub fn addresses<'l>(&self, lists: &'l Lists<'a>) -> impl Iterator<Item = Prefix> + use<'l, 'a> {
        lists.of(self.links).iter().flat_map(|link| link.addresses.iter().copied())
    }

    /// The addresses by which it reaches a workload that it may talk to, each with the number of its own link that they are
    /// reached by: those behind a bridge that both are connected to, or all of them, by the first link, where there is none.
    pub fn reached<'l>(
        &self,
        peer: &Network<'a>,
        lists: &'l Lists<'a>,
    ) -> impl Iterator<Item = (u8, Prefix)> + use<'l, 'a> {
        let links = lists.of(self.links);
        let same = move |link: &WorkloadLink<'_>| {
            (0..).zip(links).find(|(_, own)| own.attachment == link.attachment).map(|(number, _)| number)
        };
        let first = self.bridged(lists).next().map_or(0, |(number, ..)| number);
        let has_same = peer.bridged(lists).any(|(_, link, _)| same(link).is_some());
        peer.bridged(lists).filter_map(move |(_, link, prefix)| match same(link) {
            Some(number) => Some((number, prefix)),
            None => (!has_same).then_some((first, prefix)),
        })
    }

    /// The address of this family that published ports lead to: the first one behind a bridge with a gateway. From one
    /// without, nobody outside would be answered, and would wait instead of trying the other family.
    #[inline(never)]
    pub fn answering(&self, lists: &Lists<'a>, is_ipv4: bool) -> Option<Prefix> {
        let is_same = |address: &IpAddr| address.is_ipv4() == is_ipv4;
        let answers =
            |link: &WorkloadLink<'_>, prefix: Prefix| is_same(&prefix.address) && link.gateways.iter().any(is_same);
        self.bridged(lists).find(|(_, link, prefix)| answers(link, *prefix)).map(|(_, _, prefix)| prefix)
    }

    /// Every address of its links to bridges, each with its link and that one's number.
    pub fn bridged<'l>(
        &self,
        lists: &'l Lists<'a>,
    ) -> impl Iterator<Item = (u8, &'l WorkloadLink<'a>, Prefix)> + use<'l, 'a> {
        let bridged =
            (0..).zip(lists.of(self.links)).filter(|(_, link)| matches!(link.attachment, Attachment::Bridge(_)));
        bridged.flat_map(|(number, link)| link.addresses.iter().map(move |prefix| (number, link, *prefix)))
    }
}

impl<'a> WorkloadLink<'a> {
    /// Its name inside, as link `number` of its workload. A link that was given away keeps its own: it comes back to the
    /// board under it.
    pub fn inner_name(&self, number: u8) -> &'a str {
        match self.attachment {
            Attachment::Moved(name) => name,
            _ => INNER_LINKS.get(usize::from(number)).copied().unwrap_or_default(),
        }
    }

    /// The MAC address of link `number` of the workload with this name, inside; the same at each start. A link that
    /// leads out of the board has one that depends on its parent's, so that boards differ.
    pub fn mac(&self, name: &str, number: u8, parent: Mac) -> Mac {
        self.mac.unwrap_or_else(|| match self.attachment {
            Attachment::Bridge(_) => Mac::of(&["veth", name], number),
            // It has 17 letters.
            _ => Mac::of(&[&text::<18>(format_args!("{parent}")), name], number),
        })
    }
}

/// The name of a bridge's port for link `number` of the workload with this name: `web.0`. Longer names are cut, and
/// told apart by their hash; a link's name has at most 15 bytes (IFNAMSIZ).
pub fn port_name(name: &str, number: u8) -> heapless::String<15> {
    // Both fit: 13 letters and 2, or 8 and 4 and 2.
    match name.len() {
        ..=13 => text(format_args!("{name}.{number}")),
        _ => text(format_args!("{}{:04x}.{number}", &name[..8], hash(&[name], 0) as u16)),
    }
}
