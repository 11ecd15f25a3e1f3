//! A reader for tar archives (pax(1) of POSIX.1-2017; tar(5) of libarchive; "Tar Internals" in the manual of GNU tar).
//!
//! It supports ustar, GNU and PAX archives, with sparse files in all four formats of GNU tar (`sparse.rs`), extended
//! attributes (`pax.rs`) and access control lists (`acl.rs`). Unknown features are never guessed: if a member's name or
//! contents would be read incorrectly, that is an error that names the member.

mod acl;
mod header;
mod input;
mod pax;
mod sparse;

use crate::untrusted::escaped;
use anyhow::{Context, Result, bail, ensure};
use header::{Header, until_nul};
use input::{BLOCK, Input};
use pax::Records;
use sparse::Piece;
use std::collections::BTreeMap;
use std::io::Read;

/// Maximum bytes of a long name, or of an extended header; real ones have some thousand.
const EXTENSION_BYTES: u64 = 1 << 20;
/// Bytes of the read buffer.
const BUFFER_BYTES: usize = 1 << 16;

/// The type of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberKind {
    /// A regular file.
    File,
    /// A hard link to an earlier file.
    HardLink,
    /// A symbolic link.
    Link,
    /// A character device.
    Character,
    /// A block device.
    Block,
    /// A folder.
    Folder,
    /// A named pipe.
    Pipe,
}

/// A member of an archive.
#[derive(Debug)]
pub struct Member {
    /// Its name in the archive.
    pub path: String,
    /// The target of a link; otherwise empty.
    pub target: String,
    /// Its type.
    pub kind: MemberKind,
    /// Permission bits, including set-id bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// The size of a file in bytes, including holes.
    pub size: u64,
    /// Extended attributes, including access control lists.
    pub xattrs: BTreeMap<String, Vec<u8>>,
    /// The offset of the contents in the archive; `None` for a sparse file.
    pub place: Option<u64>,
    pieces: Vec<Piece>,
}

/// An archive that is being read.
pub struct Reader<R> {
    input: Input<R>,
    /// Records of global headers, which apply to all later members.
    globals: Records,
    may_lack_end: bool,
    has_ended: bool,
}

impl<R: Read> Reader<R> {
    /// Creates a reader. The archive must end with empty blocks; without them it is truncated.
    pub fn new(input: R) -> Self {
        Self { input: Input::new(input), globals: Records::default(), may_lack_end: false, has_ended: false }
    }

    /// Creates a reader for an archive that is verified otherwise, such as a layer by its digest. Its end and the
    /// padding of its last block may be missing, as in those of umoci(1).
    pub fn of_layer(input: R) -> Self {
        Self { may_lack_end: true, ..Self::new(input) }
    }

    /// Returns the next member, or `None` at the end. Unread contents of the current member are skipped.
    ///
    /// # Errors
    /// An archive that is damaged or truncated, or a member that cannot be read correctly.
    pub fn next_member(&mut self) -> Result<Option<Member>> {
        self.input.skip(self.may_lack_end)?;
        let (mut name, mut target, mut records) = (None, None, None);
        while let Some(header) = self.header()? {
            match header.kind() {
                b'L' => name = Some(until_nul(self.extension(&header)?)),
                b'K' => target = Some(until_nul(self.extension(&header)?)),
                b'x' | b'X' => {
                    ensure!(records.is_none(), "two extended headers for one member");
                    records = Some(Records::read(&self.extension(&header)?)?);
                }
                // A volume label (GNU tar).
                b'V' => drop(self.extension(&header)?),
                b'g' => {
                    let more = Records::read(&self.extension(&header)?)?;
                    self.globals = self.globals.followed_by(&more);
                }
                _ => {
                    let records = self.globals.followed_by(&records.unwrap_or_default());
                    let path = records.value("GNU.sparse.name").or_else(|| records.value("path"));
                    let path = path.map(<[u8]>::to_vec).or(name).unwrap_or_else(|| header.name());
                    let shown = shown(&String::from_utf8_lossy(&path));
                    return self.member(&header, path, target, &records).map(Some).context(shown);
                }
            }
        }
        let is_complete = name.is_none() && target.is_none() && records.is_none();
        ensure!(is_complete, "the archive ends in the middle of a member: it was cut short");
        Ok(None)
    }

    /// Passes the contents of the current member to `put` in pieces, each with its offset in the file. Gaps are holes,
    /// which read as zeros.
    ///
    /// # Errors
    /// A truncated archive, and those of `put`.
    pub fn contents(&mut self, member: &Member, put: &mut dyn FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
        let mut buffer = vec![0; BUFFER_BYTES];
        for piece in &member.pieces {
            let (mut at, mut left) = (piece.at, piece.bytes);
            while left > 0 {
                let part = &mut buffer[..usize::try_from(left).unwrap_or(BUFFER_BYTES).min(BUFFER_BYTES)];
                self.input.read(part)?;
                put(at, part)?;
                at += part.len() as u64;
                left -= part.len() as u64;
            }
        }
        Ok(())
    }

