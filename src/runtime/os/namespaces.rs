//! Joining namespaces of other processes (setns(2)).

use super::path::open;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, ThreadNameSpaceType, move_into_link_name_space, move_into_thread_name_spaces};

/// Returns this process's network namespace, open.
///
/// # Errors
/// The kernel's.
pub(crate) fn network() -> Result<OwnedFd, Errno> {
    open("/proc/self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

/// Moves this process into an open network namespace.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN over both, EINVAL for another kind of namespace.
pub(crate) fn enter_network(namespace: BorrowedFd<'_>) -> Result<(), Errno> {
    move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))
}

/// Moves this process into the namespaces (CLONE_NEW* flags) of the process behind a pidfd, all or none. The PID
/// namespace applies to its children, not to itself.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN over them, ESRCH if the process is gone, EINVAL before kernel 5.8.
pub(crate) fn enter(process: BorrowedFd<'_>, namespaces: u64) -> Result<(), Errno> {
    move_into_thread_name_spaces(process, ThreadNameSpaceType::from_bits_retain(namespaces as u32))
}
