//! The source of a filesystem: a path, or an id that is stored in the filesystem or the partition table.

use super::limits;
use crate::split::Split;

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
        let (name, value) = match text.cut(b'=') {
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

    /// Returns whether a filesystem of this kind can have this id and hilum reads it from the superblock. Other superblocks are not
    /// supported, squashfs has neither label nor UUID, and exFAT stores its label in a directory. f2fs has labels of up to 512
    /// UTF-16 units, of which the first 16 are read.
    pub fn is_kept_by(&self, kind: &str) -> bool {
        let label_bytes = match kind {
            "ext4" | "erofs" | "f2fs" => 16,
            "xfs" => 12,
            "vfat" => 11,
            _ => 0,
        };
        let id_bytes = if matches!(kind, "vfat" | "exfat") { "ABCD-1234".len() } else { 36 };
        match self {
            Self::Path(_) | Self::PartUuid(_) => true,
            Self::Label(text) => text.len() <= label_bytes && (kind != "f2fs" || text.is_ascii()),
            Self::Uuid(text) => text.len() == id_bytes && (label_bytes > 0 || kind == "exfat"),
        }
    }
}
