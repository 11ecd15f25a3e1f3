//! A workload's mounts (fsopen(2), openat2(2), pivot_root(2)).
//!
//! The working directory is the root filesystem from [`attach_root`] on. Each mount point below it is opened without
//! following symbolic links and without leaving it, and a filesystem is attached to that descriptor. A root filesystem
//! therefore cannot redirect a mount, whatever it contains and whoever changes it meanwhile. Paths below /proc are
//! covered by the descriptor of the new mount, not by a path through the root filesystem.
//!
//! Descriptors are not closed one by one here: a later step closes all of them with two calls.

use super::template;
use crate::os::path::{self, open, open_in_root};
use core::ffi::CStr;
use core::fmt::Write;
use core::mem::{MaybeUninit, forget};
use heapless::String;
use hilum::config::{Bind, User};
use hilum::fixed_string::text;
use hilum::plan::{self, FileSystem, Mask};
use hilum::split::Split;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Gid, Mode, OFlags, RawDir, ResolveFlags, Uid, openat2};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    fsconfig_create, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree, unmount,
};

const BY_DESCRIPTORS: MoveMountFlags =
    MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH.union(MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH);
const CLONE: OpenTreeFlags = OpenTreeFlags::OPEN_TREE_CLONE.union(OpenTreeFlags::OPEN_TREE_CLOEXEC);

/// Attaches the root filesystem over the old root and enters it.
pub(crate) fn attach_root(root: &OwnedFd, is_writable: bool) -> Result<(), Errno> {
    move_mount(root, c"", CWD, c"/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    rustix::process::fchdir(root)?;
    let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    attributes.set(MountAttrFlags::MOUNT_ATTR_RDONLY, !is_writable);
    restrict(root.as_fd(), attributes)
}

/// Creates a filesystem. Returns its mount, not attached yet.
pub(crate) fn make(wanted: &plan::Mount) -> Result<OwnedFd, Errno> {
    let kind = fsopen(wanted.filesystem.name(), FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (name, value) in wanted.options {
        fsconfig_set_string(&kind, *name, *value)?;
    }
    if wanted.bytes > 0 {
        // Twenty digits fit.
        let bytes = text::<24>(format_args!("{}", wanted.bytes));
        path::set_option(kind.as_fd(), c"size", &bytes)?;
    }
    fsconfig_create(&kind)?;
    let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID;
    attributes.set(MountAttrFlags::MOUNT_ATTR_RDONLY, wanted.read_only);
    attributes.set(MountAttrFlags::MOUNT_ATTR_NOEXEC, !wanted.executable);
    attributes.set(MountAttrFlags::MOUNT_ATTR_NODEV, !wanted.devices);
    let mount = fsmount(&kind, FsMountFlags::FSMOUNT_CLOEXEC, attributes);
    forget(kind);
    mount
}

/// Creates a filesystem and attaches it with one call, instead of seven by [`make`] and [`attach`]; but it returns no
/// descriptor. The mount point is given by a descriptor of [`below`] in the host's /proc.
pub(crate) fn make_at(wanted: &plan::Mount) -> Result<(), Errno> {
    let place = below(CWD, wanted.target, OFlags::DIRECTORY)?;
    let mut options: String<80> = String::new();
    // Two options and a number of twenty digits fit.
    for (name, value) in wanted.options {
        let _ = write!(options, "{}={},", name.to_str().unwrap_or_default(), value.to_str().unwrap_or_default());
    }
    if wanted.bytes > 0 {
        let _ = write!(options, "size={},", wanted.bytes);
    }
    // Replace the last comma by the end of the string.
    options.pop();
    let _ = options.push('\0');
    let options = CStr::from_bytes_with_nul(options.as_bytes()).map_err(|_| Errno::INVAL)?;
    let mut flags = MountFlags::NOSUID;
    flags.set(MountFlags::RDONLY, wanted.read_only);
    flags.set(MountFlags::NOEXEC, !wanted.executable);
    flags.set(MountFlags::NODEV, !wanted.devices);
    let kind = wanted.filesystem.name().to_str().unwrap_or_default();
    let made = path::mount(kind, &own_path(place.as_fd()), kind, flags, Some(options));
    made.and_then(|()| furnish(wanted, place))
}

/// Attaches a filesystem that was created for the plan.
pub(crate) fn attach_made(mount: &OwnedFd, wanted: &plan::Mount) -> Result<(), Errno> {
    let place = below(CWD, wanted.target, OFlags::DIRECTORY)?;
    move_mount(mount, c"", &place, c"", BY_DESCRIPTORS)?;
    furnish(wanted, place)
}

/// Sets the owner of a filesystem, and recreates the folders that it covers; `covered` is the mount point.
fn furnish(wanted: &plan::Mount, covered: OwnedFd) -> Result<(), Errno> {
    // Each subfolder adds a link to its parent, on filesystems that count them.
    let has_folders = wanted.keeps_folders && rustix::fs::fstat(&covered)?.st_nlink != 2;
    if has_folders || wanted.owner != User::ROOT {
        let made = open_folder(CWD, wanted.target)?;
        give(&made, wanted.owner)?;
        copy_folders(&open_folder(covered.as_fd(), c".")?, &made)?;
    }
    forget(covered);
    Ok(())
}

/// Changes the owner of a folder.
fn give(folder: &OwnedFd, owner: User) -> Result<(), Errno> {
    rustix::fs::fchown(folder, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))
}

/// Opens a folder for reading. No part of the path is a link, because the mount point was opened without following any.
fn open_folder(parent: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, path, flags, Mode::empty())
}

