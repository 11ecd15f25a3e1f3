//! Mounts where rustix has no call yet: attributes of a mount (mount_setattr(2)), loop devices (loop(4)), the device mapper.

use crate::call::call;
use linux_raw_sys::general::{__NR_ioctl, __NR_mount_setattr, AT_EMPTY_PATH, mount_attr};
use linux_raw_sys::loop_device::{
    LO_FLAGS_AUTOCLEAR, LO_FLAGS_READ_ONLY, LOOP_CONFIGURE, LOOP_CTL_GET_FREE, loop_config,
};
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Errno;

/// Makes a detached mount idmapped, according to `users`, an open user namespace.
///
/// # Errors
/// EINVAL or EOPNOTSUPP if the filesystem does not support it, ENOSYS before kernel 5.12, EPERM without CAP_SYS_ADMIN
/// over the filesystem.
pub fn map_ids(mount: BorrowedFd<'_>, users: BorrowedFd<'_>) -> Result<(), Errno> {
    const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;
    set_attributes(mount, MOUNT_ATTR_IDMAP, users.as_raw_fd() as u64)
}

/// Adds attributes (MOUNT_ATTR_* of mount_setattr(2)) to a mount.
///
/// # Errors
/// ENOSYS before kernel 5.12, EPERM for one that is locked.
pub fn restrict_mount(mount: BorrowedFd<'_>, attributes: u32) -> Result<(), Errno> {
    set_attributes(mount, attributes.into(), 0)
}

fn set_attributes(mount: BorrowedFd<'_>, set: u64, userns_fd: u64) -> Result<(), Errno> {
    let attributes = mount_attr { attr_set: set, attr_clr: 0, propagation: 0, userns_fd };
    let (path, address) = (c"".as_ptr() as usize, &raw const attributes);
    let arguments =
        [mount.as_raw_fd() as usize, path, AT_EMPTY_PATH as usize, address as usize, size_of::<mount_attr>(), 0];
    // SAFETY: the kernel reads an empty C string and a structure of the size that is passed; both outlive the call.
    unsafe { call(__NR_mount_setattr, arguments) }.map(|_| ())
}

/// Returns the number of a free loop device, from an open /dev/loop-control. Another process may take it first.
///
/// # Errors
/// Those of the kernel.
pub fn free_loop(control: BorrowedFd<'_>) -> Result<u32, Errno> {
    // SAFETY: the request takes no argument and returns a number.
    unsafe { call(__NR_ioctl, [control.as_raw_fd() as usize, LOOP_CTL_GET_FREE as usize, 0, 0, 0, 0]) }
        .map(|number| number as u32)
}

/// Attaches an open file to an open loop device, read-only and with autoclear.
///
/// # Errors
/// EBUSY if the device was taken meanwhile, EINVAL or ENOTTY before kernel 5.8.
pub fn attach_loop(device: BorrowedFd<'_>, file: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: all fields are numbers or arrays of numbers, for which zero is valid.
    let mut config: loop_config = unsafe { core::mem::zeroed() };
    config.fd = file.as_raw_fd().unsigned_abs();
    config.info.lo_flags = LO_FLAGS_READ_ONLY as u32 | LO_FLAGS_AUTOCLEAR as u32;
    let address = &raw const config;
    // SAFETY: the kernel reads one `struct loop_config`, which outlives the call.
    unsafe { call(__NR_ioctl, [device.as_raw_fd() as usize, LOOP_CONFIGURE as usize, address as usize, 0, 0, 0]) }
        .map(|_| ())
}

/// A request to the device mapper: its number in include/uapi/linux/dm-ioctl.h.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum DeviceMapper {
    /// Create a device without a table (DM_DEV_CREATE).
    Create = 3,
    /// Remove a device (DM_DEV_REMOVE).
    Remove = 4,
    /// Resume a device with the loaded table (DM_DEV_SUSPEND).
    Resume = 6,
    /// Load the next table of a device (DM_TABLE_LOAD).
    Load = 9,
    /// Return the state of a device's targets (DM_TABLE_STATUS).
    Status = 12,
}

