//! Passes descriptors of opened mounts to the new process, in one message over a socket.
//!
//! The new process waits for the message, so it does nothing before its ids are mapped. If the parent fails or dies,
//! the socket is closed without a message, and the process exits.

use heapless::Vec;
use hilum::config::limits;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

/// The root filesystem, /proc and /sys if they are shared, /dev, the folders of `mount` lines, and /etc/resolv.conf.
const MAX_FDS: usize = limits::MOUNTS + 5;

/// Opened mounts, in the order of the plan's steps.
pub(crate) type FdList = Vec<OwnedFd, MAX_FDS>;

const _: () = assert!(MAX_FDS <= hilum_sys::MESSAGE_FDS);

/// Creates the socket pair: PID 1's end, and the new process's.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// Sends descriptors. The message fits into the socket's buffer, so this does not block.
pub(crate) fn send_fds(socket: BorrowedFd<'_>, opened: &FdList) -> Result<(), Errno> {
    send(socket, b"!", opened)
}

/// Sends a message with descriptors.
pub(crate) fn send(socket: BorrowedFd<'_>, message: &[u8], opened: &FdList) -> Result<(), Errno> {
    hilum_sys::send_with_fds(socket, message, opened)
}

/// Receives the message; waits for it if the socket is blocking. `None` if the other end was closed without one.
pub(crate) fn receive_fds(socket: BorrowedFd<'_>) -> Result<Option<FdList>, Errno> {
    let mut opened = FdList::new();
    loop {
        match hilum_sys::receive_with_fds(socket, &mut [0], true, &mut |fd| drop(opened.push(fd))) {
            Err(Errno::INTR) => {}
            result => return result.map(|bytes| (bytes > 0).then_some(opened)),
        }
    }
}
