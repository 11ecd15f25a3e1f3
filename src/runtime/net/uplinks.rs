//! The default routes of the board's links: set while a link has a carrier, removed when it loses it, with metrics in
//! the order of the lines ([`hilum::uplink`]). Also the corresponding part of `hilum net`.

use super::link_state::{HostLinks, LinkState};
use super::{each, exchange, route_socket};
use crate::console::Console;
use crate::os::clock::monotonic_ms;
use crate::os::errno::describe;
use crate::os::sysctl::set_unless_configured;
use core::fmt::Arguments;
use core::net::IpAddr;
use hilum::config::{Config, HostLink, Ip, Prefix, limits};
use hilum::dhcp::Lease;
use hilum::fixed_string::{append, text};
use hilum::netlink::{List, RouteEntry, add_route, delete_kernel_route, delete_route, list};
use hilum::uplink::{Standing, Uplink, metric, standing};
use rustix::io::Errno;

/// Bytes of a line of `hilum net`: a lease with three time servers and its domains.
const LINE_BYTES: usize = 384;
/// Maximum routers of a link whose routes are changed.
const ROUTERS: usize = 8;

/// Passes each route of a lease to `tell`, in an order that the kernel accepts: first on-link routes, which may include
/// routers outside of the lease's network. If the link has a gateway of its own, default routes of the lease are
/// skipped.
fn each_route(link: &HostLink<'_>, lease: &Lease, tell: &mut dyn FnMut(Prefix, Option<IpAddr>)) {
    for route in lease.all_routes() {
        match route.router() {
            None => tell(route.prefix(), None),
            Some(router) if !lease.prefix().contains(router) => tell(Prefix::host(router), None),
            Some(_) => {}
        }
    }
    let has_line = link.gateways.iter().any(IpAddr::is_ipv4);
    for route in lease.all_routes().filter(|route| route.length > 0 || !has_line) {
        if let Some(router) = route.router() {
            tell(route.prefix(), Some(router));
        }
    }
}

impl LinkState {
    /// Returns whether its lease is unconfirmed.
    const fn is_unconfirmed(&self) -> bool {
        self.lease.is_some() && !self.is_confirmed
    }

    /// Returns whether it has low preference; `None` without a carrier.
    pub(super) fn stands_back(&self) -> Option<bool> {
        self.has_carrier.then_some(self.is_silent || self.is_unconfirmed())
    }

    /// Removes the routes of the lease.
    pub(super) fn remove_routes(&mut self, link: &HostLink<'_>, lease: &Lease) {
        if let Some(metric) = self.lease_metric.take() {
            // The kernel may have removed some itself.
            let _ = route_socket().and_then(|socket| {
                exchange(&socket, &mut |writer| {
                    each_route(link, lease, &mut |to, via| delete_route(writer, self.index, to, via, metric));
                })
            });
        }
    }

    /// Sets the routes of its line and of its lease with the metrics for its state: new ones first, so that there is
    /// always one.
    ///
    /// # Errors
    /// Those of the kernel.
    fn set_routes(&mut self, link: &HostLink<'_>, place: usize) -> Result<(), Errno> {
        let place = self.inside.as_ref().map_or(place, |inside| inside.number.into());
        let own = metric(place, self.has_carrier, self.is_silent);
        let leased = self.lease.and_then(|_| metric(place, self.has_carrier, self.is_silent || self.is_unconfirmed()));
        let before = (self.own_metric, self.lease_metric);
        if before == (own, leased) {
            return Ok(());
        }
        (self.own_metric, self.lease_metric) = (own, leased);
        let (index, lease) = (self.index, self.lease);
        let socket = route_socket()?;
        let (mut added, mut is_adding) = (Ok(()), true);
        for metrics in [(own, leased), before] {
            let is_changed = |is_lease: bool| if is_lease { before.1 != leased } else { before.0 != own };
            let done = exchange(&socket, &mut |writer| {
                let mut set = |to: Prefix, via: Option<IpAddr>, metric: u32| {
                    if is_adding {
                        add_route(writer, index, to, via, metric);
                    } else {
                        delete_route(writer, index, to, via, metric);
                    }
                };
                if let Some(metric) = metrics.0.filter(|_| is_changed(false)) {
                    link.gateways.iter().for_each(|via| set(Prefix::everywhere(*via), Some(*via), metric));
                }
                if let (Some(metric), Some(lease)) = (metrics.1.filter(|_| is_changed(true)), &lease) {
                    each_route(link, lease, &mut |to, via| set(to, via, metric));
                }
            });
            if is_adding {
                added = done;
            }
            is_adding = false;
        }
        added
    }

