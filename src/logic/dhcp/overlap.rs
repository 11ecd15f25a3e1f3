//! What the network of a lease may not overlap: a server on the outer wire would take over what goes to a bridge, to
//! another link or by a `route` line.

use super::{Lease, LeaseRoute};
use crate::config::{Config, Prefix};
use core::fmt;
use core::net::IpAddr;

/// Who has a part of a lease's network already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By<'a> {
    /// The bridge with this name.
    Bridge(&'a str),
    /// The link with this name, by its line or by a lease.
    Link(&'a str),
    /// A `route` line.
    Route,
}

/// A network that a lease overlaps, and who has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken<'a> {
    /// Who has it.
    pub by: By<'a>,
    /// The network, by the owner's address in it.
    pub prefix: Prefix,
}

impl fmt::Display for Taken<'_> {
    /// Why the lease is refused, and what to do.
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

/// Returns whose network a lease for the link at `place` overlaps, or has its router in. None if the link can have it.
///
/// For bridges and links in both directions: a wider network from outside would hide what is behind the bridge from those
/// who are in it. A `route` line goes before what is wider than its network, so only a lease in that network counts; a
/// line for everywhere else has no network of its own. `leases` returns what the other links have.
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

/// Returns whose network a route of a lease takes something of, or has its router in. A route that is wider than a network
/// leaves that as it is: the kernel takes the narrower one.
fn owner_of_route<'a>(
    config: &'a Config<'_>,
    place: usize,
    route: &LeaseRoute,
    given: &dyn Fn(usize) -> Option<Prefix>,
) -> Option<Taken<'a>> {
    let to = route.prefix();
    let takes = |prefix: Prefix| to.length >= prefix.length && prefix.overlaps(to);
    let is_behind = |prefix: Prefix| route.router().is_some_and(|router| prefix.contains(router));
    owner(config, place, &|prefix| takes(prefix) || is_behind(prefix), to.length, given)
}

/// Returns whose network one overlaps that a router advertises on the link at `place`, as [`taken`] does for leases. None
/// if the link can have it; the default route and link-local networks are everybody's.
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

/// Returns the first bridge, link or `route` line with a network for which `is_in` holds; a line only if its network has at most
/// `length` bits and does not lead everywhere.
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
