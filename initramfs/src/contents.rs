//! Contents of files: bytes in memory, a part of a file of this machine that is read when it is needed, or both joined. So memory
//! does not grow with the size of root filesystems.

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::Arc;

/// SHA-256 of something.
pub type Hash = [u8; 32];

/// The size of a piece in bytes.
const BUFFER_BYTES: usize = 1 << 20;

/// Identifies an unchanged file without reading it: device, inode, size, mtime and ctime, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp([i128; 5]);

impl Stamp {
    /// Returns the stamp in a file's metadata.
    pub fn of(metadata: &Metadata) -> Self {
        let time = |seconds: i64, nanoseconds: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        Self([
            metadata.dev().into(),
            metadata.ino().into(),
            metadata.size().into(),
            time(metadata.mtime(), metadata.mtime_nsec()),
            time(metadata.ctime(), metadata.ctime_nsec()),
        ])
    }

    /// Returns the time of the last change, in nanoseconds since 1970.
    pub(crate) fn changed(&self) -> i128 {
        self.0[3].max(self.0[4])
    }

    /// Returns the stamp as a word.
    pub(crate) fn word(&self) -> String {
        self.0.map(|number| number.to_string()).join(",")
    }
}

/// A file with contents.
#[derive(Debug)]
pub struct Source {
    place: Place,
    /// Identifies its bytes: sources with the same id have the same bytes.
    id: Hash,
}

#[derive(Debug)]
enum Place {
    Open(Arc<File>),
    /// A file that is opened to read it, because a folder may have more files than a process can open.
    Path(PathBuf, Stamp),
}

impl Source {
    /// Returns an open file as a source.
    pub fn new(file: File, id: Hash) -> Arc<Self> {
        Arc::new(Self { place: Place::Open(Arc::new(file)), id })
    }

    /// Returns a file as a source that is opened later. Its stamp must not change.
    pub fn at(path: PathBuf, stamp: Stamp, id: Hash) -> Arc<Self> {
        Arc::new(Self { place: Place::Path(path, stamp), id })
    }

    /// Returns the id of its bytes.
    pub fn id(&self) -> Hash {
        self.id
    }

    /// Returns the file.
    ///
    /// # Errors
    /// The file has changed.
    pub fn file(&self) -> Result<Arc<File>> {
        match &self.place {
            Place::Open(file) => Ok(Arc::clone(file)),
            Place::Path(path, stamp) => {
                let place = || path.display().to_string();
                let file = File::open(path).with_context(place)?;
                let is_same = Stamp::of(&file.metadata().with_context(place)?) == *stamp;
                ensure!(is_same, "{}: changed while the image was built; build it again", path.display());
                Ok(Arc::new(file))
            }
        }
    }
}

/// Contents of a file.
#[derive(Debug, Clone)]
pub enum Contents {
    /// Bytes in memory.
    Bytes(Arc<Vec<u8>>),
    /// A source, the offset, and the length in bytes.
    Part(Arc<Source>, u64, u64),
    /// Contents at ascending offsets with zeros between them, and the length in bytes.
    Joined(Arc<Vec<(u64, Contents)>>, u64),
}

impl Contents {
    /// Returns a part of a source.
    pub fn part(source: &Arc<Source>, at: u64, len: u64) -> Self {
        if len == 0 { Self::default() } else { Self::Part(Arc::clone(source), at, len) }
    }

    /// Returns contents of `len` bytes that consist of other contents at their offsets, which do not overlap, and of zeros.
    pub fn joined(mut parts: Vec<(u64, Self)>, len: u64) -> Self {
        parts.sort_by_key(|(at, _)| *at);
        let ends = parts.iter().skip(1).map(|(at, _)| *at).chain([len]);
        assert!(parts.iter().zip(ends).all(|((at, part), end)| at + part.len() <= end));
        Self::Joined(Arc::new(parts), len)
    }

