//! Checks by ICMP echo requests (RFC 792, RFC 4443 4) whether an address answers, for `probe` of a link.
//!
//! | state | three consecutive losses | three consecutive answers |
//! |---|---|---|
//! | answering | silent | - |
//! | silent | - | answering |
//!
//! The initial state is "answering": a link is used until it is known to be useless.

/// Bytes of a request: the header, and a mark that identifies this process.
pub const ECHO_BYTES: usize = 16;
/// Milliseconds between requests.
const PAUSE_MS: u64 = 5_000;
/// Consecutive results that change the state.
const IN_A_ROW: u8 = 3;

/// The echo requests to one address.
#[derive(Debug)]
pub struct Echo {
    is_ipv4: bool,
    /// The mark in all requests of this process, besides the sequence number.
    mark: [u8; 8],
    number: u16,
    next_at: u64,
    /// Whether the last request is still unanswered.
    is_open: bool,
    /// Consecutive results that contradict the state.
    count: u8,
    is_silent: bool,
}

impl Echo {
    /// The first request is due at once. `chance` is any number that others do not know.
    pub const fn new(is_ipv4: bool, chance: u64, now: u64) -> Self {
        let mark = chance.to_ne_bytes();
        Self { is_ipv4, mark, number: 0, next_at: now, is_open: false, count: 0, is_silent: false }
    }

    /// Returns the time in milliseconds at which [`Self::turn`] must be called.
    pub const fn deadline(&self) -> u64 {
        self.next_at
    }

    /// Handles a deadline. Returns whether to send `request`, and whether the state has changed.
    pub fn turn(&mut self, now: u64, request: &mut [u8; ECHO_BYTES]) -> (bool, bool) {
        if now < self.next_at {
            return (false, false);
        }
        let has_changed = self.is_open && self.count_one(true);
        self.next_at = now + PAUSE_MS;
        self.number = self.number.wrapping_add(1);
        self.is_open = true;
        *request = [0; ECHO_BYTES];
        request[0] = if self.is_ipv4 { 8 } else { 128 };
        request[4..6].copy_from_slice(&self.mark[..2]);
        request[6..8].copy_from_slice(&self.number.to_be_bytes());
        request[8..].copy_from_slice(&self.mark);
        if self.is_ipv4 {
            // For ICMPv6 the kernel computes the checksum, because it covers the addresses as well.
            let sum = sum(&[&request[..]]);
            request[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        (true, has_changed)
    }

    /// Handles a packet from the address, in IPv4 including the header (raw(7)). Returns whether the state has changed.
    pub fn receive(&mut self, packet: &[u8]) -> bool {
        let header = if self.is_ipv4 { usize::from(packet.first().map_or(0, |byte| byte & 15)) * 4 } else { 0 };
        let Some(&[kind, _, _, _, a, b, c, d, ref rest @ ..]) = packet.get(header..) else { return false };
        let is_reply = kind == if self.is_ipv4 { 0 } else { 129 };
        let is_own = [a, b] == self.mark[..2] && [c, d] == self.number.to_be_bytes() && rest.starts_with(&self.mark);
        if !is_reply || !is_own || !self.is_open {
            return false;
        }
        self.is_open = false;
        self.count_one(false)
    }

    /// Returns whether the address does not answer.
    pub const fn is_silent(&self) -> bool {
        self.is_silent
    }

    fn count_one(&mut self, is_lost: bool) -> bool {
        self.count = if is_lost == self.is_silent { 0 } else { self.count + 1 };
        let has_changed = self.count >= IN_A_ROW;
        if has_changed {
            (self.count, self.is_silent) = (0, is_lost);
        }
        has_changed
    }
}

/// Returns the checksum of RFC 1071 over all parts. All parts but the last have an even length.
pub(crate) fn sum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let word = |word: &[u8]| u32::from(u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)]));
    let mut sum: u32 = words.map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests;