    fn member(&mut self, header: &Header, path: Vec<u8>, target: Option<Vec<u8>>, records: &Records) -> Result<Member> {
        let path = String::from_utf8(path).ok().context("a name is not UTF-8")?;
        let target = records.value("linkpath").map(<[u8]>::to_vec).or(target).unwrap_or_else(|| header.target());
        let target = String::from_utf8(target).ok().context("a link target is not UTF-8")?;
        records.check()?;
        let stored = records.number("size")?.map_or_else(|| header.size(), Ok)?;
        let kind = match header.kind() {
            // Before POSIX, a trailing slash marked a folder.
            0 if path.ends_with('/') => MemberKind::Folder,
            0 | b'0' | b'7' | b'S' => MemberKind::File,
            b'1' => MemberKind::HardLink,
            b'2' => MemberKind::Link,
            b'3' => MemberKind::Character,
            b'4' => MemberKind::Block,
            b'5' => MemberKind::Folder,
            b'6' => MemberKind::Pipe,
            other => bail!("unsupported entry type {:?}", char::from(other)),
        };
        let is_link = matches!(kind, MemberKind::HardLink | MemberKind::Link);
        ensure!(!is_link || !target.is_empty(), "a link without a target");
        // For a folder this is a size limit, and there are no contents.
        let stored = if kind == MemberKind::Folder { 0 } else { stored };
        ensure!(kind == MemberKind::File || stored == 0, "contents after an entry that is not a file");
        self.input.begin(stored);
        let map = match header.kind() {
            b'S' => Some(sparse::old(&mut self.input, header)?),
            _ => sparse::by_records(&mut self.input, records)?,
        };
        let has_holes = map.is_some();
        let (size, pieces) = map.unwrap_or_else(|| (stored, vec![Piece { at: 0, bytes: stored }]));
        sparse::check(&pieces, size, self.input.left())?;
        let id = |name: &str, own: u64| -> Result<u32> {
            let id = records.number(name)?.unwrap_or(own);
            u32::try_from(id).with_context(|| format!("{name} {id} is above the kernel's highest, {}", u32::MAX))
        };
        Ok(Member {
            kind,
            mode: header.mode()? & 0o7777,
            uid: id("uid", header.uid()?)?,
            gid: id("gid", header.gid()?)?,
            device: header.device()?,
            size,
            xattrs: records.xattrs()?,
            place: (!has_holes).then_some(self.input.at()),
            pieces,
            target: if is_link { target } else { String::new() },
            path,
        })
    }

    /// Returns the next header, or `None` at the end.
    fn header(&mut self) -> Result<Option<Header>> {
        if self.has_ended {
            return Ok(None);
        }
        let (start, mut block) = (self.input.at(), [0; BLOCK]);
        let found = self.input.fill(&mut block)?;
        if found == 0 && start == 0 && !self.may_lack_end {
            bail!("the file is empty");
        }
        if found == 0 && !self.may_lack_end {
            bail!("the archive ends without the empty blocks at its end: it was cut short");
        }
        if found > 0 && found < BLOCK {
            bail!("{}", if start == 0 { "not a tar archive" } else { "the archive ends in the middle of a header" });
        }
        if block == [0; BLOCK] {
            self.has_ended = true;
            let mut second = [0; BLOCK];
            let _ = self.input.fill(&mut second)?;
            ensure!(second == [0; BLOCK], "the archive is damaged: data after an empty block");
            return Ok(None);
        }
        match Header::of(block) {
            Some(header) => Ok(Some(header)),
            None if start == 0 => bail!("not a tar archive"),
            None => bail!("the archive is damaged at byte {start}"),
        }
    }

    /// Returns the contents of a header that extends the next member's.
    fn extension(&mut self, header: &Header) -> Result<Vec<u8>> {
        let size = header.size()?;
        ensure!(size <= EXTENSION_BYTES, "{size} bytes about one member are too many");
        self.input.begin(size);
        let mut bytes = vec![0; size as usize];
        self.input.read(&mut bytes)?;
        self.input.skip(self.may_lack_end)?;
        Ok(bytes)
    }
}

/// Returns a name of an archive, shortened and without terminal control characters.
fn shown(path: &str) -> String {
    escaped(&path.chars().take(80).collect::<String>())
}

#[cfg(test)]
mod tests;
