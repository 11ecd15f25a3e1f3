//! The network part of a configuration: the board's links and bridges, and the contents of a workload's network
//! namespace.

use super::address::{Ip, Mac, Prefix, hash};
use super::limits;
use super::span::Span;
use super::workload_set::WorkloadSet;
use crate::fixed_string::text;
use core::fmt;
use core::net::IpAddr;
use heapless::Vec;

/// A line number of the file. All values compare equal, because the meaning of a line does not depend on its place.
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
/// Gateways of one link: at most one of each family.
pub type Gateways = Vec<IpAddr, 2>;

/// Selects the link of the board that a line configures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkMatch<'a> {
    /// The link that already has the line's name.
    Name,
    /// The link with this MAC address, which gets the name.
    Mac(Mac),
    /// The link whose device has this path below /sys/devices, which gets the name.
    Path(&'a str),
    /// A new link: the VLAN with this tag on the link of an earlier line (IEEE 802.1Q).
    Vlan {
        /// The name of the parent link.
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
    /// Selects the link.
    pub which: LinkMatch<'a>,
    /// The MTU in bytes; 0 for the kernel's default.
    pub mtu: u32,
    /// Whether it gets an address by DHCP.
    pub has_dhcp: bool,
    /// Whether it uses IPv6 router advertisements for its address and routers (RFC 4862).
    pub has_slaac: bool,
    /// `probe`: the address that must answer; otherwise other uplinks are preferred.
    pub probe: Option<IpAddr>,
    /// Its addresses.
    pub addresses: Addresses,
    /// Its default gateways.
    pub gateways: Gateways,
}

/// `bridge`: a bridge that workloads are connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge<'a> {
    /// Its line in the file.
    pub line: LineNumber,
    /// Its name.
    pub name: &'a str,
    /// Its addresses, which are the workloads' gateways.
    pub addresses: Addresses,
}

impl Bridge<'_> {
    /// Returns its MAC address.
    pub fn mac(&self) -> Mac {
        Mac::of(&["bridge", self.name], 0)
    }
}

/// `masquerade`: connections from a bridge's network leave over a link with the link's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Masquerade<'a> {
    /// The bridge's name.
    pub bridge: &'a str,
    /// The link's name.
    pub link: &'a str,
}

/// `route`: a network behind a gateway on one of the board's links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The network.
    pub to: Prefix,
    /// The gateway, which must be on the network of one of the links.
    pub gateway: IpAddr,
}

/// `sysctl`: a kernel setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sysctl<'a> {
    /// Its name, with dots or slashes.
    pub name: &'a str,
    /// Its value.
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
    /// `nameserver`: these come before the ones that DHCP supplies.
    pub name_servers: Vec<IpAddr, { limits::NAME_SERVERS }>,
}

impl SystemNetwork<'_> {
    /// No networks.
    pub const EMPTY: Self = Self {
        links: Vec::new(),
        bridges: Vec::new(),
        masquerades: Vec::new(),
        routes: Vec::new(),
        name_servers: Vec::new(),
    };

    /// Returns whether the address is on the network of a link with a static address.
    pub fn is_near(&self, address: IpAddr) -> bool {
        self.links.iter().any(|link| link.addresses.iter().any(|own| own.contains(address)))
    }

    /// Returns the bridge with this name.
    pub fn bridge(&self, name: &str) -> Option<&Bridge<'_>> {
        self.bridges.iter().find(|bridge| bridge.name == name)
    }
}

/// What a workload's link is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attachment<'a> {
    /// A bridge of the board.
    Bridge(&'a str),
    /// A link of the board, with a MAC address of its own.
    Macvlan(&'a str),
    /// A link of the board, with the link's MAC address.
    Ipvlan(&'a str),
    /// A physical link of the board, which moves into the workload.
    Physical(&'a str),
}

impl<'a> Attachment<'a> {
    /// Returns the name of what it is connected to.
    pub const fn name(self) -> &'a str {
        match self {
            Self::Bridge(name) | Self::Macvlan(name) | Self::Ipvlan(name) | Self::Physical(name) => name,
        }
    }

    /// Returns the keyword.
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
    /// What it is connected to.
    pub attachment: Attachment<'a>,
    /// Whether it gets an address by DHCP.
    pub has_dhcp: bool,
    /// Its addresses.
    pub addresses: Addresses,
    /// Its default gateways.
    pub gateways: Gateways,
    /// `mac=`
    pub mac: Option<Mac>,
    /// `mtu=`; 0 for the kernel's default.
    pub mtu: u32,
    /// `spoof`: whether it may send from addresses that are not configured for it.
    pub may_spoof: bool,
}

/// `publish`: a port or a range of ports of the board that is forwarded to the workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish {
    /// The board's address; `None` for all of them.
    pub address: Option<IpAddr>,
    /// The board's port, or the first one of a range.
    pub port: u16,
    /// The last port of the range; equal to `port` for a single one.
    pub last: u16,
    /// The workload's port, or the first one of a range. For a range it equals `port`.
    pub to: u16,
    /// UDP if set, otherwise TCP.
    pub is_udp: bool,
}

impl fmt::Display for Publish {
    /// Writes it as in the file.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) if address.is_ipv4() => write!(formatter, "{}:", Ip(address))?,
            Some(address) => write!(formatter, "[{}]:", Ip(address))?,
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

/// What a workload's network namespace contains besides the loopback interface.
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
    /// `resolv`: whether it gets the board's name servers.
    pub has_resolv: bool,
}

/// The names of a workload's links inside, in order.
const INNER_LINKS: [&str; limits::LINKS] = ["eth0", "eth1", "eth2", "eth3"];

impl Network<'_> {
    /// No links.
    pub const EMPTY: Self = Self {
        links: Span::NONE,
        publish: Span::NONE,
        talk: WorkloadSet::EMPTY,
        talks_to_board: false,
        has_resolv: false,
    };
}

impl<'a> WorkloadLink<'a> {
    /// Returns the name of the workload's link `number` inside. A physical link keeps its name, because it returns to
    /// the board with it.
    pub fn inner_name(&self, number: u8) -> &'a str {
        match self.attachment {
            Attachment::Physical(name) => name,
            _ => INNER_LINKS.get(usize::from(number)).copied().unwrap_or_default(),
        }
    }

    /// Returns the MAC address of link `number` of the workload with this name, which is the same at each start. For a
    /// link to the outside it depends on the parent's address too, so that it differs between boards.
    pub fn mac(&self, name: &str, number: u8, parent: Mac) -> Mac {
        self.mac.unwrap_or_else(|| match self.attachment {
            Attachment::Bridge(_) => Mac::of(&["veth", name], number),
            // A MAC address has 17 characters.
            _ => Mac::of(&[&text::<18>(format_args!("{parent}")), name], number),
        })
    }
}

/// Returns the name of the bridge port for link `number` of the workload with this name, such as `web.0`. Longer names
/// are cut and made unique by a hash, because a link's name has at most 15 bytes (IFNAMSIZ).
pub fn port_name(name: &str, number: u8) -> heapless::String<15> {
    // Both fit: 13 characters and 2, or 8 and 4 and 2.
    match name.len() {
        ..=13 => text(format_args!("{name}.{number}")),
        _ => text(format_args!("{}{:04x}.{number}", &name[..8], hash(&[name], 0) as u16)),
    }
}
