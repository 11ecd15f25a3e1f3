//! Writing into texts of a fixed room.
//!
//! `write!` makes its four functions anew for each size of [`String`]; here one function serves all of them.

use core::fmt::{Arguments, Result, Write};
use heapless::String;
use heapless::string::StringView;

/// Writes behind what a text holds already.
///
/// # Errors
/// There is no room for all of it; the beginning is there, cut between two characters.
pub fn append<const N: usize>(text: &mut String<N>, arguments: Arguments<'_>) -> Result {
    append_to(text.as_mut_view(), arguments)
}

#[inline(never)]
fn append_to(text: &mut StringView, arguments: Arguments<'_>) -> Result {
    Cut(text).write_fmt(arguments)
}

/// A text that takes of a piece what it has room for.
struct Cut<'a>(&'a mut StringView);

impl Write for Cut<'_> {
    fn write_str(&mut self, piece: &str) -> Result {
        let room = self.0.capacity() - self.0.len();
        let piece_there = &piece[..piece.floor_char_boundary(room)];
        self.0.push_str(piece_there).map_err(|_| core::fmt::Error)?;
        if piece_there.len() < piece.len() { Err(core::fmt::Error) } else { Ok(()) }
    }
}

/// Whether a character shows nothing of its own and changes what is read around it: the control characters, and the format
/// characters of Unicode (marks for the direction of writing, joiners, separators of lines, tags). What others wrote is
/// shown without them; a configuration has none.
pub const fn is_hidden(found: char) -> bool {
    matches!(found,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Returns a new text, as much of it as there is room for.
pub fn text<const N: usize>(arguments: Arguments<'_>) -> String<N> {
    let mut text = String::new();
    // What has no room is cut off.
    let _ = append(&mut text, arguments);
    text
}

#[cfg(test)]
mod tests;
