//! Reads what routers and DHCPv6 servers announce on a link besides addresses and routes, which the kernel handles:
//! name servers and domains (RFC 8106), and whether a DHCPv6 server has more information (the flags of RFC 4861 4.2).
//! Such a server is only asked for that information (RFC 8415 6.1).
//!
//! This code runs in the sandboxed process of a link, because it reads untrusted input from the network.

mod frame;
mod names;

pub use frame::{QUESTION_BYTES, SOLICITATION_BYTES};
pub use names::{NAMES_BYTES, Names};

use crate::config::Mac;
use crate::deadline::earliest;
use crate::domains::{self, Domain};
use core::net::Ipv6Addr;
use heapless::Vec;

/// Maximum name servers, and maximum domains, that are kept with their lifetimes.
const KEPT: usize = 6;
/// The first and the longest delay in milliseconds between requests (`INF_TIMEOUT` and `INF_MAX_RT` of RFC 8415 7.6).
const FIRST_PAUSE_MS: u64 = 1_000;
const LONGEST_PAUSE_MS: u64 = 3_600_000;
/// How often routers are solicited until one answers, the milliseconds between two solicitations (RFC 4861 10), and
/// those before the first one.
const SOLICITATIONS: u32 = 3;
const SOLICIT_PAUSE_MS: u64 = 4_000;
const SOLICIT_DELAY_MS: u64 = 500;
/// Seconds after which a server is asked again: the default and the minimum (RFC 8415 7.6).
const REFRESH_S: u32 = 86_400;
const SHORTEST_REFRESH_S: u32 = 600;

/// The state of the routers of one link.
#[derive(Debug)]
pub struct Listener {
    mac: Mac,
    /// Name servers, and the time in milliseconds at which each expires.
    servers: Vec<(Ipv6Addr, u64), KEPT>,
    domains: Vec<(Domain, u64), KEPT>,
    /// The default router, and when it expires.
    router: Option<(Ipv6Addr, u64)>,
    /// When routers are solicited next, and how many times more.
    solicit_at: u64,
    solicitations: u32,
    /// A router has announced that DHCPv6 servers have more information.
    has_server: bool,
    /// When servers are asked next; how often they were asked; the transaction id.
    ask_at: Option<u64>,
    tries: u32,
    id: u32,
    began: u64,
    /// The last reported state.
    reported: Names,
}

impl Listener {
    /// Nothing has been received yet. `chance` is any number; it makes transaction ids differ.
    pub fn new(mac: Mac, chance: u32, now: u64) -> Self {
        Self {
            mac,
            solicit_at: now,
            solicitations: SOLICITATIONS,
            servers: Vec::new(),
            domains: Vec::new(),
            router: None,
            has_server: false,
            ask_at: None,
            tries: 0,
            id: chance & 0xff_ffff,
            began: 0,
            reported: Names::NOTHING,
        }
    }

    /// Returns the time in milliseconds at which [`Self::turn`] or [`Self::news`] must be called; `None` for never.
    pub fn deadline(&self) -> Option<u64> {
        let server = self.servers.iter().map(|(_, at)| *at).min();
        let domain = self.domains.iter().map(|(_, at)| *at).min();
        let solicit_at = Some(self.solicit_at).filter(|_| self.solicitations > 0);
        earliest(&[server, domain, self.router.map(|(_, at)| at), self.ask_at, solicit_at])
    }

    /// Solicits routers again soon, so that the kernel processes their advertisements again.
    pub const fn ask_routers(&mut self, now: u64) {
        (self.solicit_at, self.solicitations) = (now + SOLICIT_DELAY_MS, SOLICITATIONS);
    }

    /// Handles a deadline. Returns the length of the solicitation to send; 0 for none.
    pub fn solicit(&mut self, now: u64, frame: &mut [u8; SOLICITATION_BYTES]) -> usize {
        if self.solicitations == 0 || now < self.solicit_at {
            return 0;
        }
        self.solicitations -= 1;
        self.solicit_at = now + SOLICIT_PAUSE_MS;
        *frame = frame::solicitation(self.mac);
        frame.len()
    }

    /// Handles a frame that may be a router advertisement.
    pub fn receive_frame(&mut self, now: u64, frame: &[u8]) {
        let Some(said) = frame::read_advertisement(frame) else { return };
        self.solicitations = 0;
        if said.lifetime_s > 0 {
            self.router = Some((said.router, ends(now, u32::from(said.lifetime_s))));
        } else {
            self.router.take_if(|(router, _)| *router == said.router);
        }
        let mut options = said.options;
        while let Some((kind, option)) = frame::next_option(&mut options) {
            let Some((seconds, rest)) = frame::lifetime(option) else { continue };
            match kind {
                frame::NAME_SERVERS => {
                    rest.as_chunks::<16>().0.iter().for_each(|server| self.keep_server((*server).into(), now, seconds));
                }
                frame::DOMAINS => domains::read(rest, &mut |domain| self.keep_domain(domain, now, seconds)),
                _ => {}
            }
        }
        if said.has_server && !self.has_server {
            self.begin(now);
        }
        self.has_server = said.has_server;
        if !said.has_server {
            self.ask_at = None;
        }
    }

