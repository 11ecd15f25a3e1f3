//! Network links where rustix has no call: raw frames (packet(7)), and bringing a link up (netdevice(7)).

use crate::call::call;
use core::mem::size_of;
use linux_raw_sys::general::{__NR_bind, __NR_ioctl, __NR_setsockopt, __NR_socket};
use linux_raw_sys::if_packet::sockaddr_ll;
use linux_raw_sys::net::{AF_PACKET, SO_ATTACH_FILTER, SOCK_RAW, SOL_SOCKET};
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;

/// SOCK_CLOEXEC and SOCK_NONBLOCK, which are the same on both architectures.
const CLOEXEC: u32 = 0o2_000_000;
const NONBLOCK: u32 = 0o4_000;

/// Opens a socket that receives the frames of the link with this index that have the EtherType `protocol` (0x0800 for
/// IPv4) and pass `filter`, and that sends whole frames.
///
/// `filter` is a classic BPF program, with eight bytes per instruction (struct sock_filter).
///
/// # Errors
/// EPERM without CAP_NET_RAW, EAFNOSUPPORT without packet sockets (CONFIG_PACKET), ENODEV without such a link.
pub fn packet_socket(index: u32, protocol: u16, filter: &[[u8; 8]]) -> Result<OwnedFd, Errno> {
    #[repr(C)]
    struct Program {
        length: u16,
        instructions: *const [u8; 8],
    }
    let kind = SOCK_RAW | CLOEXEC | NONBLOCK;
    // Without a protocol it receives nothing before it is filtered and bound. SAFETY: the call takes numbers.
    let number = unsafe { call(__NR_socket, [AF_PACKET as usize, kind as usize, 0, 0, 0, 0]) }?;
    // SAFETY: the call returned a new descriptor that nobody else owns.
    let socket = unsafe { OwnedFd::from_raw_fd(number as i32) };
    let length = u16::try_from(filter.len()).map_err(|_| Errno::INVAL)?;
    let program = Program { length, instructions: filter.as_ptr() };
    let (address, size) = (&raw const program as usize, size_of::<Program>());
    // SAFETY: the kernel reads the structure and the `length` instructions that it points to; both outlive the call.
    unsafe { call(__NR_setsockopt, [number, SOL_SOCKET as usize, SO_ATTACH_FILTER as usize, address, size, 0]) }?;
    let place = sockaddr_ll {
        sll_family: AF_PACKET as u16,
        sll_protocol: protocol.to_be(),
        sll_ifindex: index as i32,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let (address, size) = (&raw const place as usize, size_of::<sockaddr_ll>());
    // SAFETY: the kernel reads the structure, which outlives the call.
    unsafe { call(__NR_bind, [number, address, size, 0, 0, 0]) }?;
    Ok(socket)
}

/// Restricts a socket to the link with this index.
///
/// # Errors
/// ENOPROTOOPT before Linux 5.0, ENODEV without such a link.
pub fn bind_to_link(socket: BorrowedFd<'_>, index: u32) -> Result<(), Errno> {
    /// include/uapi/asm-generic/socket.h
    const SO_BINDTOIFINDEX: usize = 62;
    let index = index as i32;
    let (number, address) = (socket.as_raw_fd() as usize, &raw const index as usize);
    // SAFETY: the kernel reads a number of four bytes, which outlives the call.
    unsafe { call(__NR_setsockopt, [number, SOL_SOCKET as usize, SO_BINDTOIFINDEX, address, 4, 0]) }.map(|_| ())
}

/// Brings up the loopback interface of the network namespace that `socket` was created in. Any socket will do.
///
/// # Errors
/// EPERM without CAP_NET_ADMIN over the namespace.
pub fn loopback_up(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    /// SIOCSIFFLAGS and IFF_UP (include/uapi/linux/sockios.h, if.h).
    const SET_FLAGS: usize = 0x8914;
    const UP: u16 = 1;
    /// `struct ifreq` with the field that this request uses.
    #[repr(C, align(8))]
    struct Flags {
        name: [u8; 16],
        flags: u16,
        rest: [u8; 22],
    }
    let mut request = Flags { name: [0; 16], flags: UP, rest: [0; 22] };
    request.name[..2].copy_from_slice(b"lo");
    let address = &raw const request as usize;
    // SAFETY: the kernel reads a structure of this size, with a terminated name; it outlives the call.
    unsafe { call(__NR_ioctl, [socket.as_raw_fd() as usize, SET_FLAGS, address, 0, 0, 0]) }.map(|_| ())
}
