//! A root filesystem in memory: read from a folder, from tar archives, or from the layers of a container image (the
//! latter two by `archive.rs`).
//!
//! It never writes to the build machine's disk. A name with `..` is refused, and symbolic links are resolved inside of
//! the tree. Owners, devices and attributes are values here, so no privileges are needed.

mod archive;
mod stored;

pub use archive::Spool;
pub use stored::Stored;

use crate::cache::Cache;
use crate::contents::{Contents, Source};
use crate::links;
use anyhow::{Context, Result, bail, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

/// Maximum bytes of a path, as in the kernel (PATH_MAX).
const PATH_BYTES: usize = 4096;
/// Maximum bytes of all files of a tree; more fits no board.
const TREE_BYTES: u64 = 16 << 30;

/// The type and contents of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A regular file; hard links share their contents.
    File(Contents),
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
    /// Permission bits, including set-id bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Extended attributes.
    pub xattrs: BTreeMap<String, Vec<u8>>,
    /// Its type and contents.
    pub kind: Kind,
}

impl Entry {
    /// Returns an entry of user 0.
    pub fn of_root(mode: u32, kind: Kind) -> Self {
        Self { mode, uid: 0, gid: 0, xattrs: BTreeMap::new(), kind }
    }
}

/// A root filesystem.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// Entries by path without a leading slash; the root itself is "".
    entries: BTreeMap<String, Entry>,
    bytes: u64,
}

impl Tree {
    /// Creates a tree with an empty root.
    pub fn new() -> Self {
        let mut tree = Self::default();
        tree.entries.insert(String::new(), Entry::of_root(0o755, Kind::Folder));
        tree
    }

    /// Iterates over all entries, folders before their contents.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// Returns the size of all files in bytes, including hard links and replaced files.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the entry at a path, without following symbolic links.
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path.trim_matches('/'))
    }

    /// Returns the entry at a path, following symbolic links inside of the tree.
    pub fn at(&self, path: &str) -> Option<&Entry> {
        self.get(&self.followed(path).ok()?)
    }

    /// Resolves symbolic links inside of the tree; a path that does not exist is not a link.
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

    /// Adds an entry, and missing folders above it. An existing entry is replaced.
    ///
    /// # Errors
    /// A path with `..` or that is too long, or one below an entry that is not a folder.
    pub fn add(&mut self, path: &str, entry: Entry) -> Result<String> {
        let place = self.place(path)?;
        if let Kind::File(contents) = &entry.kind {
            self.bytes += contents.len();
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

    /// Sets the permission bits of a path.
    pub fn set_mode(&mut self, path: &str, mode: u32) {
        if let Some(entry) = self.entries.get_mut(path.trim_matches('/')) {
            entry.mode = mode;
        }
    }

    /// Adds a folder unless it exists.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn add_folder(&mut self, path: &str) -> Result<()> {
        let place = self.place(path)?;
        self.entries.entry(place).or_insert_with(|| Entry::of_root(0o755, Kind::Folder));
        Ok(())
    }

    /// Returns the key for a path: its parent with all symbolic links resolved inside of the tree.
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

    /// Removes a path and everything below it, except what is in `kept`.
    fn remove(&mut self, place: &str, kept: &BTreeSet<String>) {
        let below = format!("{place}/");
        self.entries.retain(|path, _| (path != place && !path.starts_with(&below)) || has(kept, path));
    }

    /// Removes everything below a folder, except what is in `kept`.
    fn empty(&mut self, place: &str, kept: &BTreeSet<String>) {
        let below = if place.is_empty() { String::new() } else { format!("{place}/") };
        self.entries.retain(|path, _| path == place || !path.starts_with(&below) || has(kept, path));
    }

    /// Reads a folder of this machine into memory. All entries belong to user 0, because owners on this machine mean nothing
    /// on a board.
    ///
    /// # Errors
    /// A file that cannot be read, a name that is not UTF-8, a socket.
    pub fn read_folder(folder: &Path) -> Result<Self> {
        Self::of_folder(folder, &mut |_, path| Ok(std::fs::read(path)?.into()))
    }

    /// Like [`Self::read_folder`], without reading the contents now; `cache` has the hashes of files that did not change.
    ///
    /// # Errors
    /// As [`Self::read_folder`].
    pub fn list_folder(folder: &Path, cache: &Cache) -> Result<Self> {
        let mut known = cache.known(folder)?;
        let tree = Self::of_folder(folder, &mut |name, path| {
            let (stamp, sum) = known.hash_of(name, path)?;
            Ok(Contents::part(&Source::at(path.to_owned(), stamp, sum), 0, path.metadata()?.len()))
        })?;
        known.save(cache)?;
        Ok(tree)
    }

    /// Reads a folder; calls `contents` with the name below the folder and the path of each file.
    fn of_folder(folder: &Path, contents: &mut dyn FnMut(&str, &Path) -> Result<Contents>) -> Result<Self> {
        let mut tree = Self::new();
        let mut inodes: BTreeMap<(u64, u64), Contents> = BTreeMap::new();
        for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
            let entry = entry.map_err(|error| {
                let at = error.path().unwrap_or(folder).display().to_string();
                // The error's own text repeats the path.
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
                let contents = match inodes.get(&inode) {
                    Some(contents) => contents.clone(),
                    None => contents(below, entry.path()).with_context(place)?,
                };
                if metadata.nlink() > 1 {
                    inodes.insert(inode, contents.clone());
                }
                Kind::File(contents)
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
