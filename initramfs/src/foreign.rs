//! What others wrote (names in archives, fields of container images, what programs say), as it may be shown to a person.

use hilum::fixed_string::is_hidden;

/// A text as one line that neither controls a terminal nor reads in another order than it is written: hidden characters,
/// ends of lines among them, are escaped as in Rust.
pub fn shown(text: &str) -> String {
    let escape = |found: char| -> Box<dyn Iterator<Item = char>> {
        if is_hidden(found) { Box::new(found.escape_default()) } else { Box::new(std::iter::once(found)) }
    };
    text.chars().flat_map(escape).collect()
}

/// The lines that a program said, as one.
pub(crate) fn said(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<String> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(shown).collect();
    lines.join("; ")
}

#[cfg(test)]
mod tests;