    /// Returns its state as an uplink for one address family.
    fn uplink(&self, link: &HostLink<'_>, is_ipv4: bool) -> Uplink {
        let by_router = !is_ipv4 && !self.names.router.is_unspecified();
        let by_lease = is_ipv4 && self.lease.is_some_and(|lease| lease.default_router().is_some());
        let has_line = link.gateways.iter().any(|gateway| gateway.is_ipv4() == is_ipv4);
        Uplink {
            is_there: self.index != 0,
            has_carrier: self.has_carrier,
            has_router: has_line || by_lease || by_router,
            is_silent: self.is_silent,
            is_unconfirmed: !has_line && by_lease && !self.is_confirmed,
        }
    }
}

/// Sets the metric of the link at `place` for future router advertisements.
pub(super) fn prefer_routers(config: &Config<'_>, place: usize, stands_back: bool) {
    let link = config.system.network.links.get(place).filter(|link| link.has_slaac);
    if let (Some(link), Some(metric)) = (link, metric(place, true, stands_back)) {
        let value = text::<8>(format_args!("{metric}"));
        set_unless_configured(config, &["net/ipv6/conf/", link.name, "/ra_defrtr_metric"], &value);
    }
}

impl HostLinks {
    /// Sets the default routes of the link at `place` according to its state.
    pub(super) fn set_routes(&mut self, place: usize, link: &HostLink<'_>, console: &mut Console) {
        if let Err(errno) = self.known[place].set_routes(link, place) {
            console.info(format_args!("link {}: routes: {}", link.name, describe(errno)));
        }
    }

    /// Handles a change of the probe of the link at `place`: changes its preference.
    pub(super) fn set_probe_state(
        &mut self,
        config: &Config<'_>,
        place: usize,
        is_silent: bool,
        console: &mut Console,
    ) {
        let Some((link, probe)) = config.system.network.links.get(place).and_then(|link| Some((link, link.probe?)))
        else {
            return;
        };
        self.known[place].is_silent = is_silent;
        let what = if is_silent { "does not answer; other uplinks come first" } else { "answers again" };
        console.info(format_args!("link {}: {} {what}", link.name, Ip(probe)));
        self.set_routes(place, link, console);
        self.move_advertised(config, place);
    }

    /// Sets the metric for router advertisements according to the link's state. Existing default routes are deleted,
    /// because the link's process has solicited its routers again. A kernel before 5.12 does not have the setting.
    pub(super) fn move_advertised(&self, config: &Config<'_>, place: usize) {
        let (Some(link), Some(known)) = (config.system.network.links.get(place), self.known.get(place)) else { return };
        if !link.has_slaac {
            return;
        }
        prefer_routers(config, place, known.is_silent);
        let mut gone: heapless::Vec<RouteEntry, ROUTERS> = heapless::Vec::new();
        let mut find = |kind: u16, body: &[u8]| {
            let route = RouteEntry::read(kind, body).filter(|route| route.is_kernels() && route.index == known.index);
            if let Some(route) = route.filter(|route| route.to.is_none() && route.gateway.is_some()) {
                let _ = gone.push(route);
            }
        };
        // It may already be gone.
        let _ = route_socket().and_then(|socket| each(&socket, &mut |writer| list(writer, List::Routes), &mut find));
        let _ = route_socket().and_then(|socket| {
            exchange(&socket, &mut |writer| gone.iter().for_each(|route| delete_kernel_route(writer, route)))
        });
    }

