//! An empty filesystem as a list of blocks, which the image builder extracts from the output of mke2fs(8).
//!
//! A board has no mkfs. Formatting means writing a few blocks, which are the same for every board; the kernel then
//! grows the filesystem to the size of its partition. All numbers are little-endian:
//!
//! | bytes | contents |
//! |---|---|
//! | 8 | `hilumfs1` |
//! | 8 | the initial size of the filesystem in bytes, which is the minimum for the device |
//! | 8, 4, 4 | for each part: its offset, its length, and the number of bytes that follow; the rest of the part is zero |

/// The magic bytes of the file.
const MAGIC: &[u8; 8] = b"hilumfs1";

/// Iterates over the parts of a file.
#[derive(Debug, Clone, Copy)]
pub struct Blueprint<'a> {
    /// The initial size of the filesystem in bytes.
    pub bytes: u64,
    rest: &'a [u8],
}

/// A part of the filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent<'a> {
    /// Its offset.
    pub at: u64,
    /// Its length; bytes after those of `bytes` are zero.
    pub length: u32,
    /// Its first bytes.
    pub bytes: &'a [u8],
}

fn take<'a, const COUNT: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; COUNT]> {
    let (taken, others) = rest.split_first_chunk()?;
    *rest = others;
    Some(taken)
}

impl<'a> Blueprint<'a> {
    /// Parses a file. `None` if it is truncated, or a part is outside of the filesystem.
    pub fn read(file: &'a [u8]) -> Option<Self> {
        let mut rest = file;
        (take(&mut rest)? == MAGIC).then_some(())?;
        let whole = Self { bytes: u64::from_le_bytes(*take(&mut rest)?), rest };
        let mut parts = whole;
        while !parts.rest.is_empty() {
            let part = parts.next()?;
            (part.at.checked_add(part.length.into())? <= whole.bytes).then_some(())?;
        }
        Some(whole)
    }

    /// Returns the header of a file for a filesystem of this size.
    pub fn head(bytes: u64) -> [u8; 16] {
        let mut head = [0; 16];
        head[..8].copy_from_slice(MAGIC);
        head[8..].copy_from_slice(&bytes.to_le_bytes());
        head
    }

    /// Returns the header of a part.
    pub fn part_head(at: u64, length: u32, count: u32) -> [u8; 16] {
        let mut head = [0; 16];
        head[..8].copy_from_slice(&at.to_le_bytes());
        head[8..12].copy_from_slice(&length.to_le_bytes());
        head[12..].copy_from_slice(&count.to_le_bytes());
        head
    }
}

impl<'a> Iterator for Blueprint<'a> {
    type Item = Extent<'a>;

    fn next(&mut self) -> Option<Extent<'a>> {
        let at = u64::from_le_bytes(*take(&mut self.rest)?);
        let length = u32::from_le_bytes(*take(&mut self.rest)?);
        let count = u32::from_le_bytes(*take(&mut self.rest)?).min(length) as usize;
        let (bytes, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(Extent { at, length, bytes })
    }
}
