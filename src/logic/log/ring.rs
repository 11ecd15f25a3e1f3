//! The last lines of a workload, in a buffer of fixed size, each with its time and number.
//!
//! A reader keeps a [`Cursor`]. A slow reader does not block the writer: lines may be overwritten before they are read,
//! and the gap in the numbers shows how many.

/// Bytes before each line: its number, its time, its length.
const HEAD: usize = 14;

/// The position of a reader, in bytes since the first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(u64);

/// A line that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 0.
    pub number: u32,
    /// Milliseconds of the monotonic clock when it was written.
    pub ms: u64,
    /// The number of bytes that were copied.
    pub length: usize,
}

/// A ring of lines in `N` bytes.
#[derive(Debug)]
#[repr(C)]
pub struct Ring<const N: usize> {
    /// The position of the oldest line.
    head: u64,
    /// The position of the next line.
    tail: u64,
    /// The number of the next line.
    next: u32,
    /// The number of the oldest line.
    oldest: u32,
    /// The last field: pages that were never written cost no memory.
    bytes: [u8; N],
}

impl<const N: usize> Ring<N> {
    /// An empty ring.
    pub const EMPTY: Self = Self { bytes: [0; N], head: 0, tail: 0, next: 0, oldest: 0 };

    /// Adds a line, and drops the oldest ones if there is no room. A line that is longer than the ring is cut.
    pub fn push(&mut self, ms: u64, line: &[u8]) {
        let line = &line[..line.len().min(N - HEAD).min(usize::from(u16::MAX))];
        let needed = (HEAD + line.len()) as u64;
        while self.tail + needed - self.head > N as u64 {
            let length = u64::from(self.length_at(self.head));
            self.head += HEAD as u64 + length;
            self.oldest = self.oldest.wrapping_add(1);
        }
        let mut head = [0; HEAD];
        head[..4].copy_from_slice(&self.next.to_le_bytes());
        head[4..12].copy_from_slice(&ms.to_le_bytes());
        head[12..].copy_from_slice(&(line.len() as u16).to_le_bytes());
        for &byte in head.iter().chain(line) {
            self.bytes[(self.tail % N as u64) as usize] = byte;
            self.tail += 1;
        }
        self.next = self.next.wrapping_add(1);
    }

    /// Drops all lines without touching their bytes.
    pub fn clear(&mut self) {
        (self.head, self.tail, self.next, self.oldest) = (0, 0, 0, 0);
    }

    /// Returns the number of lines.
    pub fn count(&self) -> u32 {
        self.next.wrapping_sub(self.oldest)
    }

    /// Returns the position of the last `lines` lines.
    pub fn last(&self, lines: u32) -> Cursor {
        let mut at = self.head;
        for _ in 0..self.count().saturating_sub(lines) {
            at += HEAD as u64 + u64::from(self.length_at(at));
        }
        Cursor(at)
    }

    /// Copies the line at `cursor`, as much as fits, and moves on to the next one. Returns `None` after the last line.
    pub fn read(&self, cursor: &mut Cursor, buffer: &mut [u8]) -> Option<Entry> {
        cursor.0 = cursor.0.max(self.head);
        if cursor.0 >= self.tail {
            return None;
        }
        let mut head = [0; HEAD];
        self.copy(cursor.0, &mut head);
        let [a, b, c, d, ms @ .., low, high] = head;
        let length = usize::from(u16::from_le_bytes([low, high]));
        let copied = length.min(buffer.len());
        self.copy(cursor.0 + HEAD as u64, &mut buffer[..copied]);
        cursor.0 += (HEAD + length) as u64;
        Some(Entry { number: u32::from_le_bytes([a, b, c, d]), ms: u64::from_le_bytes(ms), length: copied })
    }

    fn length_at(&self, at: u64) -> u16 {
        let mut length = [0; 2];
        self.copy(at + 12, &mut length);
        u16::from_le_bytes(length)
    }

    fn copy(&self, from: u64, into: &mut [u8]) {
        for (at, byte) in (from..).zip(into) {
            *byte = self.bytes[(at % N as u64) as usize];
        }
    }
}

#[cfg(test)]
mod tests;
