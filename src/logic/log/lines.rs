//! A workload's output, cut into lines and made safe to show.
//!
//! A workload may write anything; the console is a person's terminal. So control characters, escape sequences, characters
//! that reorder or hide others, and bytes that are not UTF-8 are shown as `?`.

use core::fmt;

/// Bytes of a line that are kept together; a longer one is shown in pieces.
pub const LINE_BYTES: usize = 256;

/// The unfinished last line of one workload.
#[derive(Debug)]
pub struct LineBuffer {
    bytes: [u8; LINE_BYTES],
    length: usize,
}

impl LineBuffer {
    /// A buffer without a line.
    pub const EMPTY: Self = Self { bytes: [0; LINE_BYTES], length: 0 };

    /// Takes `input` and gives each line that is complete, without its newline, to `show`.
    pub fn feed(&mut self, input: &[u8], mut show: impl FnMut(&[u8])) {
        for &byte in input {
            if byte == b'\n' {
                self.flush(&mut show);
                continue;
            }
            if self.length == LINE_BYTES {
                self.split(&mut show);
            }
            self.bytes[self.length] = byte;
            self.length += 1;
            if byte == b'\r' && self.length == 1 {
                // A bare return at the start of a line moves a cursor that the console does not share.
                self.length = 0;
            }
        }
    }

    /// Gives what is left of a line that never got its newline.
    pub fn finish(&mut self, mut show: impl FnMut(&[u8])) {
        if self.length > 0 {
            self.flush(&mut show);
        }
    }

    fn flush(&mut self, show: &mut impl FnMut(&[u8])) {
        let line = &self.bytes[..self.length];
        show(line.strip_suffix(b"\r").unwrap_or(line));
        self.length = 0;
    }

    /// Shows a full buffer up to the last character that is whole, and keeps the bytes of the broken one.
    fn split(&mut self, show: &mut impl FnMut(&[u8])) {
        let started = |at: &usize| self.bytes[*at] & 0xc0 == 0xc0;
        let cut = (LINE_BYTES - 3..LINE_BYTES).rev().find(started).unwrap_or(LINE_BYTES);
        show(&self.bytes[..cut]);
        self.bytes.copy_within(cut.., 0);
        self.length = LINE_BYTES - cut;
    }
}

/// Bytes as text that cannot move a cursor, change a colour or answer for a terminal.
pub struct Printable<'a>(pub &'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            let mut rest = chunk.valid();
            while let Some(at) = rest.find(|c: char| crate::text::is_hidden(c) && c != '\t') {
                formatter.write_str(&rest[..at])?;
                formatter.write_str("?")?;
                let after = rest[at..].chars().next().map_or(1, char::len_utf8);
                rest = &rest[at + after..];
            }
            formatter.write_str(rest)?;
            if !chunk.invalid().is_empty() {
                formatter.write_str("?")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let mut buffer = LineBuffer::EMPTY;
        let mut seen = Vec::new();
        for piece in pieces {
            buffer.feed(piece, |line| seen.push(format!("{}", Printable(line))));
        }
        buffer.finish(|line| seen.push(format!("{}", Printable(line))));
        seen
    }

    #[test]
    fn lines_are_cut_across_reads() {
        assert_eq!(lines(&[b"one\ntw", b"o\n\nthree\r\n"]), ["one", "two", "", "three"]);
    }

    #[test]
    fn last_line_without_newline_is_kept() {
        assert_eq!(lines(&[b"one\ntwo"]), ["one", "two"]);
        assert_eq!(lines(&[b"one\n"]), ["one"]);
    }

    #[test]
    fn long_line_is_shown_in_pieces_without_losing_a_byte() {
        let long = vec![b'x'; 3 * LINE_BYTES + 5];
        let seen = lines(&[&long]);
        assert_eq!(seen.concat().len(), long.len());
        assert!(seen.iter().all(|line| line.len() <= LINE_BYTES));
    }

    #[test]
    fn long_line_is_not_cut_inside_a_character() {
        for lead in 0..4 {
            let text = format!("{}{}", "x".repeat(lead), "ä€𝄞".repeat(200));
            assert_eq!(lines(&[text.as_bytes()]).concat(), text);
        }
    }

    #[test]
    fn control_bytes_and_escape_sequences_are_neutralised() {
        assert_eq!(lines(&[b"a\x1b[2Jb\x07\x00\x7f\tc"]), ["a?[2Jb???\tc"]);
        assert_eq!(lines(&["csi \u{9b}31m".as_bytes()]), ["csi ?31m"]);
        assert_eq!(lines(&[b"\xff\xfe ok"]), ["?? ok"]);
    }

    #[test]
    fn line_that_shows_in_another_order_than_it_is_read_is_neutralised() {
        assert_eq!(
            lines(&["ok\u{202e}evil\u{2066}x\u{2028}y\u{200f}\u{feff}\u{e0041}".as_bytes()]),
            ["ok?evil?x?y???"]
        );
        assert_eq!(lines(&["\u{5d0}\u{627} a\u{300}".as_bytes()]), ["\u{5d0}\u{627} a\u{300}"]);
    }
}
