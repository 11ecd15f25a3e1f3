//! The report of a link's process about its routers. PID 1 treats it as untrusted input.

use crate::domains::{SEARCH_BYTES, Search};
use core::net::Ipv6Addr;

/// Name servers in the report: as many as C libraries use.
const SERVERS: usize = crate::config::limits::NAME_SERVERS;
/// Bytes of the report between the two processes.
pub const NAMES_BYTES: usize = 16 * (SERVERS + 1) + SEARCH_BYTES;

/// Name servers, router and domains of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names {
    /// Name servers; unused elements are `::`.
    pub servers: [Ipv6Addr; SERVERS],
    /// The default router; `::` for none.
    pub router: Ipv6Addr,
    /// The search domains.
    pub search: Search,
}

impl Names {
    /// No information.
    pub const NOTHING: Self =
        Self { servers: [Ipv6Addr::UNSPECIFIED; SERVERS], router: Ipv6Addr::UNSPECIFIED, search: Search::EMPTY };

    /// Returns whether it has no information. Name servers and domains are filled from the first element on.
    pub fn is_empty(&self) -> bool {
        self.router.is_unspecified() && self.servers[0].is_unspecified() && self.search.0[0] == 0
    }

    /// Encodes it.
    pub fn bytes(&self) -> [u8; NAMES_BYTES] {
        let mut bytes = [0; NAMES_BYTES];
        let addresses = self.servers.iter().chain([&self.router]);
        for (place, address) in bytes.as_chunks_mut::<16>().0.iter_mut().zip(addresses) {
            *place = address.octets();
        }
        bytes[NAMES_BYTES - SEARCH_BYTES..].copy_from_slice(&self.search.0);
        bytes
    }

    /// Decodes the report of another process.
    pub fn read(bytes: &[u8; NAMES_BYTES]) -> Self {
        let mut names = Self::NOTHING;
        let addresses = names.servers.iter_mut().chain([&mut names.router]);
        for (address, place) in addresses.zip(bytes.as_chunks::<16>().0) {
            *address = (*place).into();
        }
        names.search.0.copy_from_slice(&bytes[NAMES_BYTES - SEARCH_BYTES..]);
        names
    }
}
