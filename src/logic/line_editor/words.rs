//! Splits a typed line into words.

use super::LINE_BYTES;
use heapless::{String, Vec};

/// Splits a typed line into words, quoted as in sh(1) but without expansion. Blanks separate words. `'...'` is literal;
/// in `"..."` only `\"` and `\\` are special; outside of quotes `\` makes the next character literal. The words are
/// stored in `room`.
///
/// # Errors
/// A quote is not closed, or there are too many words.
pub fn words<'a, const N: usize>(
    line: &str,
    room: &'a mut String<LINE_BYTES>,
) -> Result<Vec<&'a str, N>, &'static str> {
    const MANY: &str = "too many words";
    let mut ends = Vec::<usize, N>::new();
    let (mut rest, mut is_inside) = (line.chars(), false);
    room.clear();
    // Removing quotes only shortens a line, so it always fits.
    while let Some(character) = rest.next() {
        let is_blank = matches!(character, ' ' | '\t');
        if is_blank && is_inside {
            ends.push(room.len()).map_err(|_| MANY)?;
        }
        is_inside = !is_blank;
        match character {
            ' ' | '\t' => {}
            quote @ ('\'' | '"') => quoted(quote, &mut rest, room)?,
            '\\' => {
                let _ = room.push(rest.next().ok_or("missing character after the last \\")?);
            }
            other => {
                let _ = room.push(other);
            }
        }
    }
    if is_inside {
        ends.push(room.len()).map_err(|_| MANY)?;
    }
    let mut start = 0;
    Ok(ends.iter().map(|end| &room[core::mem::replace(&mut start, *end)..*end]).collect())
}

/// Reads the rest of a quoted part, including the closing quote.
fn quoted(quote: char, rest: &mut core::str::Chars<'_>, room: &mut String<LINE_BYTES>) -> Result<(), &'static str> {
    loop {
        let character = match rest.next() {
            None => return Err("unclosed quote"),
            Some(end) if end == quote => return Ok(()),
            Some('\\') if quote == '"' && rest.as_str().starts_with(['"', '\\']) => rest.next().unwrap_or_default(),
            Some(other) => other,
        };
        let _ = room.push(character);
    }
}
