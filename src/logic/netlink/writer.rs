//! Encodes a sequence of netlink messages into a buffer of fixed size (netlink(7), include/uapi/linux/netlink.h).
//!
//! Every length is checked when it is written: an attribute has a length of 16 bits, and a longer one would be read as
//! a shorter one (CVE-2021-43784). If something does not fit, [`Writer::finish`] returns `None` and nothing is sent.

use super::kernel::*;

/// Bytes of nlmsghdr.
pub(super) const HEADER: usize = 16;
const REQUEST_AND_ACKNOWLEDGE: u16 = NLM_F_REQUEST | NLM_F_ACK;

/// A sequence of messages, numbered from 1.
#[derive(Debug)]
pub struct Writer<'b> {
    bytes: &'b mut [u8],
    length: usize,
    /// The start of the current message.
    start: usize,
    messages: u32,
    is_full: bool,
}

impl<'b> Writer<'b> {
    /// Writes to the start of `bytes`.
    pub fn new(bytes: &'b mut [u8]) -> Self {
        Self { bytes, length: 0, start: 0, messages: 0, is_full: false }
    }

    /// Returns the messages, and the number of acknowledgements to expect. `None` if they did not fit.
    pub fn finish(&self) -> Option<(&[u8], u32)> {
        if self.is_full { None } else { Some((&self.bytes[..self.length], self.messages)) }
    }

    /// Writes a message that requests an acknowledgement: its type, further flags, and the contents after its header.
    pub(super) fn message(&mut self, kind: u16, flags: u16, body: impl FnOnce(&mut Self)) {
        self.begin(kind, flags);
        body(self);
        self.end();
    }

    /// Begins such a message.
    #[inline(never)]
    pub(super) fn begin(&mut self, kind: u16, flags: u16) {
        self.messages += 1;
        self.begin_silent(kind, REQUEST_AND_ACKNOWLEDGE | flags);
    }

    /// Writes a message with exactly these flags.
    pub(super) fn silent(&mut self, kind: u16, flags: u16, body: impl FnOnce(&mut Self)) {
        self.begin_silent(kind, flags);
        body(self);
        self.end();
    }

    // Generic code only consists of calls, because it is instantiated for some hundred messages and attributes.
    #[inline(never)]
    fn begin_silent(&mut self, kind: u16, flags: u16) {
        self.start = self.length;
        let mut header = [0; HEADER];
        header[4..6].copy_from_slice(&kind.to_ne_bytes());
        header[6..8].copy_from_slice(&flags.to_ne_bytes());
        header[8..12].copy_from_slice(&self.messages.to_ne_bytes());
        self.put(&header);
    }

    #[inline(never)]
    pub(super) fn end(&mut self) {
        let length = (self.length - self.start) as u32;
        self.patch(self.start, &length.to_ne_bytes());
    }

    /// Writes bytes, padded with zeros to a multiple of four.
    #[inline(never)]
    pub(super) fn put(&mut self, bytes: &[u8]) {
        let padded = bytes.len().next_multiple_of(4);
        let Some(place) = self.bytes.get_mut(self.length..self.length + padded) else {
            self.is_full = true;
            return;
        };
        place[..bytes.len()].copy_from_slice(bytes);
        place[bytes.len()..].fill(0);
        self.length += padded;
    }

    fn patch(&mut self, at: usize, bytes: &[u8]) {
        match self.bytes.get_mut(at..at + bytes.len()) {
            Some(place) => place.copy_from_slice(bytes),
            None => self.is_full = true,
        }
    }

    /// Writes an attribute: its type and its value (struct nlattr).
    #[inline(never)]
    pub(super) fn attribute(&mut self, kind: u16, value: &[u8]) {
        let Ok(length) = u16::try_from(value.len() + 4) else {
            self.is_full = true;
            return;
        };
        let ([a, b], [c, d]) = (length.to_ne_bytes(), kind.to_ne_bytes());
        self.put(&[a, b, c, d]);
        self.put(value);
    }

    /// Writes a text attribute with a terminating NUL.
    #[inline(never)]
    pub(super) fn text(&mut self, kind: u16, text: &str) {
        const BYTES: usize = 64;
        let mut buffer = [0; BYTES];
        match buffer.get_mut(..text.len()).filter(|place| place.len() < BYTES) {
            Some(place) => {
                place.copy_from_slice(text.as_bytes());
                self.attribute(kind, &buffer[..=text.len()]);
            }
            None => self.is_full = true,
        }
    }

    /// Writes a number attribute in host byte order.
    #[inline(never)]
    pub(super) fn number(&mut self, kind: u16, value: u32) {
        self.attribute(kind, &value.to_ne_bytes());
    }

    /// Writes a number attribute in network byte order, as nf_tables requires.
    #[inline(never)]
    pub(super) fn network_number(&mut self, kind: u16, value: u32) {
        self.attribute(kind, &value.to_be_bytes());
    }

    /// Writes an attribute that contains attributes.
    pub(super) fn nest(&mut self, kind: u16, inside: impl FnOnce(&mut Self)) {
        let at = self.open();
        inside(self);
        self.close(at, kind);
    }

    /// Begins an attribute that contains attributes.
    #[inline(never)]
    pub(super) fn open(&mut self) -> usize {
        let at = self.length;
        self.put(&[0; 4]);
        at
    }

    /// Ends the attribute that began at this offset.
    #[inline(never)]
    pub(super) fn close(&mut self, at: usize, kind: u16) {
        let Ok(length) = u16::try_from(self.length - at) else {
            self.is_full = true;
            return;
        };
        let ([a, b], [c, d]) = (length.to_ne_bytes(), (kind | NLA_F_NESTED).to_ne_bytes());
        self.patch(at, &[a, b, c, d]);
    }
}
