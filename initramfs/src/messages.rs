//! The catalogue of messages, docs/messages.md: finds the entry of a line that a program printed.
//!
//! An entry begins with `### ID`. Indented lines are the texts that it explains, with `{}` for values; the rest is the
//! explanation. A board has no room for it, so the image builder finds entries for it.

use std::fmt;

/// The page as it was when the builder was compiled.
pub const PAGE: &str = include_str!("../../docs/messages.md");

/// What comes after the entries.
const EXAMPLES: &str = "\n## Examples\n";

/// Bytes of a text that have to be in a line, at least: shorter texts are in too many lines.
const MIN_LITERAL: usize = 7;

/// One entry of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its name, which never changes its meaning.
    pub id: &'a str,
    /// What the programs print, with `{}` for values.
    pub texts: Vec<&'a str>,
    /// What that means, and what to do.
    pub explanation: Vec<&'a str>,
}

impl fmt::Display for Entry<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.id)?;
        self.texts.iter().try_for_each(|text| writeln!(formatter, "    {text}"))?;
        self.explanation.iter().try_for_each(|line| writeln!(formatter, "{line}"))
    }
}

/// Returns the entries of a page, in its order.
pub fn entries(page: &str) -> Vec<Entry<'_>> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for line in page.split(EXAMPLES).next().unwrap_or_default().lines() {
        if let Some(id) = line.strip_prefix("### ") {
            entries.push(Entry { id, texts: Vec::new(), explanation: Vec::new() });
        } else if line.is_empty() || line.starts_with('#') {
            // A section's heading.
        } else if let Some(entry) = entries.last_mut() {
            match line.strip_prefix("    ") {
                Some(text) => entry.texts.push(text),
                None => entry.explanation.push(line),
            }
        }
    }
    entries
}

/// Returns the entry with this id, or else the one with the text that most of the line consists of. `None` if the line has
/// no known text.
pub fn find<'a>(page: &'a str, wanted: &str) -> Option<Entry<'a>> {
    let mut entries = entries(page);
    let place = entries.iter().position(|entry| entry.id == wanted).or_else(|| {
        let best = |entry: &Entry<'_>| entry.texts.iter().filter_map(|text| matched(text, wanted)).max();
        // Of equal ones the first: the page has the more particular texts first.
        let scores = entries.iter().enumerate().filter_map(|(place, entry)| Some((best(entry)?, place)));
        scores.max_by_key(|(score, place)| (*score, usize::MAX - place)).map(|(_, place)| place)
    })?;
    Some(entries.swap_remove(place))
}

/// Returns how many bytes of `line` are those of `text`, if it has all parts of that in their order.
fn matched(text: &str, line: &str) -> Option<usize> {
    let mut rest = line;
    let mut bytes = 0;
    for part in text.split("{}") {
        rest = rest.split_once(part)?.1;
        bytes += part.len();
    }
    (bytes >= MIN_LITERAL).then_some(bytes)
}

#[cfg(test)]
mod tests;
