//! Formatting into strings of fixed capacity.
//!
//! `write!` compiles its four functions again for each size of [`String`]; here all sizes share one function.

use core::fmt::{Arguments, Result, Write};
use heapless::String;
use heapless::string::StringView;

/// Appends formatted text.
///
/// # Errors
/// It does not fit. The text is then cut between two characters.
pub fn append<const N: usize>(text: &mut String<N>, arguments: Arguments<'_>) -> Result {
    append_to(text.as_mut_view(), arguments)
}

#[inline(never)]
fn append_to(text: &mut StringView, arguments: Arguments<'_>) -> Result {
    Cut(text).write_fmt(arguments)
}

/// A writer that truncates.
struct Cut<'a>(&'a mut StringView);

impl Write for Cut<'_> {
    fn write_str(&mut self, piece: &str) -> Result {
        let room = self.0.capacity() - self.0.len();
        let piece_there = &piece[..piece.floor_char_boundary(room)];
        self.0.push_str(piece_there).map_err(|_| core::fmt::Error)?;
        if piece_there.len() < piece.len() { Err(core::fmt::Error) } else { Ok(()) }
    }
}

/// Returns whether a character is invisible and changes how the text around it is read: control characters, and
/// Unicode's format characters (direction marks, joiners, line separators, tags). Text of others is printed without
/// them; a configuration may not contain them.
pub const fn is_hidden(found: char) -> bool {
    matches!(found,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Returns formatted text, truncated to the capacity.
pub fn text<const N: usize>(arguments: Arguments<'_>) -> String<N> {
    let mut text = String::new();
    // Text that does not fit is cut off.
    let _ = append(&mut text, arguments);
    text
}

#[cfg(test)]
mod tests;
