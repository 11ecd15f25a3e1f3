//! Networking over route netlink: the sockets; the messages are built and read by the library.

use hilum::netlink::{LOOPBACK_INDEX, Refusal, acknowledgement, link_up};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

/// Brings the loopback link of this process's network namespace up (rtnetlink(7), RTM_NEWLINK).
pub(crate) fn loopback_up() -> Result<(), Errno> {
    const SEQUENCE: u32 = 1;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    send(&socket, &link_up(LOOPBACK_INDEX, SEQUENCE), SendFlags::empty())?;
    let mut answer = [0; 128];
    // The kernel answers inside of send, so there is something to read and nothing to wait for.
    let (length, _) = recv(&socket, &mut answer, RecvFlags::DONTWAIT)?;
    match acknowledgement(&answer[..length.min(answer.len())], SEQUENCE) {
        Ok(()) => Ok(()),
        Err(Refusal::Kernel(errno)) => Err(Errno::from_raw_os_error(errno.0.into())),
        Err(Refusal::Malformed) => Err(Errno::PROTO),
    }
}
