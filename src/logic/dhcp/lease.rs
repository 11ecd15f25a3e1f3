//! A lease, as the client's process passes it to PID 1.
//!
//! The client processes untrusted input from the network and is therefore sandboxed. PID 1 treats what it gets from the
//! client as untrusted, too.

use crate::config::Prefix;
use crate::domains::Search;
use crate::text;
use crate::text::Text;
use core::net::{IpAddr, Ipv4Addr};

/// Maximum name servers, and maximum time servers, of a lease.
pub const NAME_SERVERS: usize = 3;
/// Maximum routes of option 121.
pub const ROUTES: usize = 8;
/// Bytes of an encoded lease: addresses, routes, numbers, domains.
pub const LEASE_BYTES: usize = 4 * (2 + 2 * NAME_SERVERS) + 9 * ROUTES + 4 + 2 + 1 + crate::domains::SEARCH_BYTES;

/// A route of a lease (RFC 3442).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseRoute {
    /// The first address of the destination network.
    pub to: Ipv4Addr,
    /// The prefix length of that network.
    pub length: u8,
    /// The router; 0.0.0.0 if the network is on the link itself.
    pub gateway: Ipv4Addr,
}

impl LeaseRoute {
    /// An unused element, marked by an impossible prefix length.
    pub const NONE: Self = Self { to: Ipv4Addr::UNSPECIFIED, length: u8::MAX, gateway: Ipv4Addr::UNSPECIFIED };

    /// Returns the default route by a router.
    pub const fn by(gateway: Ipv4Addr) -> Self {
        Self { to: Ipv4Addr::UNSPECIFIED, length: 0, gateway }
    }

    /// Returns the destination network.
    pub const fn prefix(&self) -> Prefix {
        Prefix { address: IpAddr::V4(self.to), length: self.length }
    }

    /// Returns the router, or `None` if the network is on the link itself.
    pub fn router(&self) -> Option<IpAddr> {
        Some(IpAddr::V4(self.gateway)).filter(|gateway| !gateway.is_unspecified())
    }
}

/// A leased address with the options that came with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
// Often used members first: a distance of at most 127 bytes is one byte of an instruction.
#[repr(C)]
pub struct Lease {
    /// The address.
    pub address: Ipv4Addr,
    /// The prefix length.
    pub length: u8,
    /// The MTU; 0 if the server does not specify it.
    pub mtu: u16,
    /// The server that granted it.
    pub server: Ipv4Addr,
    /// The lease time in seconds; `u32::MAX` for an infinite one.
    pub seconds: u32,
    /// Name servers; unused elements are 0.0.0.0.
    pub name_servers: [Ipv4Addr; NAME_SERVERS],
    /// Time servers, in the same way.
    pub time_servers: [Ipv4Addr; NAME_SERVERS],
    /// The routes of option 121, or else the default route by the router; unused elements are [`LeaseRoute::NONE`].
    pub routes: [LeaseRoute; ROUTES],
    /// Search domains.
    pub search: Search,
}

impl Lease {
    /// A lease without any information.
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

    /// Returns the address with its prefix length.
    pub const fn prefix(&self) -> Prefix {
        Prefix { address: IpAddr::V4(self.address), length: self.length }
    }

    /// Iterates over the routes.
    pub fn all_routes(&self) -> impl Iterator<Item = &LeaseRoute> {
        self.routes.iter().filter(|route| **route != LeaseRoute::NONE)
    }

    /// Returns the default router.
    pub fn default_router(&self) -> Option<Ipv4Addr> {
        self.routes.iter().find(|route| route.length == 0).map(|route| route.gateway)
    }

    /// Returns why the lease is unusable, or `None` if it is usable. It needs the address of a single host (RFC 1122
    /// 3.2.1.3, RFC 6890) with a prefix length of 8 to 32, routers that are hosts, routes to unicast networks, and a
    /// lease time.
    pub fn fault(&self) -> Option<Text> {
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
            Some(text!("its prefix length is not 8 to 32"))
        // Neither "this network" nor a reserved address.
        } else if !is_hosts(self.address) || !(1..240).contains(&self.address.octets()[0]) || is_edge {
            Some(text!("not a host address"))
        } else if !self.all_routes().all(is_good) {
            Some(text!("its router, or the gateway of a route, is not a host"))
        } else if self.seconds == 0 {
            Some(text!("its duration is 0 s"))
        } else {
            None
        }
    }

    /// Returns whether the lease is usable, see [`Self::fault`].
    pub fn is_sane(&self) -> bool {
        self.fault().is_none()
    }

    /// Returns whether two leases differ at most in their time.
    pub fn is_like(&self, other: &Self) -> bool {
        Self { seconds: other.seconds, ..*self }.bytes() == other.bytes()
    }

    /// Calls `take` for the bytes of each field, in order, and stores what it leaves in them. This one function both
    /// encodes and decodes.
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

    /// Encodes the lease.
    pub fn bytes(&self) -> [u8; LEASE_BYTES] {
        let (mut bytes, mut at) = ([0; LEASE_BYTES], 0);
        let mut own = *self;
        own.each_part(&mut |part| {
            // The fields have exactly `LEASE_BYTES` in total.
            if let Some(place) = bytes.get_mut(at..at + part.len()) {
                place.copy_from_slice(part);
            }
            at += part.len();
        });
        bytes
    }

    /// Decodes a lease of another process. Check it by [`Self::fault`].
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
