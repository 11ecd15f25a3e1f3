//! Trees from tar archives and as tar archives; layers of container images take away what their names say.

use super::{Entry, Kind, TREE_BYTES, Tree};
use anyhow::{Context, Result, bail, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;

impl Tree {
    /// Lays a tar archive over the tree: a plain one, or with `is_layer` one whose names say what it takes away (OCI image
    /// layer specification, "Whiteouts").
    ///
    /// # Errors
    /// An archive that is damaged or not whole, a name that climbs or is absolute, a hard link to nothing, a kind of entry
    /// that is no file.
    pub fn apply(&mut self, archive: impl Read, is_layer: bool) -> Result<()> {
        let mut archive = tar::Archive::new(archive);
        let mut added = BTreeSet::new();
        for entry in archive.entries().context("no tar archive")? {
            let mut entry = entry.context("the archive is damaged")?;
            let path = entry.path_bytes().into_owned();
            let path = String::from_utf8(path).ok().context("a name that is not UTF-8")?;
            self.apply_one(&mut entry, &path, is_layer, &mut added).with_context(|| shown(&path))?;
        }
        Ok(())
    }

    fn apply_one(
        &mut self,
        entry: &mut tar::Entry<'_, impl Read>,
        path: &str,
        is_layer: bool,
        added: &mut BTreeSet<String>,
    ) -> Result<()> {
        use tar::EntryType;
        ensure!(!path.starts_with('/'), "an absolute name in an archive");
        let header = entry.header();
        let (kind, mode) = (header.entry_type(), header.mode()? & 0o7777);
        let (uid, gid) = (u32::try_from(header.uid()?)?, u32::try_from(header.gid()?)?);
        if kind == EntryType::XGlobalHeader {
            return Ok(());
        }
        if is_layer && let Some(hidden) = whiteout(path) {
            return self.apply_whiteout(path, hidden, added);
        }
        let device = |header: &tar::Header| -> Result<(u32, u32)> {
            Ok((header.device_major()?.unwrap_or(0), header.device_minor()?.unwrap_or(0)))
        };
        let link = || -> Result<String> {
            let target = entry.link_name_bytes().context("a link without a target")?.into_owned();
            String::from_utf8(target).ok().context("a target that is not UTF-8")
        };
        let new = match kind {
            EntryType::Directory => Kind::Folder,
            EntryType::Symlink => Kind::Link(link()?),
            EntryType::Link => {
                let target = link()?;
                let place = self.place(&target)?;
                let found = self.entries.get(&place).filter(|found| found.kind != Kind::Folder);
                let found = found.with_context(|| format!("a hard link to {target}, which is not there"))?.clone();
                added.insert(self.add(path, found)?);
                return Ok(());
            }
            EntryType::Char => device(entry.header()).map(|(major, minor)| Kind::Character(major, minor))?,
            EntryType::Block => device(entry.header()).map(|(major, minor)| Kind::Block(major, minor))?,
            EntryType::Fifo => Kind::Pipe,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let size = entry.size();
                ensure!(self.bytes.saturating_add(size) <= TREE_BYTES, "{size} bytes are too many");
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).context("the archive is damaged")?;
                ensure!(bytes.len() as u64 == size, "the archive ends in the middle of this file");
                Kind::File(Arc::new(bytes))
            }
            other => bail!("an entry of kind {:?}, which is no file", char::from(other.as_byte())),
        };
        let mut xattrs = BTreeMap::new();
        if let Some(extensions) = entry.pax_extensions()? {
            for extension in extensions {
                let extension = extension?;
                if let Some(name) = extension.key()?.strip_prefix("SCHILY.xattr.") {
                    xattrs.insert(name.to_owned(), extension.value_bytes().to_vec());
                }
            }
        }
        added.insert(self.add(path, Entry { mode, uid, gid, xattrs, kind: new })?);
        Ok(())
    }

    /// Takes away what a layer's own name says: one path of the layers below, or all of a folder.
    fn apply_whiteout(&mut self, path: &str, hidden: &str, added: &BTreeSet<String>) -> Result<()> {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        // The place of something inside, so that links on the way are followed.
        let place = self.place(&format!("{parent}/x"))?;
        let parent = place.rsplit_once('/').map_or("", |(parent, _)| parent);
        match hidden {
            OPAQUE => self.empty(parent, added),
            _ => {
                let place = if parent.is_empty() { hidden.to_owned() } else { format!("{parent}/{hidden}") };
                ensure!(!matches!(hidden, "" | "." | ".."), "a whiteout of nothing");
                if !added.contains(&place) {
                    self.remove(&place, added);
                }
            }
        }
        Ok(())
    }

    /// The tree as a tar archive with numbers for owners, times of 0 and attributes in PAX headers. The same tree gives
    /// the same bytes.
    ///
    /// # Errors
    /// What the format cannot hold.
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
                // It stays the first one.
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

/// What a layer's name takes away: the hidden name, or [`OPAQUE`].
fn whiteout(path: &str) -> Option<&str> {
    let name = path.trim_end_matches('/').rsplit('/').next()?;
    name.strip_prefix(".wh.")
}

/// A name of an archive, short and without anything that could control a terminal.
fn shown(path: &str) -> String {
    path.chars().take(80).flat_map(char::escape_debug).collect()
}
