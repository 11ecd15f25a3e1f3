//! Reads trees from tar archives and writes them; layers of container images may also delete files.

use super::{Entry, Kind, TREE_BYTES, Tree};
use crate::contents::{Contents, Source};
use crate::tar_reader::{Member, MemberKind, Reader};
use crate::untrusted::escaped;
use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// A file for the contents of archived files. Files of an uncompressed archive stay in the archive.
#[derive(Debug)]
pub struct Spool {
    source: Arc<Source>,
    /// Bytes so far.
    at: u64,
    /// The archive, if it is an uncompressed file.
    archive: Option<Arc<Source>>,
}

impl Spool {
    /// Returns a spool in an empty file.
    pub fn new(source: Arc<Source>, archive: Option<Arc<Source>>) -> Self {
        Self { source, at: 0, archive }
    }

    /// Returns a spool in an unnamed temporary file.
    ///
    /// # Errors
    /// Those of making a file.
    pub fn temporary() -> Result<Self> {
        Ok(Self::new(Source::new(tempfile::tempfile()?, [0; 32]), None))
    }

    /// The file with the contents.
    pub(super) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The uncompressed archive.
    pub(super) fn archive(&self) -> Option<&Arc<Source>> {
        self.archive.as_ref()
    }

    /// Bytes so far.
    pub(super) fn bytes(&self) -> u64 {
        self.at
    }

    /// Stores the contents of a member.
    fn take(&mut self, archive: &mut Reader<impl Read>, member: &Member) -> Result<Contents> {
        if let Some((source, place)) = self.archive.as_ref().zip(member.place) {
            return Ok(Contents::part(source, place, member.size));
        }
        let (file, start): (Arc<File>, _) = (self.source.file()?, self.at);
        archive.contents(member, &mut |at, part| Ok(file.write_all_at(part, start + at)?))?;
        self.at += member.size;
        // The member may end with a hole.
        file.set_len(self.at)?;
        Ok(Contents::part(&self.source, start, member.size))
    }
}

impl Tree {
    /// Applies a tar archive to the tree. With `is_layer`, its whiteout names delete files (OCI image layer
    /// specification, "Whiteouts"). Leading slashes of names are removed, as in tar(1).
    ///
    /// # Errors
    /// An archive that is damaged or truncated, a name with `..`, a dangling hard link, or an unsupported type of
    /// entry.
    pub fn apply(&mut self, archive: impl Read, is_layer: bool) -> Result<()> {
        self.lay(archive, is_layer, &mut None)
    }

    /// Like [`Self::apply`], with the contents of files in a spool instead of memory.
    ///
    /// # Errors
    /// As [`Self::apply`], and those of writing.
    pub fn apply_to(&mut self, archive: impl Read, is_layer: bool, spool: &mut Spool) -> Result<()> {
        self.lay(archive, is_layer, &mut Some(spool))
    }

    fn lay(&mut self, archive: impl Read, is_layer: bool, spool: &mut Option<&mut Spool>) -> Result<()> {
        let mut archive = if is_layer { Reader::of_layer(archive) } else { Reader::new(archive) };
        let mut added = BTreeSet::new();
        while let Some(member) = archive.next_member()? {
            let shown = || escaped(&member.path.chars().take(80).collect::<String>());
            self.apply_one(&mut archive, &member, is_layer, &mut added, spool).with_context(shown)?;
        }
        Ok(())
    }

    fn apply_one(
        &mut self,
        archive: &mut Reader<impl Read>,
        member: &Member,
        is_layer: bool,
        added: &mut BTreeSet<String>,
        spool: &mut Option<&mut Spool>,
    ) -> Result<()> {
        let path = &member.path;
        if is_layer && let Some(hidden) = whiteout(path) {
            return self.apply_whiteout(path, hidden, added);
        }
        let (major, minor) = member.device;
        let kind = match member.kind {
            MemberKind::Folder => Kind::Folder,
            MemberKind::Link => Kind::Link(member.target.clone()),
            MemberKind::HardLink => {
                let target = &member.target;
                let place = self.place(target)?;
                let found = self.entries.get(&place).filter(|found| found.kind != Kind::Folder);
                let found = found.with_context(|| format!("a hard link to {target}, which does not exist"))?.clone();
                added.insert(self.add(path, found)?);
                return Ok(());
            }
            MemberKind::Character => Kind::Character(major, minor),
            MemberKind::Block => Kind::Block(major, minor),
            MemberKind::Pipe => Kind::Pipe,
            MemberKind::File => {
                let size = member.size;
                ensure!(self.bytes.saturating_add(size) <= TREE_BYTES, "{size} bytes exceed the limit");
                Kind::File(match spool {
                    Some(spool) => spool.take(archive, member)?,
                    None => {
                        let mut bytes: Vec<u8> = Vec::new();
                        archive.contents(member, &mut |at, part| {
                            bytes.resize(usize::try_from(at)?, 0);
                            bytes.extend_from_slice(part);
                            Ok(())
                        })?;
                        bytes.resize(usize::try_from(size)?, 0);
                        bytes.into()
                    }
                })
            }
        };
        let Member { mode, uid, gid, ref xattrs, .. } = *member;
        added.insert(self.add(path, Entry { mode, uid, gid, xattrs: xattrs.clone(), kind })?);
        Ok(())
    }

