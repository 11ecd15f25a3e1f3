//! The root filesystem of this process.

use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};

/// Returns whether the root can be the initial one of a machine, which is a ramfs or a tmpfs (statfs(2)).
///
/// # Errors
/// Those of statfs(2).
pub(crate) fn is_in_memory() -> Result<bool, Errno> {
    const RAMFS: u64 = 0x8584_58f6;
    const TMPFS: u64 = 0x0102_1994;
    let kind = rustix::fs::statfs(c"/")?.f_type as u64 & 0xffff_ffff;
    Ok(matches!(kind, RAMFS | TMPFS))
}

/// Makes the mounts private: changes are not propagated to or from other mount namespaces (mount_namespaces(7)).
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN.
pub(crate) fn make_private() -> Result<(), Errno> {
    mount_change(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
}
