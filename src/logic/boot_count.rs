//! A number that a board keeps, as bytes: one sector with words and the number, padded with newlines.

use crate::fixed_string::text;

/// The size of the number: a sector, which a device writes atomically.
pub const SECTOR: usize = 512;
/// The words before the count of consecutive bad boots.
pub const BOOTS: &str = "hilum boots ";
/// The words before a time in seconds since 1970.
pub const TIME: &str = "hilum time ";

/// Returns the number behind these words; 0 if there is none.
pub fn read(words: &str, bytes: &[u8]) -> u32 {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    core::str::from_utf8(line).ok().and_then(|line| crate::number::number(line.strip_prefix(words)?)).unwrap_or(0)
}

/// Returns the bytes to write for a number.
pub fn sector(words: &str, number: u32) -> [u8; SECTOR] {
    let line = text::<32>(format_args!("{words}{number}\n"));
    let mut bytes = [b'\n'; SECTOR];
    bytes[..line.len()].copy_from_slice(line.as_bytes());
    bytes
}

#[cfg(test)]
mod tests;
