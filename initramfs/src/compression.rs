//! Compressed input: plain, gzip, zstd or xz, detected by the first bytes.

use anyhow::{Context, Result, bail};
use std::io::{self, Read};

/// Maximum bytes of unpacked data; more is an attack or fits no board.
const BYTES: u64 = 16 << 30;

/// The first bytes of unsupported formats, and what to do.
const OTHERS: [(&[u8], &str); 6] = [
    (b"BZh", "packed by bzip2, which is not read: unpack it with bunzip2"),
    (b"LZIP", "packed by lzip, which is not read: unpack it with lzip -d"),
    (&[0x04, 0x22, 0x4d, 0x18], "packed by lz4, which is not read: unpack it with unlz4"),
    (&[0x5d, 0, 0], "packed by lzma, which is not read: unpack it with unlzma"),
    (b"PK\x03\x04", "a zip archive, which is not read: unpack it into a folder"),
    (&[0x7f, b'E', b'L', b'F'], "a program, and no archive"),
];

/// A compression format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// By gzip.
    Gzip,
    /// By zstd.
    Zstd,
    /// By xz.
    Xz,
}

impl Packing {
    /// Detects the format by the first bytes.
    ///
    /// # Errors
    /// An unsupported format, with its name.
    pub fn of(start: &[u8]) -> Result<Self> {
        if let Some((_, what)) = OTHERS.iter().find(|(magic, _)| start.starts_with(magic)) {
            bail!("{what}");
        }
        Ok(match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            // A skippable frame, as written by pzstd(1) and estargz.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            _ => Self::Plain,
        })
    }
}

/// Returns a reader of the unpacked data; plain data is returned unchanged.
///
/// # Errors
/// An unsupported format. Damaged data, and more than 16 GiB, are errors while reading.
pub fn unpacked<'a>(mut input: impl Read + 'a) -> Result<Box<dyn Read + 'a>> {
    let mut start = Vec::new();
    input.by_ref().take(6).read_to_end(&mut start).context("it cannot be read")?;
    let packing = Packing::of(&start)?;
    let input = io::Cursor::new(start).chain(input);
    let unpacked: Box<dyn Read> = match packing {
        Packing::Plain => return Ok(Box::new(input)),
        Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(input)),
        Packing::Zstd => Box::new(zstd::Decoder::new(input)?),
        Packing::Xz => Box::new(lzma_rust2::XzReader::new(input, true)),
    };
    Ok(Box::new(Bounded { input: unpacked, left: BYTES }))
}

/// A reader that fails beyond a maximum size.
struct Bounded<R> {
    input: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let found =
            self.input.read(buffer).map_err(|error| io::Error::other(format!("it cannot be unpacked: {error}")))?;
        self.left = self
            .left
            .checked_sub(found as u64)
            .ok_or_else(|| io::Error::other(format!("it unpacks to more than {} GiB", BYTES >> 30)))?;
        Ok(found)
    }
}
