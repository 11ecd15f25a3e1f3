//! Passes descriptors of opened mounts to the new process, in one message over a socket.
//!
//! The new process waits for the message, so it does nothing before its ids are mapped. If the parent fails or dies,
//! the socket is closed without a message, and the process exits.

use core::mem::MaybeUninit;
use heapless::Vec;
use hilum::config::limits;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, IoSlice, IoSliceMut};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// The root filesystem, /proc and /sys if they are shared, /dev, the folders of `mount` lines, and /etc/resolv.conf.
const MAX_FDS: usize = limits::MOUNTS + 5;

/// Opened mounts, in the order of the plan's steps.
pub(crate) type FdList = Vec<OwnedFd, MAX_FDS>;

/// Bytes of a control message with that many descriptors (cmsg(3)).
const CMSG_SPACE: usize = rustix::cmsg_space!(ScmRights(MAX_FDS));

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
    let mut descriptors: Vec<BorrowedFd<'_>, MAX_FDS> = Vec::new();
    descriptors.extend(opened.iter().map(AsFd::as_fd));
    let mut space = [MaybeUninit::uninit(); CMSG_SPACE];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(Errno::NOBUFS);
    }
    sendmsg(socket, &[IoSlice::new(message)], &mut control, SendFlags::NOSIGNAL).map(|_| ())
}

/// Receives the message; waits for it if the socket is blocking. `None` if the other end was closed without one.
pub(crate) fn receive_fds(socket: BorrowedFd<'_>) -> Result<Option<FdList>, Errno> {
    let mut space = [MaybeUninit::uninit(); CMSG_SPACE];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let message = loop {
        match recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            result => break result?,
        }
    };
    if message.bytes == 0 {
        return Ok(None);
    }
    let mut opened = FdList::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            opened.extend(descriptors.take(MAX_FDS));
        }
    }
    Ok(Some(opened))
}
