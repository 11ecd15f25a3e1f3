//! Bytes waiting for a console that may be slower than its writers, or stopped.
//!
//! Only whole lines enter. When they do not fit, the oldest waiting lines go and are counted: after a crash the last
//! line is the one that matters.

/// A queue of lines in `N` bytes. What is always written comes before them, in one page with the first lines.
#[derive(Debug)]
#[repr(C)]
pub struct Queue<const N: usize> {
    /// Where the oldest waiting byte is.
    head: usize,
    length: usize,
    /// Whether the oldest line was written in part: it may not vanish in its middle.
    begun: bool,
    dropped: u32,
    bytes: [u8; N],
}

impl<const N: usize> Queue<N> {
    /// A queue without a line.
    pub const EMPTY: Self = Self { bytes: [0; N], head: 0, length: 0, begun: false, dropped: 0 };

    /// Adds one line and its newline, dropping the oldest lines where it must. A line that is longer than the queue
    /// is itself dropped.
    pub fn push(&mut self, line: &[u8]) {
        let needed = line.len() + 1;
        while self.length + needed > N {
            if !self.drop_oldest() {
                self.dropped = self.dropped.saturating_add(1);
                return;
            }
        }
        for &byte in line.iter().chain(b"\n") {
            self.bytes[(self.head + self.length) % N] = byte;
            self.length += 1;
        }
    }

    /// Returns the waiting bytes that lie together, oldest first; empty when none wait.
    pub fn front(&self) -> &[u8] {
        let end = (self.head + self.length).min(N);
        &self.bytes[self.head..end]
    }

    /// Tells that the first `count` bytes of [`Self::front`] were written.
    pub fn advance(&mut self, count: usize) {
        let count = count.min(self.length);
        if count > 0 {
            self.begun = self.bytes[(self.head + count - 1) % N] != b'\n';
        }
        self.length -= count;
        // From the beginning again, so that a queue that never holds much never writes to all of its pages.
        self.head = if self.length == 0 { 0 } else { (self.head + count) % N };
    }

    /// How many lines were dropped since the last call.
    pub fn take_dropped(&mut self) -> u32 {
        core::mem::take(&mut self.dropped)
    }

    /// Drops the oldest line that was not begun; false when there is none.
    fn drop_oldest(&mut self) -> bool {
        let line_end =
            |from: usize| (from..self.length).find(|at| self.bytes[(self.head + at) % N] == b'\n').map(|at| at + 1);
        let keep = if self.begun { line_end(0).unwrap_or(self.length) } else { 0 };
        let Some(end) = line_end(keep) else { return false };
        let gone = end - keep;
        // Move the begun line up against what follows, last byte first.
        for at in (0..keep).rev() {
            self.bytes[(self.head + at + gone) % N] = self.bytes[(self.head + at) % N];
        }
        self.head = (self.head + gone) % N;
        self.length -= gone;
        self.dropped = self.dropped.saturating_add(1);
        true
    }
}

#[cfg(test)]
mod tests;
