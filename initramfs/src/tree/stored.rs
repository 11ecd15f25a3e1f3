//! Trees as files in the cache: the contents of their files, and a list of entries.

use super::{Entry, Kind, Spool, Tree};
use crate::cache::Cache;
use crate::contents::{Contents, Hash, Source};
use crate::progress::Progress;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// A tree, and text about it.
#[derive(Debug)]
pub struct Stored {
    /// The tree.
    pub tree: Tree,
    /// Text about it.
    pub notes: String,
}

/// The list of entries. It follows the contents, and its length follows as eight bytes.
#[derive(Serialize, Deserialize)]
struct List {
    notes: String,
    rows: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    path: String,
    mode: u32,
    uid: u32,
    gid: u32,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    xattrs: BTreeMap<String, Vec<u8>>,
    kind: RowKind,
}

#[derive(Serialize, Deserialize)]
enum RowKind {
    Folder,
    /// Contents in this file: offset and length in bytes.
    File(u64, u64),
    /// Contents in the archive: offset and length in bytes.
    Archived(u64, u64),
    Link(String),
    Character(u32, u32),
    Block(u32, u32),
    Pipe,
}

impl Stored {
    /// Returns the tree with this key from the cache, or calls `read` with a spool. `archive` is the archive, if it is an
    /// uncompressed file.
    ///
    /// # Errors
    /// Those of `read`, and of the cache.
    pub fn by(
        cache: &Cache,
        key: &Hash,
        progress: &Progress<'_>,
        archive: Option<&Arc<Source>>,
        read: &mut dyn FnMut(&mut Spool) -> Result<Self>,
    ) -> Result<Self> {
        let source = cache.entry(key, progress, &mut |path| {
            let file = File::options().read(true).write(true).open(path)?;
            let mut spool = Spool::new(Source::new(file, *key), archive.cloned());
            let stored = read(&mut spool)?;
            let list = serde_json::to_vec(&stored.list(&spool)?)?;
            let file = spool.source().file()?;
            file.write_all_at(&list, spool.bytes())?;
            file.write_all_at(&(list.len() as u64).to_le_bytes(), spool.bytes() + list.len() as u64)?;
            Ok(())
        })?;
        Self::of(&source, archive)
    }

    fn of(source: &Arc<Source>, archive: Option<&Arc<Source>>) -> Result<Self> {
        const WHAT: &str = "a tree in the cache";
        let file = source.file()?;
        let end = file.metadata()?.len().checked_sub(8).context(WHAT)?;
        let mut length = [0; 8];
        file.read_exact_at(&mut length, end)?;
        let length = u64::from_le_bytes(length);
        let mut list = Vec::new();
        Contents::part(source, end.checked_sub(length).context(WHAT)?, length).reader()?.read_to_end(&mut list)?;
        let List { notes, rows } = serde_json::from_slice(&list).context(WHAT)?;
        let mut tree = Tree::default();
        for Row { path, mode, uid, gid, xattrs, kind } in rows {
            let kind = match kind {
                RowKind::Folder => Kind::Folder,
                RowKind::File(at, len) => Kind::File(Contents::part(source, at, len)),
                RowKind::Archived(at, len) => Kind::File(Contents::part(archive.context(WHAT)?, at, len)),
                RowKind::Link(target) => Kind::Link(target),
                RowKind::Character(major, minor) => Kind::Character(major, minor),
                RowKind::Block(major, minor) => Kind::Block(major, minor),
                RowKind::Pipe => Kind::Pipe,
            };
            if let Kind::File(contents) = &kind {
                tree.bytes += contents.len();
            }
            tree.entries.insert(path, Entry { mode, uid, gid, xattrs, kind });
        }
        Ok(Self { tree, notes })
    }

    fn list(&self, spool: &Spool) -> Result<List> {
        let mut rows = Vec::new();
        for (path, entry) in self.tree.iter() {
            let kind = match &entry.kind {
                Kind::Folder => RowKind::Folder,
                Kind::File(Contents::Part(source, at, len)) => match spool.archive() {
                    Some(archive) if Arc::ptr_eq(archive, source) => RowKind::Archived(*at, *len),
                    _ => RowKind::File(*at, *len),
                },
                // Only empty files are not in a source.
                Kind::File(_) => RowKind::File(0, 0),
                Kind::Link(target) => RowKind::Link(target.clone()),
                Kind::Character(major, minor) => RowKind::Character(*major, *minor),
                Kind::Block(major, minor) => RowKind::Block(*major, *minor),
                Kind::Pipe => RowKind::Pipe,
            };
            let Entry { mode, uid, gid, ref xattrs, .. } = *entry;
            rows.push(Row { path: path.to_owned(), mode, uid, gid, xattrs: xattrs.clone(), kind });
        }
        Ok(List { notes: self.notes.clone(), rows })
    }
}

impl Tree {
    /// Returns a hash that identifies the whole tree, including which files are hard links of each other.
    pub fn identity(&self) -> Hash {
        let mut digest = Sha256::new();
        let mut links: BTreeMap<(usize, u64), usize> = BTreeMap::new();
        for (number, (path, entry)) in self.iter().enumerate() {
            let mut part = |bytes: &[u8]| {
                digest.update((bytes.len() as u64).to_le_bytes());
                digest.update(bytes);
            };
            part(path.as_bytes());
            part(&[entry.mode, entry.uid, entry.gid].map(u32::to_le_bytes).concat());
            for (name, value) in &entry.xattrs {
                part(name.as_bytes());
                part(value);
            }
            match &entry.kind {
                Kind::File(contents) => {
                    part(&contents.identity());
                    let first =
                        if contents.is_empty() { number } else { *links.entry(contents.link_key()).or_insert(number) };
                    part(&((number - first) as u64).to_le_bytes());
                }
                Kind::Folder => part(b"folder"),
                Kind::Link(target) => {
                    part(b"link");
                    part(target.as_bytes());
                }
                Kind::Character(major, minor) => part(format!("character {major} {minor}").as_bytes()),
                Kind::Block(major, minor) => part(format!("block {major} {minor}").as_bytes()),
                Kind::Pipe => part(b"pipe"),
            }
        }
        digest.finalize().into()
    }
}
