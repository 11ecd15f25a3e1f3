//! The parts of a message: numbers and texts. A truncated one is an error.

use super::{Malformed, Message};
use crate::split::Split;

/// The unread rest of a message.
pub(super) struct Parts<'a>(pub(super) &'a [u8]);

impl<'a> Parts<'a> {
    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (first, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed::Bytes)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.bytes::<1>()?[0])
    }

    pub(super) fn word32(&mut self) -> Result<u32, Malformed> {
        self.bytes().map(u32::from_le_bytes)
    }

    pub(super) fn word64(&mut self) -> Result<u64, Malformed> {
        self.bytes().map(u64::from_le_bytes)
    }

    /// Returns a text up to its NUL.
    pub(super) fn text(&mut self) -> Result<&'a str, Malformed> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(Malformed::Bytes)?;
        let text = core::str::from_utf8(&self.0[..end]).map_err(|_| Malformed::Bytes)?;
        self.0 = &self.0[end + 1..];
        Ok(text)
    }

    /// Returns the rest as text.
    pub(super) fn rest(&mut self) -> Result<&'a str, Malformed> {
        core::str::from_utf8(core::mem::take(&mut self.0)).map_err(|_| Malformed::Bytes)
    }
}

/// Appends bytes to a message.
pub(super) fn put(message: &mut Message, bytes: &[u8]) -> Result<(), Malformed> {
    message.extend_from_slice(bytes).map_err(|_| Malformed::Long)
}

/// Appends a text and its NUL. A text that contains a NUL is refused, because it would be read as two.
pub(super) fn put_text(message: &mut Message, text: &str) -> Result<(), Malformed> {
    if text.place_of(b'\0').is_some() {
        return Err(Malformed::Bytes);
    }
    put(message, text.as_bytes())?;
    put(message, &[0])
}
