//! Networking over netlink sockets; the library encodes and decodes the messages.
//!
//! Each exchange is one send(2) and the replies to it, which the kernel produces during the send. Nothing here blocks.

mod advertised;
mod bridges;
mod client;
mod connections;
mod host_link;
mod inside;
mod lease;
mod link_state;
mod links;
mod probe;
mod sntp;
mod uplinks;
mod workload;

pub(crate) use bridges::{adopt, leave_bridged_packets, prepare, set_all};
pub(crate) use connections::{forget_missed, spawn_forget, spawn_forget_missed};
pub(crate) use inside::own_name_servers;
pub(crate) use link_state::HostLinks;
pub(crate) use probe::{PROBES, supports};
pub(crate) use sntp::{FOUND_BYTES, Request, ask, keep};
pub(crate) use workload::{Rules, connect, set_up};

use hilum::netlink::{LinkEntry, List, Message, Messages, Refusal, Writer, acknowledge, list};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::netlink::NETFILTER;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

/// Bytes of a datagram of replies. The kernel fills at least this size in a dump (NLMSG_GOODSIZE), and more only for
/// readers that used a larger buffer before (netlink_dump in net/netlink/af_netlink.c).
const ANSWER_BYTES: usize = 8192;

/// Returns an rtnetlink socket in this process's network namespace (rtnetlink(7)).
pub(crate) fn route_socket() -> Result<OwnedFd, Errno> {
    netlink(None)
}

/// Returns a netfilter netlink socket in this process's network namespace.
pub(crate) fn filter_socket() -> Result<OwnedFd, Errno> {
    netlink(Some(NETFILTER))
}

fn netlink(protocol: Option<Protocol>) -> Result<OwnedFd, Errno> {
    socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)
}

/// Sends requests, and reads all replies.
///
/// # Errors
/// The first refusal of the kernel; ENOBUFS if the messages did not fit into the buffer.
pub(crate) fn request(socket: &OwnedFd, writer: &Writer<'_>) -> Result<(), Errno> {
    let (bytes, requests) = writer.finish().ok_or(Errno::NOBUFS)?;
    if requests == 0 {
        return Ok(());
    }
    send(socket, bytes, SendFlags::empty())?;
    let (mut done, mut answer) = (0, [0; 1024]);
    while done < requests {
        let (length, _) = recv(socket, &mut answer[..], RecvFlags::DONTWAIT)?;
        match acknowledge(&answer[..length.min(answer.len())], requests, &mut done) {
            Ok(()) => {}
            Err((_, Refusal::Kernel(errno))) => return Err(Errno::from_raw_os_error(errno.0.into())),
            Err((_, Refusal::Malformed)) => return Err(Errno::PROTO),
        }
    }
    Ok(())
}

/// Bytes of the messages of an exchange: at most sixteen messages of less than 256 bytes, or twice as many of half the
/// size.
const EXCHANGE_BYTES: usize = 4096;

/// Encodes messages and sends them.
fn exchange(socket: &OwnedFd, write: &mut dyn FnMut(&mut Writer<'_>)) -> Result<(), Errno> {
    let mut buffer = [0; EXCHANGE_BYTES];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer);
    request(socket, &writer)
}

/// Requests a list, and passes the type and body of each message to a function.
///
/// # Errors
/// Those of the kernel.
pub(crate) fn each(
    socket: &OwnedFd,
    ask: &mut dyn FnMut(&mut Writer<'_>),
    entry: &mut dyn FnMut(u16, &[u8]),
) -> Result<(), Errno> {
    let mut buffer = [0; 64];
    let mut writer = Writer::new(&mut buffer);
    ask(&mut writer);
    let (bytes, _) = writer.finish().ok_or(Errno::NOBUFS)?;
    send(socket, bytes, SendFlags::empty())?;
    let mut answer = [0; ANSWER_BYTES];
    loop {
        let (length, _) = recv(socket, &mut answer[..], RecvFlags::DONTWAIT)?;
        for message in Messages::of(&answer[..length.min(answer.len())]) {
            match message {
                Ok(Message::Entry(kind, body)) => entry(kind, body),
                Ok(Message::Done) => return Ok(()),
                Ok(Message::Answer(_, Err(errno))) => return Err(Errno::from_raw_os_error(errno.0.into())),
                _ => return Err(Errno::PROTO),
            }
        }
    }
}

/// Passes each link of this process's network namespace to `tell`.
///
/// # Errors
/// Those of the kernel.
pub(crate) fn each_link(socket: &OwnedFd, tell: &mut dyn FnMut(&LinkEntry<'_>)) -> Result<(), Errno> {
    each(socket, &mut |writer| list(writer, List::Links), &mut |kind, body| {
        if let Some(entry) = LinkEntry::read(kind, body) {
            tell(&entry);
        }
    })
}

/// Returns the index of the link with this name (netdevice(7)).
///
/// # Errors
/// ENODEV if there is none.
pub(crate) fn index_of(socket: &OwnedFd, name: &str) -> Result<u32, Errno> {
    rustix::net::netdevice::name_to_index(socket, name)
}

/// Brings up the loopback interface of this process's network namespace, by the older ioctl (netdevice(7)). It needs no
/// netlink socket and no messages, which would cost more than the change itself.
pub(crate) fn loopback_up() -> Result<(), Errno> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    hilum_sys::loopback_up(socket.as_fd())
}

/// Returns whether the kernel has IPv6.
pub(crate) fn has_ipv6() -> bool {
    crate::os::path::access("/proc/sys/net/ipv6", rustix::fs::Access::EXISTS).is_ok()
}