    /// Handles a datagram from a DHCPv6 server.
    pub fn answer(&mut self, now: u64, datagram: &[u8]) {
        if !self.has_server || self.tries == 0 {
            return;
        }
        let Some(mut options) = frame::read_reply(self.mac, self.id, datagram) else { return };
        let mut refresh_s = REFRESH_S;
        let (mut servers, mut list) = (&[][..], &[][..]);
        while let Some((kind, data)) = frame::next_option_6(&mut options) {
            match kind {
                23 => servers = data,
                24 => list = data,
                32 => refresh_s = frame::seconds(data).unwrap_or(REFRESH_S).max(SHORTEST_REFRESH_S),
                _ => {}
            }
        }
        // The information is kept for twice the refresh time, so that one lost refresh does no harm.
        let seconds = refresh_s.saturating_mul(2);
        servers.as_chunks::<16>().0.iter().for_each(|server| self.keep_server((*server).into(), now, seconds));
        domains::read(list, &mut |domain| self.keep_domain(domain, now, seconds));
        self.begin(ends(now, refresh_s));
    }

    /// Handles a deadline. Returns the length of the request to send; 0 for none.
    pub fn turn(&mut self, now: u64, question: &mut [u8; QUESTION_BYTES]) -> usize {
        if self.ask_at.is_none_or(|at| now < at) {
            return 0;
        }
        if self.tries == 0 {
            self.began = now;
        }
        let pause = (FIRST_PAUSE_MS << self.tries.min(12)).min(LONGEST_PAUSE_MS);
        // Up to a tenth of random jitter.
        self.ask_at = Some(now + pause + pause / 10 * u64::from(self.id & 7) / 7);
        self.tries += 1;
        frame::write_question(self.mac, self.id, now - self.began, question)
    }

    /// Removes expired information. Returns the current state if it differs from the one last returned.
    pub fn news(&mut self, now: u64) -> Option<Names> {
        forget(&mut self.servers, now);
        forget(&mut self.domains, now);
        self.router.take_if(|(_, at)| *at <= now);
        let mut names = Names::NOTHING;
        for (place, (server, _)) in names.servers.iter_mut().zip(&self.servers) {
            *place = *server;
        }
        names.router = self.router.map_or(Ipv6Addr::UNSPECIFIED, |(router, _)| router);
        self.domains.iter().for_each(|(domain, _)| names.search.push(domain));
        let is_new = names != self.reported;
        self.reported = names;
        is_new.then_some(names)
    }

    fn begin(&mut self, at: u64) {
        self.id = self.id.wrapping_mul(1_664_525).wrapping_add(1_013_904_223) & 0xff_ffff;
        (self.ask_at, self.tries) = (Some(at), 0);
    }

    fn keep_server(&mut self, server: Ipv6Addr, now: u64, seconds: u32) {
        if !server.is_unspecified() && !server.is_loopback() && !server.is_multicast() {
            keep(&mut self.servers, server, now, seconds);
        }
    }

    fn keep_domain(&mut self, domain: &str, now: u64, seconds: u32) {
        if let Ok(domain) = Domain::try_from(domain) {
            keep(&mut self.domains, domain, now, seconds);
        }
    }
}

/// Keeps a value for the given seconds; 0 removes it. If the list is full, the value is dropped.
fn keep<T: PartialEq>(list: &mut Vec<(T, u64), KEPT>, new: T, now: u64, seconds: u32) {
    match list.iter().position(|(known, _)| *known == new) {
        Some(place) if seconds == 0 => _ = list.remove(place),
        Some(place) => list[place].1 = ends(now, seconds),
        None if seconds > 0 => _ = list.push((new, ends(now, seconds))),
        None => {}
    }
}

/// Removes the values whose time has come.
fn forget<T>(list: &mut Vec<(T, u64), KEPT>, now: u64) {
    while let Some(place) = list.iter().position(|(_, at)| *at <= now) {
        list.remove(place);
    }
}

/// Returns when a lifetime in seconds ends; `u32::MAX` never ends.
fn ends(now: u64, seconds: u32) -> u64 {
    if seconds == u32::MAX { u64::MAX } else { now + u64::from(seconds) * 1_000 }
}

#[cfg(test)]
mod tests;
