//! The DHCPv4 client as a table: (state, event, now) -> the frame to send and the result (RFC 2131 4.4).
//!
//! | state | timeout | DHCPOFFER | DHCPACK | DHCPNAK |
//! |---|---|---|---|---|
//! | selecting | broadcast again, with growing delays | requesting | - | - |
//! | requesting | ask again, four times; then selecting | - | bound: new lease | selecting |
//! | bound | renewing | - | - | - |
//! | renewing | ask the server again; then rebinding | - | bound: lease extended | selecting: lost |
//! | rebinding | broadcast again; at expiry selecting: lost | - | bound: lease extended | selecting: lost |
//!
//! Times are milliseconds of a monotonic clock.

mod frame;
mod lease;
mod overlap;

pub use frame::FRAME_BYTES;
pub use lease::{LEASE_BYTES, Lease, LeaseRoute, NAME_SERVERS, ROUTES};
pub use overlap::{By, Taken, advertised, taken, taken_inside};

use crate::config::Mac;
use core::net::Ipv4Addr;
use frame::{MessageKind, Request, ServerMessage};

/// The first and the longest delay between requests, in milliseconds (RFC 2131 4.1).
const FIRST_PAUSE_MS: u64 = 2_000;
const LONGEST_PAUSE_MS: u64 = 64_000;
/// The shortest delay while renewing (RFC 2131 4.4.5), and near the end of the lease.
const RENEW_PAUSE_MS: u64 = 60_000;
/// Requests for one offer.
const REQUESTS: u32 = 4;
/// The shortest lease time that is honoured: a shorter lease does not cause more frequent requests.
const SHORTEST_MS: u64 = 20_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Selecting,
    Requesting { address: Ipv4Addr, server: Ipv4Addr },
    Bound,
    Renewing,
    Rebinding,
}

/// The client's lease and its deadlines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ActiveLease {
    lease: Lease,
    server_mac: Mac,
    renew_at: u64,
    rebind_at: u64,
    ends_at: u64,
}

/// The host name that the client sends.
pub type HostName = heapless::String<{ crate::config::limits::HOSTNAME_BYTES }>;

/// The result of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseEvent {
    /// Nothing.
    None,
    /// The lease was granted or extended.
    Given(Lease),
    /// A server offered an unusable lease ([`Lease::fault`]). Reported at most once per request.
    Refused(Lease),
    /// The address must no longer be used.
    Lost,
}

/// The client of one link.
#[derive(Debug)]
pub struct Client {
    mac: Mac,
    /// Whether another client has the same MAC address.
    shares_mac: bool,
    host_name: HostName,
    state: State,
    held: Option<ActiveLease>,
    /// The transaction id, and when the transaction began.
    id: u32,
    began: u64,
    /// The number of requests in this state, and when the next one is due.
    tries: u32,
    ask_at: u64,
    chance: u32,
    /// Whether a reply to this request was refused.
    has_refused: bool,
}

impl Client {
    /// Creates a client that starts to look for a server. It sends the host name unless it is empty. `chance` is any
    /// number; it makes transaction ids differ. A client that shares its MAC address with others (ipvlan) uses its name as a
    /// client identifier, and requests broadcast replies.
    pub fn new(mac: Mac, shares_mac: bool, host_name: HostName, chance: u32, now: u64) -> Self {
        let mut client = Self {
            mac,
            shares_mac,
            host_name,
            state: State::Selecting,
            held: None,
            id: 0,
            began: now,
            tries: 0,
            ask_at: now,
            chance: chance | 1,
            has_refused: false,
        };
        client.enter(State::Selecting, now);
        client
    }

    /// Returns when [`Self::turn`] must be called.
    pub fn deadline(&self) -> u64 {
        match (self.state, &self.held) {
            (State::Bound, Some(held)) => held.renew_at,
            (State::Renewing, Some(held)) => self.ask_at.min(held.rebind_at),
            (State::Rebinding, Some(held)) => self.ask_at.min(held.ends_at),
            _ => self.ask_at,
        }
    }

    /// Handles a deadline. Returns the result, and the length of the frame to send; 0 for none.
    pub fn turn(&mut self, now: u64, frame: &mut [u8; FRAME_BYTES]) -> (LeaseEvent, usize) {
        let mut news = LeaseEvent::None;
        match (self.state, self.held) {
            (State::Bound, Some(held)) if held.renew_at <= now => self.enter(State::Renewing, now),
            (State::Renewing, Some(held)) if held.rebind_at <= now => self.enter(State::Rebinding, now),
            (State::Requesting { .. }, _) if self.ask_at <= now && self.tries >= REQUESTS => {
                self.enter(State::Selecting, now);
            }
            _ => {}
        }
        if let (State::Rebinding | State::Renewing, Some(ActiveLease { ends_at, .. })) = (self.state, self.held)
            && ends_at <= now
        {
            self.held = None;
            self.enter(State::Selecting, now);
            news = LeaseEvent::Lost;
        }
        if self.state == State::Bound || self.ask_at > now {
            return (news, 0);
        }
        let request = self.request(now);
        self.tries += 1;
        self.has_refused = false;
        self.ask_at = now + self.pause(now);
        (news, frame::write((self.mac, self.shares_mac), &self.host_name, &request, frame).unwrap_or(0))
    }

