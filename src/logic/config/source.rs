//! How a line names a filesystem: by a path, or by what is written in the filesystem or the partition table.

use super::limits;

/// What a line says of a filesystem: where it is, or what is written in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source<'a> {
    /// The path of a block device.
    Path(&'a str),
    /// `LABEL=`: the filesystem's own name.
    Label(&'a str),
    /// `UUID=`: the filesystem's own id.
    Uuid(&'a str),
    /// `PARTUUID=`: the id of its partition.
    PartUuid(&'a str),
}

impl<'a> Source<'a> {
    /// Returns a word of the configuration.
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

    /// Whether what it names a filesystem by is read of the superblocks of filesystems of this kind. Those of others are not
    /// known, squashfs has neither name nor id, and exFAT keeps its name in a folder.
    pub fn is_kept_by(&self, kind: &str) -> bool {
        let is_known = ["ext4", "vfat", "erofs", "f2fs", "xfs"].contains(&kind);
        match self {
            Self::Path(_) | Self::PartUuid(_) => true,
            Self::Label(_) => is_known,
            Self::Uuid(_) => is_known || kind == "exfat",
        }
    }
}
