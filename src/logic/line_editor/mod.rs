//! A line editor for a terminal: bytes become a line, with a cursor and a history.
//!
//! The terminal must support the four control functions that [`Editor`] uses (ECMA-48: carriage return, CUB, EL), as
//! all terminal emulators and serial consoles do. Input may be split at any byte.

mod prefix_filter;
mod window;
mod words;

pub use prefix_filter::PrefixFilter;
pub use words::words;

use crate::split::Split;
use heapless::{Deque, String};

/// Maximum bytes of a line; a longer one is refused as a whole.
pub const LINE_BYTES: usize = 1024;
/// Columns of a terminal whose size is unknown.
const COLUMNS: usize = 80;
/// Lines in the history.
const HISTORY: usize = 16;

/// The effect of a byte.
#[expect(clippy::large_enum_variant, reason = "there is no heap to put the line on")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Typed {
    /// No visible change.
    Nothing,
    /// The line must be redrawn.
    Changed,
    /// The line is complete.
    Line(String<LINE_BYTES>),
    /// This character was added at the end; printing it is enough.
    Added(char),
    /// The line is complete, but exceeds [`LINE_BYTES`] and must not be executed.
    TooLong,
    /// Ctrl-C: the line was discarded.
    GivenUp,
    /// Ctrl-D on an empty line.
    End,
}

/// The state of an escape sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    None,
    Started,
    /// After ESC [ or ESC O, with the digit so far.
    Inside(u8),
}

/// The line, the cursor and the history.
#[derive(Debug)]
// Often used members first: a distance of at most 127 bytes is one byte of an instruction.
#[repr(C)]
pub struct Editor {
    /// A byte index on a character boundary.
    cursor: usize,
    /// The position in the history; 0 for a new line.
    back: usize,
    /// Columns of the terminal.
    columns: usize,
    partial_length: usize,
    /// The bytes of an incomplete character.
    partial: [u8; 4],
    escape: Escape,
    /// Whether something did not fit.
    is_too_long: bool,
    prompt: &'static str,
    line: String<LINE_BYTES>,
    history: Deque<String<LINE_BYTES>, HISTORY>,
}

impl Editor {
    /// Creates an editor with an empty line after `prompt`.
    pub const fn new(prompt: &'static str) -> Self {
        Self {
            prompt,
            columns: COLUMNS,
            line: String::new(),
            cursor: 0,
            history: Deque::new(),
            back: 0,
            is_too_long: false,
            escape: Escape::None,
            partial: [0; 4],
            partial_length: 0,
        }
    }

    /// Sets the number of columns; 0 for unknown.
    pub fn set_columns(&mut self, columns: u16) {
        self.columns = if columns == 0 { COLUMNS } else { columns.into() };
    }

    /// Handles one byte from the terminal.
    pub fn type_byte(&mut self, byte: u8) -> Typed {
        match (self.escape, byte) {
            (Escape::None, 0x1b) => self.escape = Escape::Started,
            (Escape::Started, b'[' | b'O') => self.escape = Escape::Inside(0),
            (Escape::Inside(_), digit @ b'0'..=b'9') => self.escape = Escape::Inside(digit),
            (Escape::Inside(_), b';') => {}
            (Escape::Inside(digit), end) => {
                self.escape = Escape::None;
                return self.sequence(digit, end);
            }
            (Escape::Started, _) => self.escape = Escape::None,
            (Escape::None, _) => return self.plain(byte),
        }
        Typed::Nothing
    }

    fn sequence(&mut self, digit: u8, end: u8) -> Typed {
        match (digit, end) {
            (_, b'A') => self.recall(self.back + 1),
            (_, b'B') => self.recall(self.back.saturating_sub(1)),
            (_, b'C') => self.cursor = self.after_cursor(),
            (_, b'D') => self.cursor = self.before_cursor(),
            (_, b'H') | (b'1' | b'7', b'~') => self.cursor = 0,
            (_, b'F') | (b'4' | b'8', b'~') => self.cursor = self.line.len(),
            (b'3', b'~') => self.delete(self.cursor, self.after_cursor()),
            _ => return Typed::Nothing,
        }
        Typed::Changed
    }