    /// Returns the contents of a whole file.
    ///
    /// # Errors
    /// Its size cannot be read.
    pub fn of_file(file: File, id: Hash) -> Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self::part(&Source::new(file, id), 0, len))
    }

    /// Returns the size in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Part(_, _, len) | Self::Joined(_, len) => *len,
        }
    }

    /// Returns the number of bytes that are in memory.
    pub fn held(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Part(..) => 0,
            Self::Joined(parts, _) => parts.iter().map(|(_, part)| part.held()).sum(),
        }
    }

    /// Whether the size is 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether both are the same file, as hard links are.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bytes(one), Self::Bytes(other)) => Arc::ptr_eq(one, other),
            (Self::Part(one, at, len), Self::Part(other, other_at, other_len)) => {
                Arc::ptr_eq(one, other) && (at, len) == (other_at, other_len)
            }
            (Self::Joined(one, _), Self::Joined(other, _)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// Returns a key that only hard links of the same file have in common.
    pub(crate) fn link_key(&self) -> (usize, u64) {
        match self {
            Self::Bytes(bytes) => (Arc::as_ptr(bytes) as usize, 0),
            Self::Part(source, at, _) => (Arc::as_ptr(source) as usize, *at),
            Self::Joined(parts, _) => (Arc::as_ptr(parts) as usize, 0),
        }
    }

    /// Returns a hash that identifies the bytes. Equal bytes in two sources may have different ones.
    pub fn identity(&self) -> Hash {
        match self {
            Self::Bytes(bytes) => Sha256::digest(bytes.as_slice()).into(),
            Self::Part(source, at, len) => {
                let digest = Sha256::new().chain_update("part").chain_update(source.id);
                digest.chain_update(at.to_le_bytes()).chain_update(len.to_le_bytes()).finalize().into()
            }
            Self::Joined(parts, len) => {
                let mut digest = Sha256::new().chain_update("joined").chain_update(len.to_le_bytes());
                for (at, part) in &**parts {
                    digest.update(at.to_le_bytes());
                    digest.update(part.identity());
                }
                digest.finalize().into()
            }
        }
    }

    /// Reads the bytes.
    ///
    /// # Errors
    /// Those of reading, and a source that ends before.
    pub fn read(&self) -> Result<Cow<'_, [u8]>> {
        match self {
            Self::Bytes(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::Part(source, at, len) => {
                let mut bytes = vec![0; usize::try_from(*len)?];
                source.file()?.read_exact_at(&mut bytes, *at).context("a file was shortened while it was read")?;
                Ok(Cow::Owned(bytes))
            }
            Self::Joined(..) => {
                let mut bytes = Vec::new();
                self.reader()?.read_to_end(&mut bytes)?;
                Ok(Cow::Owned(bytes))
            }
        }
    }

    /// Reads the bytes as text; replaces invalid UTF-8, and returns an empty text if they cannot be read.
    pub fn text(&self) -> String {
        self.read().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Reads the first bytes, `bytes` at most.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn start(&self, bytes: usize) -> Result<Vec<u8>> {
        self.piece(0, bytes as u64)
    }

    /// Reads `bytes` bytes from the offset `at` on, or fewer at the end.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn piece(&self, at: u64, bytes: u64) -> Result<Vec<u8>> {
        let mut piece = Vec::new();
        match self {
            Self::Part(source, start, len) => {
                PartReader::new(source.file()?, start + at, bytes.min(len.saturating_sub(at)))
                    .read_to_end(&mut piece)?
            }
            _ => {
                let mut reader = self.reader()?;
                io::copy(&mut reader.by_ref().take(at), &mut io::sink())?;
                reader.take(bytes).read_to_end(&mut piece)?
            }
        };
        Ok(piece)
    }

    /// Returns a reader.
    ///
    /// # Errors
    /// The source cannot be opened.
    pub fn reader(&self) -> Result<Box<dyn Read + '_>> {
        Ok(match self {
            Self::Bytes(bytes) => Box::new(bytes.as_slice()),
            Self::Part(source, at, len) => Box::new(PartReader::new(source.file()?, *at, *len)),
            Self::Joined(parts, len) => {
                let (mut all, mut end): (Box<dyn Read + '_>, u64) = (Box::new(io::empty()), 0);
                for (at, part) in &**parts {
                    all = Box::new(all.chain(io::repeat(0).take(at - end)).chain(part.reader()?));
                    end = at + part.len();
                }
                Box::new(all.chain(io::repeat(0).take(len - end)))
            }
        })
    }

    /// Writes the bytes; calls `advance` with the number of bytes of each piece.
    ///
    /// # Errors
    /// Those of reading and writing, and a source that ends before.
    pub fn write(&self, output: &mut dyn Write, advance: &mut dyn FnMut(u64)) -> Result<()> {
        let (mut input, mut left) = (self.reader()?, self.len());
        let mut buffer = vec![0; usize::try_from(left).unwrap_or(BUFFER_BYTES).min(BUFFER_BYTES)];
        while left > 0 {
            let found = input.read(&mut buffer)?;
            ensure!(found > 0, "a file was shortened while it was read");
            output.write_all(&buffer[..found])?;
            left -= found as u64;
            advance(found as u64);
        }
        Ok(())
    }

    /// Copies the bytes to the offset `to` of a file, inside of the kernel if possible. Holes stay holes.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn copy(&self, output: &File, to: u64) -> Result<()> {
        let (source, at, len) = match self {
            Self::Bytes(bytes) => return Ok(output.write_all_at(bytes, to)?),
            Self::Part(source, at, len) => (source.file()?, *at, *len),
            Self::Joined(parts, len) => {
                parts.iter().try_for_each(|(at, part)| part.copy(output, to + at))?;
                return extend(output, to + len);
            }
        };
        let mut done = 0;
        while done < len {
            let (mut from, mut into) = (at + done, to + done);
            // Filesystems without support for holes report one piece of data.
            let data = rustix::fs::seek(&source, rustix::fs::SeekFrom::Data(from));
            if data == Err(rustix::io::Errno::NXIO) {
                break;
            }
            let skipped = data.unwrap_or(from).saturating_sub(from).min(len - done);
            if skipped > 0 {
                done += skipped;
                continue;
            }
            let end = rustix::fs::seek(&source, rustix::fs::SeekFrom::Hole(from)).unwrap_or(u64::MAX);
            let piece = (end - from).min(len - done);
            let piece = usize::try_from(piece).unwrap_or(usize::MAX).min(1 << 30);
            match rustix::fs::copy_file_range(&source, Some(&mut from), output, Some(&mut into), piece) {
                Ok(0) => bail!("a file was shortened while it was read"),
                Ok(copied) => done += copied as u64,
                Err(_) => {
                    let mut buffer = vec![0; piece.min(BUFFER_BYTES)];
                    source.read_exact_at(&mut buffer, at + done)?;
                    output.write_all_at(&buffer, to + done)?;
                    done += buffer.len() as u64;
                }
            }
        }
        extend(output, to + len)
    }
}