    /// Handles a received frame. Another frame may have to be sent at once; see [`Self::deadline`].
    pub fn receive(&mut self, now: u64, frame: &[u8]) -> LeaseEvent {
        let Some(answer) = frame::read(self.mac, frame).filter(|answer| answer.id == self.id) else {
            return LeaseEvent::None;
        };
        let is_sane = answer.lease.is_sane();
        match (self.state, answer.kind) {
            (State::Selecting, MessageKind::Offer)
            | (State::Requesting { .. } | State::Renewing | State::Rebinding, MessageKind::Given)
                if !is_sane =>
            {
                let is_told = core::mem::replace(&mut self.has_refused, true);
                if is_told { LeaseEvent::None } else { LeaseEvent::Refused(answer.lease) }
            }
            (State::Selecting, MessageKind::Offer) if !answer.lease.server.is_unspecified() => {
                let id = self.id;
                self.enter(State::Requesting { address: answer.lease.address, server: answer.lease.server }, now);
                // Offer and request use the same transaction id.
                self.id = id;
                LeaseEvent::None
            }
            (State::Requesting { address, server }, MessageKind::Given)
                if answer.lease.address == address && answer.lease.server == server =>
            {
                self.hold(&answer, now)
            }
            (State::Renewing | State::Rebinding, MessageKind::Given) if self.is_from_its_server(&answer) => {
                self.hold(&answer, now)
            }
            (State::Requesting { server, .. }, MessageKind::Refused) if answer.lease.server == server => {
                self.refused(now);
                LeaseEvent::None
            }
            (State::Renewing | State::Rebinding, MessageKind::Refused) if self.is_from_its_server(&answer) => {
                self.held = None;
                self.refused(now);
                LeaseEvent::Lost
            }
            _ => LeaseEvent::None,
        }
    }

    /// Returns whether a reply may extend the lease: while renewing it must come from the lease's server; while
    /// rebinding, from any server that identifies itself.
    fn is_from_its_server(&self, answer: &ServerMessage) -> bool {
        let server = answer.lease.server;
        let is_held = self.held.is_some_and(|held| held.lease.server == server);
        is_held || (self.state == State::Rebinding && !server.is_unspecified())
    }

    /// Starts over after a delay, because a server that always refuses would be asked without end.
    fn refused(&mut self, now: u64) {
        self.enter(State::Selecting, now);
        self.ask_at = now + FIRST_PAUSE_MS;
    }

    fn hold(&mut self, answer: &ServerMessage, now: u64) -> LeaseEvent {
        let lease_ms = (u64::from(answer.lease.seconds) * 1_000).max(SHORTEST_MS);
        let renew_ms = answer.renew_ms.filter(|ms| *ms < lease_ms).unwrap_or(lease_ms / 2).max(SHORTEST_MS / 2);
        let rebind_ms = answer.rebind_ms.filter(|ms| *ms < lease_ms && *ms > renew_ms).unwrap_or(lease_ms / 8 * 7);
        let ends_ms = if answer.lease.seconds == u32::MAX { u64::MAX / 2 } else { lease_ms };
        self.held = Some(ActiveLease {
            lease: answer.lease,
            server_mac: answer.from,
            renew_at: now + renew_ms,
            rebind_at: now + rebind_ms.max(renew_ms),
            ends_at: now + ends_ms,
        });
        self.state = State::Bound;
        LeaseEvent::Given(answer.lease)
    }

    fn enter(&mut self, state: State, now: u64) {
        (self.state, self.tries, self.ask_at) = (state, 0, now);
        self.chance = self.chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.id = self.chance;
        if !matches!(state, State::Requesting { .. }) {
            self.began = now;
        }
    }

    fn request(&self, now: u64) -> Request {
        let seconds = u16::try_from(now.saturating_sub(self.began) / 1_000).unwrap_or(u16::MAX);
        let nothing =
            Request { is_discover: false, id: self.id, seconds, own: None, wanted: None, server: None, to: None };
        match (self.state, self.held) {
            (State::Requesting { address, server }, _) => {
                Request { wanted: Some(address), server: Some(server), ..nothing }
            }
            (State::Renewing, Some(held)) => {
                Request { own: Some(held.lease.address), to: Some((held.lease.server, held.server_mac)), ..nothing }
            }
            (State::Rebinding, Some(held)) => Request { own: Some(held.lease.address), ..nothing },
            _ => Request { is_discover: true, ..nothing },
        }
    }

    /// Returns the delay to the next request: exponential with jitter, or a fraction of the remaining lease time.
    fn pause(&mut self, now: u64) -> u64 {
        let left =
            |until: u64| (until.saturating_sub(now) / 2).clamp(RENEW_PAUSE_MS.min(SHORTEST_MS / 4), RENEW_PAUSE_MS);
        match (self.state, self.held) {
            (State::Renewing, Some(held)) => left(held.rebind_at),
            (State::Rebinding, Some(held)) => left(held.ends_at),
            _ => {
                self.chance = self.chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let pause = (FIRST_PAUSE_MS << self.tries.saturating_sub(1).min(5)).min(LONGEST_PAUSE_MS);
                pause + u64::from(self.chance >> 16) % 1_000
            }
        }
    }
}

#[cfg(test)]
mod tests;
