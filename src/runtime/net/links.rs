//! The board's own links, which may come and go.
//!
//! A link is configured when the kernel reports it: at boot, or when it is plugged in. Nothing waits for links. A link
//! without a carrier or a lease is reported once after a delay. A link with DHCP has a client process while it has a
//! carrier ([`super::client`]); its leases are applied here.

use super::advertised::use_advertisements;
use super::client::{self, ClientEvent, Running};
use super::host_link::{is_meant, set_up};
use super::inside::own_path;
use super::link_state::{HostLinks, LinkState, PATIENCE_MS};
use super::{each_link, route_socket};
use crate::console::Console;
use crate::os::clock::monotonic_ms;
use crate::os::environment::Environment;
use crate::os::errno::describe;
use crate::os::hostname;
use crate::os::turn::{LEASES, LINK_MESSAGES};
use core::net::{IpAddr, Ipv4Addr};
use heapless::Vec;
use hilum::config::{Attachment, Config, HostLink, Ip, LinkMatch, limits};
use hilum::deadline::earliest;
use hilum::dhcp::NAME_SERVERS;
use hilum::domains::{SEARCH_BYTES, Search};
use hilum::fixed_string::append;
use hilum::netlink::{LinkEntry, Message, Messages};
use hilum::plan::RESOLV;
use hilum::router::Names;
use hilum::text;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

/// Milliseconds until a client that exited is restarted.
const AGAIN_MS: u64 = 5_000;
/// Bytes of the file of name servers: three lines of at most 80 bytes, and one with domains.
const RESOLV_BYTES: usize = 3 * 80 + SEARCH_BYTES + 16;

impl HostLinks {
    /// Creates the service without links.
    pub(crate) fn none() -> Self {
        let mut known = Vec::new();
        for _ in 0..limits::HOST_LINKS {
            // There is room.
            let _ = known.push(LinkState::new(0, false));
        }
        Self { environment: Environment::Container, empty: "", socket: None, known, report_at: None, has_news: true }
    }

    /// Follows the links of the configuration; existing ones must be checked by [`Self::look`].
    pub(crate) fn follow(
        environment: Environment,
        config: &Config<'_>,
        empty: &'static str,
        console: &mut Console,
    ) -> Self {
        let mut links = Self { environment, empty, ..Self::none() };
        if !config.system.network.links.is_empty() {
            match follow(use_advertisements(config)) {
                Ok(socket) => {
                    links.socket = Some(socket);
                    links.report_at = Some(monotonic_ms() + PATIENCE_MS);
                }
                Err(errno) => console.error(format_args!("links: {}", describe(errno))),
            }
        }
        let wants_names = config.workloads.iter().any(|workload| workload.network.has_resolv);
        if wants_names || !config.system.network.name_servers.is_empty() {
            links.write_name_servers(config, console);
        }
        links
    }

    /// Returns the socket for link events.
    pub(crate) fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    /// Returns when [`Self::turn`] must be called.
    pub(crate) fn deadline(&self) -> Option<u64> {
        let links = self.known.iter().filter_map(|known| earliest(&[known.start_at, known.lease_ends_at]));
        earliest(&[links.min(), self.report_at])
    }

    /// Configures existing links.
    pub(crate) fn look(&mut self, config: &Config<'_>, console: &mut Console) {
        let result =
            route_socket().and_then(|socket| each_link(&socket, &mut |entry| self.handle_link(config, entry, console)));
        let result =
            result.and_then(|()| if use_advertisements(config) { self.sweep(config, console) } else { Ok(()) });
        if let Err(errno) = result {
            console.error(format_args!("links: {}", describe(errno)));
        }
    }