/// Recreates the folders below one folder in another, with owners and modes; files and links are skipped. The limits of
/// the filesystem and of descriptors bound this.
fn copy_folders(from: &OwnedFd, to: &OwnedFd) -> Result<(), Errno> {
    let mut buffer = [MaybeUninit::uninit(); 1024];
    let mut entries = RawDir::new(from, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let source = match open_folder(from.as_fd(), name) {
            Err(Errno::NOTDIR | Errno::LOOP) => continue,
            source => source?,
        };
        let status = rustix::fs::fstat(&source)?;
        // The umask is 0.
        rustix::fs::mkdirat(to, name, Mode::from_raw_mode(status.st_mode))?;
        let made = open_folder(to.as_fd(), name)?;
        give(&made, User { uid: status.st_uid, gid: status.st_gid })?;
        copy_folders(&source, &made)?;
    }
    Ok(())
}

/// Returns the path of an open descriptor in the host's /proc.
pub(crate) fn own_path(descriptor: BorrowedFd<'_>) -> String<32> {
    // Ten digits fit.
    text(format_args!("/proc/self/fd/{}", descriptor.as_raw_fd()))
}

/// Attaches a created filesystem.
pub(crate) fn attach(mount: &OwnedFd, target: &CStr) -> Result<(), Errno> {
    attach_to(mount, below(CWD, target, OFlags::DIRECTORY)?)
}

fn attach_to(mount: &OwnedFd, place: OwnedFd) -> Result<(), Errno> {
    let attached = move_mount(mount, c"", &place, c"", BY_DESCRIPTORS);
    forget(place);
    attached
}

/// Opens the template in this process's mount namespace; parts of it are attached later.
pub(crate) fn open_template(path: &str) -> Result<OwnedFd, Errno> {
    open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Attaches a folder or file of the board that the parent opened.
pub(crate) fn attach_bind(mount: &OwnedFd, bind: &Bind<'_>) -> Result<(), Errno> {
    let mut path: String<256> = String::new();
    // The parser limits the length of paths.
    let _ = path.push_str(bind.target.without_start(b'/'));
    attach_to(mount, path::openat2(CWD, &path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), BELOW)?)?;
    let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    attributes.set(MountAttrFlags::MOUNT_ATTR_RDONLY, !bind.is_writable);
    attributes.set(MountAttrFlags::MOUNT_ATTR_NOEXEC, !bind.is_executable);
    restrict(mount.as_fd(), attributes)
}

/// Attaches a file of a mounted filesystem, read-only, over a file below the root; does nothing if that does not exist.
pub(crate) fn attach_where_there(filesystem: &OwnedFd, file: &CStr, target: &CStr) -> Result<(), Errno> {
    let place = match below(CWD, target, OFlags::empty()) {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
        place => place?,
    };
    let copy = open_tree(filesystem, file, CLONE)?;
    attach_to(&copy, place)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let restricted = restrict(copy.as_fd(), attributes);
    forget(copy);
    restricted
}

