//! Splits a workload's output into lines that are safe to print.
//!
//! A workload may write anything, and the console is a person's terminal. Control characters, escape sequences,
//! characters that reorder or hide text, and bytes that are not UTF-8 are therefore replaced by `?`.

use core::fmt;

/// Maximum bytes of a line; a longer one is printed in parts.
pub const LINE_BYTES: usize = 4096;
/// Marks the end of a part whose line continues, and the start of the next part.
pub const MARK: &[u8; 3] = b"...";

/// The unfinished last line of a workload. A line that arrives whole never touches `bytes`, which is the last field.
#[derive(Debug)]
#[repr(C)]
pub struct LineBuffer {
    length: usize,
    /// Whether the start of the line was already printed; the rest begins with [`MARK`].
    is_continued: bool,
    bytes: [u8; LINE_BYTES + MARK.len()],
}

impl LineBuffer {
    /// An empty buffer.
    pub const EMPTY: Self = Self { length: 0, is_continued: false, bytes: [0; LINE_BYTES + MARK.len()] };

    /// Takes `input`, and passes each complete line without its newline to `show`.
    pub fn feed(&mut self, mut input: &[u8], mut show: impl FnMut(&[u8])) {
        while let Some(end) = input.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = (&input[..end], &input[end + 1..]);
            if self.length == 0 && line.len() <= LINE_BYTES {
                show(without_returns(line));
            } else {
                self.add(line, &mut show);
                self.flush(&mut show);
            }
            input = rest;
        }
        self.add(input, &mut show);
    }

    /// Returns whether a line has begun that is not fully printed.
    pub fn is_waiting(&self) -> bool {
        self.length > if self.is_continued { MARK.len() } else { 0 }
    }

    /// Passes an unfinished line that has waited too long to `show`. Later input continues it.
    pub fn show_unfinished(&mut self, mut show: impl FnMut(&[u8])) {
        if self.is_waiting() {
            self.cut(self.length, &mut show);
        }
    }

    /// Passes the rest of a line that never got a newline to `show`.
    pub fn finish(&mut self, mut show: impl FnMut(&[u8])) {
        self.flush_waiting(&mut show);
    }

    fn add(&mut self, bytes: &[u8], show: &mut impl FnMut(&[u8])) {
        for &byte in bytes {
            if self.length == LINE_BYTES {
                self.split(show);
            }
            // A carriage return at the start of a line would move a cursor that lines of several workloads share.
            if byte != b'\r' || self.length > 0 {
                self.bytes[self.length] = byte;
                self.length += 1;
            }
        }
    }

    fn flush(&mut self, show: &mut impl FnMut(&[u8])) {
        if self.is_continued {
            return self.flush_waiting(show);
        }
        show(without_returns(&self.bytes[..self.length]));
        self.length = 0;
    }

    fn flush_waiting(&mut self, show: &mut impl FnMut(&[u8])) {
        let line = without_returns(&self.bytes[..self.length]);
        if self.is_waiting() && line.len() > if self.is_continued { MARK.len() } else { 0 } {
            show(line);
        }
        (self.length, self.is_continued) = (0, false);
    }

    /// Passes the full buffer up to the last complete character to `show`, and keeps the bytes of an incomplete one.
    fn split(&mut self, show: &mut impl FnMut(&[u8])) {
        let started = |at: &usize| self.bytes[*at] & 0xc0 == 0xc0;
        let cut = (LINE_BYTES - 3..LINE_BYTES).rev().find(started).unwrap_or(LINE_BYTES);
        self.cut(cut, show);
    }

    /// Passes the first `cut` bytes as a part, and continues with the rest.
    fn cut(&mut self, cut: usize, show: &mut impl FnMut(&[u8])) {
        let mut kept = [0; 4];
        let count = (self.length - cut).min(kept.len());
        kept[..count].copy_from_slice(&self.bytes[cut..cut + count]);
        self.bytes[cut..cut + MARK.len()].copy_from_slice(MARK);
        show(&self.bytes[..cut + MARK.len()]);
        self.bytes[..MARK.len()].copy_from_slice(MARK);
        self.bytes[MARK.len()..MARK.len() + count].copy_from_slice(&kept[..count]);
        (self.length, self.is_continued) = (MARK.len() + count, true);
    }
}

/// Returns a line without carriage returns at either end.
fn without_returns(mut line: &[u8]) -> &[u8] {
    line = line.strip_suffix(b"\r").unwrap_or(line);
    while let Some(rest) = line.strip_prefix(b"\r") {
        line = rest;
    }
    line
}

/// Text that cannot move a cursor, change a colour, or make a terminal answer.
pub struct Printable<'a>(pub &'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            let (text, mut start) = (chunk.valid(), 0);
            for (at, found) in text.char_indices() {
                if crate::fixed_string::is_hidden(found) && found != '\t' {
                    formatter.write_str(&text[start..at])?;
                    formatter.write_str("?")?;
                    start = at + found.len_utf8();
                }
            }
            formatter.write_str(&text[start..])?;
            if !chunk.invalid().is_empty() {
                formatter.write_str("?")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
