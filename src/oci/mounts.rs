//! Mounts of a container, by descriptors below its root (openat2(2), fsopen(2), move_mount(2)).
//!
//! Every path is resolved inside of the root, without magic links, and what is found is used by its descriptor. So a root
//! filesystem cannot redirect a mount, a folder or a node that is made for it to the host, whoever changes it meanwhile.

use crate::config::{Device, Mount};
use crate::error::{At, Error, Result};
use crate::options::Options;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Uid, mkdirat, mknodat, openat2};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount_change, move_mount, open_tree,
};

const HANDLE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
const CLONE: OpenTreeFlags = OpenTreeFlags::OPEN_TREE_CLONE.union(OpenTreeFlags::OPEN_TREE_CLOEXEC);
const WHOLE: OpenTreeFlags = OpenTreeFlags::AT_RECURSIVE;
const FOLDER: Mode = Mode::from_raw_mode(0o755);

/// Returns the path of a descriptor in the host's /proc, which is there until the pivot.
pub fn own_path(descriptor: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", descriptor.as_raw_fd())
}

/// Opens a path of the root, with its links resolved inside of it.
pub fn open(root: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    // For a `..` the kernel wants to know that nothing was renamed meanwhile, and otherwise says EAGAIN.
    for _ in 0..128 {
        match openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), how) {
            Err(Errno::AGAIN) => {}
            found => return found,
        }
    }
    Err(Errno::AGAIN)
}

/// Opens a mount point below the root, and creates what is missing of it: a folder or an empty file.
pub fn place(root: BorrowedFd<'_>, path: &str, is_folder: bool) -> Result<OwnedFd, Errno> {
    match open(root, path, OFlags::PATH) {
        Err(Errno::NOENT) => {}
        found => return found,
    }
    // Mostly only the last part is missing.
    if let Some((above, name)) = path.rsplit_once('/')
        && !matches!(name, "" | "." | "..")
        && let Ok(parent) = open(root, if above.is_empty() { "/" } else { above }, OFlags::PATH | OFlags::DIRECTORY)
    {
        let found = make(parent.as_fd(), name, is_folder);
        leave(parent);
        return found;
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let mut done = String::from("/");
    let mut parent = open(root, "/", OFlags::PATH | OFlags::DIRECTORY)?;
    for (index, part) in parts.iter().enumerate() {
        done.push_str(part);
        let next = match open(root, &done, OFlags::PATH) {
            Err(Errno::NOENT) if *part != ".." => make(parent.as_fd(), part, is_folder || index + 1 < parts.len())?,
            found => found?,
        };
        parent = next;
        done.push('/');
    }
    Ok(parent)
}

/// Creates a folder or an empty file, and opens it.
fn make(parent: BorrowedFd<'_>, name: &str, is_folder: bool) -> Result<OwnedFd, Errno> {
    match if is_folder { mkdirat(parent, name, FOLDER) } else { touch(parent, name) } {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    // A dangling link is not followed to create its target.
    openat2(parent, name, HANDLE, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)
}

/// Leaves a descriptor open: many are closed by one call later ([`crate::child::Child`]), and the rest when the program is executed.
fn leave(descriptor: OwnedFd) {
    std::mem::forget(descriptor);
}

fn touch(parent: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o644)).map(drop)
}

/// Returns a copy of a mount of the host, detached, with all that is mounted below it if `is_whole`.
pub fn copy(path: &str, is_whole: bool) -> Result<OwnedFd, Errno> {
    open_tree(CWD, path, if is_whole { CLONE | WHOLE } else { CLONE })
}

/// Attaches a detached mount to an open mount point.
fn attach(mount: &OwnedFd, place: &OwnedFd) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", place, "", flags)
}

