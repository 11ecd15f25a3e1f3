//! Paths for system calls, with a terminating NUL.
//!
//! rustix copies a `&str` into a buffer in each of its functions, twice for each kind of argument; together this made
//! up a fiftieth of the board's program. Here is a single place that copies. A constant path is a `c"..."` and needs no
//! copy.

use core::ffi::CStr;
use heapless::Vec;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{
    Access, AtFlags, CWD, Dev, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, StatFs, StatxAttributes, StatxFlags,
    Uid,
};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MoveMountFlags, UnmountFlags, move_mount};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};

/// Bytes of a path including NUL: four times the limit of the configuration.
const BYTES: usize = 1024;

/// The functions below have a buffer for one call. It is not in the stack frames of their callers, because they are not
/// inlined.
type Room = Vec<u8, BYTES>;

#[inline(never)]
fn terminated<'b>(path: &str, buffer: &'b mut Room) -> Result<&'b CStr, Errno> {
    buffer.extend_from_slice(path.as_bytes()).map_err(|_| Errno::NAMETOOLONG)?;
    buffer.push(0).map_err(|_| Errno::NAMETOOLONG)?;
    CStr::from_bytes_with_nul(buffer).map_err(|_| Errno::INVAL)
}

/// open(2)
#[inline(never)]
pub(crate) fn open(path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    rustix::fs::open(terminated(path, &mut Room::new())?, flags, mode)
}

/// Opens a file of the board that PID 1 writes: a regular file or block device, without following symbolic links in any
/// part of the path (openat2(2), RESOLVE_NO_SYMLINKS), because a folder on the way may belong to a workload. Does not
/// wait for the reader of a FIFO.
///
/// # Errors
/// ELOOP for a link, EINVAL for another kind of file.
pub(crate) fn open_plain(path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let file = openat2(CWD, path, flags, mode, ResolveFlags::NO_SYMLINKS)?;
    match FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) {
        FileType::RegularFile | FileType::BlockDevice => Ok(file),
        _ => Err(Errno::INVAL),
    }
}

/// Maximum attempts to open a path if other processes mount or rename at the same time.
const TRIES: usize = 128;

/// openat2(2) for a path in a root filesystem, whose links are resolved inside of it (RESOLVE_IN_ROOT).
///
/// For a `..`, the kernel must be sure that nothing was mounted or renamed anywhere meanwhile. If something was, it
/// returns EAGAIN, and the call must be repeated.
#[inline(never)]
pub(crate) fn open_in_root(root: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let look = || openat2(root, path, flags, Mode::empty(), how);
    (1..TRIES).map(|_| look()).find(|found| !matches!(found, Err(Errno::AGAIN))).unwrap_or_else(look)
}

/// mount(2)
#[inline(never)]
pub(crate) fn mount(
    source: &str,
    target: &str,
    kind: &str,
    flags: MountFlags,
    options: Option<&CStr>,
) -> Result<(), Errno> {
    let [mut first, mut second, mut third] = [const { Room::new() }; 3];
    let (source, target) = (terminated(source, &mut first)?, terminated(target, &mut second)?);
    rustix::mount::mount(source, target, terminated(kind, &mut third)?, flags, options)
}

/// Attaches a detached mount to a path (move_mount(2)).
#[inline(never)]
pub(crate) fn attach(mount: BorrowedFd<'_>, target: &str) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(mount, c"", CWD, terminated(target, &mut Room::new())?, flags)
}

/// access(2)
#[inline(never)]
pub(crate) fn access(path: &str, access: Access) -> Result<(), Errno> {
    rustix::fs::access(terminated(path, &mut Room::new())?, access)
}

/// stat(2)
#[inline(never)]
pub(crate) fn stat(path: &str) -> Result<Stat, Errno> {
    rustix::fs::stat(terminated(path, &mut Room::new())?)
}

/// mkdir(2)
#[inline(never)]
pub(crate) fn mkdir(path: &str, mode: Mode) -> Result<(), Errno> {
    rustix::fs::mkdir(terminated(path, &mut Room::new())?, mode)
}

/// openat2(2)
#[inline(never)]
pub(crate) fn openat2(
    dir: BorrowedFd<'_>,
    path: &str,
    flags: OFlags,
    mode: Mode,
    how: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    rustix::fs::openat2(dir, terminated(path, &mut Room::new())?, flags, mode, how)
}

/// openat(2), for something that exists
#[inline(never)]
pub(crate) fn openat(dir: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(dir, terminated(path, &mut Room::new())?, flags, Mode::empty())
}

/// mkdirat(2)
#[inline(never)]
pub(crate) fn mkdirat(dir: BorrowedFd<'_>, path: &str, mode: Mode) -> Result<(), Errno> {
    rustix::fs::mkdirat(dir, terminated(path, &mut Room::new())?, mode)
}

