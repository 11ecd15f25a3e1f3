//! Splits a file into lines of words, and keeps the place of each word.
//!
//! Words are separated by spaces and tabs. `'...'` or `"..."` encloses a word that contains spaces or the other quote.
//! A word is borrowed from the file, so there are no escapes, and quotes enclose a whole word. `#` at the start of a
//! word begins a comment.

use super::error::{Error, Problem};
use super::limits;
use crate::fixed_string::is_hidden;
use crate::split::Split;
use crate::text;
use heapless::Vec;

/// The quotes that may enclose a word.
const QUOTES: [u8; 2] = [b'"', b'\''];

fn is_blank(found: u8) -> bool {
    matches!(found, b' ' | b'\t')
}

/// A word and its column, counted in characters from 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word<'a> {
    pub(super) text: &'a str,
    pub(super) column: u32,
    /// Whether it was quoted: then it is always a value.
    pub(super) quoted: bool,
}

/// One directive: its line number, from 1, and its words; at least one.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) number: u32,
    pub(super) words: Vec<Word<'a>, { limits::LINE_WORDS }>,
    /// The column after the last word, where a missing word would be.
    pub(super) end: u32,
}

impl Line<'_> {
    /// Before the first line. A constant would be a kilobyte of zeros in the file.
    pub(super) fn none() -> Self {
        Self { number: 0, words: Vec::new(), end: 1 }
    }

    /// Returns whether the line begins a section, such as `[system]`.
    pub(super) fn begins_section(&self) -> bool {
        !self.words[0].quoted && self.words[0].text.starts_with('[')
    }
}

/// The directives of a file, in order.
#[derive(Debug, Clone)]
pub(super) struct Lines<'a> {
    rest: Option<&'a str>,
    number: u32,
}

impl<'a> Lines<'a> {
    /// No directives.
    pub(super) const NONE: Self = Self { rest: None, number: 0 };

    /// Checks the file as a whole.
    ///
    /// # Errors
    /// The file is too large, has a byte order mark, or is not UTF-8.
    pub(super) fn of(bytes: &'a [u8]) -> Result<Self, Error<'a>> {
        let at_start = |problem| Err(Error { line: 1, column: 1, problem });
        if bytes.len() > limits::FILE_BYTES {
            return at_start(Problem::FileTooLarge);
        }
        if bytes.starts_with(b"\xef\xbb\xbf") {
            return at_start(Problem::ByteOrderMark);
        }
        match core::str::from_utf8(bytes) {
            Ok(text) => Ok(Self { rest: Some(text), number: 0 }),
            Err(error) => {
                let before = &bytes[..error.valid_up_to()];
                let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                let line = before.iter().filter(|byte| **byte == b'\n').count() as u32 + 1;
                let column = core::str::from_utf8(&before[line_start..]).map_or(0, |text| text.chars().count());
                Err(Error { line, column: column as u32 + 1, problem: Problem::NotUtf8(bytes[before.len()]) })
            }
        }
    }

    /// Reads the next line that is not empty into `line`. Returns false at the end of the file.
    pub(super) fn next_line(&mut self, line: &mut Line<'a>) -> Result<bool, Error<'a>> {
        while let Some(rest) = self.rest {
            let (text, rest) = rest.cut(b'\n').map_or((rest, None), |(line, rest)| (line, Some(rest)));
            self.rest = rest;
            self.number += 1;
            split(text, self.number, line)?;
            if !line.words.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads the next line of a file that was parsed before and therefore has no errors.
    pub(super) fn has_next(&mut self, line: &mut Line<'a>) -> bool {
        matches!(self.next_line(line), Ok(true))
    }
}

/// Splits one line into words.
fn split<'a>(text: &'a str, number: u32, line: &mut Line<'a>) -> Result<(), Error<'a>> {
    let error = |column: u32, problem| Err(Error { line: number, column, problem });
    (line.number, line.end) = (number, 1);
    line.words.clear();
    if let Some((column, found)) = (1..).zip(text.chars()).find(|(_, c)| is_hidden(*c) && *c != '\t') {
        return error(column, if found == '\r' { Problem::CarriageReturn } else { Problem::Control(found) });
    }
    if text.len() > limits::LINE_BYTES {
        return error(1, Problem::LineTooLong);
    }
    let (mut rest, mut column) = (text, 1);
    loop {
        let blanks = rest.bytes().position(|byte| !is_blank(byte)).unwrap_or(rest.len());
        let trimmed = &rest[blanks..];
        column += blanks as u32;
        if trimmed.is_empty() || trimmed.starts_with('#') {
            return Ok(());
        }
        let quote = trimmed.bytes().next().filter(|first| QUOTES.contains(first));
        let (word, behind) = match quote {
            Some(quote) => match trimmed[1..].cut(quote) {
                Some(parts) => parts,
                None => return error(column, Problem::Unclosed(quote.into())),
            },
            None => trimmed.split_at(trimmed.bytes().position(is_blank).unwrap_or(trimmed.len())),
        };
        let width = word.chars().count() as u32 + if quote.is_some() { 2 } else { 0 };
        if quote.is_some() && behind.bytes().next().is_some_and(|next| !is_blank(next)) {
            return error(column + width, Problem::BehindQuote);
        }
        if let (None, Some(at)) = (quote, word.bytes().position(|byte| QUOTES.contains(&byte))) {
            return error(column + word[..at].chars().count() as u32, Problem::QuoteInside);
        }
        if line.words.push(Word { text: word, column, quoted: quote.is_some() }).is_err() {
            return error(column, Problem::TooMany(text!("words in a line"), limits::LINE_WORDS as u32));
        }
        column += width;
        line.end = column;
        rest = behind;
    }
}
