//! A root filesystem as a value: read from a folder, from tar archives, from the layers of a container image (the two by
//! `archive.rs`).
//!
//! It never touches the disk of the machine that builds: a name that climbs is refused, and a symbolic link leads nowhere
//! but inside of the tree. Owners, devices and attributes are values here, so nothing of it needs root.

mod archive;

use crate::links;
use anyhow::{Context, Result, bail, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

/// Bytes of a path, as in the kernel (PATH_MAX).
const PATH_BYTES: usize = 4096;
/// Bytes of all files of a tree: what is beyond fits no board that this is for.
const TREE_BYTES: u64 = 16 << 30;

/// What a path is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A regular file; hard links share their bytes.
    File(Arc<Vec<u8>>),
    /// A symbolic link to this target.
    Link(String),
    /// A character device: major, minor.
    Character(u32, u32),
    /// A block device: major, minor.
    Block(u32, u32),
    /// A named pipe.
    Pipe,
}

/// One path of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Permission bits, those for set-id included.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Extended attributes.
    pub xattrs: BTreeMap<String, Vec<u8>>,
    /// What it is.
    pub kind: Kind,
}

impl Entry {
    /// Something of user 0.
    pub fn of_root(mode: u32, kind: Kind) -> Self {
        Self { mode, uid: 0, gid: 0, xattrs: BTreeMap::new(), kind }
    }
}

/// A root filesystem.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// By path without a leading slash; the root itself is "".
    entries: BTreeMap<String, Entry>,
    bytes: u64,
}

impl Tree {
    /// Returns a tree with an empty root.
    pub fn new() -> Self {
        let mut tree = Self::default();
        tree.entries.insert(String::new(), Entry::of_root(0o755, Kind::Folder));
        tree
    }

