//! Contents of the entries of an initramfs.

use crate::contents::Contents;

/// What one path of the archive is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A folder.
    Folder,
    /// A regular file with these contents.
    File(Contents),
    /// A symbolic link to this target.
    Link(String),
    /// A character device: major, minor.
    Character(u32, u32),
}
