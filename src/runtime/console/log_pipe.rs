//! The pipe to the process that writes the log file. Writing to it never blocks.

use crate::os::clock::monotonic_ms;
use heapless::String;
use hilum::fixed_string::append;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::IoSlice;

/// Bytes that a pipe accepts atomically: PIPE_BUF, minus the end of a torn line.
const PIPE_BUF: usize = 4096 - 4;

/// The non-blocking pipe. Lines that do not fit are counted; the count is written when there is room.
pub(crate) struct LogPipe {
    pipe: OwnedFd,
    dropped: u32,
    /// Whether the last line was written without its end.
    is_torn: bool,
}

impl LogPipe {
    /// `pipe` is the write end, with O_NONBLOCK.
    pub(crate) fn new(pipe: OwnedFd) -> Self {
        Self { pipe, dropped: 0, is_torn: false }
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// Writes a line with its time in seconds since the boot.
    pub(super) fn write(&mut self, line: &[u8]) {
        let now_ms = monotonic_ms();
        let mut head: String<80> = String::new();
        // Two numbers and some words fit.
        if self.dropped > 0 {
            let _ = append(&mut head, format_args!("({} lines lost)\n", self.dropped));
        }
        let _ = append(&mut head, format_args!("{}.{:03} ", now_ms / 1_000, now_ms % 1_000));
        let whole = head.len() + line.len() + 1;
        // Up to PIPE_BUF is written as a whole or not at all (pipe(7)). The rest of a longer line may be lost; then the
        // next write starts a new line.
        let (first, rest) = line.split_at(line.len() - whole.saturating_sub(PIPE_BUF));
        let newline: &[u8] = if rest.is_empty() { b"\n" } else { b"" };
        let torn: &[u8] = if self.is_torn { b"...\n" } else { b"" };
        let is_taken = self.put(&[torn, head.as_bytes(), first, newline]);
        match is_taken {
            true => (self.dropped, self.is_torn) = (0, !rest.is_empty() && !self.put(&[rest, b"\n"])),
            false => self.dropped = self.dropped.saturating_add(1),
        }
    }

    fn put(&self, parts: &[&[u8]]) -> bool {
        let mut slices: heapless::Vec<IoSlice<'_>, 4> = heapless::Vec::new();
        slices.extend(parts.iter().map(|part| IoSlice::new(part)));
        rustix::io::writev(&self.pipe, &slices).is_ok()
    }
}

#[cfg(test)]
mod tests;
