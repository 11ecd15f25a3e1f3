//! Verified images: a dm-verity device over the image's block device, which exists while it is mounted.

use crate::os::path;
use crate::os::wait::pause;
use hilum::config::Verity;
use hilum::fixed_string::text;
use hilum::storage::verity::{
    BLOCK_BYTES, REQUEST_BYTES, create_request, data_blocks, is_corrupt, load_request, minor, remove_request, request,
};
use hilum_sys::{DeviceMapper, device_mapper};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, fstat, major as major_of, minor as minor_of};
use rustix::io::Errno;

/// How often loading a table is tried, and the milliseconds between attempts. Devices that are created or removed at
/// the same moment can make each other fail with ENOMEM, because their caches of the same size have the same name in
/// sysfs for an instant (mm/slub.c of 6.1).
const LOAD_TRIES: u32 = 50;
const LOAD_AGAIN_MS: u64 = 20;

/// The read-ahead of a verified device: 16 KiB. The kernel reads 128 KiB around each page that a program touches first, which costs nothing on
/// a device that only reads, but each of these blocks would be hashed.
const READ_AHEAD_SECTORS: usize = 32;

/// Mounts an image that begins with `start` by `mount`, which gets the path of a device. The device's number consists of the workload's slot
/// and this process (`hilum::storage::verity::minor`), so the kernel's event tells the workload though the device is gone. Its name is its
/// number.
///
/// # Errors
/// ENOKEY if the digest was never filled in; EBADMSG if a block does not match `digest`, EIO if it cannot be read; E2BIG if there is no room
/// for a tree after the filesystem; EOPNOTSUPP if the kernel has no device mapper, or no verity target; those of
/// `mount` and the kernel.
pub(super) fn open(
    image: &OwnedFd,
    start: &[u8],
    digest: &str,
    slot: usize,
    mount: impl FnOnce(&str) -> Result<OwnedFd, Errno>,
) -> Result<OwnedFd, Errno> {
    if digest == Verity::PLACEHOLDER {
        return Err(Errno::NOKEY);
    }
    let blocks = data_blocks(start).ok_or(Errno::INVAL)?;
    let number = fstat(image)?.st_rdev;
    let number = (major_of(number), minor_of(number));
    let control = open_mapper().map_err(|_| Errno::OPNOTSUPP)?;
    let control = control.as_fd();
    let number_of_device = minor(slot, rustix::process::getpid().as_raw_nonzero().get() as u32);
    // The prefix and ten digits fit.
    let path = text::<24>(format_args!("/dev/dm-{number_of_device}"));
    let name = &path.as_str()["/dev/".len()..];
    let ask = |what, request: Option<[u8; REQUEST_BYTES]>| {
        let mut request = request.ok_or(Errno::TOOBIG)?;
        device_mapper(control, what, &mut request).map(|()| request)
    };
    ask(DeviceMapper::Create, create_request(name, number_of_device))?;
    let load = || ask(DeviceMapper::Load, load_request(name, number, blocks, digest));
    let mut loaded = load();
    for _ in 1..LOAD_TRIES {
        if loaded.as_ref().err() != Some(&Errno::NOMEM) {
            break;
        }
        pause(LOAD_AGAIN_MS);
        loaded = load();
    }
    let opened = loaded
        .map_err(|errno| refused(errno, image.as_fd(), blocks))
        .and_then(|_| ask(DeviceMapper::Resume, request(name)))
        .and_then(|_| {
            let device = path::open(path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
            let _ = hilum_sys::limit_read_ahead(device.as_fd(), READ_AHEAD_SECTORS);
            mount(&path)
        })
        // The kernel returns EIO for both.
        .map_err(|errno| if errno == Errno::IO && has_failed(name) { Errno::BADMSG } else { errno });
    // It disappears with its last user: the mount, or at once if there is none.
    let _ = ask(DeviceMapper::Remove, remove_request(name));
    opened
}

fn open_mapper() -> Result<OwnedFd, Errno> {
    path::open("/dev/mapper/control", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
}

/// Returns whether a block of the device with this name did not match its hash.
pub(crate) fn has_failed(name: &str) -> bool {
    let ask = |mut request: [u8; REQUEST_BYTES]| {
        device_mapper(open_mapper()?.as_fd(), DeviceMapper::Status, &mut request).map(|()| is_corrupt(&request))
    };
    request(name).is_some_and(|request| ask(request) == Ok(true))
}

/// Returns the meaning of a refused table. The kernel returns E2BIG if the tree is truncated, and EINVAL both for an
/// unknown target and for truncated data.
fn refused(errno: Errno, image: BorrowedFd<'_>, blocks: u64) -> Errno {
    let end = || rustix::fs::seek(image, rustix::fs::SeekFrom::End(0)).ok();
    match errno {
        Errno::INVAL if end().is_some_and(|end| end / BLOCK_BYTES < blocks) => Errno::TOOBIG,
        Errno::INVAL => Errno::OPNOTSUPP,
        errno => errno,
    }
}