/// Makes a path of a filesystem read-only by a bind mount over itself. A path that does not exist is skipped.
pub(crate) fn cover_read_only(filesystem: &OwnedFd, path: &CStr) -> Result<(), Errno> {
    let copy = match open_tree(filesystem, inside(path), CLONE) {
        Err(Errno::NOENT) => return Ok(()),
        copy => copy?,
    };
    move_mount(&copy, c"", filesystem, inside(path), MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let restricted = restrict(copy.as_fd(), attributes);
    forget(copy);
    restricted
}

/// An empty file and an empty folder for covering others: a detached mount of each.
#[derive(Default)]
pub(crate) struct Empty {
    file: Option<OwnedFd>,
    folder: Option<OwnedFd>,
}

impl Empty {
    /// Covers a path of a filesystem. If it does not exist, the empty mount is kept for the next one.
    pub(crate) fn cover(&mut self, filesystem: &OwnedFd, mask: &Mask, template: &OwnedFd) -> Result<(), Errno> {
        let (kept, path) = match mask.is_folder {
            true => (&mut self.folder, template::EMPTY_FOLDER),
            false => (&mut self.file, template::EMPTY_FILE),
        };
        let empty = match kept.take() {
            Some(empty) => empty,
            None => open_tree(template, path, CLONE)?,
        };
        // These are names of the kernel: none is a link, and nobody else can change them.
        match move_mount(&empty, c"", filesystem, inside(mask.path), MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH) {
            Err(Errno::NOENT) => {
                *kept = Some(empty);
                Ok(())
            }
            covered => {
                forget(empty);
                covered
            }
        }
    }
}

/// Returns the path without its first part, which is the mount point.
fn inside(path: &CStr) -> &CStr {
    let bytes = path.to_bytes_with_nul();
    let start = bytes.iter().position(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    CStr::from_bytes_with_nul(&bytes[start..]).unwrap_or_default()
}

/// Returns the filesystem of a path below the root, if parts of it are covered.
pub(crate) fn covered(path: &CStr) -> FileSystem {
    if path.to_bytes().starts_with(b"sys/") { FileSystem::Sysfs } else { FileSystem::Proc }
}

/// Opens a path below a folder, without following symbolic links and without leaving the folder (openat2(2)).
fn below(folder: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    openat2(folder, path, OFlags::PATH | OFlags::CLOEXEC | flags, Mode::empty(), BELOW)
}

const BELOW: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// Adds attributes to an attached mount.
fn restrict(mount: BorrowedFd<'_>, attributes: MountAttrFlags) -> Result<(), Errno> {
    match hilum_sys::restrict_mount(mount, attributes.bits()) {
        Err(Errno::NOSYS) => {}
        result => return result,
    }
    // Before kernel 5.12, use the path of the open descriptor in the host's /proc.
    let mut flags = MountFlags::BIND;
    for (attribute, flag) in [
        (MountAttrFlags::MOUNT_ATTR_RDONLY, MountFlags::RDONLY),
        (MountAttrFlags::MOUNT_ATTR_NOSUID, MountFlags::NOSUID),
        (MountAttrFlags::MOUNT_ATTR_NODEV, MountFlags::NODEV),
        (MountAttrFlags::MOUNT_ATTR_NOEXEC, MountFlags::NOEXEC),
    ] {
        flags.set(flag, attributes.contains(attribute));
    }
    path::remount(&own_path(mount), flags)
}

/// Makes the working directory the root, and detaches the old root from this namespace.
///
/// With "." for both arguments the old root is mounted over the new one, so no folder is needed for it (pivot_root(2),
/// "pivot_root(".", ".")"). Afterwards the working directory is the root.
pub(crate) fn pivot() -> Result<(), Errno> {
    rustix::process::pivot_root(c".", c".")?;
    unmount(c".", UnmountFlags::DETACH)
}

/// Enters the working directory inside of the root, but not through descriptors in /proc: copies of PID 1's descriptors
/// are closed only later, and one of them may be a folder of the board (CVE-2024-21626).
pub(crate) fn enter(path: &str) -> Result<(), Errno> {
    if path == "/" {
        return rustix::process::chdir(c"/");
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::process::fchdir(open_in_root(CWD, path, flags)?)
}
