//! New namespaces for this process (unshare(2)). rustix joins those of others.

use rustix::io::Errno;
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Moves this process into a new network namespace.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN, ENOSPC at the limit of namespaces.
pub fn unshare_network() -> Result<(), Errno> {
    // SAFETY: the flag affects sockets that are created later; neither memory nor descriptors change.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }
}

/// Moves this process into a copy of its mount namespace (unshare(2), CLONE_NEWNS).
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN, ENOSPC at the limit of namespaces.
pub fn unshare_mount() -> Result<(), Errno> {
    // SAFETY: the flag affects only mounts; neither memory nor descriptors change.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }
}
