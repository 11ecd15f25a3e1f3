//! What a DHCP server gave a link: set on the link, taken from it, and told.

use super::link_state::{HostLinks, QUIET_MS, Refused};
use super::{exchange, route_socket};
use crate::console::Console;
use crate::os::clock::monotonic_ms;
use crate::os::errno::describe;
use core::net::IpAddr;
use hilum::config::{Config, HostLink, Prefix};
use hilum::dhcp::{Lease, Taken, taken};
use hilum::fixed_string::append;
use hilum::netlink::{Neighbours, add_address, add_route, delete_address, delete_route};
use rustix::io::Errno;

/// The metric of the first link's default route by DHCP; those of later links come after it, and all of them after the
/// routes that lines say.
const METRIC: u32 = 100;

impl HostLinks {
    /// Returns whose network a lease for the link at `place` overlaps. A link without a carrier has nobody to speak to: what
    /// it was given is free for a link that has one.
    fn taken<'a>(&self, config: &'a Config<'_>, place: usize, lease: &Lease) -> Option<Taken<'a>> {
        taken(config, place, lease, &|other| self.known.get(other).filter(|known| known.has_carrier)?.lease)
    }

    /// Takes what the client of the link at `place` was given, or tells why not.
    pub(super) fn given(&mut self, config: &Config<'_>, place: usize, lease: Lease, console: &mut Console) {
        let Some(link) = config.system.network.links.get(place) else { return };
        if let Some(fault) = lease.fault() {
            // What it has is still good.
            return self.refuse(place, link, lease, format_args!("{fault}; correct the DHCP server"), console);
        }
        if let Some(taken) = self.taken(config, place, &lease) {
            let known = &mut self.known[place];
            if let Some(before) = known.lease.take() {
                let _ = remove_lease(known.index, place, &before);
            }
            return self.refuse(place, link, lease, format_args!("{taken}"), console);
        }
        self.clear(config, place, &lease, console);
        let known = &mut self.known[place];
        known.refused = None;
        let before = known.lease.replace(lease);
        if let Err(errno) = apply_lease(known.index, place, before, &lease, link) {
            console.info(format_args!("link {}: {}: {}", link.name, lease.prefix(), describe(errno)));
        }
        if !before.is_some_and(|before| before.is_like(&lease)) {
            print_lease(link, &lease, console);
        }
    }

    /// Keeps a lease that is not taken, and tells why: once, and not more often than [`QUIET_MS`] allows.
    fn refuse(
        &mut self,
        place: usize,
        link: &HostLink<'_>,
        lease: Lease,
        why: core::fmt::Arguments<'_>,
        console: &mut Console,
    ) {
        let (known, at) = (&mut self.known[place], monotonic_ms());
        let was_told = known.refused.is_some_and(|before| before.is_reported && before.lease.is_like(&lease));
        let is_now = !was_told && at >= known.quiet_until;
        known.refused = Some(Refused { lease, at, is_reported: was_told || is_now });
        if is_now {
            known.quiet_until = at + QUIET_MS;
            let (name, prefix, server) = (link.name, lease.prefix(), lease.server);
            console.info(format_args!("link {name}: {prefix} from {server} is refused: {why}"));
        }
    }

    /// Takes from links without a carrier what they still have of the network of a lease for the link at `place`.
    fn clear(&mut self, config: &Config<'_>, place: usize, lease: &Lease, console: &mut Console) {
        for (other, (link, known)) in config.system.network.links.iter().zip(&mut self.known).enumerate() {
            // One with a carrier would have had the lease refused.
            let is_free = |old: &mut Lease| old.prefix().overlaps(lease.prefix());
            if other == place || known.has_carrier {
                continue;
            }
            if let Some(old) = known.lease.take_if(is_free) {
                let _ = remove_lease(known.index, other, &old);
                console.info(format_args!("link {}: the lease of {} is over", link.name, old.prefix()));
            }
        }
    }

    /// Looks again at what was refused: the link that had the network may have lost it.
    pub(super) fn retry(&mut self, config: &Config<'_>, console: &mut Console) {
        for place in 0..self.known.len() {
            let Some(Refused { lease, at, .. }) = self.known[place].refused else { continue };
            let passed = u32::try_from(monotonic_ms().saturating_sub(at) / 1_000).unwrap_or(u32::MAX);
            let left = if lease.seconds == u32::MAX { u32::MAX } else { lease.seconds.saturating_sub(passed) };
            let lease = Lease { seconds: left, ..lease };
            if lease.is_sane() && self.taken(config, place, &lease).is_none() {
                self.given(config, place, lease, console);
            }
        }
    }
}

/// Tells what a link was given.
fn print_lease(link: &HostLink<'_>, lease: &Lease, console: &mut Console) {
    let (name, prefix, server) = (link.name, lease.prefix(), lease.server);
    let mut router: heapless::String<24> = heapless::String::new();
    if let Some(address) = lease.router {
        // An address has at most 15 letters.
        let _ = append(&mut router, format_args!(" via {address}"));
    }
    match lease.seconds {
        u32::MAX => console.info(format_args!("link {name}: {prefix}{router} from {server}")),
        seconds => console.info(format_args!("link {name}: {prefix}{router} from {server} for {seconds} s")),
    }
}

/// Where everything else goes, by what a server said.
fn default_route(place: usize, lease: &Lease) -> Option<(Prefix, IpAddr, u32)> {
    let router = IpAddr::V4(lease.router?);
    Some((Prefix::everywhere(router), router, METRIC + place as u32))
}

/// Gives the link what its client was given, and takes what it had before.
fn apply_lease(
    index: u32,
    place: usize,
    before: Option<Lease>,
    lease: &Lease,
    link: &HostLink<'_>,
) -> Result<(), Errno> {
    if let Some(before) = before.filter(|before| before.prefix() != lease.prefix() || before.router != lease.router) {
        let _ = remove_lease(index, place, &before);
    }
    let socket = route_socket()?;
    exchange(&socket, &mut |writer| {
        // The kernel takes the address away when its time is over, even if nobody is left to do so.
        let seconds = if lease.seconds == u32::MAX { 0 } else { lease.seconds };
        add_address(writer, index, lease.prefix(), Neighbours::OnLink, seconds);
        let has_line = link.gateways.iter().any(IpAddr::is_ipv4);
        if let Some((to, router, metric)) = default_route(place, lease).filter(|_| !has_line) {
            if !lease.prefix().contains(router) {
                add_route(writer, index, Prefix::host(router), None, 0);
            }
            add_route(writer, index, to, Some(router), metric);
        }
    })
}

/// Takes from the link what its client was given.
pub(super) fn remove_lease(index: u32, place: usize, lease: &Lease) -> Result<(), Errno> {
    let socket = route_socket()?;
    if let Some((to, router, metric)) = default_route(place, lease) {
        // It may be gone with the link's carrier.
        let _ = exchange(&socket, &mut |writer| delete_route(writer, index, to, Some(router), metric));
    }
    exchange(&socket, &mut |writer| delete_address(writer, index, lease.prefix()))
}
