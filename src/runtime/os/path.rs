//! Paths for system calls, with a terminating NUL.
//!
//! rustix copies a `&str` into a buffer in each of its functions, twice for each kind of argument; together this made
//! up a fiftieth of the board's program. Here is a single place that copies. A constant path is a `c"..."` and needs no
//! copy.

use core::ffi::CStr;
use heapless::Vec;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{Access, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MoveMountFlags, move_mount};
use rustix::path::Arg;

/// Bytes of a path including NUL: four times the limit of the configuration.
const BYTES: usize = 1024;

/// A path or other text for a function of rustix.
pub(crate) struct Path<'a>(pub(crate) &'a str);

impl Arg for Path<'_> {
    fn as_str(&self) -> Result<&str, Errno> {
        Ok(self.0)
    }

    // Not inlined, because the buffer would become part of the callers' stack frames.
    #[inline(never)]
    fn into_with_c_str<T, F: FnOnce(&CStr) -> Result<T, Errno>>(self, work: F) -> Result<T, Errno> {
        work(terminated(self.0, &mut Vec::new())?)
    }
}

#[inline(never)]
fn terminated<'b>(path: &str, buffer: &'b mut Vec<u8, BYTES>) -> Result<&'b CStr, Errno> {
    buffer.extend_from_slice(path.as_bytes()).map_err(|_| Errno::NAMETOOLONG)?;
    buffer.push(0).map_err(|_| Errno::NAMETOOLONG)?;
    CStr::from_bytes_with_nul(buffer).map_err(|_| Errno::INVAL)
}

/// open(2)
#[inline(never)]
pub(crate) fn open(path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    rustix::fs::open(Path(path), flags, mode)
}

/// Opens a file of the board that PID 1 writes: a regular file or block device, without following symbolic links in any
/// part of the path (openat2(2), RESOLVE_NO_SYMLINKS), because a folder on the way may belong to a workload. Does not
/// wait for the reader of a FIFO.
///
/// # Errors
/// ELOOP for a link, EINVAL for another kind of file.
pub(crate) fn open_plain(path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let file = rustix::fs::openat2(rustix::fs::CWD, Path(path), flags, mode, ResolveFlags::NO_SYMLINKS)?;
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
    let look = || rustix::fs::openat2(root, Path(path), flags, Mode::empty(), how);
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
    let [mut first, mut second, mut third] = [const { Vec::new() }; 3];
    let (source, target) = (terminated(source, &mut first)?, terminated(target, &mut second)?);
    rustix::mount::mount(source, target, terminated(kind, &mut third)?, flags, options)
}

/// Attaches a detached mount to a path (move_mount(2)).
#[inline(never)]
pub(crate) fn attach(mount: BorrowedFd<'_>, target: &str) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(mount, c"", rustix::fs::CWD, terminated(target, &mut Vec::new())?, flags)
}

/// access(2)
#[inline(never)]
pub(crate) fn access(path: &str, access: Access) -> Result<(), Errno> {
    rustix::fs::access(Path(path), access)
}

/// stat(2)
#[inline(never)]
pub(crate) fn stat(path: &str) -> Result<Stat, Errno> {
    rustix::fs::stat(Path(path))
}

/// mkdir(2)
#[inline(never)]
pub(crate) fn mkdir(path: &str, mode: Mode) -> Result<(), Errno> {
    rustix::fs::mkdir(Path(path), mode)
}
