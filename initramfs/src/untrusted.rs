//! Makes untrusted text safe to print: names in archives, fields of container images, output of programs.

use hilum::fixed_string::is_hidden;

/// Returns a text as one line that cannot control a terminal or change the reading order: hidden characters and line
/// breaks are escaped as in Rust.
pub fn escaped(text: &str) -> String {
    let escape = |found: char| -> Box<dyn Iterator<Item = char>> {
        if is_hidden(found) { Box::new(found.escape_default()) } else { Box::new(std::iter::once(found)) }
    };
    text.chars().flat_map(escape).collect()
}

/// Returns the lines of a program's output as one, separated by `; `.
pub(crate) fn joined_lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<String> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(escaped).collect();
    lines.join("; ")
}

#[cfg(test)]
mod tests;
