//! Applies DHCP leases to links, removes and reports them.

use super::link_state::{HostLinks, LinkState, QUIET_MS, Refused};
use super::{exchange, route_socket};
use crate::console::Console;
use crate::os::clock::monotonic_ms;
use crate::os::errno::describe;
use hilum::config::{Config, HostLink, Ip, limits};
use hilum::dhcp::{Lease, Taken, taken};
use hilum::fixed_string::append;
use hilum::netlink::{Neighbours, add_address, delete_address, set_link};
use rustix::io::Errno;

impl HostLinks {
    /// Returns the network that a lease for the link at `place` overlaps. The lease of a link without a carrier does
    /// not count, because the network is unreachable there.
    fn taken<'a>(&self, config: &'a Config<'_>, place: usize, lease: &Lease) -> Option<Taken<'a>> {
        if let Some(inside) = &self.known.get(place)?.inside {
            return self.taken_inside(config, inside, lease);
        }
        taken(config, place, lease, &|other| self.known.get(other).filter(|known| known.has_carrier)?.lease)
    }

    /// Applies a lease to the link at `place`, or reports why not.
    pub(super) fn given(
        &mut self,
        config: &Config<'_>,
        place: usize,
        link: &HostLink<'_>,
        lease: Lease,
        console: &mut Console,
    ) {
        if let Some(fault) = lease.fault() {
            // The current lease stays valid.
            return self.refuse(place, link, lease, format_args!("{fault}; correct the DHCP server"), console);
        }
        if let Some(taken) = self.taken(config, place, &lease) {
            let _ = self.known[place].take_lease(link);
            return self.refuse(place, link, lease, format_args!("{taken}"), console);
        }
        if place < limits::HOST_LINKS {
            self.clear(config, place, &lease, console);
        }
        let known = &mut self.known[place];
        known.refused = None;
        let before = known.lease;
        if let Err(errno) = known.give(link, lease) {
            console.info(format_args!("link {}: {}: {}", link.name, lease.prefix(), describe(errno)));
        }
        self.set_routes(place, link, console);
        if !before.is_some_and(|before| before.is_like(&lease)) {
            print_lease(link, &lease, console);
            self.has_news = true;
        }
    }

    /// Removes the lease of the link at `place`, if it has one, and reports it.
    pub(super) fn end_lease(&mut self, place: usize, link: &HostLink<'_>, console: &mut Console) {
        if let Some(lease) = self.known[place].take_lease(link) {
            console.info(format_args!("link {}: the lease of {} expired", link.name, lease.prefix()));
        }
    }

    /// Stores a refused lease, and reports why: once, and not more often than [`QUIET_MS`] allows.
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
            let (name, prefix, server) = (link.name, lease.prefix(), Ip(lease.server.into()));
            console.info(format_args!("link {name}: {prefix} from {server} refused: {why}"));
        }
    }

    /// Removes the addresses of links without a carrier that overlap a lease for the link at `place`.
    fn clear(&mut self, config: &Config<'_>, place: usize, lease: &Lease, console: &mut Console) {
        for (other, link) in config.system.network.links.iter().enumerate() {
            let known = &self.known[other];
            // With a carrier, the lease would have been refused.
            let is_hers = known.lease.is_some_and(|old| old.prefix().overlaps(lease.prefix()));
            if other != place && !known.has_carrier && is_hers {
                self.end_lease(other, link, console);
            }
        }
    }

    /// Reconsiders refused leases: the link that had the network may have lost it.
    pub(super) fn retry(&mut self, config: &Config<'_>, console: &mut Console) {
        for (place, link) in config.system.network.links.iter().enumerate() {
            let Some(Refused { lease, at, .. }) = self.known[place].refused else { continue };
            let passed = u32::try_from(monotonic_ms().saturating_sub(at) / 1_000).unwrap_or(u32::MAX);
            let left = if lease.seconds == u32::MAX { u32::MAX } else { lease.seconds.saturating_sub(passed) };
            let lease = Lease { seconds: left, ..lease };
            if lease.is_sane() && self.taken(config, place, &lease).is_none() {
                self.given(config, place, link, lease, console);
            }
        }
    }
}

/// Reports a lease.
fn print_lease(link: &HostLink<'_>, lease: &Lease, console: &mut Console) {
    let (name, prefix, server) = (link.name, lease.prefix(), Ip(lease.server.into()));
    let mut router: heapless::String<24> = heapless::String::new();
    if let Some(address) = lease.default_router() {
        // An address has at most 15 characters.
        let _ = append(&mut router, format_args!(" via {}", Ip(address.into())));
    }
    match lease.seconds {
        u32::MAX => console.info(format_args!("link {name}: {prefix}{router} from {server}")),
        seconds => console.info(format_args!("link {name}: {prefix}{router} from {server} for {seconds} s")),
    }
}

/// The minimum MTU for IPv6 (RFC 8200 5).
const LEAST_MTU: u32 = 1_280;

impl LinkState {
    /// Applies a lease to a link, and removes the previous one. The routes depend on the state of the link and are set
    /// later ([`HostLinks::set_routes`]).
    ///
    /// # Errors
    /// Those of the kernel.
    fn give(&mut self, link: &HostLink<'_>, lease: Lease) -> Result<(), Errno> {
        if let Some(before) = self.lease {
            if before.prefix() != lease.prefix() {
                let _ = self.take_lease(link);
            } else if before.routes != lease.routes {
                self.remove_routes(link, &before);
            }
        }
        self.lease = Some(lease);
        self.is_confirmed = true;
        // The kernel removes the address at the end of the lease even if PID 1 does not.
        let seconds = if lease.seconds == u32::MAX { 0 } else { lease.seconds };
        self.lease_ends_at = (seconds > 0).then(|| monotonic_ms() + u64::from(seconds) * 1_000);
        self.set_mtu(link);
        let socket = route_socket()?;
        exchange(&socket, &mut |writer| {
            add_address(writer, self.index, lease.prefix(), Neighbours::OnLink, seconds);
        })
    }

    /// Removes the lease of a link, and returns it.
    pub(super) fn take_lease(&mut self, link: &HostLink<'_>) -> Option<Lease> {
        let lease = self.lease.take()?;
        self.lease_ends_at = None;
        self.remove_routes(link, &lease);
        self.set_mtu(link);
        // It may have disappeared with the link.
        let _ = route_socket()
            .and_then(|socket| exchange(&socket, &mut |writer| delete_address(writer, self.index, lease.prefix())));
        Some(lease)
    }

    /// Sets the MTU of the lease, unless the line sets it; without a lease, the original one.
    fn set_mtu(&mut self, link: &HostLink<'_>) {
        let by_lease = self.lease.map_or(0, |lease| u32::from(lease.mtu));
        let wanted = match (by_lease, self.mtu_before) {
            (0, None) => return,
            (0, Some(before)) => before,
            (mtu, _) => mtu.max(LEAST_MTU),
        };
        if link.mtu > 0 || wanted == self.mtu {
            return;
        }
        // Some drivers drop the carrier when the MTU changes, which would lead to another lease: it is only set if it
        // differs. An MTU that the driver does not support is not set.
        let set =
            route_socket().and_then(|socket| exchange(&socket, &mut |writer| set_link(writer, self.index, wanted)));
        if set.is_ok() {
            let before = self.mtu_before.unwrap_or(self.mtu);
            (self.mtu, self.mtu_before) = (wanted, (by_lease > 0).then_some(before));
        }
    }
}
