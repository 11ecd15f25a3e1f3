//! The count of consecutive bad boots as bytes: one sector with `hilum boots N`, padded with newlines.

use crate::fixed_string::text;

/// The size of the count: a sector, which a device writes atomically.
pub const SECTOR: usize = 512;
const MARK: &str = "hilum boots ";

/// Returns the count in these bytes; 0 if there is none.
pub fn read(bytes: &[u8]) -> u32 {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    core::str::from_utf8(line).ok().and_then(|line| crate::number::number(line.strip_prefix(MARK)?)).unwrap_or(0)
}

/// Returns the bytes to write for a count.
pub fn sector(count: u32) -> [u8; SECTOR] {
    let line = text::<32>(format_args!("{MARK}{count}\n"));
    let mut bytes = [b'\n'; SECTOR];
    bytes[..line.len()].copy_from_slice(line.as_bytes());
    bytes
}

#[cfg(test)]
mod tests;