/// Attaches the root over the old one, and enters it.
pub fn enter_root(root: &OwnedFd) -> Result<(), Errno> {
    move_mount(root, "", CWD, "/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change(own_path(root.as_fd()), private)?;
    rustix::process::fchdir(root)
}

/// Sets attributes of an attached mount, of all below it if `is_whole`.
fn restrict(mount: &OwnedFd, bits: u32) -> Result<(), Errno> {
    if bits == 0 { Ok(()) } else { hilum_sys::restrict_mount(mount.as_fd(), bits) }
}

/// Performs a mount of config.json; `source` is the copy that the parent made for a bind mount.
pub fn mount(root: &OwnedFd, wanted: &Mount, options: &Options, source: Option<&OwnedFd>) -> Result<()> {
    let what = || {
        format!("error mounting {:?} to rootfs at {:?}", wanted.source.as_deref().unwrap_or("none"), wanted.destination)
    };
    let (mount, is_folder) = match source {
        Some(source) => {
            let kind = FileType::from_raw_mode(rustix::fs::fstat(source).at(what())?.st_mode);
            (None, kind == FileType::Directory)
        }
        None => (Some(create(wanted, options).at(what())?), true),
    };
    let place = place(root.as_fd(), &wanted.destination, is_folder).at(what())?;
    let Some(attached) = source.or(mount.as_ref()) else { return Ok(()) };
    if options.copies_up {
        if wanted.kind.as_deref() != Some("tmpfs") {
            return Err(Error(format!("{}: tmpcopyup is an option of a tmpfs", what())));
        }
        let below = open(place.as_fd(), "/", OFlags::RDONLY | OFlags::DIRECTORY).at(what())?;
        let made = open(attached.as_fd(), "/", OFlags::RDONLY | OFlags::DIRECTORY).at(what())?;
        crate::copy_up::copy(below.as_fd(), made.as_fd()).at(what())?;
    }
    attach(attached, &place).at(what())?;
    if source.is_some() {
        if options.is_recursive {
            return Err(Error(format!("{}: recursive attributes are not done by hilum-oci", what())));
        }
        let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
        mount_change(own_path(attached.as_fd()), slave).at(what())?;
        restrict(attached, options.set).at(what())?;
    }
    for change in &options.propagation {
        mount_change(own_path(attached.as_fd()), MountPropagationFlags::from_bits_retain(*change)).at(what())?;
    }
    leave(place);
    mount.into_iter().for_each(leave);
    Ok(())
}

/// Creates a filesystem with its options.
fn create(wanted: &Mount, options: &Options) -> Result<OwnedFd, Errno> {
    let kind = match wanted.kind.as_deref() {
        Some("cgroup") => "cgroup2",
        Some(kind) => kind,
        None => return Err(Errno::INVAL),
    };
    let opened = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    if let Some(source) = &wanted.source {
        fsconfig_set_string(&opened, "source", source.as_str())?;
    }
    for option in &options.data {
        match option.split_once('=') {
            Some((name, value)) => fsconfig_set_string(&opened, name, value)?,
            None => fsconfig_set_flag(&opened, option.as_str())?,
        }
    }
    fsconfig_create(&opened)?;
    let mount = fsmount(&opened, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::from_bits_retain(options.set));
    leave(opened);
    mount
}

/// Makes a path read-only by a bind mount over itself. One that does not exist is left out, as by runc.
pub fn read_only(root: &OwnedFd, path: &str) -> Result<(), Errno> {
    let found = match open(root.as_fd(), path, OFlags::PATH) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        found => found?,
    };
    let copy = open_tree(&found, "", CLONE | WHOLE | OpenTreeFlags::AT_EMPTY_PATH)?;
    attach(&copy, &found)?;
    restrict(&copy, MountAttrFlags::MOUNT_ATTR_RDONLY.bits())?;
    leave(found);
    leave(copy);
    Ok(())
}

/// What hides paths: an attached mount of each kind, of which further ones are copies.
#[derive(Debug, Default)]
pub struct Covers {
    folder: Option<OwnedFd>,
    file: Option<OwnedFd>,
}

impl Covers {
    /// Forgets mounts whose descriptors are closed by another way.
    pub fn forget(&mut self) {
        self.folder.take().into_iter().chain(self.file.take()).for_each(leave);
    }
}

/// Hides a path: a folder below an empty read-only tmpfs, a file below the host's /dev/null. One that does not exist is left out.
pub fn mask(root: &OwnedFd, path: &str, covers: &mut Covers) -> Result<(), Errno> {
    let found = match open(root.as_fd(), path, OFlags::PATH) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        found => found?,
    };
    let is_folder = FileType::from_raw_mode(rustix::fs::fstat(&found)?.st_mode) == FileType::Directory;
    let known = if is_folder { &mut covers.folder } else { &mut covers.file };
    let cover = match known {
        Some(known) => open_tree(known, "", CLONE | OpenTreeFlags::AT_EMPTY_PATH)?,
        None if is_folder => {
            let opened = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
            fsconfig_create(&opened)?;
            let mount = fsmount(&opened, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY)?;
            leave(opened);
            mount
        }
        None => {
            let null = null()?;
            restrict(&null, MountAttrFlags::MOUNT_ATTR_RDONLY.bits())?;
            null
        }
    };
    attach(&cover, &found)?;
    leave(found);
    match known {
        Some(_) => leave(cover),
        None => *known = Some(cover),
    }
    Ok(())
}

