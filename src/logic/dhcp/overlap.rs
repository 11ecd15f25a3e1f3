//! Refuses leases that overlap networks of the board: a server on an outer network could otherwise take over traffic to
//! a bridge, to another link, or of a `route` line.

use super::{Lease, LeaseRoute};
use crate::config::{Config, Prefix, WorkloadLink};
use core::fmt;
use core::net::IpAddr;

/// The owner of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By<'a> {
    /// The bridge with this name.
    Bridge(&'a str),
    /// The link with this name; the network is from its line or its lease.
    Link(&'a str),
    /// A `route` line.
    Route,
}

/// An overlap: the owner and its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken<'a> {
    /// The owner.
    pub by: By<'a>,
    /// The network, as the owner's address with its prefix length.
    pub prefix: Prefix,
}

impl fmt::Display for Taken<'_> {
    /// Writes why the lease is refused, and what to do.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ADVICE: &str = "renumber one of them";
        let prefix = self.prefix;
        match self.by {
            By::Bridge(name) => write!(formatter, "it overlaps {prefix} of bridge {name}; {ADVICE}"),
            By::Link(name) => {
                write!(formatter, "it overlaps {prefix} of link {name}; use only one of the two links, or {ADVICE}")
            }
            By::Route => write!(formatter, "it overlaps {prefix} of a route line; {ADVICE}"),
        }
    }
}

/// Returns the network that a lease for the link at `place` overlaps, or that contains its router; `None` if there is
/// none.
///
/// For bridges and links an overlap counts in both directions: a wider network outside would hide the network of the
/// bridge from hosts on it. A `route` line takes precedence over wider networks, so only a lease within its network
/// counts; a default `route` line has no network. `leases` returns the leases of the other links.
pub fn taken<'a>(
    config: &'a Config<'_>,
    place: usize,
    lease: &Lease,
    leases: &dyn Fn(usize) -> Option<Lease>,
) -> Option<Taken<'a>> {
    let given = |other| leases(other).map(|lease| lease.prefix());
    let network = lease.prefix();
    let own = owner(config, place, &|prefix| prefix.overlaps(network), network.length, &given);
    let mut routes = lease.all_routes();
    own.or_else(|| routes.find_map(|route| owner_of_route(config, place, route, &given)))
}

/// Returns the network of another link of the workload that a lease for link `number` overlaps, or that contains its router;
/// `None` if there is none. `leases` returns the leases of the other links.
pub fn taken_inside<'a>(
    links: &[WorkloadLink<'a>],
    number: u8,
    lease: &Lease,
    leases: &dyn Fn(u8) -> Option<Lease>,
) -> Option<Taken<'a>> {
    let is_in =
        |prefix: &Prefix| prefix.overlaps(lease.prefix()) || lease.all_routes().any(|route| takes(route, *prefix));
    (0..).zip(links).filter(|(other, _)| *other != number).find_map(|(other, link)| {
        let leased = leases(other).map(|lease| lease.prefix());
        let prefix = link.addresses.iter().copied().chain(leased).find(is_in)?;
        Some(Taken { by: By::Link(link.inner_name(other)), prefix })
    })
}

/// Whether a route of a lease takes over a part of a network, or has its router there. A route that is wider than a
/// network does no harm, because the kernel prefers the longer prefix.
fn takes(route: &LeaseRoute, prefix: Prefix) -> bool {
    let to = route.prefix();
    let is_narrower = to.length >= prefix.length && prefix.overlaps(to);
    is_narrower || route.router().is_some_and(|router| prefix.contains(router))
}

/// Returns whose network a route of a lease takes something of, or has its router in.
fn owner_of_route<'a>(
    config: &'a Config<'_>,
    place: usize,
    route: &LeaseRoute,
    given: &dyn Fn(usize) -> Option<Prefix>,
) -> Option<Taken<'a>> {
    owner(config, place, &|prefix| takes(route, prefix), route.length, given)
}

/// Returns the network that a prefix from a router advertisement on the link at `place` overlaps, as [`taken`] does for
/// leases; `None` if there is none. The default route and link-local networks never overlap.
pub fn advertised<'a>(config: &'a Config<'_>, place: usize, prefix: Prefix) -> Option<Taken<'a>> {
    let is_own = match prefix.address {
        IpAddr::V4(_) => true,
        IpAddr::V6(address) => address.is_unicast_link_local() || address.is_multicast(),
    };
    let is_everywhere = prefix.length == 0;
    if is_own || is_everywhere {
        None
    } else {
        owner(config, place, &|other| other.overlaps(prefix), prefix.length, &|_| None)
    }
}

/// Returns the first bridge, link or `route` line with a network for which `is_in` is true. A line only counts if its
/// prefix length is at most `length` and it is not a default route.
fn owner<'a>(
    config: &'a Config<'_>,
    place: usize,
    is_in: &dyn Fn(Prefix) -> bool,
    length: u8,
    given: &dyn Fn(usize) -> Option<Prefix>,
) -> Option<Taken<'a>> {
    let network = &config.system.network;
    for bridge in &network.bridges {
        if let Some(&prefix) = bridge.addresses.iter().find(|prefix| is_in(**prefix)) {
            return Some(Taken { by: By::Bridge(bridge.name), prefix });
        }
    }
    for (other, link) in network.links.iter().enumerate().filter(|(other, _)| *other != place) {
        if let Some(prefix) = link.addresses.iter().copied().chain(given(other)).find(|prefix| is_in(*prefix)) {
            return Some(Taken { by: By::Link(link.name), prefix });
        }
    }
    let mut routes = network.routes.iter().map(|route| route.to);
    let route = routes.find(|to| (1..=length).contains(&to.length) && is_in(*to));
    route.map(|prefix| Taken { by: By::Route, prefix })
}

#[cfg(test)]
mod tests;
