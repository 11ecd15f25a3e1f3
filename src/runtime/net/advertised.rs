//! Networks in router advertisements that overlap others.
//!
//! The kernel cannot be told to ignore single networks in an advertisement (ip-sysctl.rst). Therefore PID 1 follows the
//! routes and addresses that the kernel creates, and deletes those that overlap. Until then, the workloads' own routes
//! take precedence ([`hilum::netlink::bridge_neighbours`]).

use super::link_state::{HostLinks, QUIET_MS};
use super::{each, exchange, route_socket};
use crate::console::Console;
use crate::os::clock::monotonic_ms;
use hilum::config::{Config, HostLink, Prefix};
use hilum::dhcp::{Taken, advertised};
use hilum::netlink::{AddressEntry, List, RouteEntry, delete_address, delete_kernel_route, list};
use rustix::io::Errno;

/// Returns whether a link of the configuration uses router advertisements.
pub(super) fn use_advertisements(config: &Config<'_>) -> bool {
    config.system.network.links.iter().any(|link| link.has_slaac)
}

impl HostLinks {
    /// Deletes the route or address that the kernel reports, if it was advertised and overlaps another network.
    pub(super) fn check_advertised(&mut self, config: &Config<'_>, kind: u16, body: &[u8], console: &mut Console) {
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
        // It may already be gone.
        let _ = route_socket().and_then(|socket| {
            exchange(&socket, &mut |writer| match route {
                Some(route) => delete_kernel_route(writer, &route),
                None => delete_address(writer, index, prefix),
            })
        });
        self.print_advertised(place, link, prefix, taken, console);
    }

    /// Reports a network once, and not more often than [`QUIET_MS`] allows.
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

    /// Checks all routes and addresses.
    ///
    /// # Errors
    /// Those of the kernel.
    pub(super) fn sweep(&mut self, config: &Config<'_>, console: &mut Console) -> Result<(), Errno> {
        for what in [List::Addresses, List::Routes] {
            each(&route_socket()?, &mut |writer| list(writer, what), &mut |kind, body| {
                self.check_advertised(config, kind, body, console);
            })?;
        }
        Ok(())
    }
}
