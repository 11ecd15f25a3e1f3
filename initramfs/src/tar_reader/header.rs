//! The header block of each member (tar(5); tar.h of GNU tar).

use super::input::BLOCK;
use anyhow::{Context, Result, ensure};
use std::ops::Range;

/// A header with a valid checksum.
pub(super) struct Header([u8; BLOCK]);

impl Header {
    /// Returns a block as a header, if its checksum is valid.
    pub(super) fn of(block: [u8; BLOCK]) -> Option<Self> {
        const CHECKSUM: Range<usize> = 148..156;
        let said = number(&block[CHECKSUM]).ok()?;
        let with_blanks = |at: usize| if CHECKSUM.contains(&at) { b' ' } else { block[at] };
        let sum: u64 = (0..BLOCK).map(|at| u64::from(with_blanks(at))).sum();
        // Some old programs summed signed characters.
        let signed: i64 = (0..BLOCK).map(|at| i64::from(with_blanks(at).cast_signed())).sum();
        (sum == said || i64::try_from(said).is_ok_and(|said| said == signed)).then_some(Self(block))
    }

    /// Returns the type character.
    pub(super) fn kind(&self) -> u8 {
        self.0[156]
    }

    /// Returns the name, including the prefix if the format has one.
    pub(super) fn name(&self) -> Vec<u8> {
        let name = self.text(0..100);
        // GNU tar stores times there, and star(1), with its own magic, a shorter prefix.
        let is_ustar = self.0[257..263] == *b"ustar\0";
        let prefix = match &self.0[508..512] {
            _ if !is_ustar => Vec::new(),
            b"tar\0" => self.text(345..476),
            _ => self.text(345..500),
        };
        if prefix.is_empty() { name } else { [prefix, name].join(&b'/') }
    }

    /// Returns the target of a link.
    pub(super) fn target(&self) -> Vec<u8> {
        self.text(157..257)
    }

    pub(super) fn mode(&self) -> Result<u32> {
        self.field(100..108, "mode").map(|mode| (mode & 0o7777) as u32)
    }

    pub(super) fn uid(&self) -> Result<u64> {
        self.field(108..116, "uid")
    }

    pub(super) fn gid(&self) -> Result<u64> {
        self.field(116..124, "gid")
    }

    /// Returns the number of bytes after the header.
    pub(super) fn size(&self) -> Result<u64> {
        self.field(124..136, "size")
    }

    /// Returns major and minor number of a device; 0 if the format has none.
    pub(super) fn device(&self) -> Result<(u32, u32)> {
        if self.0[257..262] != *b"ustar" || !matches!(self.kind(), b'3' | b'4') {
            return Ok((0, 0));
        }
        let part = |place, name| -> Result<u32> {
            u32::try_from(self.field(place, name)?).with_context(|| format!("{name} is too large"))
        };
        Ok((part(329..337, "major number")?, part(337..345, "minor number")?))
    }

    /// Returns a field that only GNU tar writes, as indicated by its magic.
    pub(super) fn of_gnu(&self, place: Range<usize>) -> Result<&[u8]> {
        ensure!(self.0[257..265] == *b"ustar  \0", "an unsupported kind of sparse file; pack it without holes");
        Ok(&self.0[place])
    }

    fn field(&self, place: Range<usize>, name: &str) -> Result<u64> {
        number(&self.0[place]).with_context(|| format!("its {name} is not a number"))
    }

    fn text(&self, place: Range<usize>) -> Vec<u8> {
        until_nul(self.0[place].to_vec())
    }
}

/// Parses a number: octal digits padded with blanks, or binary if the first bit is set.
///
/// # Errors
/// Anything else, and negative numbers.
pub(super) fn number(field: &[u8]) -> Result<u64> {
    let Some((first, rest)) = field.split_first() else { return Ok(0) };
    if first & 0x80 != 0 {
        ensure!(first & 0x7f == 0, "too large, or negative");
        let add = |sum: u64, byte: &u8| sum.checked_mul(256).map(|sum| sum + u64::from(*byte));
        return rest.iter().try_fold(0, add).context("too large");
    }
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    let text = std::str::from_utf8(&field[..end])?.trim_matches(' ');
    if text.is_empty() {
        return Ok(0);
    }
    ensure!(text.bytes().all(|byte| byte.is_ascii_digit()), "no digits");
    Ok(u64::from_str_radix(text, 8)?)
}

/// Returns a text up to the first NUL.
pub(super) fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
    bytes
}
