//! The words of a typed line.

use super::LINE_BYTES;
use heapless::{String, Vec};

/// Words of a typed line, quoted as in sh(1) but without any expansion: blanks separate words, `'...'` takes everything
/// as it is, `"..."` everything but `\"` and `\\`, and outside of quotes `\` takes the next character as it is. The words
/// lie in `room`.
///
/// # Errors
/// A quote is not closed, or the words are too many.
pub fn words<'a, const N: usize>(
    line: &str,
    room: &'a mut String<LINE_BYTES>,
) -> Result<Vec<&'a str, N>, &'static str> {
    const MANY: &str = "too many words";
    let mut ends = Vec::<usize, N>::new();
    let (mut rest, mut is_inside) = (line.chars(), false);
    room.clear();
    // Quotes only take characters away, so a line always fits.
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

/// Takes what is left of a quoted part, with the quote that ends it.
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
