//! Texts for people, packed when the program is compiled, because they would be a twentieth of the board's file.
//!
//! A byte below 128 is an ASCII character. A byte from 128 on is a pair of two such bytes, which `pairs::PAIRS` lists: byte-pair
//! encoding (P. Gage, "A New Algorithm for Data Compression", 1994), with one table for all texts. `BusyBox` compresses its usage
//! messages for the same reason, by bzip2 and all at once (FEATURE_COMPRESS_USAGE), so that each one is unpacked to show one line.

mod pairs;

use crate::split::Split;
use core::fmt;

/// The most bytes of a text that [`Text`] can display at once.
pub const LONGEST: usize = 160;

/// The most bytes of a table of lines.
pub(crate) const LONGEST_TABLE: usize = 4096;

/// The most bytes of a line that [`Text::line`] returns.
pub const LINE_BYTES: usize = 192;

/// A line of a text.
pub type Line = heapless::String<LINE_BYTES>;

/// A packed text. The macro [`text!`](crate::text!) makes one, and it is displayed as the text that it was made of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text(&'static [u8]);

impl Text {
    /// Takes what [`pack`] returned.
    #[must_use]
    pub const fn packed(bytes: &'static [u8]) -> Self {
        Self(bytes)
    }

    /// Unpacks the text into a buffer, and returns it. It ends where the buffer does.
    pub fn unpack(self, buffer: &mut [u8]) -> &str {
        let mut count = 0;
        for &byte in self.0 {
            unpack(byte, buffer, &mut count);
        }
        core::str::from_utf8(&buffer[..count]).unwrap_or_default()
    }

    /// Returns the first line that a function wants.
    pub fn line(self, is_wanted: &mut dyn FnMut(&str) -> bool) -> Option<Line> {
        let mut text = [0; LONGEST_TABLE];
        let line = self.unpack(&mut text).parts(b'\n').find(|line| is_wanted(line))?;
        Line::try_from(line).ok()
    }
}

/// Appends the characters of a packed byte to a buffer with this many of them.
fn unpack(byte: u8, buffer: &mut [u8], count: &mut usize) {
    match byte.checked_sub(128) {
        None => {
            if let Some(place) = buffer.get_mut(*count) {
                *place = byte;
                *count += 1;
            }
        }
        Some(pair) => {
            for part in pairs::PAIRS[usize::from(pair)] {
                unpack(part, buffer, count);
            }
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; LONGEST];
        formatter.write_str(self.unpack(&mut text))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Returns a text with each pair replaced, and how many of its bytes are used. For [`text!`](crate::text!).
///
/// # Panics
/// A character is not ASCII.
#[must_use]
pub const fn pack<const N: usize>(text: &str) -> ([u8; N], usize) {
    let mut packed = [0; N];
    let mut count = 0;
    while count < N {
        assert!(text.as_bytes()[count].is_ascii(), "texts are ASCII");
        packed[count] = text.as_bytes()[count];
        count += 1;
    }
    let mut pair = 0;
    while pair < pairs::PAIRS.len() {
        let [first, second] = pairs::PAIRS[pair];
        let (mut from, mut to) = (0, 0);
        while from < count {
            let found = from + 1 < count && packed[from] == first && packed[from + 1] == second;
            packed[to] = if found { 128 + pair as u8 } else { packed[from] };
            from += 1 + found as usize;
            to += 1;
        }
        count = to;
        pair += 1;
    }
    (packed, count)
}

/// Returns the first bytes of an array. For [`text!`](crate::text!).
#[must_use]
pub const fn first<const N: usize, const M: usize>(bytes: &[u8; N]) -> [u8; M] {
    let mut kept = [0; M];
    let mut index = 0;
    while index < M {
        kept[index] = bytes[index];
        index += 1;
    }
    kept
}

/// Packs a constant text of ASCII characters as a [`Text`].
#[macro_export]
macro_rules! text {
    ($text:expr) => {
        const {
            const LONG: &str = $text;
            const PACKED: ([u8; LONG.len()], usize) = $crate::text::pack(LONG);
            const SHORT: [u8; PACKED.1] = $crate::text::first(&PACKED.0);
            $crate::text::Text::packed(&SHORT)
        }
    };
}

/// A word of a packed list of lines, which `words!` makes. It is displayed as that line.
#[derive(Clone, Copy)]
pub struct Word {
    list: Text,
    line: u8,
}

impl Word {
    /// Takes a list and the number of a line.
    #[must_use]
    pub const fn new(list: Text, line: u8) -> Self {
        Self { list, line }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; LONGEST_TABLE];
        formatter.write_str(self.list.unpack(&mut text).parts(b'\n').nth(self.line.into()).unwrap_or_default())
    }
}

/// Returns the number of the line of a list. For `words!`.
///
/// # Panics
/// The list has no such line.
#[must_use]
pub const fn place(list: &str, word: &str) -> u8 {
    let (list, word) = (list.as_bytes(), word.as_bytes());
    let (mut start, mut line) = (0, 0);
    loop {
        let mut count = 0;
        while count < word.len() && list[start + count] == word[count] {
            count += 1;
        }
        if count == word.len() && list[start + count] == b'\n' {
            return line;
        }
        while list[start] != b'\n' {
            start += 1;
        }
        start += 1;
        line += 1;
    }
}

/// A `match` whose arms are constant words, as a [`Word`]. The words are packed as one text. A table of `&str` would
/// take 16 bytes more for each of them.
macro_rules! words {
    (match $value:expr, $($($pattern:pat_param)|+ => $word:literal,)+) => {{
        const ALL: &str = concat!($($word, "\n"),+);
        let line = match $value {
            $($($pattern)|+ => const { $crate::text::place(ALL, $word) },)+
        };
        $crate::text::Word::new($crate::text!(ALL), line)
    }};
}

pub(crate) use words;

#[cfg(test)]
mod tests;
