//! A queue of bytes for a console that may be slower than its writers, or stopped.
//!
//! Only whole lines are added. If a line does not fit, the oldest ones are dropped and counted, because after a crash
//! the last line matters most.

/// A queue of lines in `N` bytes. The fields that are always written come first, in one page with the first lines.
#[derive(Debug)]
#[repr(C)]
pub struct Queue<const N: usize> {
    /// The index of the oldest byte.
    head: usize,
    length: usize,
    /// Whether the oldest line is partly written, and must not be dropped in the middle.
    begun: bool,
    dropped: u32,
    bytes: [u8; N],
}

impl<const N: usize> Queue<N> {
    /// An empty queue.
    pub const EMPTY: Self = Self { bytes: [0; N], head: 0, length: 0, begun: false, dropped: 0 };

    /// Adds a line and its newline, and drops the oldest lines if necessary. A line that is longer than the queue is
    /// dropped itself.
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

    /// Returns the oldest bytes that are contiguous; empty if the queue is empty.
    pub fn front(&self) -> &[u8] {
        let end = (self.head + self.length).min(N);
        &self.bytes[self.head..end]
    }

    /// Removes the first `count` bytes of [`Self::front`], which were written.
    pub fn advance(&mut self, count: usize) {
        let count = count.min(self.length);
        if count > 0 {
            self.begun = self.bytes[(self.head + count - 1) % N] != b'\n';
        }
        self.length -= count;
        // An empty queue starts from the beginning again, so that a queue with little content never writes to all its
        // pages.
        self.head = if self.length == 0 { 0 } else { (self.head + count) % N };
    }

    /// Returns how many lines were dropped since the last call.
    pub fn take_dropped(&mut self) -> u32 {
        core::mem::take(&mut self.dropped)
    }

    /// Drops the oldest line that is not partly written. Returns false if there is none.
    fn drop_oldest(&mut self) -> bool {
        let line_end =
            |from: usize| (from..self.length).find(|at| self.bytes[(self.head + at) % N] == b'\n').map(|at| at + 1);
        let keep = if self.begun { line_end(0).unwrap_or(self.length) } else { 0 };
        let Some(end) = line_end(keep) else { return false };
        let gone = end - keep;
        // Move the partly written line up to the following one, last byte first.
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
