//! Filesystems in memory that PID 1 creates for workloads: a /dev for each, and an empty file and folder for all of
//! them, to cover others.
//!
//! They are read-only once they are complete, including the superblock. A workload could not create device nodes
//! itself, because that is not possible in a user namespace. Workloads do not share a /dev either: locks and watches
//! belong to inodes, and one workload could see or block another on /dev/null.
//!
//! The empty file and folder are created once, before the first workload. Because they are in this filesystem, a mask
//! cannot be redirected, unlike one that is bound from a root filesystem's /dev/null (CVE-2025-31133).

use crate::os::environment::Environment;
use crate::os::path;
use crate::workload::devices::Nodes;
use core::ffi::CStr;
use heapless::String;
use hilum::config::{Device, User, limits};
use hilum::fixed_string::append;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, mkdirat, mknodat, openat, symlinkat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_reconfigure, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};

/// The parts, by their paths below [`place`].
pub(crate) const EMPTY_FILE: &CStr = c"mask/file";
pub(crate) const EMPTY_FOLDER: &CStr = c"mask/folder";

/// Returns where it is attached: below /run on a machine; in a container over a folder that PID 1 does not use, in its
/// own mount namespace, because nothing may be created on the host.
pub(crate) const fn place(environment: Environment) -> &'static str {
    match environment {
        Environment::Machine => "/run/hilum",
        Environment::Container => "/dev/shm",
    }
}

/// Returns the path of an empty, read-only folder.
pub(crate) const fn empty_folder(environment: Environment) -> &'static str {
    match environment {
        Environment::Machine => "/run/hilum/mask/folder",
        Environment::Container => "/dev/shm/mask/folder",
    }
}

/// The six default nodes (Documentation/admin-guide/devices.txt).
const NODES: [(&CStr, u32, u32); 6] =
    [(c"null", 1, 3), (c"zero", 1, 5), (c"full", 1, 7), (c"random", 1, 8), (c"urandom", 1, 9), (c"tty", 5, 0)];

/// The names that programs expect next to the nodes.
const LINKS: [(&CStr, &CStr); 5] = [
    (c"ptmx", c"pts/ptmx"),
    (c"fd", c"/proc/self/fd"),
    (c"stdin", c"/proc/self/fd/0"),
    (c"stdout", c"/proc/self/fd/1"),
    (c"stderr", c"/proc/self/fd/2"),
];

const FOLDER: Mode = Mode::from_raw_mode(0o755);

/// Creates and attaches it.
pub(crate) fn prepare(environment: Environment) -> Result<(), Errno> {
    let place = place(environment);
    if environment == Environment::Machine {
        path::mkdir(place, Mode::from_raw_mode(0o711))?;
    }
    let (filesystem, mount) = new_filesystem()?;
    mkdirat(&mount, c"mask", FOLDER)?;
    mkdirat(&mount, EMPTY_FOLDER, Mode::from_raw_mode(0o555))?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDONLY | OFlags::CLOEXEC;
    openat(&mount, EMPTY_FILE, flags, Mode::from_raw_mode(0o444))?;
    seal(filesystem, mount.as_fd())?;
    path::attach(mount.as_fd(), place)
}

/// Returns a /dev with the default nodes and those of `devices`, which belong to `user`; it is not attached.
pub(crate) fn with_devices(devices: &[Device<'_>], nodes: &Nodes, user: User) -> Result<OwnedFd, Errno> {
    let (filesystem, mount) = new_filesystem()?;
    fill(mount.as_fd())?;
    for node in nodes {
        let device = devices.get(node.line).ok_or(Errno::INVAL)?;
        let mut name: String<{ limits::PATH_BYTES + 4 }> = String::new();
        let put = match (device.name.strip_prefix("/dev/"), node.number) {
            (None, _) => append(&mut name, format_args!("{}", node.name)),
            (Some(name_inside), 0) => append(&mut name, format_args!("{name_inside}")),
            (Some(name_inside), number) => append(&mut name, format_args!("{name_inside}{number}")),
        };
        put.map_err(|_| Errno::NAMETOOLONG)?;
        for (at, _) in name.match_indices('/') {
            match path::mkdirat(mount.as_fd(), &name[..at], FOLDER) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
        }
        let mode = if device.read { 0o400 } else { 0 } | if device.write { 0o200 } else { 0 };
        path::mknodat(mount.as_fd(), &name, node.kind, Mode::from_raw_mode(mode), node.device)?;
        path::chownat(mount.as_fd(), &name, user.uid, user.gid)?;
    }
    seal(filesystem, mount.as_fd())?;
    Ok(mount)
}

/// Creates a filesystem in memory, and returns it with its mount. It has no size limit, because nobody writes to it
/// before it is sealed.
fn new_filesystem() -> Result<(OwnedFd, OwnedFd), Errno> {
    let filesystem = fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&filesystem, c"mode", c"0755")?;
    fsconfig_create(&filesystem)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let mount = fsmount(&filesystem, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    Ok((filesystem, mount))
}

/// Creates the default nodes, links and folders.
fn fill(folder: BorrowedFd<'_>) -> Result<(), Errno> {
    for name in [c"pts", c"shm"] {
        mkdirat(folder, name, FOLDER)?;
    }
    for (name, major, minor) in NODES {
        let device = rustix::fs::makedev(major, minor);
        mknodat(folder, name, FileType::CharacterDevice, Mode::from_raw_mode(0o666), device)?;
    }
    LINKS.into_iter().try_for_each(|(name, target)| symlinkat(target, folder, name))
}

/// Makes the mount read-only, and the filesystem itself, for all its mounts.
fn seal(filesystem: OwnedFd, mount: BorrowedFd<'_>) -> Result<(), Errno> {
    // Kernels before 5.12 do not support this, but the filesystem is read-only in any case.
    let _ = hilum_sys::restrict_mount(mount, MountAttrFlags::MOUNT_ATTR_RDONLY.bits());
    // After mounting, the context that created the filesystem can reconfigure it; fspick(2) would open a second one.
    fsconfig_set_flag(filesystem.as_fd(), c"ro")?;
    fsconfig_reconfigure(filesystem.as_fd())
}
