//! Parses replies of the kernel: acknowledgements, and the entries of a dump. A truncated reply is an error; nothing is
//! read past the end.

use super::kernel::*;
use super::writer::HEADER;
use crate::errno::Errno;

/// Why a reply is not an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The kernel refused the request.
    Kernel(Errno),
    /// The bytes are not a reply to these requests.
    Malformed,
}

/// A received message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// The result of the request with this number.
    Answer(u32, Result<(), Errno>),
    /// The end of a dump.
    Done,
    /// An entry of this message type, with its contents.
    Entry(u16, &'a [u8]),
}

/// Iterates over the messages of a datagram.
#[derive(Debug, Clone)]
pub struct Messages<'a>(&'a [u8]);

impl<'a> Messages<'a> {
    /// Creates an iterator over the messages in `bytes`.
    pub const fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let bytes = core::mem::take(&mut self.0);
        let length = word(bytes, 0).map_or(0, |length| length as usize);
        let (Some(kind), Some(number), true) = (half(bytes, 4), word(bytes, 8), length >= HEADER) else {
            return Some(Err(Refusal::Malformed));
        };
        // A refusal contains a copy of the request, which may be truncated without harm.
        let length = if kind == NLMSG_ERROR { length.min(bytes.len()) } else { length };
        let Some(body) = bytes.get(HEADER..length) else { return Some(Err(Refusal::Malformed)) };
        self.0 = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(match kind {
            // nlmsgerr: a negated errno, or 0.
            NLMSG_ERROR => match word(body, 0).map(|error| (error as i32).wrapping_neg()) {
                Some(0) => Ok(Message::Answer(number, Ok(()))),
                Some(errno @ 1..=4095) => Ok(Message::Answer(number, Err(Errno(errno as u16)))),
                _ => Err(Refusal::Malformed),
            },
            NLMSG_DONE => Ok(Message::Done),
            kind => Ok(Message::Entry(kind, body)),
        })
    }
}

/// Reads acknowledgements of the requests 1 to `requests`, which may be spread over several datagrams, and counts them
/// in `done`.
///
/// # Errors
/// The first refusal, with the number of its request; [`Refusal::Malformed`] if the bytes are something else.
pub fn acknowledge(bytes: &[u8], requests: u32, done: &mut u32) -> Result<(), (u32, Refusal)> {
    for message in Messages::of(bytes) {
        match message {
            Ok(Message::Answer(number, Ok(()))) if (1..=requests).contains(&number) => *done += 1,
            Ok(Message::Answer(number, Err(errno))) => return Err((number, Refusal::Kernel(errno))),
            _ => return Err((*done + 1, Refusal::Malformed)),
        }
    }
    Ok(())
}

/// Iterates over the attributes after the fixed part of a message: type and value. Ends at the first malformed one.
pub(super) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    core::iter::from_fn(move || {
        let (length, kind) = (usize::from(half(rest, 0)?), half(rest, 2)?);
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        // NLA_F_NESTED and NLA_F_NET_BYTEORDER
        Some((kind & 0x3fff, value))
    })
}

/// Returns the attribute of this type.
pub(super) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(found, _)| *found == kind).map(|(_, value)| value)
}

/// Reads a 16-bit number at an offset.
pub(super) fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
}

/// Reads a 32-bit number at an offset.
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}
