//! An initramfs archive (Documentation/driver-api/early-userspace/buffer-format.rst in the kernel).
//!
//! `segments.rs` writes it.
//!
//! The bytes depend only on the contents: PID 1 first, then entries in the order of their paths, with time 0 and inode
//! numbers from 1. Owners, times and inode numbers of the host's files are ignored.

mod segments;

pub use segments::Layout;

use crate::contents::Contents;
use crate::node::Node;
use crate::tree::{Kind, Tree};
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::path::Path;

/// The list of all files (src/runtime/init/manifest.rs), the last entry, and the configuration.
const MANIFEST: &str = "etc/hilum.manifest";
const END: &str = "etc/hilum.end";
const CONFIG: &str = "etc/hilum.conf";

/// The compression of the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// Not at all.
    None,
    /// zstd, which Debian's kernels support from 5.10 on (CONFIG_RD_ZSTD).
    Zstd,
}

/// The compression level: 19 is the highest level that needs no more than the kernel's window of 8 MiB.
const LEVEL: i32 = 19;

/// An archive under construction.
#[derive(Debug, Clone, Default)]
pub struct Image {
    /// Permission bits and contents, by path without a leading slash.
    entries: BTreeMap<String, (u32, Node)>,
    /// Owner and group of entries that do not belong to user 0.
    owners: BTreeMap<String, (u32, u32)>,
}

impl Image {
    /// Creates an archive with the nodes that PID 1 needs before it has mounted anything: /dev/console, which the
    /// kernel opens for it, and /dev/null.
    pub fn new() -> Self {
        let mut image = Self::default();
        image.put("dev/console", 0o600, Node::Character(5, 1));
        image.put("dev/null", 0o666, Node::Character(1, 3));
        image
    }

    /// Adds a folder.
    pub fn folder(&mut self, path: &str, mode: u32) {
        self.put(path, mode, Node::Folder);
    }

    /// Adds a file.
    pub fn file(&mut self, path: &str, mode: u32, contents: impl Into<Contents>) {
        self.put(path, mode, Node::File(contents.into()));
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &str, target: &str) {
        self.put(path, 0o777, Node::Link(target.to_owned()));
    }

    /// Adds an entry with its owner and group.
    pub fn add(&mut self, path: &str, mode: u32, owner: (u32, u32), node: Node) {
        self.put(path, mode, node);
        match owner {
            (0, 0) => self.owners.remove(path.trim_matches('/')),
            _ => self.owners.insert(path.trim_matches('/').to_owned(), owner),
        };
    }

    /// Adds a folder of the host at a path of the archive. Existing entries are replaced.
    ///
    /// # Errors
    /// A file that cannot be read, a name that is not UTF-8, or a device, socket or pipe, which a root filesystem on a
    /// board does not need.
    pub fn add_host_folder(&mut self, source: &Path, at: &str) -> Result<()> {
        self.add_tree(&Tree::read_folder(source)?, at)
    }

    /// Adds a tree at a path of the archive.
    ///
    /// # Errors
    /// A block device or a pipe, which is not supported in an initramfs.
    pub fn add_tree(&mut self, tree: &Tree, at: &str) -> Result<()> {
        let at = at.trim_end_matches('/');
        for (path, entry) in tree.iter() {
            let node = match &entry.kind {
                Kind::Folder => Node::Folder,
                Kind::File(contents) => Node::File(contents.clone()),
                Kind::Link(target) => Node::Link(target.clone()),
                Kind::Character(major, minor) => Node::Character(*major, *minor),
                Kind::Block(..) | Kind::Pipe => {
                    bail!("/{path}: a pipe or block device; pack this root filesystem as an image")
                }
            };
            self.add(&format!("{at}/{path}"), entry.mode, (entry.uid, entry.gid), node);
        }
        Ok(())
    }

    /// Adds the list of all files, and the last entry, by which PID 1 detects whether the kernel has unpacked
    /// everything. The list omits the size of the configuration, because a site may replace it, and names that contain
    /// a newline.
    pub fn seal(&mut self) {
        self.entries.remove(MANIFEST);
        let files = self.entries.iter().filter_map(|(path, (_, node))| match node {
            _ if path.contains('\n') => None,
            Node::File(_) if path == CONFIG => Some(format!("- /{path}\n")),
            Node::File(bytes) => Some(format!("{} /{path}\n", bytes.len())),
            _ => None,
        });
        let list: String = files.collect();
        self.file(MANIFEST, 0o644, list);
        self.file(END, 0o644, Vec::new());
    }

    /// Iterates over the entries in the order of the archive: PID 1, the list and the configuration come before
    /// everything that may not fit.
    fn in_order(&self) -> impl Iterator<Item = (&String, &(u32, Node))> {
        let rank = |path: &str| match path {
            "init" => 0,
            "etc" => 1,
            MANIFEST => 2,
            END => 4,
            // It changes most often.
            _ if path == CONFIG => 2,
            _ => 3,
        };
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|(path, _)| (rank(path), *path));
        entries.into_iter()
    }

    /// Returns the permission bits and contents of a path.
    pub fn get(&self, path: &str) -> Option<(u32, &Node)> {
        self.entries.get(path.trim_matches('/')).map(|(mode, node)| (*mode, node))
    }

    /// Iterates over entries that do not belong to user 0: path, owner and group.
    pub fn owners(&self) -> impl Iterator<Item = (&str, (u32, u32))> {
        self.owners.iter().map(|(path, owner)| (path.as_str(), *owner))
    }

    /// Iterates over the files: path and size in bytes.
    pub fn files(&self) -> impl Iterator<Item = (&str, u64)> {
        self.entries.iter().filter_map(|(path, (_, node))| match node {
            Node::File(bytes) => Some((path.as_str(), bytes.len())),
            _ => None,
        })
    }

    /// Returns the memory in bytes that the files use on the board, in whole pages.
    pub fn unpacked_bytes(&self) -> u64 {
        self.files().map(|(_, bytes)| bytes.next_multiple_of(4096)).sum()
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the archive as bytes.
    ///
    /// # Errors
    /// A file of 4 GiB or more, which the format does not support.
    pub fn write(&self, compression: Compression) -> Result<Vec<u8>> {
        let mut archive = Vec::new();
        let entries: Vec<_> = self.in_order().collect();
        self.write_entries(&entries, &mut archive, 0, &mut |_| {})?;
        Ok(match compression {
            Compression::None => archive,
            Compression::Zstd => zstd::encode_all(archive.as_slice(), LEVEL)?,
        })
    }

    /// Returns another archive with this one behind it, not compressed: the kernel unpacks both.
    ///
    /// # Errors
    /// Those of [`Self::write`].
    pub fn behind(&self, mut archive: Vec<u8>) -> Result<Vec<u8>> {
        // An archive begins at a multiple of four, and zeros between two are skipped.
        archive.resize(archive.len().next_multiple_of(4), 0);
        archive.extend(self.write(Compression::None)?);
        Ok(archive)
    }

    /// Adds an entry, and the missing folders above it.
    fn put(&mut self, path: &str, mode: u32, node: Node) {
        let path = path.trim_matches('/');
        for (at, _) in path.match_indices('/') {
            self.entries.entry(path[..at].to_owned()).or_insert((0o755, Node::Folder));
        }
        if !path.is_empty() {
            self.entries.insert(path.to_owned(), (mode, node));
        }
    }
}

#[cfg(test)]
mod tests;
