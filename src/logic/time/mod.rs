//! The board's clock: SNTP answers (RFC 4330, and the client part of RFC 5905) -> steps and small corrections.
//!
//! | clock | answers | what follows |
//! |---|---|---|
//! | not right | fewer than half of the servers | asked again after 2 s, 4 s, ... 64 s; the fifth time one is enough |
//! | not right | a time before the floor or behind the limit | refused |
//! | not right | otherwise | set to the median |
//! | right | less than [`STEP_US`] away | slewed; the interval grows from 32 s to 2048 s |
//! | right | further away, between floor and limit | set again, and told |
//!
//! Times of the clock are microseconds since 1970; all others are milliseconds of a monotonic clock.

use crate::text;
use crate::text::Text;

mod calendar;
mod packet;

pub use calendar::Utc;
pub use packet::{PACKET_BYTES, answer, request};

/// Maximum time servers.
pub const SERVERS: usize = 4;
/// The earliest time in seconds that any clock can have: 2026-01-01, before this program existed.
pub const EARLIEST_S: i64 = 1_767_225_600;
/// How long after the image's build time a time is still believed: 20 years, in microseconds.
const LIMIT_US: i64 = 20 * 365 * 86_400 * 1_000_000;
/// Offsets from here on are steps (as in systemd-timesyncd): the kernel slews 500 ppm, so that this takes a quarter of an
/// hour.
pub const STEP_US: u64 = 400_000;
/// Offsets up to here permit a longer interval.
const SMALL_US: u64 = 10_000;
/// The exponents of the shortest and the longest interval in seconds, as powers of two.
const SHORTEST: u8 = 5;
const LONGEST: u8 = 11;
/// The longest interval of a clock that is not right yet.
const RETRY: u8 = 6;
/// Milliseconds from the change of a link to the next requests.
const LINK_MS: u64 = 1_000;
/// Rounds of requests after which answers of a minority are enough.
const ROUNDS: u8 = 4;

/// What a clock is worth: nobody sets it, it is not right yet, it is right.
pub const STATES: [&str; 3] = ["off", "waiting", "right"];

/// What a server has answered, as one number: an offset in microseconds, or one of these. An offset of so few microseconds is
/// given as the next larger one.
pub type Sample = i64;
/// No usable answer.
pub const SILENT: Sample = 0;
/// The kiss-o'-death RATE: fewer requests are wanted.
pub const RATE: Sample = 1;
/// The kiss-o'-death DENY or RSTR: no more requests are wanted.
pub const DENIED: Sample = 2;

/// What is done with the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Correction {
    /// By how many microseconds.
    pub by_us: i64,
    /// Whether it is set at once. Otherwise the kernel slews it.
    pub is_step: bool,
}

/// What is known about a server, in the order of [`Verdict::TEXTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was not asked yet.
    Unasked,
    /// It gave no usable answer.
    Silent,
    /// Its time is between the floor and the limit.
    Good,
    /// Its time is before the floor.
    Early,
    /// Its time is behind the limit.
    Late,
    /// It asks for fewer requests.
    Rate,
    /// It refuses to serve, and is not asked again.
    Denied,
}

impl Verdict {
    /// Their texts.
    pub const TEXTS: [Text; 7] = [
        text!("is not asked yet"),
        text!("gives no answer"),
        text!("is used"),
        text!("is refused: before the floor"),
        text!("is refused: more than 20 years after the image"),
        text!("asks for fewer requests (kiss-o'-death RATE)"),
        text!("refuses to serve (kiss-o'-death)"),
    ];

    /// Returns its text.
    pub const fn text(self) -> Text {
        Self::TEXTS[self as usize]
    }
}

/// What the clock is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clock {
    /// No time before this one is believed, and none behind the limit.
    floor_us: i64,
    limit_us: i64,
    is_right: bool,
    /// The interval of requests in seconds is `1 << exponent`. RATE raises the least one.
    exponent: u8,
    least: u8,
    /// Rounds of requests since the servers are known, at most 255.
    rounds: u8,
    /// The offsets of this round that are believed, in their order, and their number.
    offsets: [i64; SERVERS],
    good: usize,
    /// When servers are asked next.
    pub next_at: u64,
    /// The last offset that was used, in microseconds, and when; 0 for never.
    pub offset_us: i64,
    /// See `offset_us`.
    pub answered_at: u64,
    /// What is known about each server.
    pub verdicts: [Verdict; SERVERS],
}