/// Returns a mount of the host's /dev/null, which is that device.
fn null() -> Result<OwnedFd, Errno> {
    let null = copy("/dev/null", false)?;
    let status = rustix::fs::fstat(&null)?;
    let is_null = FileType::from_raw_mode(status.st_mode) == FileType::CharacterDevice
        && status.st_rdev == rustix::fs::makedev(1, 3);
    if is_null { Ok(null) } else { Err(Errno::NXIO) }
}

/// Makes the root of a container read-only, besides what is mounted below it.
pub fn read_only_root(root: &OwnedFd) -> Result<(), Errno> {
    restrict(root, MountAttrFlags::MOUNT_ATTR_RDONLY.bits())
}

/// The nodes that every container has (config-linux.md, "Default Devices").
const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Creates the usual nodes and links of /dev. One that exists stays as it is.
pub fn usual_devices(root: &OwnedFd, has_users: bool) -> Result<()> {
    let dev = place(root.as_fd(), "/dev", true).at("/dev")?;
    for (name, major, minor) in DEVICES {
        if has_users {
            bind_node(&dev, name, &format!("/dev/{name}")).at(format!("device /dev/{name}"))?;
            continue;
        }
        // The node's owner is root, which this process is.
        let mode = Mode::from_raw_mode(0o666);
        match mknodat(&dev, name, FileType::CharacterDevice, mode, rustix::fs::makedev(major, minor)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno).at(format!("device /dev/{name}")),
        }
    }
    for (name, target) in LINKS {
        match rustix::fs::symlinkat(target, &dev, name) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno).at(format!("/dev/{name}")),
        }
    }
    leave(dev);
    Ok(())
}

/// Binds a node of the host into a folder. One that exists stays as it is.
fn bind_node(folder: &OwnedFd, name: &str, source: &str) -> Result<(), Errno> {
    let node = copy(source, false)?;
    match touch(folder.as_fd(), name) {
        Ok(()) => {
            attach(&node, &place(folder.as_fd(), name, false)?)?;
            let safe = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
            restrict(&node, safe.bits())
        }
        Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Creates a device node. In a user namespace, where nobody can, the host's node of that path is bound instead.
pub fn device(root: &OwnedFd, wanted: &Device, has_users: bool) -> Result<()> {
    let what = || format!("device {}", wanted.path);
    let (folder, name) =
        wanted.path.rsplit_once('/').filter(|(_, name)| !name.is_empty()).ok_or_else(|| Error(what()))?;
    let folder = place(root.as_fd(), if folder.is_empty() { "/" } else { folder }, true).at(what())?;
    let kind = match wanted.kind.as_str() {
        "c" | "u" => FileType::CharacterDevice,
        "b" => FileType::BlockDevice,
        "p" => FileType::Fifo,
        other => return Err(Error(format!("{}: unknown type {other:?}", what()))),
    };
    if has_users && kind != FileType::Fifo {
        return bind_node(&folder, name, &wanted.path).at(what());
    }
    let number = rustix::fs::makedev(wanted.major.unwrap_or(0), wanted.minor.unwrap_or(0));
    let mode = Mode::from_raw_mode(wanted.file_mode.unwrap_or(0o666) & 0o7777);
    match mknodat(&folder, name, kind, mode, number) {
        Ok(()) => {}
        Err(Errno::EXIST) => return Ok(()),
        Err(errno) => return Err(errno).at(what()),
    }
    let owner = |id: Option<u32>| id.unwrap_or(0);
    let (user, group) = (Uid::from_raw(owner(wanted.uid)), Gid::from_raw(owner(wanted.gid)));
    let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::chownat(&folder, name, Some(user), Some(group), flags).at(what())
}

/// Binds an open terminal to /dev/console.
pub fn console(root: &OwnedFd, terminal: &OwnedFd) -> Result<(), Errno> {
    let copy = open_tree(terminal, "", CLONE | OpenTreeFlags::AT_EMPTY_PATH)?;
    let dev = place(root.as_fd(), "/dev", true)?;
    match touch(dev.as_fd(), "console") {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    attach(&copy, &place(dev.as_fd(), "console", false)?)
}
