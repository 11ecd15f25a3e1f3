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

    /// Returns why no link can have it, and None if one can: it needs an address of one host (RFC 1122 3.2.1.3, RFC 6890)
    /// in a network of 8 to 32 bits, a router in that network if it has one, and some time.
    pub fn fault(&self) -> Option<&'static str> {
        let is_hosts = |address: Ipv4Addr| {
            !address.is_unspecified() && !address.is_loopback() && !address.is_multicast() && !address.is_broadcast()
        };
        let prefix = self.prefix();
        let own = IpAddr::V4(self.address);
        let is_edge = self.length < 31 && (own == prefix.first() || own == prefix.last());
        let has_near_router =
            self.router.is_none_or(|router| is_hosts(router) && (prefix.contains(router.into()) || self.length == 32));
        if !(8..=32).contains(&self.length) {
            Some("its network does not have 8 to 32 bits")
        // Neither "this network" nor what is reserved.
        } else if !is_hosts(self.address) || !(1..240).contains(&self.address.octets()[0]) || is_edge {
            Some("no host on a wire can have that address")
        } else if !has_near_router {
            Some("its router is not in its network")
        } else if self.seconds == 0 {
            Some("it is for 0 s")
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
        Self { seconds: other.seconds, ..*self } == *other
    }

    /// As it is written.
    pub fn bytes(&self) -> [u8; LEASE_BYTES] {
        let mut bytes = [0; LEASE_BYTES];
        let addresses = [self.address, self.router.unwrap_or(Ipv4Addr::UNSPECIFIED), self.server];
        for (place, address) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(addresses.iter().chain(&self.name_servers))
        {
            *place = address.octets();
        }
        bytes[24..28].copy_from_slice(&self.seconds.to_ne_bytes());
        bytes[28] = self.length;
        bytes
    }

    /// Reads what another process wrote. [`Self::fault`] tells whether a link can have it.
    pub fn read(bytes: &[u8; LEASE_BYTES]) -> Self {
        let address = |place: usize| {
            let [a, b, c, d] = [0, 1, 2, 3].map(|byte| bytes[4 * place + byte]);
            Ipv4Addr::new(a, b, c, d)
        };
        Self {
            address: address(0),
            length: bytes[28],
            router: Some(address(1)).filter(|router| !router.is_unspecified()),
            server: address(2),
            name_servers: [address(3), address(4), address(5)],
            seconds: u32::from_ne_bytes([24, 25, 26, 27].map(|place| bytes[place])),
        }
    }
}
