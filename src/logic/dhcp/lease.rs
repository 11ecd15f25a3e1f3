//! What a DHCP server gives, as it passes from the client's process to PID 1.
//!
//! The client reads what anybody on the wire sends, and is confined for that reason; so PID 1 looks at what it gets from
//! the client as at a stranger's word.

use crate::config::Prefix;
use core::net::{IpAddr, Ipv4Addr};

/// Name servers that are kept.
pub const NAME_SERVERS: usize = 3;
/// Bytes of a lease between the two processes.
pub const LEASE_BYTES: usize = 32;

/// An address for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub address: Ipv4Addr,
    /// The bits of its network.
    pub length: u8,
    /// Where everything else goes.
    pub router: Option<Ipv4Addr>,
    /// Who gave it.
    pub server: Ipv4Addr,
    /// Who knows names; unused places are 0.0.0.0.
    pub name_servers: [Ipv4Addr; NAME_SERVERS],
    /// Seconds that it is good for; `u32::MAX` for ever.
    pub seconds: u32,
}

impl Lease {
    /// The address and its network.
    pub const fn prefix(&self) -> Prefix {
        Prefix { address: IpAddr::V4(self.address), length: self.length }
    }

    /// Whether it is one that a link can have: an address of one host in a network of several, with a router in it.
    pub fn is_sane(&self) -> bool {
        let is_hosts = |address: Ipv4Addr| {
            !address.is_unspecified() && !address.is_loopback() && !address.is_multicast() && !address.is_broadcast()
        };
        let prefix = self.prefix();
        let own = IpAddr::V4(self.address);
        let is_edge = self.length < 31 && (own == prefix.first() || own == prefix.last());
        let has_near_router =
            self.router.is_none_or(|router| is_hosts(router) && (prefix.contains(router.into()) || self.length == 32));
        is_hosts(self.address)
            // Neither "this network" nor what is reserved (RFC 6890).
            && (1..240).contains(&self.address.octets()[0])
            && (8..=32).contains(&self.length)
            && !is_edge
            && has_near_router
            && self.seconds > 0
    }

    /// Whether another one is the same but for its time.
    pub fn is_like(&self, other: &Self) -> bool {
        Self { seconds: other.seconds, ..*self } == *other
    }

    /// As it is written.
    pub fn bytes(&self) -> [u8; LEASE_BYTES] {
        let mut bytes = [0; LEASE_BYTES];
        let addresses = [self.address, self.router.unwrap_or(Ipv4Addr::UNSPECIFIED), self.server];
        for (place, address) in bytes.chunks_exact_mut(4).zip(addresses.iter().chain(&self.name_servers)) {
            place.copy_from_slice(&address.octets());
        }
        bytes[24..28].copy_from_slice(&self.seconds.to_ne_bytes());
        bytes[28] = self.length;
        bytes
    }

    /// Reads what another process wrote; none where it is no lease that a link can have.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; LEASE_BYTES] = bytes.try_into().ok()?;
        let address = |place: usize| {
            let [a, b, c, d] = [0, 1, 2, 3].map(|byte| bytes[4 * place + byte]);
            Ipv4Addr::new(a, b, c, d)
        };
        let lease = Self {
            address: address(0),
            length: bytes[28],
            router: Some(address(1)).filter(|router| !router.is_unspecified()),
            server: address(2),
            name_servers: [address(3), address(4), address(5)],
            seconds: u32::from_ne_bytes([24, 25, 26, 27].map(|place| bytes[place])),
        };
        lease.is_sane().then_some(lease)
    }
}
