//! Writing into texts of a fixed room.
//!
//! `write!` makes its four functions anew for each size of [`String`]; here one function serves all of them.

use core::fmt::{Arguments, Result, Write};
use heapless::String;
use heapless::string::StringView;

/// Writes behind what a text holds already.
///
/// # Errors
/// There is no room for all of it; what had room is there.
pub fn append<const N: usize>(text: &mut String<N>, arguments: Arguments<'_>) -> Result {
    append_to(text.as_mut_view(), arguments)
}

#[inline(never)]
fn append_to(text: &mut StringView, arguments: Arguments<'_>) -> Result {
    text.write_fmt(arguments)
}

/// A new text, as much of it as there is room for.
pub fn text<const N: usize>(arguments: Arguments<'_>) -> String<N> {
    let mut text = String::new();
    // What has no room is left out.
    let _ = append(&mut text, arguments);
    text
}
