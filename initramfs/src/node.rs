//! Contents of the entries of an initramfs.

/// The type and contents of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A folder.
    Folder,
    /// A regular file with these contents.
    File(Vec<u8>),
    /// A symbolic link to this target.
    Link(String),
    /// A character device: major, minor.
    Character(u32, u32),
}
