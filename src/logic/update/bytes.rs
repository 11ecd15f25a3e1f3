//! Numbers and names at fixed places of a sector.

use super::{Parts, Range};

/// A view of the bytes of a record or bundle, whose numbers are little-endian.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    // Not inlined: it is called in many places.
    #[inline(never)]
    pub(super) fn number(&self, at: usize) -> u64 {
        self.0[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    /// Returns a name that is padded with NULs; empty if it is not UTF-8.
    pub(super) fn name(&self, at: usize, room: usize) -> &'a str {
        let bytes = &self.0[at..at + room];
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(room);
        core::str::from_utf8(&bytes[..end]).unwrap_or_default()
    }

    pub(super) fn parts(&self, at: usize) -> Parts {
        let range = |at| Range { start: self.number(at), bytes: self.number(at + 8) };
        Parts { kernel: range(at), initramfs: range(at + 16), command_line: range(at + 32) }
    }
}

/// Bytes of [`Parts`].
pub(super) const PARTS: usize = 48;

pub(super) fn put(bytes: &mut [u8], at: usize, number: u64) {
    bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
}

/// Writes a name, cut to its room at a character, and pads it with NULs.
pub(super) fn put_name(bytes: &mut [u8], at: usize, room: usize, name: &str) {
    let end = name.floor_char_boundary(room);
    bytes[at..at + room].fill(0);
    bytes[at..at + end].copy_from_slice(&name.as_bytes()[..end]);
}

pub(super) fn put_parts(bytes: &mut [u8], at: usize, parts: &Parts) {
    for (index, range) in parts.ranges().into_iter().enumerate() {
        put(bytes, at + index * 16, range.start);
        put(bytes, at + index * 16 + 8, range.bytes);
    }
}
