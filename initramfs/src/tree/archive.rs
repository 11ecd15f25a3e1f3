//! Reads trees from tar archives and writes them; layers of container images may also delete files.

use super::{Entry, Kind, TREE_BYTES, Tree};
use crate::tar_reader::{Member, MemberKind, Reader};
use crate::untrusted::escaped;
use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;

impl Tree {
    /// Applies a tar archive to the tree. With `is_layer`, its whiteout names delete files (OCI image layer
    /// specification, "Whiteouts"). Leading slashes of names are removed, as in tar(1).
    ///
    /// # Errors
    /// An archive that is damaged or truncated, a name with `..`, a dangling hard link, or an unsupported type of
    /// entry.
    pub fn apply(&mut self, archive: impl Read, is_layer: bool) -> Result<()> {
        let mut archive = if is_layer { Reader::of_layer(archive) } else { Reader::new(archive) };
        let mut added = BTreeSet::new();
        while let Some(member) = archive.next_member()? {
            let shown = || escaped(&member.path.chars().take(80).collect::<String>());
            self.apply_one(&mut archive, &member, is_layer, &mut added).with_context(shown)?;
        }
        Ok(())
    }

    fn apply_one(
        &mut self,
        archive: &mut Reader<impl Read>,
        member: &Member,
        is_layer: bool,
        added: &mut BTreeSet<String>,
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
                let mut bytes: Vec<u8> = Vec::new();
                archive.contents(member, &mut |at, part| {
                    bytes.resize(usize::try_from(at)?, 0);
                    bytes.extend_from_slice(part);
                    Ok(())
                })?;
                bytes.resize(usize::try_from(size)?, 0);
                Kind::File(Arc::new(bytes))
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
        let mut builder = tar::Builder::new(Vec::new());
        let mut links: BTreeMap<*const Vec<u8>, &str> = BTreeMap::new();
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
            let first = match &entry.kind {
                Kind::File(bytes) if !bytes.is_empty() => links.insert(Arc::as_ptr(bytes), path),
                _ => None,
            };
            if let Some(first) = first {
                // The first name stays the regular file.
                if let Kind::File(bytes) = &entry.kind {
                    links.insert(Arc::as_ptr(bytes), first);
                }
                header.set_entry_type(tar::EntryType::Link);
                builder.append_link(&mut header, &name, format!("./{first}"))?;
                continue;
            }
            if !xattrs.is_empty() {
                builder.append_pax_extensions(xattrs.iter().map(|(key, value)| (key.as_str(), value.as_slice())))?;
            }
            match &entry.kind {
                Kind::Folder => {
                    header.set_entry_type(tar::EntryType::Directory);
                    builder.append_data(&mut header, format!("{name}/"), std::io::empty())?;
                }
                Kind::File(bytes) => {
                    header.set_size(bytes.len() as u64);
                    header.set_entry_type(tar::EntryType::Regular);
                    builder.append_data(&mut header, &name, bytes.as_slice())?;
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
        Ok(builder.into_inner()?)
    }
}

const OPAQUE: &str = ".wh..opq";

/// Returns what a whiteout name deletes: the hidden name, or [`OPAQUE`].
fn whiteout(path: &str) -> Option<&str> {
    let name = path.trim_end_matches('/').rsplit('/').next()?;
    name.strip_prefix(".wh.")
}
