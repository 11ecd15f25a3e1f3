//! What the network of a lease may not overlap: a server on the outer wire would take over what goes to a bridge or to
//! another link.

use super::Lease;
use crate::config::{Config, Prefix};
use core::net::IpAddr;

/// Who has a part of a lease's network already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken<'a> {
    /// `bridge` or `link`.
    pub what: &'static str,
    /// Its name.
    pub name: &'a str,
    /// Its network.
    pub prefix: Prefix,
}

/// Whose network a lease for the link at `place` overlaps, or has its router in; none where it can be used.
///
/// In both directions: a wider network from outside would hide what is behind the bridge from those who are in it.
/// `leases` tells what the other links have. Two links may be given the same network: they lead to the same wire.
pub fn taken<'a>(
    config: &'a Config<'_>,
    place: usize,
    lease: &Lease,
    leases: &dyn Fn(usize) -> Option<Lease>,
) -> Option<Taken<'a>> {
    let own = lease.prefix();
    let is_in =
        |prefix: Prefix| prefix.overlaps(own) || lease.router.is_some_and(|router| prefix.contains(IpAddr::V4(router)));
    let network = &config.system.network;
    for bridge in &network.bridges {
        if let Some(&prefix) = bridge.addresses.iter().find(|prefix| is_in(**prefix)) {
            return Some(Taken { what: "bridge", name: bridge.name, prefix });
        }
    }
    for (other, link) in network.links.iter().enumerate().filter(|(other, _)| *other != place) {
        let is_same = |prefix: &Prefix| prefix.length == own.length && prefix.first() == own.first();
        let given = leases(other).map(|lease| lease.prefix()).filter(|prefix| !is_same(prefix));
        if let Some(prefix) = link.addresses.iter().copied().chain(given).find(|prefix| is_in(*prefix)) {
            return Some(Taken { what: "link", name: link.name, prefix });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    const CONFIG: &str =
        "hilum 1\n[system]\nbridge br0 10.77.0.1/24\nlink eth0 dhcp\nlink eth1 192.168.8.2/24\nlink eth2 dhcp\n";

    fn lease(address: [u8; 4], length: u8, router: Option<[u8; 4]>) -> Lease {
        Lease {
            address: address.into(),
            length,
            router: router.map(Ipv4Addr::from),
            server: [9, 9, 9, 9].into(),
            name_servers: [Ipv4Addr::UNSPECIFIED; super::super::NAME_SERVERS],
            seconds: 60,
        }
    }

    #[test]
    fn lease_that_overlaps_a_bridge_or_another_link_is_taken() {
        let mut config = Config::EMPTY;
        crate::config::parse(CONFIG.as_bytes(), &mut config).expect("a good configuration");
        let third = |other: usize| (other == 2).then(|| lease([172, 16, 4, 5], 16, None));
        for (address, length, router, by) in [
            // Inside of the bridge's network, around it, and the same.
            ([10, 77, 0, 50], 25, None, Some("br0")),
            ([10, 9, 0, 50], 8, None, Some("br0")),
            ([10, 77, 0, 50], 24, Some([10, 77, 0, 1]), Some("br0")),
            // A router there that has a route of its own.
            ([203, 0, 113, 5], 32, Some([10, 77, 0, 2]), Some("br0")),
            ([192, 168, 8, 77], 24, None, Some("eth1")),
            ([192, 168, 0, 77], 16, None, Some("eth1")),
            ([172, 16, 9, 9], 24, None, Some("eth2")),
            ([172, 16, 9, 9], 16, None, None),
            ([10, 77, 1, 50], 24, Some([10, 77, 1, 1]), None),
            ([192, 168, 9, 50], 24, Some([192, 168, 9, 1]), None),
        ] {
            let found = taken(&config, 0, &lease(address, length, router), &third).map(|taken| taken.name);
            assert_eq!(found, by, "{address:?}/{length} {router:?}");
        }
    }
}
