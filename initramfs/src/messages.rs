//! The catalogue of messages, docs/messages.md: finds the entry for a line that a program printed.
//!
//! An entry begins with `### ID`. Indented lines are the texts that it explains, with `{}` for values; the rest is the
//! explanation. A board has no room for the catalogue, so the image builder contains it.

use std::fmt;

/// The page at the time of compilation.
pub const PAGE: &str = include_str!("../../docs/messages.md");

/// The heading after the entries.
const EXAMPLES: &str = "\n## Examples\n";

/// Minimum bytes of a text that must occur in a line, because shorter texts occur in too many lines.
const MIN_LITERAL: usize = 7;

/// One entry of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its id, whose meaning never changes.
    pub id: &'a str,
    /// What the programs print, with `{}` for values.
    pub texts: Vec<&'a str>,
    /// The meaning, and what to do.
    pub explanation: Vec<&'a str>,
}

impl fmt::Display for Entry<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.id)?;
        self.texts.iter().try_for_each(|text| writeln!(formatter, "    {text}"))?;
        self.explanation.iter().try_for_each(|line| writeln!(formatter, "{line}"))
    }
}

/// Returns the entries of a page, in order.
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

/// Returns the entry with this id, or else the one whose text matches most of the line; `None` if there is none.
pub fn find<'a>(page: &'a str, wanted: &str) -> Option<Entry<'a>> {
    let mut entries = entries(page);
    let place = entries.iter().position(|entry| entry.id == wanted).or_else(|| {
        let best = |entry: &Entry<'_>| entry.texts.iter().filter_map(|text| matched(text, wanted)).max();
        // The first one of equal matches, because more specific texts come first on the page.
        let scores = entries.iter().enumerate().filter_map(|(place, entry)| Some((best(entry)?, place)));
        scores.max_by_key(|(score, place)| (*score, usize::MAX - place)).map(|(_, place)| place)
    })?;
    Some(entries.swap_remove(place))
}

/// Returns how many bytes of `line` match `text`, if the line contains all its literal parts in order.
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
