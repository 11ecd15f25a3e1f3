//! Root filesystems as detached mounts: folders, image files through a loop device, block devices, and writable layers.

use super::verified;
use crate::os::path;
use crate::os::root::make_private;
use crate::storage;
use core::ffi::CStr;
use heapless::String;
use hilum::config::Source;
use hilum::config::{Overlay, User, Verity, Volume};
use hilum::storage::START_BYTES;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, StatVfsMountFlags, fstat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};
use rustix::thread::{CapabilitySets, capabilities, set_capabilities};

/// Opens the root filesystem at `path`: a folder, an image file or a block device. The blocks of images and devices are
/// verified if there is a digest. Owners are mapped to `users` if the filesystem supports it; otherwise files belong to
/// nobody inside, and are read-only. `slot` is the workload's.
pub(crate) fn open(
    path: &str,
    verity: Option<Verity<'_>>,
    slot: usize,
    users: Option<BorrowedFd<'_>>,
) -> Result<OwnedFd, Errno> {
    let found;
    let path = match Source::of(path) {
        Some(source @ (Source::Label(_) | Source::Uuid(_) | Source::PartUuid(_))) => {
            found = storage::find(source, storage::ROOT_MS)?;
            found.as_str()
        }
        Some(source) if path.starts_with("/dev/") => {
            found = storage::find(source, storage::ROOT_MS)?;
            found.as_str()
        }
        _ => path,
    };
    let place = without_links(path, OFlags::PATH)?;
    let mount = match FileType::from_raw_mode(fstat(&place)?.st_mode) {
        FileType::Directory if verity.is_some() => return Err(Errno::ISDIR),
        FileType::Directory => return in_folder(&place, users),
        FileType::RegularFile => {
            let (device_path, device) = loop_device(path)?;
            on_device(&device_path, &device, verity, slot)?
        }
        FileType::BlockDevice => on_device(path, &without_links(path, OFlags::RDONLY)?, verity, slot)?,
        _ => return Err(Errno::INVAL),
    };
    map_ids(mount.as_fd(), users);
    Ok(mount)
}

/// Opens a path of the board without following symbolic links: a folder on the way may be writable for another
/// workload, which must not redirect this one to other files of the board.
fn without_links(path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    path::openat2(CWD, path, flags | OFlags::CLOEXEC, Mode::empty(), NO_LINKS)
}

const NO_LINKS: ResolveFlags = ResolveFlags::NO_SYMLINKS.union(ResolveFlags::NO_MAGICLINKS);

/// Opens a path without blocking on a disk or a server: all parts must be cached in memory (RESOLVE_CACHED of
/// openat2(2)).
///
/// # Errors
/// EINVAL on a kernel before 5.12 without support (Debian 11's 5.10 has it); EAGAIN if it is not cached, or if
/// something was mounted meanwhile.
pub(crate) fn open_cached(path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
    path::openat2(CWD, path, flags, Mode::empty(), NO_LINKS | ResolveFlags::CACHED)
}

/// Opens the folder of a root filesystem, if that does not block.
pub(crate) fn open_cached_dir(path: &str) -> Option<OwnedFd> {
    match open_cached(path, OFlags::DIRECTORY) {
        Err(Errno::INVAL) => without_links(path, OFlags::PATH | OFlags::DIRECTORY).ok(),
        found => found.ok(),
    }
}

/// Returns the root filesystem in an open folder.
pub(crate) fn in_folder(place: &OwnedFd, users: Option<BorrowedFd<'_>>) -> Result<OwnedFd, Errno> {
    let mount = clone_of(place)?;
    map_ids(mount.as_fd(), users);
    Ok(mount)
}

/// Returns a detached mount of an open file or folder. It is not recursive: mounts of the board below it are not for
/// the workload.
fn clone_of(place: &OwnedFd) -> Result<OwnedFd, Errno> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    open_tree(place, c"", flags)
}

/// Opens a folder or file of the board for `mount`, with mapped owners if the filesystem supports it.
pub(crate) fn open_bind(path: &str, users: Option<BorrowedFd<'_>>) -> Result<OwnedFd, Errno> {
    in_folder(&without_links(path, OFlags::PATH)?, users)
}

