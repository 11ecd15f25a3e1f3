//! The peer of a socket.

use crate::call::call;
use linux_raw_sys::general::__NR_getsockopt;
use linux_raw_sys::net::{SO_PEERCRED, SOL_SOCKET};
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Errno;

/// Returns the uid of the peer of a connected path socket (SO_PEERCRED of unix(7)). rustix's own function cannot be
/// used: it requires a PID, which a peer outside of this PID namespace does not have.
///
/// # Errors
/// ENOPROTOOPT for another kind of socket.
pub fn peer_user(socket: BorrowedFd<'_>) -> Result<u32, Errno> {
    let mut credentials = [0_u32; 3];
    let mut length = size_of_val(&credentials) as u32;
    let (address, length_address) = (credentials.as_mut_ptr(), &raw mut length);
    let (level, name) = (SOL_SOCKET as usize, SO_PEERCRED as usize);
    let arguments = [socket.as_raw_fd() as usize, level, name, address as usize, length_address as usize, 0];
    // SAFETY: the kernel writes at most `length` bytes, the size of the buffer: pid, uid and gid, 32 bits each.
    unsafe { call(__NR_getsockopt, arguments) }?;
    Ok(credentials[1])
}