/// Sends a request to the device mapper, by an open /dev/mapper/control; the reply replaces the request. Sets the field
/// with the request's size in bytes.
///
/// # Errors
/// EINVAL for a request that is shorter than its header of 312 bytes, for an unknown target, and for invalid
/// parameters; EBUSY for a name in use; those of the kernel.
pub fn device_mapper(control: BorrowedFd<'_>, what: DeviceMapper, request: &mut [u8]) -> Result<(), Errno> {
    /// _IOWR(0xfd, 0, struct dm_ioctl)
    const FIRST: usize = 0xc138_fd00;
    const HEADER_BYTES: usize = 312;
    if request.len() < HEADER_BYTES {
        return Err(Errno::INVAL);
    }
    let size = u32::try_from(request.len()).map_err(|_| Errno::INVAL)?;
    request[12..16].copy_from_slice(&size.to_ne_bytes());
    let arguments = [control.as_raw_fd() as usize, FIRST | what as usize, request.as_mut_ptr() as usize, 0, 0, 0];
    // SAFETY: the kernel reads and writes as many bytes as the request says, which was just set to its length; the
    // slice is borrowed for the call.
    unsafe { call(__NR_ioctl, arguments) }.map(|_| ())
}

/// Limits the read-ahead of a block device to this many sectors of 512 bytes (BLKRASET of include/uapi/linux/fs.h). Files that are
/// open keep theirs.
///
/// # Errors
/// EACCES without CAP_SYS_ADMIN; ENOTTY if it is no block device.
pub fn limit_read_ahead(device: BorrowedFd<'_>, sectors: usize) -> Result<(), Errno> {
    /// _IO(0x12, 98)
    const BLKRASET: usize = 0x1262;
    // SAFETY: the argument is a number.
    unsafe { call(__NR_ioctl, [device.as_raw_fd() as usize, BLKRASET, sectors, 0, 0, 0]) }.map(|_| ())
}

/// Grows a mounted ext4 to this many of its blocks; `folder` is an open folder in it (EXT4_IOC_RESIZE_FS of
/// include/uapi/linux/ext4.h).
///
/// # Errors
/// EPERM without CAP_SYS_RESOURCE, EOPNOTSUPP or EINVAL for a filesystem that does not support it.
pub fn grow_ext4(folder: BorrowedFd<'_>, blocks: u64) -> Result<(), Errno> {
    /// _IOW('f', 16, __u64)
    const EXT4_IOC_RESIZE_FS: usize = 0x4008_6610;
    let address = &raw const blocks;
    // SAFETY: the kernel reads one 64-bit number, which outlives the call.
    unsafe { call(__NR_ioctl, [folder.as_raw_fd() as usize, EXT4_IOC_RESIZE_FS, address as usize, 0, 0, 0]) }
        .map(|_| ())
}

/// Tells the kernel the size of a partition that is in use: partition `number` of the open `disk` begins at `start` and
/// has `length` bytes now (BLKPG of include/uapi/linux/blkpg.h).
///
/// # Errors
/// EINVAL if it begins elsewhere, EBUSY if it would overlap another one, ENXIO if there is no such partition.
pub fn resize_partition(disk: BorrowedFd<'_>, number: u32, start: u64, length: u64) -> Result<(), Errno> {
    /// _IO(0x12, 105)
    const BLKPG: usize = 0x1269;
    /// BLKPG_RESIZE_PARTITION
    const RESIZE: usize = 3;
    // struct blkpg_partition: two names of 64 bytes follow the number, and are not used.
    let partition: [u64; 19] =
        core::array::from_fn(|index| [start, length, number.into()].get(index).map_or(0, |value| *value));
    // struct blkpg_ioctl_arg: an operation and flags of 32 bits each, a length that is not used, a pointer.
    let request = [RESIZE, size_of_val(&partition), (&raw const partition) as usize];
    let address = (&raw const request) as usize;
    // SAFETY: the kernel reads both structures, which outlive the call. Both architectures are little-endian.
    unsafe { call(__NR_ioctl, [disk.as_raw_fd() as usize, BLKPG, address, 0, 0, 0]) }.map(|_| ())
}