    /// Everything in it, folders before what is inside.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// What is at a path; symbolic links are not followed.
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path.trim_matches('/'))
    }

    /// What is at a path, as a process with this root would find it: symbolic links are followed, inside of the tree.
    pub fn at(&self, path: &str) -> Option<&Entry> {
        self.get(&self.followed(path).ok()?)
    }

    /// Returns the path to which symbolic links lead, inside of the tree; what is not there is no link.
    ///
    /// # Errors
    /// Too many links.
    pub fn followed(&self, path: &str) -> Result<String> {
        links::follow(path, &mut |here| {
            Ok(match self.get(here).map(|entry| &entry.kind) {
                Some(Kind::Link(target)) => Some(target.clone()),
                _ => None,
            })
        })
    }

    /// Adds something, and the folders above it that are not there. What was at its path is replaced.
    ///
    /// # Errors
    /// A path that climbs or is too long, or one below something that is no folder.
    pub fn add(&mut self, path: &str, entry: Entry) -> Result<String> {
        let place = self.place(path)?;
        if let Kind::File(bytes) = &entry.kind {
            self.bytes += bytes.len() as u64;
            ensure!(self.bytes <= TREE_BYTES, "{path}: more than {} GiB in total", TREE_BYTES >> 30);
        }
        let is_folder = |entry: &Entry| entry.kind == Kind::Folder;
        if !is_folder(&entry) && self.entries.get(&place).is_some_and(is_folder) {
            ensure!(!place.is_empty(), "the root must be a folder");
            self.remove(&place, &BTreeSet::new());
        }
        self.entries.insert(place.clone(), entry);
        Ok(place)
    }

    /// Sets the permission bits of what is at a path.
    pub fn set_mode(&mut self, path: &str, mode: u32) {
        if let Some(entry) = self.entries.get_mut(path.trim_matches('/')) {
            entry.mode = mode;
        }
    }

    /// Makes sure that there is a folder at a path; what is there stays.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn add_folder(&mut self, path: &str) -> Result<()> {
        let place = self.place(path)?;
        self.entries.entry(place).or_insert_with(|| Entry::of_root(0o755, Kind::Folder));
        Ok(())
    }

    /// Returns the path by which something is kept: its parent with every symbolic link followed, inside of the tree.
    fn place(&mut self, path: &str) -> Result<String> {
        ensure!(path.len() <= PATH_BYTES, "a path of {} bytes", path.len());
        ensure!(!path.contains('\0'), "{path:?}: a NUL in a path");
        let mut parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        ensure!(!parts.contains(&".."), "{path}: a path with ..");
        let Some(name) = parts.pop() else { return Ok(String::new()) };
        let folder =
            links::follow(&parts.join("/"), &mut |here| match self.entries.get(here).map(|entry| &entry.kind) {
                Some(Kind::Folder) => Ok(None),
                Some(Kind::Link(target)) => Ok(Some(target.clone())),
                Some(_) => bail!("{path}: /{here} is not a folder"),
                None => {
                    self.entries.insert(here.to_owned(), Entry::of_root(0o755, Kind::Folder));
                    Ok(None)
                }
            })?;
        Ok(if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") })
    }

    /// Takes away what is at a path and below, but for what is in `kept`.
    fn remove(&mut self, place: &str, kept: &BTreeSet<String>) {
        let below = format!("{place}/");
        self.entries.retain(|path, _| (path != place && !path.starts_with(&below)) || has(kept, path));
    }

    /// Takes away what is below a folder, but for what is in `kept`.
    fn empty(&mut self, place: &str, kept: &BTreeSet<String>) {
        let below = if place.is_empty() { String::new() } else { format!("{place}/") };
        self.entries.retain(|path, _| path == place || !path.starts_with(&below) || has(kept, path));
    }

    /// Reads a folder of this machine. All of it belongs to user 0: who owns files here says nothing about a board.
    ///
    /// # Errors
    /// A file that cannot be read, a name that is not UTF-8, a socket.
    pub fn read_folder(folder: &Path) -> Result<Self> {
        let mut tree = Self::new();
        let mut inodes: BTreeMap<(u64, u64), Arc<Vec<u8>>> = BTreeMap::new();
        for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
            let entry = entry.map_err(|error| {
                let at = error.path().unwrap_or(folder).display().to_string();
                // Its own words name the path once more.
                match error.into_io_error() {
                    Some(error) => anyhow::Error::new(error).context(at),
                    None => anyhow::anyhow!("{at}: a loop of symbolic links"),
                }
            })?;
            let place = || entry.path().display().to_string();
            let below = entry.path().strip_prefix(folder).with_context(place)?;
            let below = below.to_str().with_context(|| format!("{}: the name is not UTF-8", place()))?;
            let metadata = entry.path().symlink_metadata().with_context(place)?;
            let kind = metadata.file_type();
            let kind = if kind.is_dir() {
                Kind::Folder
            } else if kind.is_symlink() {
                let target = std::fs::read_link(entry.path()).with_context(place)?;
                Kind::Link(target.to_str().with_context(|| format!("{}: the target is not UTF-8", place()))?.to_owned())
            } else if kind.is_file() {
                let inode = (metadata.dev(), metadata.ino());
                let bytes = match inodes.get(&inode) {
                    Some(bytes) => Arc::clone(bytes),
                    None => Arc::new(std::fs::read(entry.path()).with_context(place)?),
                };
                if metadata.nlink() > 1 {
                    inodes.insert(inode, Arc::clone(&bytes));
                }
                Kind::File(bytes)
            } else if kind.is_fifo() {
                Kind::Pipe
            } else {
                bail!("{}: a socket or device cannot be packed; remove it from the root filesystem", place());
            };
            tree.add(below, Entry::of_root(metadata.permissions().mode() & 0o7777, kind))?;
        }
        Ok(tree)
    }
}

/// Returns whether a path, or something below it, is in a set.
fn has(set: &BTreeSet<String>, path: &str) -> bool {
    let below = format!("{path}/");
    set.contains(path) || set.range(below.clone()..).next().is_some_and(|next| next.starts_with(&below))
}

#[cfg(test)]
mod tests;