/// Opens a volume on the board, and creates it if it does not exist. It belongs to the workload's user: by its id
/// inside if the filesystem maps owners, otherwise by its id on the host.
pub(crate) fn open_volume(
    volume: &Volume<'_>,
    on_disk: User,
    on_board: User,
    users: Option<BorrowedFd<'_>>,
) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let folder = match without_links(volume.folder, flags) {
        // The parent folder is on a disk, which is mounted by now.
        Err(Errno::NOENT) => {
            match path::mkdir(volume.folder, Mode::from_raw_mode(0o755)) {
                // Another workload's helper was faster.
                Ok(()) | Err(Errno::EXIST) => without_links(volume.folder, flags)?,
                Err(errno) => return Err(errno),
            }
        }
        folder => folder?,
    };
    let is_new = begin_folder(folder.as_fd(), volume.name)?;
    let how = NO_LINKS | ResolveFlags::BENEATH;
    let mount = clone_of(&path::openat2(folder.as_fd(), volume.name, flags | OFlags::CLOEXEC, Mode::empty(), how)?)?;
    let is_mapped = map_ids(mount.as_fd(), users);
    if is_new {
        // Not through the mount, which also maps this process's ids.
        finish_folder(folder.as_fd(), volume.name, Some(if is_mapped { on_disk } else { on_board }), 0o700)?;
    }
    Ok(mount)
}

/// Creates a folder with no permissions. Returns whether it must be completed. A folder that was interrupted by a crash
/// or power loss is completed the next time. If it had its final mode from the start, it would remain root's, and
/// inaccessible for its workload.
fn begin_folder(parent: BorrowedFd<'_>, name: &str) -> Result<bool, Errno> {
    match path::mkdirat(parent, name, Mode::empty()) {
        Err(Errno::EXIST) => Ok(path::statat(parent, name)?.st_mode & 0o777 == 0),
        made => made.map(|()| true),
    }
}

/// Sets the owner, and then the mode.
fn finish_folder(parent: BorrowedFd<'_>, name: &str, owner: Option<User>, mode: u32) -> Result<(), Errno> {
    if let Some(User { uid, gid }) = owner {
        path::chownat(parent, name, uid, gid)?;
    }
    path::chmodat(parent, name, Mode::from_raw_mode(mode))
}

/// Maps owners if the filesystem supports it. Otherwise files keep the host's owners, which are as protected as before;
/// `hilum doctor` reports support. Returns whether owners are mapped.
pub(crate) fn map_ids(mount: BorrowedFd<'_>, users: Option<BorrowedFd<'_>>) -> bool {
    users.is_some_and(|users| hilum_sys::map_ids(mount, users).is_ok())
}

/// Returns the filesystem on a block device, with or without verification.
fn on_device(path: &str, device: &OwnedFd, verity: Option<Verity<'_>>, slot: usize) -> Result<OwnedFd, Errno> {
    let mut start = [0; START_BYTES];
    let length = rustix::io::pread(device, &mut start, 0)?;
    let start = start.get(..length).unwrap_or_default();
    let name = kind(start).ok_or(Errno::INVAL)?;
    match verity {
        Some(verity) => verified::open(device, start, verity.digest, slot, |path| filesystem(name, path)),
        None => filesystem(name, path),
    }
}

