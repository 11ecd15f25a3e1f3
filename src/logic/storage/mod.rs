//! Disks as bytes: which one a line means, what lies on it, and what is done when that is not in order.
//!
//! It reads what was read from devices, and decides; the running half looks at devices, mounts and repairs.

mod blueprint;
mod partition;
mod superblock;

pub use blueprint::{Blueprint, Extent};
pub use partition::{PartitionTable, table};
pub use superblock::{FilesystemHealth, FilesystemKind, START_BYTES, Superblock};

use crate::config::{OnDamage, SystemMount};
use core::fmt;

/// What is done with a filesystem that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountDecision {
    /// It is mounted as the line says.
    Mount,
    /// It is mounted, and nothing is written to it.
    MountReadOnly(Reason),
    /// It is repaired, looked at again, and mounted.
    Repair(Reason),
    /// A new and empty one takes its place.
    Reformat(Reason),
    /// It is not mounted.
    Refuse(Reason),
}

/// What is not in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No filesystem that is known.
    Nothing,
    /// Another one than the line says.
    Other(FilesystemKind),
    /// The kernel has found errors in it before.
    Errors,
    /// Its superblock is damaged.
    Damaged,
    /// The kernel refuses it.
    Refused,
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => formatter.write_str("no filesystem"),
            Self::Other(kind) => write!(formatter, "{} there", kind.name()),
            Self::Errors => formatter.write_str("filesystem errors"),
            Self::Damaged => formatter.write_str("damaged superblock"),
            Self::Refused => formatter.write_str("refused by the kernel"),
        }
    }
}

/// What is done with what was found for a line; `has_repaired` says that it was repaired or made anew already.
pub fn decide(mount: &SystemMount<'_>, found: Option<&Superblock>, has_repaired: bool) -> MountDecision {
    // What is not known here is the kernel's to judge.
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
    // What nobody writes to is read as far as it goes.
    if reason == Reason::Errors && mount.is_read_only {
        return MountDecision::Mount;
    }
    match (mount.check, reason) {
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

/// What is done after the kernel has refused to mount it although its superblock was in order.
pub fn decide_refused(mount: &SystemMount<'_>, has_repaired: bool) -> MountDecision {
    let is_ext4 = FilesystemKind::named(mount.kind) == Some(FilesystemKind::Ext4);
    match mount.check {
        OnDamage::Repair if is_ext4 && !has_repaired => MountDecision::Repair(Reason::Refused),
        OnDamage::Reformat if is_ext4 && !has_repaired && !mount.is_read_only => {
            MountDecision::Reformat(Reason::Refused)
        }
        _ => MountDecision::Refuse(Reason::Refused),
    }
}

#[cfg(test)]
mod tests;