    /// Ends leases that have expired without being renewed: a link without a carrier has no client.
    pub(super) fn end_leases(&mut self, config: &Config<'_>, now: u64, console: &mut Console) {
        let mut has_changed = false;
        for place in 0..self.known.len() {
            if self.known[place].lease_ends_at.is_some_and(|at| at <= now) {
                self.with_link(config, place, &mut |links, link| links.end_lease(place, link, console));
                has_changed = true;
            }
        }
        if has_changed {
            self.retry(config, console);
            self.write_name_servers(config, console);
            self.has_news = true;
        }
    }

    /// Returns one of the time servers of the leases of the board's links, by its number.
    pub(crate) fn time_server(&self, number: usize) -> Option<IpAddr> {
        let mut left = number;
        for known in &self.known {
            let Some(lease) = known.lease.as_ref().filter(|_| known.inside.is_none()) else { continue };
            for server in &lease.time_servers {
                if server.is_unspecified() {
                    continue;
                }
                if left == 0 {
                    return Some(IpAddr::V4(*server));
                }
                left -= 1;
            }
        }
        None
    }

    /// Passes a line for each uplink and each lease to `tell`.
    pub(crate) fn describe(&self, config: &Config<'_>, tell: &mut dyn FnMut(&str)) {
        let mut say = |words: Arguments<'_>| tell(&text::<LINE_BYTES>(words));
        let links = &config.system.network.links;
        for is_ipv4 in [true, false] {
            let mut all = [Uplink::default(); limits::HOST_LINKS];
            for (uplink, (link, known)) in all.iter_mut().zip(links.iter().zip(&self.known)) {
                *uplink = known.uplink(link, is_ipv4);
            }
            for (place, link) in links.iter().enumerate() {
                let asks = if is_ipv4 { link.has_dhcp } else { link.has_slaac };
                if !asks && !all[place].has_router && link.gateways.iter().all(|gateway| gateway.is_ipv4() != is_ipv4) {
                    continue;
                }
                let (name, family) = (link.name, if is_ipv4 { "IPv4" } else { "IPv6" });
                match standing(&all[..links.len()], place) {
                    Standing::Used => say(format_args!("uplink {name} {family}: used")),
                    Standing::After(other) => {
                        let other = links.get(other).map_or("", |other| other.name);
                        say(format_args!("uplink {name} {family}: not used: {other} comes first"));
                    }
                    other => say(format_args!("uplink {name} {family}: not used: {}", other.reason())),
                }
            }
        }
        for (place, known) in self.known.iter().enumerate() {
            let Some(lease) = &known.lease else { continue };
            let name = self.name_of(config, place);
            let mut line =
                text::<LINE_BYTES>(format_args!("lease {name}: {} from {}", lease.prefix(), Ip(lease.server.into())));
            // Text that does not fit is cut off.
            let mut add = |words: Arguments<'_>| _ = append(&mut line, words);
            if let Some(ends_at) = known.lease_ends_at {
                add(format_args!(", {} s left", ends_at.saturating_sub(monotonic_ms()) / 1_000));
            }
            if lease.mtu > 0 {
                add(format_args!(", mtu {}", lease.mtu));
            }
            for (words, servers) in [(", name server", &lease.name_servers), (", time server", &lease.time_servers)] {
                for server in servers.iter().filter(|server| !server.is_unspecified()) {
                    add(format_args!("{words} {}", Ip((*server).into())));
                }
            }
            lease.search.iter().for_each(|domain| add(format_args!(", search {domain}")));
            tell(&line);
        }
        for (link, known) in links.iter().zip(&self.known).filter(|(_, known)| !known.names.is_empty()) {
            let mut line = text::<LINE_BYTES>(format_args!("router {}:", link.name));
            let mut add = |words: Arguments<'_>| _ = append(&mut line, words);
            let names = &known.names;
            if !names.router.is_unspecified() {
                add(format_args!(" {}", Ip(names.router.into())));
            }
            for server in names.servers.iter().filter(|server| !server.is_unspecified()) {
                add(format_args!(" name server {}", Ip((*server).into())));
            }
            names.search.iter().for_each(|domain| add(format_args!(" search {domain}")));
            tell(&line);
        }
    }
}
