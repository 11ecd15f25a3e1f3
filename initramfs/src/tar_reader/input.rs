//! The bytes of an archive, and how many of them belong to the current member.

use anyhow::{Context, Result, ensure};
use std::io::Read;

/// Bytes of a block.
pub(super) const BLOCK: usize = 512;

const UNREADABLE: &str = "the archive cannot be read";

/// An archive's bytes.
pub(super) struct Input<R> {
    input: R,
    /// Bytes read so far.
    at: u64,
    /// Unread bytes of the current member.
    left: u64,
    /// Padding of its last block.
    padding: u64,
}

impl<R: Read> Input<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, at: 0, left: 0, padding: 0 }
    }

    /// Begins a member of this size.
    pub(super) fn begin(&mut self, bytes: u64) {
        // The maximum size has no larger multiple; no archive is that large.
        let whole = bytes.checked_next_multiple_of(BLOCK as u64).unwrap_or(bytes);
        (self.left, self.padding) = (bytes, whole - bytes);
    }

    /// Returns the number of bytes read so far.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Returns the number of unread bytes of the current member.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// Reads a part of the current member.
    pub(super) fn read(&mut self, bytes: &mut [u8]) -> Result<()> {
        let needed = bytes.len() as u64;
        ensure!(needed <= self.left, "its size differs from that of its parts");
        ensure!(self.fill(bytes)? == bytes.len(), "the archive ends in the middle of this file: it was cut short");
        self.left -= needed;
        Ok(())
    }

    /// Skips the rest of the current member; with `may_lack_end` the padding of its last block may be missing.
    pub(super) fn skip(&mut self, may_lack_end: bool) -> Result<()> {
        let needed = self.left + self.padding;
        let found = std::io::copy(&mut (&mut self.input).take(needed), &mut std::io::sink()).context(UNREADABLE)?;
        self.at += found;
        let is_whole = found == needed || (found >= self.left && may_lack_end);
        ensure!(is_whole, "the archive ends in the middle of a file: it was cut short");
        (self.left, self.padding) = (0, 0);
        Ok(())
    }

    /// Reads until the buffer is full or the archive ends. Returns the number of bytes.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut found = 0;
        while found < buffer.len() {
            match self.input.read(&mut buffer[found..]) {
                Ok(0) => break,
                Ok(more) => found += more,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context(UNREADABLE),
            }
        }
        self.at += found as u64;
        Ok(found)
    }
}
