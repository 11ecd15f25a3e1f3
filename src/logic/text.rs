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

/// A new text, as much of it as there is room for.
pub fn text<const N: usize>(arguments: Arguments<'_>) -> String<N> {
    let mut text = String::new();
    // What has no room is cut off.
    let _ = append(&mut text, arguments);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_cut_between_two_characters() {
        assert_eq!(text::<8>(format_args!("{}-{}", 123, "abcdefgh")), "123-abcd");
        assert_eq!(text::<6>(format_args!("{}{}", "123", "a\u{e4}\u{e4}")), "123a\u{e4}");
        assert_eq!(text::<5>(format_args!("{}{}", "123", "a\u{e4}b")), "123a");
    }

    #[test]
    fn text_that_is_full_is_an_error_to_append_to() {
        let mut full: String<4> = String::new();
        assert!(append(&mut full, format_args!("{}", 1234)).is_ok());
        assert!(append(&mut full, format_args!("{}", 5)).is_err());
        assert_eq!(full, "1234");
    }
}
