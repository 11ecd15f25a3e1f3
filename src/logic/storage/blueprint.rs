//! A new and empty filesystem as the bytes that make it: what the image builder has kept of mke2fs(8).
//!
//! A board has no mkfs. Making a filesystem is writing some blocks, and which ones they are does not depend on the
//! board; the kernel lets it grow to the size of its partition afterwards. All numbers are little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `hilumfs1` |
//! | 8 | bytes that the filesystem has at first; a device has to have as many |
//! | 8, 4, 4 | for each part: where it begins, how many bytes it has, and how many of them follow; the others are zero |

/// What a file begins with.
const MAGIC: &[u8; 8] = b"hilumfs1";

/// A file's parts, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Blueprint<'a> {
    /// Bytes that the filesystem has at first.
    pub bytes: u64,
    rest: &'a [u8],
}

/// Some bytes of the filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent<'a> {
    /// Where they begin.
    pub at: u64,
    /// How many there are; behind those of `bytes` they are zero.
    pub length: u32,
    /// The first of them.
    pub bytes: &'a [u8],
}

fn take<'a, const COUNT: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; COUNT]> {
    let (taken, others) = rest.split_first_chunk()?;
    *rest = others;
    Some(taken)
}

impl<'a> Blueprint<'a> {
    /// Reads a file. `None` if it is not whole, or a part lies outside of the filesystem.
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

    /// Returns the bytes of a file for these parts.
    pub fn head(bytes: u64) -> [u8; 16] {
        let mut head = [0; 16];
        head[..8].copy_from_slice(MAGIC);
        head[8..].copy_from_slice(&bytes.to_le_bytes());
        head
    }

    /// Returns the bytes that stand before those of a part.
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