impl Clock {
    /// Nothing is known; the image was built at `built_s`, in seconds.
    pub const fn new(built_s: i64) -> Self {
        let floor_us = if built_s > EARLIEST_S { built_s } else { EARLIEST_S } * 1_000_000;
        Self {
            floor_us,
            limit_us: floor_us + LIMIT_US,
            is_right: false,
            exponent: 1,
            least: 0,
            rounds: 0,
            offsets: [0; SERVERS],
            good: 0,
            next_at: 0,
            offset_us: 0,
            answered_at: 0,
            verdicts: [Verdict::Unasked; SERVERS],
        }
    }

    /// Returns the floor in microseconds.
    pub const fn floor_us(&self) -> i64 {
        self.floor_us
    }

    /// Returns whether a server has set it.
    pub const fn is_right(&self) -> bool {
        self.is_right
    }

    /// Somebody else sets it; or a correction was not applied.
    pub const fn set_right(&mut self, is_right: bool) {
        self.is_right = is_right;
    }

    /// Returns the interval of requests in seconds, as a power of two.
    pub const fn exponent(&self) -> u8 {
        self.exponent
    }

    /// Raises the floor to a time that was kept. One behind the limit does not count. Returns whether it was raised.
    pub const fn raise_floor(&mut self, kept_us: i64) -> bool {
        let is_higher = self.floor_us < kept_us && kept_us <= self.limit_us;
        if is_higher {
            self.floor_us = kept_us;
        }
        is_higher
    }

    /// Asks at once if other servers are known now, of which nothing is known; and in a second if a link has changed and the
    /// clock is not right.
    pub fn ask_again(&mut self, are_others: bool, now: u64) {
        if are_others {
            (self.verdicts, self.least, self.rounds) = ([Verdict::Unasked; SERVERS], 0, 0);
            (self.next_at, self.exponent, self.good) = (now, 1, 0);
        } else if !self.is_right {
            (self.next_at, self.exponent) = (self.next_at.min(now + LINK_MS), 1);
        }
    }

    /// Returns whether a server may be asked.
    pub fn may_ask(&self, server: usize) -> bool {
        self.verdicts[server] != Verdict::Denied
    }

    /// Handles a server's sample in this round, when the clock shows `clock_us`. Returns whether somebody has to know its verdict,
    /// because it is another one than before.
    pub fn hear(&mut self, server: usize, sample: Sample, clock_us: i64) -> bool {
        let time_us = clock_us.saturating_add(sample);
        let verdict = match sample {
            SILENT => Verdict::Silent,
            RATE => {
                self.least = (self.exponent.max(SHORTEST).max(self.least) + 1).min(LONGEST);
                Verdict::Rate
            }
            DENIED => Verdict::Denied,
            _ if time_us < self.floor_us => Verdict::Early,
            _ if time_us > self.limit_us => Verdict::Late,
            _ => Verdict::Good,
        };
        if verdict == Verdict::Good && self.good < SERVERS {
            // In their order: this is less code than a call that sorts.
            let mut place = self.good;
            self.good += 1;
            while place > 0 && self.offsets[place - 1] > sample {
                self.offsets[place] = self.offsets[place - 1];
                place -= 1;
            }
            self.offsets[place] = sample;
        }
        let before = core::mem::replace(&mut self.verdicts[server], verdict);
        before != verdict && !matches!(verdict, Verdict::Good | Verdict::Silent)
    }

    /// Ends a round, in which so many servers were known. Returns what to do with the clock.
    pub fn decide(&mut self, servers: usize, now: u64) -> Option<Correction> {
        let good = core::mem::take(&mut self.good);
        self.rounds = self.rounds.saturating_add(1);
        let is_majority = good * 2 > servers || self.rounds > ROUNDS || self.is_right;
        let by_us = self.offsets[good.saturating_sub(1) / 2];
        let size = by_us.unsigned_abs();
        let is_heard = good > 0 && is_majority;
        let (exponent, least, most) = match (is_heard, self.is_right) {
            (true, true) if size < SMALL_US => (self.exponent + 1, SHORTEST, LONGEST),
            (true, true) => (self.exponent - 1, SHORTEST, LONGEST),
            (true, false) => (SHORTEST, SHORTEST, LONGEST),
            // A clock that was right stays so for hours.
            (false, true) => (self.exponent + 1, RETRY, LONGEST),
            (false, false) => (self.exponent + 1, 1, RETRY),
        };
        self.exponent = exponent.min(most).max(least.max(self.least));
        self.next_at = now + (1_000 << self.exponent);
        if !is_heard {
            return None;
        }
        (self.offset_us, self.answered_at, self.is_right) = (by_us, now, true);
        Some(Correction { by_us, is_step: size >= STEP_US })
    }
}

#[cfg(test)]
mod tests;
