//! The DHCPv4 client as one table: (state, event, now) -> what is sent and what has come of it (RFC 2131 4.4).
//!
//! | state | time | an offer | given | refused |
//! |---|---|---|---|---|
//! | selecting | asks everybody again, later each time | requesting | - | - |
//! | requesting | asks again, four times; then selecting | - | bound: new lease | selecting |
//! | bound | renewing | - | - | - |
//! | renewing | asks its server again; then rebinding | - | bound: lease again | selecting: lost |
//! | rebinding | asks everybody again; at the end selecting: lost | - | bound: lease again | selecting: lost |
//!
//! Time is that of a clock that only goes forward, in milliseconds.

mod frame;
mod lease;
mod overlap;

pub use frame::FRAME_BYTES;
pub use lease::{LEASE_BYTES, Lease, LeaseRoute, NAME_SERVERS, ROUTES};
pub use overlap::{By, Taken, advertised, taken};

use crate::config::Mac;
use core::net::Ipv4Addr;
use frame::{MessageKind, Request, ServerMessage};

/// The first and the longest pause between two questions, in milliseconds (RFC 2131 4.1).
const FIRST_PAUSE_MS: u64 = 2_000;
const LONGEST_PAUSE_MS: u64 = 64_000;
/// The shortest pause while a lease is renewed (RFC 2131 4.4.5), and while time for that runs out.
const RENEW_PAUSE_MS: u64 = 60_000;
/// Requests for one offer.
const REQUESTS: u32 = 4;
/// The shortest lease that is taken at its word: a server that gives less is not asked more often for that.
const SHORTEST_MS: u64 = 20_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Selecting,
    Requesting { address: Ipv4Addr, server: Ipv4Addr },
    Bound,
    Renewing,
    Rebinding,
}

/// What the client has, while it has something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ActiveLease {
    lease: Lease,
    server_mac: Mac,
    renew_at: u64,
    rebind_at: u64,
    ends_at: u64,
}

/// The name of the host that asks.
pub type HostName = heapless::String<{ crate::config::limits::HOSTNAME_BYTES }>;

/// What has come of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseEvent {
    /// Nothing.
    None,
    /// This lease, again or anew.
    Given(Lease),
    /// A server answered with what no link can have ([`Lease::fault`]): at most once for each question.
    Refused(Lease),
    /// The address is not to be used any more.
    Lost,
}

/// The client of one link.
#[derive(Debug)]
pub struct Client {
    mac: Mac,
    host_name: HostName,
    state: State,
    held: Option<ActiveLease>,
    /// Of the exchange that is going on, and when it began.
    id: u32,
    began: u64,
    /// How often was asked in this state, and when is asked next.
    tries: u32,
    ask_at: u64,
    chance: u32,
    /// An answer to the question was refused.
    has_refused: bool,
}

impl Client {
    /// Returns a client that begins to ask. It says that the host has the name `host_name`, unless that is empty. `chance` is any
    /// number; it makes exchanges differ.
    pub fn new(mac: Mac, host_name: HostName, chance: u32, now: u64) -> Self {
        let mut client = Self {
            mac,
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

    /// When [`Self::turn`] has something to do.
    pub fn deadline(&self) -> u64 {
        match (self.state, &self.held) {
            (State::Bound, Some(held)) => held.renew_at,
            (State::Renewing, Some(held)) => self.ask_at.min(held.rebind_at),
            (State::Rebinding, Some(held)) => self.ask_at.min(held.ends_at),
            _ => self.ask_at,
        }
    }

    /// Time has passed: what has come of it, and the length of the frame that is to be sent; 0 for none.
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
        (news, frame::write(self.mac, &self.host_name, &request, frame).unwrap_or(0))
    }

    /// Returns a frame has come: what has come of it. A frame may follow at once; see [`Self::deadline`].
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
                // Offer and request are one exchange.
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

    /// Whether a lease is extended by who gave it; once it looks for anybody, by anybody who says who it is.
    fn is_from_its_server(&self, answer: &ServerMessage) -> bool {
        let server = answer.lease.server;
        let is_held = self.held.is_some_and(|held| held.lease.server == server);
        is_held || (self.state == State::Rebinding && !server.is_unspecified())
    }

    /// Begins again, not at once: a server that always refuses would be asked without end.
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

    /// Milliseconds until the next question: twice as long each time, and a bit of chance; a part of what is left of a
    /// lease.
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
