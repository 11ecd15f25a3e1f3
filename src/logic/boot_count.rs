//! The count of boots in a row that went badly, as bytes: one sector, `hilum boots N` and newlines.

use crate::fixed_string::text;

/// Bytes of the count: a sector, which a device writes as a whole or not at all.
pub const SECTOR: usize = 512;
const MARK: &str = "hilum boots ";

/// Returns the count in these bytes; 0 if they are no count.
pub fn read(bytes: &[u8]) -> u32 {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    core::str::from_utf8(line).ok().and_then(|line| line.strip_prefix(MARK)?.parse().ok()).unwrap_or(0)
}

/// Returns the bytes that are written for a count.
pub fn sector(count: u32) -> [u8; SECTOR] {
    let line = text::<32>(format_args!("{MARK}{count}\n"));
    let mut bytes = [b'\n'; SECTOR];
    bytes[..line.len()].copy_from_slice(line.as_bytes());
    bytes
}

#[cfg(test)]
mod tests;
