//! The source of a filesystem: a path, or an id that is stored in the filesystem or the partition table.

use super::limits;

/// The source of a filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source<'a> {
    /// The path of a block device.
    Path(&'a str),
    /// `LABEL=`: the filesystem's label.
    Label(&'a str),
    /// `UUID=`: the filesystem's UUID.
    Uuid(&'a str),
    /// `PARTUUID=`: the UUID of its partition.
    PartUuid(&'a str),
}

impl<'a> Source<'a> {
    /// Parses a word of the configuration.
    pub fn of(text: &'a str) -> Option<Self> {
        let (name, value) = match text.split_once('=') {
            _ if text.starts_with('/') => return Some(Self::Path(text)),
            split => split?,
        };
        if value.is_empty() || value.len() > limits::SOURCE_BYTES {
            return None;
        }
        match name {
            "LABEL" => Some(Self::Label(value)),
            "UUID" => Some(Self::Uuid(value)),
            "PARTUUID" => Some(Self::PartUuid(value)),
            _ => None,
        }
    }

    /// Returns whether this id can be read from the superblock of a filesystem of this kind. Other superblocks are not
    /// supported, squashfs has neither label nor UUID, and exFAT stores its label in a directory.
    pub fn is_kept_by(&self, kind: &str) -> bool {
        let is_known = ["ext4", "vfat", "erofs", "f2fs", "xfs"].contains(&kind);
        match self {
            Self::Path(_) | Self::PartUuid(_) => true,
            Self::Label(_) => is_known,
            Self::Uuid(_) => is_known || kind == "exfat",
        }
    }
}