/// Attaches an image file to a loop device, and returns its path and descriptor. It disappears with its last user.
fn loop_device(path: &str) -> Result<(String<24>, OwnedFd), Errno> {
    /// Another process may take the free device first; after this many attempts the cause is something else.
    const TRIES: u32 = 8;
    let file = without_links(path, OFlags::RDONLY)?;
    let control = path::open("/dev/loop-control", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    let control = control.map_err(|_| Errno::NXIO)?;
    for _ in 0..TRIES {
        let number = hilum_sys::free_loop(control.as_fd())?;
        // The prefix and ten digits fit.
        let name = hilum::fixed_string::text::<24>(format_args!("/dev/loop{number}"));
        let device = path::open(name.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        match hilum_sys::attach_loop(device.as_fd(), file.as_fd()) {
            Ok(()) => return Ok((name, device)),
            Err(Errno::BUSY) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::BUSY)
}

/// Mounts the filesystem of this kind on a block device read-only.
fn filesystem(name: &CStr, path: &str) -> Result<OwnedFd, Errno> {
    let context = fsopen(name, FsOpenFlags::FSOPEN_CLOEXEC)?;
    path::set_option(context.as_fd(), c"source", path)?;
    fsconfig_set_flag(context.as_fd(), c"ro")?;
    if name == c"ext4" {
        // An unclosed journal would be replayed, which a read-only device refuses.
        fsconfig_set_flag(context.as_fd(), c"noload")?;
    }
    fsconfig_create(context.as_fd())?;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY)
}

/// Returns a filesystem's name by its magic number (include/uapi/linux/magic.h): squashfs at 0, erofs at 1024, ext4 at
/// 1080.
fn kind(start: &[u8]) -> Option<&'static CStr> {
    let at = |offset: usize, magic: &[u8]| start.get(offset..offset + magic.len()) == Some(magic);
    if at(0, b"hsqs") {
        Some(c"squashfs")
    } else if at(1024, &0xe0f5_e1e2_u32.to_le_bytes()) {
        Some(c"erofs")
    } else {
        at(1080, &0xef53_u16.to_le_bytes()).then_some(c"ext4")
    }
}

/// Adds a writable layer over `lower`. This needs a mount namespace that the process does not leave, so it must run in
/// a helper; the overlay itself keeps its layers.
pub(crate) fn overlay(
    lower: OwnedFd,
    overlay: Overlay<'_>,
    users: Option<BorrowedFd<'_>>,
    first_id: u32,
) -> Result<OwnedFd, Errno> {
    hilum_sys::unshare_mount()?;
    make_private()?;
    let scratch = fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(scratch.as_fd(), c"mode", c"0755")?;
    fsconfig_create(scratch.as_fd())?;
    let scratch = fsmount(scratch.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    let (mut layer, mut is_mapped) = (None, false);
    if let Overlay::Folder(path) = overlay {
        let folder = without_links(path, OFlags::PATH | OFlags::DIRECTORY)?;
        let mount = clone_of(&folder)?;
        // If the filesystem maps owners, user 0 of the host becomes the workload's user 0 on the disk.
        is_mapped = map_ids(mount.as_fd(), users);
        make_layer(&folder, (!is_mapped).then_some(first_id))?;
        layer = Some(mount);
    }
    // The host's /dev is no longer needed here. Layers are named by paths, so they must be attached somewhere.
    attach(&scratch, c"/dev")?;
    for name in ["/dev/lower", "/dev/layer"] {
        path::mkdir(name, Mode::from_raw_mode(0o755))?;
    }
    attach(&lower, c"/dev/lower")?;
    match layer {
        Some(layer) => attach(&layer, c"/dev/layer")?,
        None => {
            let folder = path::open("/dev/layer", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
            make_layer(&folder, Some(first_id))?;
        }
    }
    let context = fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (option, value) in
        [(c"lowerdir", c"/dev/lower"), (c"upperdir", c"/dev/layer/upper"), (c"workdir", c"/dev/layer/work")]
    {
        fsconfig_set_string(context.as_fd(), option, value)?;
    }
    // The kernel creates a folder there with the credentials of the caller. User 0 of the host is not mapped on a disk
    // with mapped owners: the overlay would be read-only (EOVERFLOW of work/work in the kernel's log).
    set_fs_owner(if is_mapped { first_id } else { 0 })?;
    let created = fsconfig_create(context.as_fd());
    set_fs_owner(0)?;
    created?;
    let flags = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let mount = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags)?;
    // The kernel does not report an error if a layer is read-only.
    if rustix::fs::fstatvfs(&mount)?.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Err(Errno::ROFS);
    }
    Ok(mount)
}

/// Creates files as this user from now on, with all other privileges of this process.
fn set_fs_owner(id: u32) -> Result<(), Errno> {
    hilum_sys::set_file_ids(id);
    let sets = capabilities(None)?;
    set_capabilities(None, CapabilitySets { effective: sets.permitted, ..sets })
}

/// Creates the folders of a layer: upper and work directory. Their owner is the workload's user 0.
fn make_layer(layer: &OwnedFd, owner: Option<u32>) -> Result<(), Errno> {
    for name in ["upper", "work"] {
        if begin_folder(layer.as_fd(), name)? {
            finish_folder(layer.as_fd(), name, owner.map(|id| User { uid: id, gid: id }), 0o755)?;
        }
    }
    Ok(())
}

fn attach(mount: &OwnedFd, path: &CStr) -> Result<(), Errno> {
    move_mount(mount, c"", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}