    fn plain(&mut self, byte: u8) -> Typed {
        match byte {
            b'\r' | b'\n' if self.is_too_long => {
                self.finish_without_history();
                return Typed::TooLong;
            }
            b'\r' | b'\n' => return Typed::Line(self.finish()),
            0x03 => {
                self.finish_without_history();
                return Typed::GivenUp;
            }
            0x04 if self.line.is_empty() => return Typed::End,
            0x01 => self.cursor = 0,
            0x02 => self.cursor = self.before_cursor(),
            0x04 => self.delete(self.cursor, self.after_cursor()),
            0x05 => self.cursor = self.line.len(),
            0x06 => self.cursor = self.after_cursor(),
            0x08 | 0x7f => self.delete(self.before_cursor(), self.cursor),
            0x0b => self.delete(self.cursor, self.line.len()),
            0x0e => self.recall(self.back.saturating_sub(1)),
            0x10 => self.recall(self.back + 1),
            0x15 => {
                self.delete(0, self.cursor);
                self.is_too_long &= !self.line.is_empty();
            }
            0x17 => {
                let before = self.line[..self.cursor].without_end(b' ');
                let start = before.cut_last(b' ').map_or(0, |(words, _)| words.len() + 1);
                self.delete(start, self.cursor);
            }
            // Redraws the line, in case something else has cleared the terminal.
            0x0c => {}
            0..0x20 => return Typed::Nothing,
            _ => return self.insert(byte),
        }
        Typed::Changed
    }

    /// Handles a byte of a character, which is inserted when it is complete.
    fn insert(&mut self, byte: u8) -> Typed {
        self.partial[self.partial_length] = byte;
        self.partial_length += 1;
        match core::str::from_utf8(&self.partial[..self.partial_length]) {
            Ok(text) => {
                let character = text.chars().next().unwrap_or_default();
                self.partial_length = 0;
                self.insert_character(character)
            }
            // The character is still incomplete; invalid bytes are dropped.
            Err(error) => {
                if error.error_len().is_some() || self.partial_length == 4 {
                    self.partial_length = 0;
                }
                Typed::Nothing
            }
        }
    }

    fn insert_character(&mut self, character: char) -> Typed {
        if crate::fixed_string::is_hidden(character) {
            return Typed::Nothing;
        }
        // Characters after a dropped one would form another line.
        if self.is_too_long || self.line.len() + character.len_utf8() > LINE_BYTES {
            self.is_too_long = true;
            return Typed::Nothing;
        }
        if self.cursor == self.line.len() {
            // There is room.
            let _ = self.line.push(character);
            self.cursor = self.line.len();
            return Typed::Added(character);
        }
        let mut line = String::new();
        let (before, behind) = self.line.split_at(self.cursor);
        // There is room.
        let _ = line.push_str(before).and_then(|()| line.push(character)).and_then(|()| line.push_str(behind));
        self.cursor += character.len_utf8();
        self.line = line;
        Typed::Changed
    }

    fn before_cursor(&self) -> usize {
        self.line[..self.cursor].char_indices().next_back().map_or(0, |(at, _)| at)
    }

    fn after_cursor(&self) -> usize {
        self.line[self.cursor..].chars().next().map_or(self.cursor, |c| self.cursor + c.len_utf8())
    }

    fn delete(&mut self, from: usize, to: usize) {
        let mut line = String::new();
        // It is shorter than the line that it is taken from.
        let _ = line.push_str(&self.line[..from]).and_then(|()| line.push_str(&self.line[to..]));
        self.line = line;
        self.cursor = from;
    }

    /// Shows the line at this position of the history.
    fn recall(&mut self, back: usize) {
        let back = back.min(self.history.len());
        self.line = match back.checked_sub(1).and_then(|at| self.history.iter().rev().nth(at)) {
            Some(line) => line.clone(),
            None => String::new(),
        };
        (self.back, self.cursor, self.is_too_long) = (back, self.line.len(), false);
    }

    fn finish(&mut self) -> String<LINE_BYTES> {
        let line = self.line.clone();
        if !line.trim_ascii().is_empty() && self.history.back() != Some(&line) {
            if self.history.is_full() {
                self.history.pop_front();
            }
            // There is room now.
            let _ = self.history.push_back(line.clone());
        }
        self.finish_without_history();
        line
    }

    fn finish_without_history(&mut self) {
        self.line.clear();
        self.is_too_long = false;
        (self.cursor, self.back, self.partial_length) = (0, 0, 0);
    }
}

#[cfg(test)]
mod tests;