/// Makes a shorter file as long as this.
fn extend(file: &File, len: u64) -> Result<()> {
    if file.metadata()?.len() < len {
        file.set_len(len)?;
    }
    Ok(())
}

impl Default for Contents {
    fn default() -> Self {
        Self::Bytes(Arc::default())
    }
}

impl<T: Into<Vec<u8>>> From<T> for Contents {
    fn from(bytes: T) -> Self {
        Self::Bytes(Arc::new(bytes.into()))
    }
}

/// Compares the bytes. Contents that cannot be read are unequal.
impl PartialEq for Contents {
    fn eq(&self, other: &Self) -> bool {
        let is_equal = || Some(self.read().ok()? == other.read().ok()?);
        self.is_same(other) || (self.len() == other.len() && is_equal() == Some(true))
    }
}

impl Eq for Contents {}

/// Reads a part of a file.
pub(crate) struct PartReader {
    file: Arc<File>,
    at: u64,
    left: u64,
}

impl PartReader {
    pub(crate) fn new(file: Arc<File>, at: u64, left: u64) -> Self {
        Self { file, at, left }
    }
}

impl Read for PartReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let found = self.file.read_at(&mut buffer[..wanted], self.at)?;
        self.at += found as u64;
        self.left -= found as u64;
        Ok(found)
    }
}

/// Returns a hash in hexadecimal digits.
pub fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the hash of what is read.
///
/// # Errors
/// Those of reading.
pub fn hash(mut input: impl Read) -> io::Result<Hash> {
    let (mut digest, mut buffer) = (Sha256::new(), vec![0; BUFFER_BYTES]);
    loop {
        match input.read(&mut buffer)? {
            0 => return Ok(digest.finalize().into()),
            found => digest.update(&buffer[..found]),
        }
    }
}

#[cfg(test)]
mod tests;
