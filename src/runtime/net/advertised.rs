//! What routers advertise on the board's links and the links do not take: networks that something else has.
//!
//! The kernel takes what is advertised as a whole, with no word for "but for these networks" (ip-sysctl.rst). So PID 1
//! hears of the routes and addresses that it makes, and takes away those that overlap. Meanwhile the workloads' own routes
//! go before them ([`hilum::netlink::bridge_neighbours`]).

use super::link_state::{HostLinks, QUIET_MS};
use super::{each, exchange, route_socket};
use crate::console::Console;
use crate::os::clock::monotonic_ms;
use hilum::config::{Config, HostLink, Prefix};
use hilum::dhcp::{Taken, advertised};
use hilum::netlink::{AddressEntry, List, RouteEntry, delete_address, delete_kernel_route, list};
use rustix::io::Errno;

/// Returns whether a link of the configuration listens to routers.
pub(super) fn are_heard(config: &Config<'_>) -> bool {
    config.system.network.links.iter().any(|link| link.has_slaac)
}

impl HostLinks {
    /// Takes away the route or address that the kernel reports, if it was advertised and overlaps what something else has.
    pub(super) fn hear_advertised(&mut self, config: &Config<'_>, kind: u16, body: &[u8], console: &mut Console) {
        let route = RouteEntry::read(kind, body).filter(RouteEntry::is_kernels);
        let address = AddressEntry::read(kind, body);
        let (index, prefix) = match (route, address) {
            (Some(RouteEntry { to: Some(to), index, .. }), _) => (index, to),
            (_, Some(AddressEntry { index, prefix })) => (index, prefix),
            _ => return,
        };
        let mut known = config.system.network.links.iter().zip(&self.known).enumerate();
        let found = known.find(|(_, (link, known))| link.has_slaac && known.index == index);
        let Some((place, (link, _))) = found else { return };
        let Some(taken) = advertised(config, place, prefix) else { return };
        // One that has gone by itself is gone.
        let _ = route_socket().and_then(|socket| {
            exchange(&socket, &mut |writer| match route {
                Some(route) => delete_kernel_route(writer, &route),
                None => delete_address(writer, index, prefix),
            })
        });
        self.print_advertised(place, link, prefix, taken, console);
    }

    /// Tells of a network once, and not more often than [`QUIET_MS`] allows.
    fn print_advertised(
        &mut self,
        place: usize,
        link: &HostLink<'_>,
        prefix: Prefix,
        taken: Taken<'_>,
        console: &mut Console,
    ) {
        let (known, now) = (&mut self.known[place], monotonic_ms());
        let network = Prefix { address: prefix.first(), length: prefix.length };
        if now < known.quiet_until || known.ignored == Some(network) {
            return;
        }
        known.quiet_until = now + QUIET_MS;
        known.ignored = Some(network);
        console.info(format_args!("link {}: {network} of a router advertisement refused: {taken}", link.name));
    }

    /// Looks at all routes and addresses.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn sweep(&mut self, config: &Config<'_>, console: &mut Console) -> Result<(), Errno> {
        for what in [List::Addresses, List::Routes] {
            each(&route_socket()?, &mut |writer| list(writer, what), &mut |kind, body| {
                self.hear_advertised(config, kind, body, console);
            })?;
        }
        Ok(())
    }
}