    /// Reads link events.
    pub(crate) fn read(&mut self, config: &Config<'_>, console: &mut Console) {
        let mut buffer = [0; 4096];
        for _ in 0..LINK_MESSAGES {
            let Some(socket) = &self.socket else { return };
            match recv(socket, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((length, _)) => {
                    for message in Messages::of(&buffer[..length.min(buffer.len())]) {
                        let Ok(Message::Entry(kind, body)) = message else { continue };
                        match LinkEntry::read(kind, body) {
                            Some(entry) => self.handle_link(config, &entry, console),
                            None => self.check_advertised(config, kind, body, console),
                        }
                    }
                }
                // Events were lost: check everything again.
                Err(Errno::NOBUFS) => return self.look(config, console),
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    /// Starts clients that are due, and reports links that lack a carrier or a lease for too long. `watch` adds a
    /// client's socket to the event loop.
    pub(crate) fn turn(
        &mut self,
        config: &Config<'_>,
        now: u64,
        console: &mut Console,
        mut watch: impl FnMut(BorrowedFd<'_>, usize),
    ) {
        self.end_leases(config, now, console);
        for place in 0..self.known.len() {
            if self.known[place].start_at.take_if(|at| *at <= now).is_none() {
                continue;
            }
            self.with_link(config, place, &mut |links, link| {
                let Some(task) = links.task(config, place, link) else { return };
                let known = &mut links.known[place];
                match client::start(&task, links.empty) {
                    Ok(client) => {
                        watch(client.socket.as_fd(), place);
                        known.client = Some(client);
                    }
                    Err(errno) => {
                        known.start_at = Some(now + AGAIN_MS);
                        console.info(format_args!("link {}: {}: {}", link.name, helper_of(link), describe(errno)));
                    }
                }
            });
        }
        if self.report_at.is_none_or(|at| now < at) {
            return;
        }
        self.report_at = None;
        for place in 0..self.known.len() {
            self.with_link(config, place, &mut |links, link| links.known[place].report(link, console));
        }
    }
    /// Returns the socket of a link's client.
    pub(crate) fn client(&self, place: usize) -> Option<BorrowedFd<'_>> {
        self.known.get(place)?.client.as_ref().map(|client| client.socket.as_fd())
    }

    /// Reads a message from the client of a link. Returns whether there may be more.
    pub(crate) fn read_client(&mut self, config: &Config<'_>, place: usize, console: &mut Console) -> bool {
        let mut has_more = false;
        self.with_link(config, place, &mut |links, link| has_more = links.read_words(config, place, link, console));
        self.retry(config, console);
        self.write_name_servers(config, console);
        has_more
    }

    fn read_words(&mut self, config: &Config<'_>, place: usize, link: &HostLink<'_>, console: &mut Console) -> bool {
        for _ in 0..LEASES {
            let known = &mut self.known[place];
            let Some(word) = known.client.as_ref().and_then(Running::recv) else { return false };
            match word {
                ClientEvent::Given(lease) => self.given(config, place, link, lease, console),
                ClientEvent::Lost => {
                    known.refused = None;
                    self.end_lease(place, link, console);
                }
                ClientEvent::Names(names) => known.names = names,
                ClientEvent::Silent(is_silent) => self.set_probe_state(config, place, is_silent, console),
                ClientEvent::Ended => {
                    // The next client does not have the reports of this one.
                    (known.client, known.names) = (None, Names::NOTHING);
                    known.start_at = Some(monotonic_ms() + AGAIN_MS);
                    console.info(format_args!("link {}: its {} exited; restarting it", link.name, helper_of(link)));
                    if core::mem::take(&mut known.is_silent) {
                        self.set_routes(place, link, console);
                        self.move_advertised(config, place);
                    }
                    return false;
                }
                ClientEvent::Nothing => {}
            }
        }
        true
    }

    fn handle_link(&mut self, config: &Config<'_>, entry: &LinkEntry<'_>, console: &mut Console) {
        let (is_settled, mut has_changed) = (self.report_at.is_none(), false);
        for (place, link) in config.system.network.links.iter().enumerate() {
            let known = &mut self.known[place];
            if entry.is_gone {
                if known.index == entry.index {
                    let mut inner =
                        config.workloads.iter().flat_map(|workload| config.pools.of(workload.network.links));
                    let is_given = inner.any(|inner| inner.attachment == Attachment::Physical(link.name));
                    has_changed |= known.lease.is_some();
                    *known = LinkState::new(0, !is_given);
                    self.follow_parent(config, link.name, false);
                    if is_given {
                        continue;
                    }
                    console.info(format_args!("link {}: removed", link.name));
                }
                continue;
            }
            // A known link takes precedence over a new one with the same MAC address.
            let is_another = known.index != 0 && !matches!(link.which, LinkMatch::Name);
            if known.index != entry.index && (is_another || !is_meant(config, link, entry)) {
                continue;
            }
            if known.index != entry.index {
                *known = LinkState::new(entry.index, known.is_reported);
                if let Err(errno) = set_up(config, link, entry) {
                    console.info(format_args!("link {}: {}", link.name, describe(errno)));
                }
            }
            if place == 0 && known.mac != entry.mac {
                hostname::set(self.environment, config, entry.mac, &mut |line| console.error(line));
            }
            (known.mac, known.mtu) = (entry.mac, entry.mtu);
            if known.has_carrier != entry.has_carrier {
                known.has_carrier = entry.has_carrier;
                // Initially the carrier comes and goes with the driver's set-up.
                if known.is_reported || (is_settled && !entry.has_carrier) {
                    known.is_reported = true;
                    let what = if entry.has_carrier { "carrier up" } else { "carrier lost" };
                    console.info(format_args!("link {}: {what}", link.name));
                }
                // Closing the socket ends the client. The cable may have been moved to another network, so a new client
                // starts over. The lease stays until then, or until it ends; its routes have the lowest preference
                // until it is confirmed.
                known.client = None;
                known.refused = None;
                (known.is_confirmed, known.names) = (false, Names::NOTHING);
                has_changed = true;
                // Without a MAC address, a link cannot use DHCP and router advertisements.
                let asks = (link.has_dhcp || link.has_slaac) && known.mac.is_some();
                known.start_at = (entry.has_carrier && (asks || link.probe.is_some())).then(monotonic_ms);
                if core::mem::take(&mut known.is_silent) {
                    self.move_advertised(config, place);
                }
                self.set_routes(place, link, console);
                self.follow_parent(config, link.name, entry.has_carrier);
            }
        }
        if has_changed {
            self.retry(config, console);
            self.write_name_servers(config, console);
            self.has_news = true;
        }
    }

    /// Writes the files of name servers for workloads with `resolv`: one for all, and one for each workload with leases of
    /// its own.
    pub(super) fn write_name_servers(&self, config: &Config<'_>, console: &mut Console) {
        if self.environment == Environment::Container {
            return;
        }
        self.write_name_servers_of(config, None, RESOLV.source, console);
        for inside in self.known.iter().filter_map(|known| known.inside.as_ref()) {
            if let Some((workload, _)) = inside.lines(config) {
                self.write_name_servers_of(config, Some(inside.slot), &own_path(workload.name), console);
            }
        }
    }

    /// Writes those of the workload in a slot, or of the board, in place: workloads have this very file. One that was given
    /// none has the board's.
    fn write_name_servers_of(&self, config: &Config<'_>, slot: Option<usize>, path: &str, console: &mut Console) {
        let mut text: heapless::String<RESOLV_BYTES> = heapless::String::new();
        // A server from outside cannot make workloads of this board its name servers.
        let is_behind = |server: &IpAddr| {
            let mut prefixes = config.system.network.bridges.iter().flat_map(|bridge| &bridge.addresses);
            prefixes.any(|prefix| prefix.contains(*server))
        };
        let is_good = |server: &IpAddr| {
            !server.is_unspecified() && !server.is_loopback() && !server.is_multicast() && !is_behind(server)
        };
        // With the index of the reporting link; 0 for a line of the configuration.
        let mut servers: Vec<(IpAddr, u32), { limits::NAME_SERVERS }> =
            config.system.network.name_servers.iter().map(|server| (*server, 0)).collect();
        let (mut search, own) = (Search::EMPTY, servers.len());
        // Servers of links with low preference are only used if there are no others.
        let passes = [(slot, false), (slot, true), (None, false), (None, true)];
        for (slot, stands_back) in passes {
            let is_counted = |known: &&LinkState| {
                known.inside.as_ref().map(|inside| inside.slot) == slot && known.stands_back() == Some(stands_back)
            };
            for known in self.known.iter().filter(is_counted) {
                let lease = known.lease.as_ref();
                let by_lease = lease.map_or([Ipv4Addr::UNSPECIFIED; NAME_SERVERS], |lease| lease.name_servers);
                let by_lease = by_lease.map(IpAddr::V4);
                let by_router = known.names.servers.map(IpAddr::V6);
                for server in by_lease.iter().chain(&by_router).filter(|server| is_good(server)) {
                    // As many as there is room for.
                    let _ = servers.push((*server, known.index));
                }
                let searches = lease.map(|lease| &lease.search).into_iter().chain([&known.names.search]);
                searches.flat_map(Search::iter).for_each(|domain| search.push(domain));
            }
            if servers.len() > own {
                break;
            }
        }
        let links = &config.system.network.links;
        for (server, index) in &servers {
            let _ = append(&mut text, format_args!("nameserver {}", Ip(*server)));
            let is_of_link = matches!(server, IpAddr::V6(address) if address.is_unicast_link_local());
            let mut known = self.known.iter().zip(links).filter(|(known, _)| is_of_link && known.index == *index);
            if let Some((_, link)) = known.next() {
                let _ = append(&mut text, format_args!("%{}", link.name));
            }
            let _ = append(&mut text, format_args!("\n"));
        }
        if !search.text().is_empty() {
            let _ = append(&mut text, format_args!("search {}\n", search.text()));
        }
        // The file is never empty in between, because a reader would then have no name server.
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = crate::os::path::open(path, flags, Mode::from_raw_mode(0o644));
        let written = file.and_then(|file| {
            rustix::io::write(&file, text.as_bytes())?;
            rustix::fs::ftruncate(&file, text.len() as u64)
        });
        if let Err(errno) = written {
            console.error(format_args!("{path}: {}", describe(errno)));
        }
    }
}

impl LinkState {
    /// Reports that a link has no carrier, or no lease, in time.
    fn report(&mut self, link: &HostLink<'_>, console: &mut Console) {
        let what = match self {
            Self { is_reported: true, .. } => return,
            Self { index: 0, .. } => text!("not found"),
            Self { has_carrier: false, .. } => text!("no carrier; check the cable"),
            Self { lease: None, refused: None, .. } if link.has_dhcp => {
                text!("no DHCP server has answered; still asking")
            }
            _ => return,
        };
        self.is_reported = true;
        console.info(format_args!("link {}: {what}", link.name));
    }
}

/// Returns the name of a link's client process in messages.
const fn helper_of(link: &HostLink<'_>) -> &'static str {
    if link.has_dhcp { "DHCP client" } else { "helper process" }
}

/// Returns a socket for link events (RTNLGRP_LINK), and for IPv6 addresses and routes (RTNLGRP_IPV6_IFADDR,
/// RTNLGRP_IPV6_ROUTE) if router advertisements are used.
fn follow(has_routers: bool) -> Result<OwnedFd, Errno> {
    const LINKS: u32 = 1;
    const ADVERTISED: u32 = 1 << 8 | 1 << 10;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, if has_routers { LINKS | ADVERTISED } else { LINKS }))?;
    Ok(socket)
}
