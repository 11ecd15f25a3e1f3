//! Messages with descriptors over a Unix socket (unix(7), SCM_RIGHTS). rustix's calls cost 700 bytes more.

use crate::call::call;
use linux_raw_sys::general::{__NR_recvmsg, __NR_sendmsg, iovec};
use linux_raw_sys::net::{MSG_CMSG_CLOEXEC, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_TRUNC, SCM_RIGHTS, SOL_SOCKET, msghdr};
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;

/// The maximum number of descriptors in a message.
pub const MESSAGE_FDS: usize = 16;

/// Bytes of a control message's header (struct cmsghdr).
const HEADER: usize = 16;

/// A control message (cmsg(3)).
#[repr(C, align(8))]
struct Control {
    length: usize,
    level: u32,
    kind: u32,
    fds: [i32; MESSAGE_FDS],
}

impl Control {
    const EMPTY: Self = Self { length: 0, level: SOL_SOCKET, kind: SCM_RIGHTS, fds: [-1; MESSAGE_FDS] };
}

/// Sends a message with descriptors (sendmsg(2)). Descriptors beyond [`MESSAGE_FDS`] are left out.
///
/// # Errors
/// Those of sendmsg(2): EPIPE if the peer has closed the socket.
pub fn send_with_fds(socket: BorrowedFd<'_>, message: &[u8], fds: &[OwnedFd]) -> Result<(), Errno> {
    let mut control = Control::EMPTY;
    for (place, fd) in control.fds.iter_mut().zip(fds) {
        *place = fd.as_raw_fd();
    }
    control.length = HEADER + 4 * fds.len().min(MESSAGE_FDS);
    // Without descriptors there is no control message.
    let length = if fds.is_empty() { 0 } else { control.length };
    transfer(__NR_sendmsg, socket, (message.as_ptr(), message.len()), (&raw mut control, length), MSG_NOSIGNAL)?;
    Ok(())
}

/// Receives a message into `buffer`, and its descriptors, which are close-on-exec (recvmsg(2)). Returns the number of bytes; 0 at the
/// end.
///
/// # Errors
/// Those of recvmsg(2): EAGAIN if the socket is non-blocking and there is no message, EINTR. EMSGSIZE if the message does not fit.
pub fn receive_with_fds(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    may_wait: bool,
    take: &mut dyn FnMut(OwnedFd),
) -> Result<usize, Errno> {
    let mut control = Control::EMPTY;
    let flags = MSG_CMSG_CLOEXEC | if may_wait { 0 } else { MSG_DONTWAIT };
    let space = (buffer.as_mut_ptr().cast_const(), buffer.len());
    let (length, flags) = transfer(__NR_recvmsg, socket, space, (&raw mut control, size_of::<Control>()), flags)?;
    if (control.level, control.kind) == (SOL_SOCKET, SCM_RIGHTS) {
        for fd in control.fds.iter().take(control.length.saturating_sub(HEADER) / 4) {
            // SAFETY: the kernel created this descriptor for the message, and nothing else owns it.
            take(unsafe { OwnedFd::from_raw_fd(*fd) });
        }
    }
    if flags & MSG_TRUNC == 0 { Ok(length) } else { Err(Errno::MSGSIZE) }
}

/// Sends or receives. Returns the number of bytes, and the flags that the kernel has set.
fn transfer(
    number: u32,
    socket: BorrowedFd<'_>,
    bytes: (*const u8, usize),
    control: (*mut Control, usize),
    flags: u32,
) -> Result<(usize, u32), Errno> {
    let mut part = iovec { iov_base: bytes.0.cast_mut().cast(), iov_len: bytes.1 as _ };
    let mut header = msghdr {
        msg_name: core::ptr::null_mut(),
        msg_namelen: 0,
        msg_iov: (&raw mut part).cast(),
        msg_iovlen: 1,
        msg_control: control.0.cast(),
        msg_controllen: control.1,
        msg_flags: 0,
    };
    let arguments = [socket.as_raw_fd() as usize, &raw mut header as usize, flags as usize, 0, 0, 0];
    // SAFETY: the header is one message of bytes that the caller has, which recvmsg(2) may write and sendmsg(2) reads, and one control
    // message with its size.
    let length = unsafe { call(number, arguments) }?;
    Ok((length, header.msg_flags))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::AsFd;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use std::vec::Vec;

    #[test]
    fn descriptors_arrive_in_order_and_too_long_messages_are_refused() {
        let (near, far) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .expect("a pair of sockets");
        let pipes = || socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("a pair");
        let (ends, pipes): (Vec<OwnedFd>, Vec<OwnedFd>) = (0..=MESSAGE_FDS).map(|_| pipes()).unzip();
        send_with_fds(near.as_fd(), b"first", &ends).expect("it is sent");
        send_with_fds(near.as_fd(), b"second", &[]).expect("it is sent");
        let (mut buffer, mut received) = ([0; 5], Vec::new());
        let length = receive_with_fds(far.as_fd(), &mut buffer, false, &mut |fd| received.push(fd));
        assert_eq!((length, &buffer), (Ok(5), b"first"));
        assert_eq!(received.len(), MESSAGE_FDS);
        for (number, (fd, write)) in received.iter().zip(&pipes).enumerate() {
            rustix::io::write(write, &[number as u8]).expect("the pipe takes a byte");
            let mut byte = [0xff];
            rustix::io::read(fd, &mut byte).expect("the byte arrives");
            assert_eq!(usize::from(byte[0]), number);
        }
        let refused = receive_with_fds(far.as_fd(), &mut buffer, false, &mut |_| panic!("it has no descriptor"));
        assert_eq!(refused, Err(Errno::MSGSIZE));
        assert_eq!(receive_with_fds(far.as_fd(), &mut buffer, false, &mut |_| ()), Err(Errno::AGAIN));
    }
}
