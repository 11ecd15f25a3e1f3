//! The words after a key, read one after the other.

use super::super::error::Problem;
use super::super::keys::Key;
use super::super::lexer::Line;
use super::values;
use crate::split::Split;
use crate::text::Text;

/// An error, whose details are in [`Arguments::problem`]. Returning the details by value would copy them at each `?`;
/// those copies made up a tenth of the board's program.
#[derive(Debug)]
pub(super) struct Reported;

/// The words after a key, read one after the other.
pub(super) struct Arguments<'l, 'a> {
    pub(super) line: &'l Line<'a>,
    pub(super) key: Key,
    pub(super) next: usize,
    /// The column and the problem.
    pub(super) problem: Option<(u32, Problem<'a>)>,
}

impl<'a> Arguments<'_, 'a> {
    #[cold]
    #[inline(never)]
    pub(super) fn wrong(&mut self, column: u32, problem: Problem<'a>) -> Reported {
        self.problem = Some((column, problem));
        Reported
    }

    pub(super) fn error<T>(&mut self, column: u32, problem: Problem<'a>) -> Result<T, Reported> {
        Err(self.wrong(column, problem))
    }

    /// Returns the next word.
    #[inline(never)]
    pub(super) fn word(&mut self, expected: Text) -> Result<&'a str, Reported> {
        let Some(word) = self.line.words.get(self.next) else {
            return self.error(self.line.end, Problem::Missing(self.key.name, expected));
        };
        self.next += 1;
        Ok(word.text)
    }

    /// Reports that the last word is not what is expected.
    #[cold]
    #[inline(never)]
    pub(super) fn unexpected(&mut self, expected: Text) -> Reported {
        let word = self.line.words[self.next - 1];
        self.wrong(word.column, Problem::Value(word.text, expected))
    }

    /// Returns the next word, parsed by a function.
    pub(super) fn take<T>(&mut self, expected: Text, read: impl FnOnce(&'a str) -> Option<T>) -> Result<T, Reported> {
        let word = self.word(expected)?;
        match read(word) {
            Some(value) => Ok(value),
            None => Err(self.unexpected(expected)),
        }
    }

    /// Returns the next word if a function accepts it. A call is smaller than one of [`Self::take`].
    #[inline(never)]
    pub(super) fn text(&mut self, expected: Text, read: fn(&'a str) -> Option<&'a str>) -> Result<&'a str, Reported> {
        self.take(expected, read)
    }

    /// Returns the next word as a number that a function reads.
    #[inline(never)]
    pub(super) fn figure(&mut self, expected: Text, read: fn(&'a str) -> Option<u32>) -> Result<u32, Reported> {
        self.take(expected, read)
    }

    /// Returns the place of the next word in a list of words with blanks between them, which takes less than a table of
    /// texts.
    #[inline(never)]
    pub(super) fn choose(&mut self, expected: Text, words: &str) -> Result<usize, Reported> {
        self.take(expected, |text| words.place_of_word(text))
    }

    /// Returns the next word as a number in a range.
    #[inline(never)]
    pub(super) fn number(&mut self, expected: Text, range: core::ops::RangeInclusive<i64>) -> Result<i64, Reported> {
        self.take(expected, |text| values::signed(text).filter(|value| range.contains(value)))
    }

    /// Returns the next word as an amount.
    #[inline(never)]
    pub(super) fn amount(&mut self, expected: Text) -> Result<u64, Reported> {
        self.take(expected, values::amount)
    }

    /// Returns the next word as a path.
    #[inline(never)]
    pub(super) fn path(&mut self) -> Result<&'a str, Reported> {
        self.text(values::PATH, values::path)
    }

    /// Returns whether there is another word.
    pub(super) fn has_more(&self) -> bool {
        self.next < self.line.words.len()
    }

    /// Reports more lines or words than there is room for.
    pub(super) fn too_many<T>(&mut self, what: Text, limit: usize) -> Result<T, Reported> {
        self.error(self.line.words[0].column, Problem::TooMany(what, limit as u32))
    }
}
