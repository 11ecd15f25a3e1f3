//! What a DHCP server gave a link: set on the link, taken from it, and told.

use super::{exchange, route_socket};
use crate::init::Console;
use core::net::IpAddr;
use hilum::config::{HostLink, Prefix};
use hilum::dhcp::{Lease, Taken};
use hilum::netlink::{Neighbours, add_address, add_route, delete_address, delete_route};
use hilum::text::append;
use rustix::io::Errno;

/// The metric of the first link's default route by DHCP; those of later links come after it, and all of them after the
/// routes that lines say.
const METRIC: u32 = 100;

/// Tells what a link was given.
pub(super) fn tell_lease(link: &HostLink<'_>, lease: &Lease, console: &mut Console) {
    let (name, prefix, server) = (link.name, lease.prefix(), lease.server);
    let mut router: heapless::String<24> = heapless::String::new();
    if let Some(address) = lease.router {
        // An address has at most 15 letters.
        let _ = append(&mut router, format_args!(" via {address}"));
    }
    match lease.seconds {
        u32::MAX => console.tell(format_args!("link {name}: {prefix}{router} from {server}")),
        seconds => console.tell(format_args!("link {name}: {prefix}{router} from {server} for {seconds} s")),
    }
}

/// Tells that what a link was given is not used, and why.
pub(super) fn tell_refused(link: &HostLink<'_>, lease: &Lease, taken: Option<Taken<'_>>, console: &mut Console) {
    let Some(Taken { what, name, prefix }) = taken else { return };
    console.tell(format_args!(
        "link {}: {} from {} is refused: it overlaps {prefix} of {what} {name}; give one of them another network",
        link.name,
        lease.prefix(),
        lease.server
    ));
}

/// Where everything else goes, by what a server said.
fn default_route(place: usize, lease: &Lease) -> Option<(Prefix, IpAddr, u32)> {
    let router = IpAddr::V4(lease.router?);
    Some((Prefix::everywhere(router), router, METRIC + place as u32))
}

/// Gives the link what its client was given, and takes what it had before.
pub(super) fn take(
    index: u32,
    place: usize,
    before: Option<Lease>,
    lease: &Lease,
    link: &HostLink<'_>,
) -> Result<(), Errno> {
    if let Some(before) = before.filter(|before| before.prefix() != lease.prefix() || before.router != lease.router) {
        let _ = give_back(index, place, &before);
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
pub(super) fn give_back(index: u32, place: usize, lease: &Lease) -> Result<(), Errno> {
    let socket = route_socket()?;
    if let Some((to, router, metric)) = default_route(place, lease) {
        // It may be gone with the link's carrier.
        let _ = exchange(&socket, &mut |writer| delete_route(writer, index, to, Some(router), metric));
    }
    exchange(&socket, &mut |writer| delete_address(writer, index, lease.prefix()))
}
