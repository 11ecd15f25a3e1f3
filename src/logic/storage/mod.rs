//! Disks: which one a line selects, its contents, and what to do if it is damaged.
//!
//! This module decides from bytes of devices; src/runtime reads, mounts and repairs devices.

mod blueprint;
mod grow;
mod mount_table;
mod partition;
mod superblock;
pub mod verity;

pub use blueprint::{Blueprint, Extent};
pub use grow::{Disk, Kept, grow};
pub use mount_table::{MountEntry, entries};
pub use partition::{PartitionTable, table};
pub(crate) use superblock::crc32c;
pub use superblock::{FilesystemHealth, FilesystemKind, START_BYTES, Superblock};

use crate::config::{OnDamage, SystemMount};
use crate::text;
use core::fmt;

/// What to do with a filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountDecision {
    /// Mount it as configured.
    Mount,
    /// Mount it read-only.
    MountReadOnly(Reason),
    /// Repair it, check it again, and mount it.
    Repair(Reason),
    /// Replace it by a new, empty filesystem.
    Reformat(Reason),
    /// Do not mount it.
    Refuse(Reason),
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No known filesystem.
    Nothing,
    /// Another filesystem than configured.
    Other(FilesystemKind),
    /// The kernel has recorded errors in it.
    Errors,
    /// Its superblock is damaged.
    Damaged,
    /// The kernel refused it as damaged.
    Refused,
    /// The kernel cannot mount it read-write because of unknown features; it is not damaged.
    Features,
    /// The device is read-only.
    Protected,
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => text!("no filesystem").fmt(formatter),
            Self::Other(FilesystemKind::Luks) => text!("encrypted (LUKS), no key available").fmt(formatter),
            Self::Other(kind) => write!(formatter, "{} there", kind.name()),
            Self::Errors => text!("filesystem errors").fmt(formatter),
            Self::Damaged => text!("damaged superblock").fmt(formatter),
            Self::Refused => text!("damaged, according to the kernel").fmt(formatter),
            Self::Features => text!("features unknown to this kernel").fmt(formatter),
            Self::Protected => text!("write-protected").fmt(formatter),
        }
    }
}

/// Decides what to do with the filesystem that was found for a line. `has_repaired` means that it was already repaired
/// or formatted.
pub fn decide(mount: &SystemMount<'_>, found: Option<&Superblock>, has_repaired: bool) -> MountDecision {
    // The kernel decides about unknown filesystems.
    let Some(wanted) = FilesystemKind::named(mount.kind) else { return MountDecision::Mount };
    let reason = match found {
        None => Reason::Nothing,
        Some(found) if found.kind != wanted => Reason::Other(found.kind),
        Some(found) => match found.health {
            FilesystemHealth::Good => return MountDecision::Mount,
            FilesystemHealth::Errors => Reason::Errors,
            FilesystemHealth::Damaged => Reason::Damaged,
        },
    };
    // A read-only filesystem is used as far as it can be read.
    if reason == Reason::Errors && mount.is_read_only {
        return MountDecision::Mount;
    }
    match (mount.check, reason) {
        // The encrypted contents may be intact; only the owner of the key can tell.
        (_, Reason::Other(FilesystemKind::Luks)) => MountDecision::Refuse(reason),
        (_, Reason::Errors) if has_repaired => MountDecision::MountReadOnly(reason),
        _ if has_repaired => MountDecision::Refuse(reason),
        (OnDamage::Reformat, _) if wanted == FilesystemKind::Ext4 && !mount.is_read_only => {
            MountDecision::Reformat(reason)
        }
        (OnDamage::Repair, Reason::Errors | Reason::Damaged | Reason::Nothing) if wanted == FilesystemKind::Ext4 => {
            MountDecision::Repair(reason)
        }
        (_, Reason::Errors) => MountDecision::MountReadOnly(reason),
        _ => MountDecision::Refuse(reason),
    }
}

/// What the kernel's refusal to mount a filesystem with an intact superblock means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is damaged (EUCLEAN, EBADMSG).
    Damage,
    /// The kernel does not support it (EINVAL), for example because of unknown features; it may be intact.
    Unknown,
    /// The device is read-only (EACCES, EROFS).
    Protected,
}

/// Decides what to do after the kernel refused to mount it. `is_read_only` says how it was mounted; for `has_repaired`
/// see [`decide`]. Only a filesystem that is known to be damaged is reformatted.
pub fn decide_refused(
    mount: &SystemMount<'_>,
    refusal: Refusal,
    is_read_only: bool,
    has_repaired: bool,
) -> MountDecision {
    let is_ext4 = FilesystemKind::named(mount.kind) == Some(FilesystemKind::Ext4);
    let may_mend = is_ext4 && !has_repaired && refusal != Refusal::Protected;
    let reason = match refusal {
        Refusal::Damage => Reason::Refused,
        Refusal::Unknown => Reason::Features,
        Refusal::Protected => Reason::Protected,
    };
    match mount.check {
        _ if refusal != Refusal::Damage && !is_read_only => MountDecision::MountReadOnly(reason),
        OnDamage::Repair if may_mend => MountDecision::Repair(reason),
        OnDamage::Reformat if may_mend && refusal == Refusal::Damage && !mount.is_read_only => {
            MountDecision::Reformat(reason)
        }
        _ => MountDecision::Refuse(reason),
    }
}

#[cfg(test)]
mod tests;