    /// Deletes what a whiteout name says: one path of lower layers, or the contents of a folder.
    fn apply_whiteout(&mut self, path: &str, hidden: &str, added: &BTreeSet<String>) -> Result<()> {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        // The path of something inside, so that links on the way are resolved.
        let place = self.place(&format!("{parent}/x"))?;
        let parent = place.rsplit_once('/').map_or("", |(parent, _)| parent);
        match hidden {
            OPAQUE => self.empty(parent, added),
            _ => {
                let place = if parent.is_empty() { hidden.to_owned() } else { format!("{parent}/{hidden}") };
                ensure!(!matches!(hidden, "" | "." | ".."), "a whiteout without a name");
                if !added.contains(&place) {
                    self.remove(&place, added);
                }
            }
        }
        Ok(())
    }

    /// Returns the tree as a tar archive with numeric owners, time 0, and attributes in PAX headers. The output is
    /// reproducible.
    ///
    /// # Errors
    /// What the format does not support.
    pub fn to_tar(&self) -> Result<Vec<u8>> {
        let mut archive = Vec::new();
        self.write_tar(&mut archive, &mut |_| {})?;
        Ok(archive)
    }

    /// Writes the tree as a tar archive, as [`Self::to_tar`] does; calls `advance` with the sizes of files.
    ///
    /// # Errors
    /// What the format cannot hold, and those of reading and writing.
    pub fn write_tar(&self, output: &mut dyn Write, advance: &mut dyn FnMut(u64)) -> Result<()> {
        let mut builder = tar::Builder::new(output);
        let mut links: BTreeMap<(usize, u64), &str> = BTreeMap::new();
        for (path, entry) in self.iter() {
            let mut header = tar::Header::new_gnu();
            header.set_mode(entry.mode);
            header.set_uid(entry.uid.into());
            header.set_gid(entry.gid.into());
            header.set_mtime(0);
            header.set_size(0);
            let xattrs = entry.xattrs.iter().map(|(name, value)| (format!("SCHILY.xattr.{name}"), value.clone()));
            let xattrs: Vec<(String, Vec<u8>)> = xattrs.collect();
            let name = format!("./{path}");
            if let Kind::File(contents) = &entry.kind
                && !contents.is_empty()
            {
                let first = *links.entry(contents.link_key()).or_insert(path);
                if first != path {
                    header.set_entry_type(tar::EntryType::Link);
                    builder.append_link(&mut header, &name, format!("./{first}"))?;
                    continue;
                }
            }
            if !xattrs.is_empty() {
                builder.append_pax_extensions(xattrs.iter().map(|(key, value)| (key.as_str(), value.as_slice())))?;
            }
            match &entry.kind {
                Kind::Folder => {
                    header.set_entry_type(tar::EntryType::Directory);
                    builder.append_data(&mut header, format!("{name}/"), std::io::empty())?;
                }
                Kind::File(contents) => {
                    header.set_size(contents.len());
                    header.set_entry_type(tar::EntryType::Regular);
                    builder.append_data(&mut header, &name, contents.reader()?)?;
                    advance(contents.len());
                }
                Kind::Link(target) => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    builder.append_link(&mut header, &name, target)?;
                }
                Kind::Character(major, minor) | Kind::Block(major, minor) => {
                    let is_block = matches!(entry.kind, Kind::Block(..));
                    header.set_entry_type(if is_block { tar::EntryType::Block } else { tar::EntryType::Char });
                    header.set_device_major(*major)?;
                    header.set_device_minor(*minor)?;
                    builder.append_data(&mut header, &name, std::io::empty())?;
                }
                Kind::Pipe => {
                    header.set_entry_type(tar::EntryType::Fifo);
                    builder.append_data(&mut header, &name, std::io::empty())?;
                }
            }
        }
        builder.into_inner()?.flush()?;
        Ok(())
    }
}

const OPAQUE: &str = ".wh..opq";

/// Returns what a whiteout name deletes: the hidden name, or [`OPAQUE`].
fn whiteout(path: &str) -> Option<&str> {
    let name = path.trim_end_matches('/').rsplit('/').next()?;
    name.strip_prefix(".wh.")
}
