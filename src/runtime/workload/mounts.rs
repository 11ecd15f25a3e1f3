//! A workload's mounts (mount_setattr(2), fsopen(2), openat2(2), pivot_root(2)).
//!
//! The working directory is the root filesystem from [`attach_root`] on. Every place below it is opened without
//! following a symbolic link and without leaving it, and a filesystem is attached to what was opened: a root filesystem
//! cannot lead a mount elsewhere, whatever it holds and whoever changes it meanwhile.

use core::ffi::CStr;
use hilum::plan;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags,
    UnmountFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount_change, mount_remount, move_mount,
    open_tree, unmount,
};

/// Cuts this mount namespace off from every other one.
pub(super) fn make_private() -> Result<(), Errno> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
}

/// Attaches a copy of the folder's mount over the folder, read-only, and enters it.
pub(super) fn attach_root(path: &str) -> Result<(), Errno> {
    // Not recursive: what is mounted below the folder on the host's side is not the workload's.
    let root = open_tree(CWD, path, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)?;
    move_mount(&root, "", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    rustix::process::fchdir(&root)?;
    // mount_setattr(2) would do this before the mount is attached, but not before kernel 5.12.
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    mount_remount(".", flags, c"")
}

/// Makes a filesystem and attaches it.
pub(super) fn attach(wanted: &plan::Mount) -> Result<(), Errno> {
    let kind = fsopen(wanted.filesystem.name(), FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (name, value) in wanted.options {
        fsconfig_set_string(&kind, *name, *value)?;
    }
    fsconfig_create(&kind)?;
    let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID;
    attributes.set(MountAttrFlags::MOUNT_ATTR_RDONLY, wanted.read_only);
    attributes.set(MountAttrFlags::MOUNT_ATTR_NOEXEC, !wanted.executable);
    attributes.set(MountAttrFlags::MOUNT_ATTR_NODEV, !wanted.devices);
    let mount = fsmount(&kind, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    let place = openat2(
        CWD,
        wanted.target,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
    )?;
    let by_descriptors = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(&mount, "", &place, "", by_descriptors)
}

/// Makes a filesystem that this process has filled read-only. The place was found without links when it was attached.
pub(super) fn seal(path: &CStr) -> Result<(), Errno> {
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NOEXEC;
    mount_remount(path, flags, c"")
}

/// Makes the working directory the root, and detaches the old root from this namespace.
///
/// With both names "." the old root comes to lie over the new one, so no folder has to be there to put it in
/// (pivot_root(2), "pivot_root(".", ".")").
pub(super) fn pivot() -> Result<(), Errno> {
    rustix::process::pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    rustix::process::chdir("/")
}
