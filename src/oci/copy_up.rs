//! The mount option `tmpcopyup`: a tmpfs that has what the folder below it has.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

/// No root filesystem that is meant for this has deeper folders.
const DEEPEST: u32 = 64;

/// Copies folders, files and links from one open folder into another one, with owners and modes, without following links. Nodes of other
/// kinds and extended attributes are left out.
///
/// # Errors
/// Those of the kernel; ELOOP for folders that are too deep.
pub fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Errno> {
    folder(from, to, DEEPEST)
}

fn folder(from: BorrowedFd<'_>, to: BorrowedFd<'_>, deepest: u32) -> Result<(), Errno> {
    let Some(deepest) = deepest.checked_sub(1) else { return Err(Errno::LOOP) };
    take_over(from, to)?;
    for entry in Dir::read_from(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let status = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(status.st_mode) {
            FileType::Directory => {
                let source = rustix::fs::openat(from, name, flags | OFlags::DIRECTORY, Mode::empty())?;
                rustix::fs::mkdirat(to, name, Mode::RWXU)?;
                let made = rustix::fs::openat(to, name, flags | OFlags::DIRECTORY, Mode::empty())?;
                folder(source.as_fd(), made.as_fd(), deepest)?;
            }
            FileType::RegularFile => {
                // Not blocking, should it be another kind by now.
                let source = rustix::fs::openat(from, name, flags | OFlags::NONBLOCK, Mode::empty())?;
                let create = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY;
                let made = rustix::fs::openat(to, name, flags | create, Mode::RUSR | Mode::WUSR)?;
                bytes(&source, &made)?;
                take_over(source.as_fd(), made.as_fd())?;
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(from, name, Vec::new())?;
                rustix::fs::symlinkat(target, to, name)?;
                let (user, group) = (Uid::from_raw(status.st_uid), Gid::from_raw(status.st_gid));
                rustix::fs::chownat(to, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Gives a copy the owner and the mode of its source. The owner first, because changing it removes the bits of set-user-ID.
fn take_over(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Errno> {
    let status = rustix::fs::fstat(from)?;
    rustix::fs::fchown(to, Some(Uid::from_raw(status.st_uid)), Some(Gid::from_raw(status.st_gid)))?;
    rustix::fs::fchmod(to, Mode::from_raw_mode(status.st_mode & 0o7777))
}

fn bytes(from: &OwnedFd, to: &OwnedFd) -> Result<(), Errno> {
    while rustix::fs::sendfile(to, from, None, 1 << 20)? > 0 {}
    Ok(())
}