/// Removes an empty folder (unlinkat(2), AT_REMOVEDIR)
#[inline(never)]
pub(crate) fn rmdirat(dir: BorrowedFd<'_>, path: &str) -> Result<(), Errno> {
    rustix::fs::unlinkat(dir, terminated(path, &mut Room::new())?, AtFlags::REMOVEDIR)
}

/// mknodat(2)
#[inline(never)]
pub(crate) fn mknodat(dir: BorrowedFd<'_>, path: &str, kind: FileType, mode: Mode, device: Dev) -> Result<(), Errno> {
    rustix::fs::mknodat(dir, terminated(path, &mut Room::new())?, kind, mode, device)
}

/// Sets the owner, without following a link (fchownat(2))
#[inline(never)]
pub(crate) fn chownat(dir: BorrowedFd<'_>, path: &str, uid: u32, gid: u32) -> Result<(), Errno> {
    let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    rustix::fs::chownat(dir, terminated(path, &mut Room::new())?, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
}

/// fchmodat(2)
#[inline(never)]
pub(crate) fn chmodat(dir: BorrowedFd<'_>, path: &str, mode: Mode) -> Result<(), Errno> {
    rustix::fs::chmodat(dir, terminated(path, &mut Room::new())?, mode, AtFlags::empty())
}

/// fstatat(2), without following a link
#[inline(never)]
pub(crate) fn statat(dir: BorrowedFd<'_>, path: &str) -> Result<Stat, Errno> {
    rustix::fs::statat(dir, terminated(path, &mut Room::new())?, AtFlags::SYMLINK_NOFOLLOW)
}

/// statfs(2)
#[inline(never)]
pub(crate) fn statfs(path: &str) -> Result<StatFs, Errno> {
    rustix::fs::statfs(terminated(path, &mut Room::new())?)
}

/// unlink(2)
#[inline(never)]
pub(crate) fn unlink(path: &str) -> Result<(), Errno> {
    rustix::fs::unlink(terminated(path, &mut Room::new())?)
}

/// umount2(2)
#[inline(never)]
pub(crate) fn unmount(path: &str, flags: UnmountFlags) -> Result<(), Errno> {
    rustix::mount::unmount(terminated(path, &mut Room::new())?, flags)
}

/// Changes the flags of a mount (mount(2), MS_REMOUNT)
#[inline(never)]
pub(crate) fn remount(path: &str, flags: MountFlags) -> Result<(), Errno> {
    rustix::mount::mount_remount(terminated(path, &mut Room::new())?, flags, c"")
}

/// chroot(2)
#[inline(never)]
pub(crate) fn chroot(path: &str) -> Result<(), Errno> {
    rustix::process::chroot(terminated(path, &mut Room::new())?)
}

/// Sets an option of a filesystem that is being made (fsconfig(2))
#[inline(never)]
pub(crate) fn set_option(kind: BorrowedFd<'_>, name: &CStr, value: &str) -> Result<(), Errno> {
    rustix::mount::fsconfig_set_string(kind, name, terminated(value, &mut Room::new())?)
}

/// Returns the address of a socket in the filesystem (unix(7))
#[inline(never)]
pub(crate) fn socket_address(path: &str) -> Result<SocketAddrUnix, Errno> {
    SocketAddrUnix::new(terminated(path, &mut Room::new())?)
}

/// Creates a non-blocking Unix socket without a path. One for connections will have a path for its owner alone; only its
/// creator can say so.
pub(crate) fn socket(kind: SocketType) -> Result<OwnedFd, Errno> {
    let socket = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    if kind == SocketType::SEQPACKET {
        // The umask of this process is 0, and the mode of the path is set at bind.
        rustix::fs::fchmod(&socket, Mode::from_raw_mode(0o600))?;
    }
    Ok(socket)
}

/// Binds a control socket to the path, and listens.
///
/// # Errors
/// Those of bind(2) and listen(2).
pub(crate) fn listen_at(socket: BorrowedFd<'_>, path: &str) -> Result<(), Errno> {
    // A leftover socket of an earlier PID 1 is unused.
    let _ = unlink(path);
    bind(socket, &socket_address(path)?)?;
    listen(socket, 16)
}

/// rename(2)
#[inline(never)]
pub(crate) fn rename(from: &str, to: &str) -> Result<(), Errno> {
    rustix::fs::rename(terminated(from, &mut Room::new())?, terminated(to, &mut Room::new())?)
}

/// Returns whether something is mounted on a path (statx(2)).
#[inline(never)]
pub(crate) fn is_mount_point(path: &str) -> Result<bool, Errno> {
    let mut room = Room::new();
    let path = terminated(path, &mut room)?;
    let found = rustix::fs::statx(CWD, path, AtFlags::empty(), StatxFlags::BASIC_STATS)?;
    Ok(found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Reads a symbolic link into a buffer; returns its length, truncated to the buffer (readlink(2)).
#[inline(never)]
pub(crate) fn read_link(path: &str, buffer: &mut [u8]) -> Result<usize, Errno> {
    rustix::fs::readlinkat_raw(CWD, terminated(path, &mut Room::new())?, &mut *buffer)
}
