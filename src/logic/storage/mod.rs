//! Disks as bytes: which one a line means, what lies on it, and what is done when that is not in order.
//!
//! It reads what was read from devices, and decides; the running half looks at devices, mounts and repairs.

mod blueprint;
mod mount_table;
mod partition;
mod superblock;
pub mod verity;

pub use blueprint::{Blueprint, Extent};
pub use mount_table::{MountEntry, entries};
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
    /// The kernel has found it damaged.
    Refused,
    /// The kernel does not mount it to be written, and nothing of it is damaged: it has features unknown to this kernel.
    Features,
    /// The device cannot be written.
    Protected,
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => formatter.write_str("no filesystem"),
            Self::Other(FilesystemKind::Luks) => formatter.write_str("encrypted (LUKS), no key available"),
            Self::Other(kind) => write!(formatter, "{} there", kind.name()),
            Self::Errors => formatter.write_str("filesystem errors"),
            Self::Damaged => formatter.write_str("damaged superblock"),
            Self::Refused => formatter.write_str("damaged, according to the kernel"),
            Self::Features => formatter.write_str("features unknown to this kernel"),
            Self::Protected => formatter.write_str("write-protected"),
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
        // What is in there may be good: only who has the key knows.
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

/// What the kernel's refusal to mount a filesystem says of it, whose superblock is in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is damaged (EUCLEAN, EBADMSG).
    Damage,
    /// The kernel does not take it as it is (EINVAL), which is no verdict: it may have features unknown to this kernel.
    Unknown,
    /// The device cannot be written (EACCES, EROFS).
    Protected,
}

/// What is done after the kernel has refused it; `is_read_only` says how it was asked to mount it, and `has_repaired` as in
/// [`decide`]. A new filesystem is never made of what is not known to be damaged.
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
