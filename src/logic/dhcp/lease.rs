//! What a DHCP server gives, as it passes from the client's process to PID 1.
//!
//! The client reads what anybody on the wire sends, and is confined for that reason; so PID 1 looks at what it gets from
//! the client as at a stranger's word.

use crate::config::Prefix;
use crate::domains::Search;
use core::net::{IpAddr, Ipv4Addr};

/// Name servers, and time servers, that are kept.
pub const NAME_SERVERS: usize = 3;
/// Routes that are kept of option 121.
pub const ROUTES: usize = 8;
/// Bytes of a lease between the two processes: addresses, routes, numbers, domains.
pub const LEASE_BYTES: usize = 4 * (2 + 2 * NAME_SERVERS) + 9 * ROUTES + 4 + 2 + 1 + crate::domains::SEARCH_BYTES;

/// A route of a lease (RFC 3442).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseRoute {
    /// The first address of the network that it leads to.
    pub to: Ipv4Addr,
    /// The bits of that network.
    pub length: u8,
    /// The router; 0.0.0.0 where the network is on the link itself.
    pub gateway: Ipv4Addr,
}

impl LeaseRoute {
    /// None, as a length that no network has.
    pub const NONE: Self = Self { to: Ipv4Addr::UNSPECIFIED, length: u8::MAX, gateway: Ipv4Addr::UNSPECIFIED };

    /// Returns the route to everywhere by a router.
    pub const fn by(gateway: Ipv4Addr) -> Self {
        Self { to: Ipv4Addr::UNSPECIFIED, length: 0, gateway }
    }

    /// Returns the network that it leads to.
    pub const fn prefix(&self) -> Prefix {
        Prefix { address: IpAddr::V4(self.to), length: self.length }
    }

    /// Returns the router; `None` where the network is on the link itself.
    pub fn router(&self) -> Option<IpAddr> {
        Some(IpAddr::V4(self.gateway)).filter(|gateway| !gateway.is_unspecified())
    }
}

/// An address for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub address: Ipv4Addr,
    /// The bits of its network.
    pub length: u8,
    /// Who gave it.
    pub server: Ipv4Addr,
    /// Who knows names; unused places are 0.0.0.0.
    pub name_servers: [Ipv4Addr; NAME_SERVERS],
    /// Who knows the time, in the same way.
    pub time_servers: [Ipv4Addr; NAME_SERVERS],
    /// Seconds that it is good for; `u32::MAX` for ever.
    pub seconds: u32,
    /// Bytes of the largest packet; 0 where the server does not say.
    pub mtu: u16,
    /// Its routes: those of option 121, or else the one to its router; unused places are [`LeaseRoute::NONE`].
    pub routes: [LeaseRoute; ROUTES],
    /// Domains in which names are looked up.
    pub search: Search,
}

impl Lease {
    /// What no server has said anything about.
    pub const NOTHING: Self = Self {
        address: Ipv4Addr::UNSPECIFIED,
        length: 0,
        server: Ipv4Addr::UNSPECIFIED,
        name_servers: [Ipv4Addr::UNSPECIFIED; NAME_SERVERS],
        time_servers: [Ipv4Addr::UNSPECIFIED; NAME_SERVERS],
        seconds: 0,
        mtu: 0,
        routes: [LeaseRoute::NONE; ROUTES],
        search: Search::EMPTY,
    };

    /// Returns the address and its network.
    pub const fn prefix(&self) -> Prefix {
        Prefix { address: IpAddr::V4(self.address), length: self.length }
    }

    /// Its routes.
    pub fn all_routes(&self) -> impl Iterator<Item = &LeaseRoute> {
        self.routes.iter().filter(|route| **route != LeaseRoute::NONE)
    }

    /// Returns the router for everything else.
    pub fn default_router(&self) -> Option<Ipv4Addr> {
        self.routes.iter().find(|route| route.length == 0).map(|route| route.gateway)
    }

    /// Returns why no link can have it, and None if one can: it needs an address of one host (RFC 1122 3.2.1.3, RFC 6890)
    /// in a network of 8 to 32 bits, routers that are hosts, routes to where hosts are, and some time.
    pub fn fault(&self) -> Option<&'static str> {
        let is_hosts = |address: Ipv4Addr| {
            !address.is_unspecified() && !address.is_loopback() && !address.is_multicast() && !address.is_broadcast()
        };
        let prefix = self.prefix();
        let own = IpAddr::V4(self.address);
        let is_edge = self.length < 31 && (own == prefix.first() || own == prefix.last());
        let is_good = |route: &LeaseRoute| {
            let leads_somewhere = route.length == 0 || (is_hosts(route.to) && route.length <= 32);
            leads_somewhere && (route.gateway.is_unspecified() || is_hosts(route.gateway))
        };
        if !(8..=32).contains(&self.length) {
            Some("its prefix length is not 8 to 32")
        // Neither "this network" nor what is reserved.
        } else if !is_hosts(self.address) || !(1..240).contains(&self.address.octets()[0]) || is_edge {
            Some("not a host address")
        } else if !self.all_routes().all(is_good) {
            Some("its router, or the gateway of a route, is not a host")
        } else if self.seconds == 0 {
            Some("its duration is 0 s")
        } else {
            None
        }
    }

    /// Whether it is one that a link can have, see [`Self::fault`].
    pub fn is_sane(&self) -> bool {
        self.fault().is_none()
    }

    /// Whether another one is the same but for its time.
    pub fn is_like(&self, other: &Self) -> bool {
        Self { seconds: other.seconds, ..*self }.bytes() == other.bytes()
    }

    /// Gives each part of it as bytes, in their order, and takes what they are then: the one function that both writes and
    /// reads.
    fn each_part(&mut self, take: &mut dyn FnMut(&mut [u8])) {
        let own = [&mut self.address, &mut self.server].into_iter();
        let routes = self.routes.iter_mut().flat_map(|route| [&mut route.to, &mut route.gateway]);
        let addresses = own.chain(&mut self.name_servers).chain(&mut self.time_servers).chain(routes);
        for address in addresses {
            let mut bytes = address.octets();
            take(&mut bytes);
            *address = bytes.into();
        }
        self.routes.iter_mut().for_each(|route| take(core::slice::from_mut(&mut route.length)));
        let (mut seconds, mut mtu, mut length) = (self.seconds.to_ne_bytes(), self.mtu.to_ne_bytes(), [self.length]);
        [&mut seconds[..], &mut mtu, &mut length, &mut self.search.0].into_iter().for_each(take);
        (self.seconds, self.mtu, self.length) = (u32::from_ne_bytes(seconds), u16::from_ne_bytes(mtu), length[0]);
    }

    /// As it is written.
    pub fn bytes(&self) -> [u8; LEASE_BYTES] {
        let (mut bytes, mut at) = ([0; LEASE_BYTES], 0);
        let mut own = *self;
        own.each_part(&mut |part| {
            // The parts are as long as the constant says.
            if let Some(place) = bytes.get_mut(at..at + part.len()) {
                place.copy_from_slice(part);
            }
            at += part.len();
        });
        bytes
    }

    /// Reads what another process wrote. [`Self::fault`] tells whether a link can have it.
    pub fn read(bytes: &[u8; LEASE_BYTES]) -> Self {
        let (mut lease, mut at) = (Self::NOTHING, 0);
        lease.each_part(&mut |part| {
            if let Some(place) = bytes.get(at..at + part.len()) {
                part.copy_from_slice(place);
            }
            at += part.len();
        });
        lease
    }
}
