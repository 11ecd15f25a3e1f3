//! Grows a mounted ext4, and before that its partition, as the library decides. A helper of its own does that while the
//! filesystem is in use.

use super::device::{DEVICES, Name, disk_of, print_disk};
use crate::console::Console;
use crate::os::errno::describe;
use crate::os::files::{read_number, sys_path};
use crate::os::helper::{Kept, Role, spawn};
use crate::os::path::{self, open};
use hilum::config::SystemMount;
use hilum::split::Split;
use hilum::storage::{self, Disk};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::{pread, pwrite};

const ROLE: Role = Role { nice: 10, ..Role::new(c"hilum-grow") };

/// Bytes of a sector in /sys.
const SECTOR: u64 = 512;

/// A disk whose writes are on it when they return.
struct Device(OwnedFd);

impl Disk for Device {
    fn read(&mut self, at: u64, bytes: &mut [u8]) -> bool {
        let count = bytes.len();
        pread(&self.0, bytes, at) == Ok(count)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> bool {
        pwrite(&self.0, bytes, at) == Ok(bytes.len())
    }
}

/// Starts the helper for a filesystem that is mounted now.
pub(super) fn start(mount: &SystemMount<'_>, device: &Name, console: &mut Console) {
    let [terminal, kernel_log, file] = console.descriptors();
    let keep = Kept::of(&[terminal, kernel_log, file]);
    let mut work = || {
        console.become_helper();
        if let Err(kept) = partition(device) {
            print_disk(console, mount, device, format_args!("keeps its size: {kept}"));
        }
        filesystem(mount, device, console);
        console.flush_blocking();
        0
    };
    // It is tried again at the next boot.
    let _ = spawn(&ROLE, keep, &mut work);
}

/// Returns a number of the kernel about a block device, in bytes. 0 if there is none.
fn bytes(device: &str, what: &str) -> u64 {
    let name = device.parts(b'/').last().unwrap_or_default();
    read_number(&sys_path(format_args!("{DEVICES}/{name}/{what}"))).unwrap_or(0) * SECTOR
}

/// Grows the partition that a filesystem is on.
fn partition(device: &Name) -> Result<(), storage::Kept> {
    let Some((disk, number)) = disk_of(device.parts(b'/').last().unwrap_or_default()) else { return Ok(()) };
    let start = bytes(device, "start");
    let file = open(&disk, OFlags::RDWR | OFlags::DSYNC | OFlags::CLOEXEC, Mode::empty());
    let mut file = Device(file.map_err(|_| storage::Kept::Device)?);
    if let Some(length) = storage::grow(&mut file, bytes(&disk, "size"), number, start)? {
        hilum_sys::resize_partition(file.0.as_fd(), number, start, length).map_err(|_| storage::Kept::Device)?;
    }
    Ok(())
}

/// Grows a mounted ext4 to the size of its device, and reports it.
pub(super) fn filesystem(mount: &SystemMount<'_>, device: &Name, console: &mut Console) {
    let size = || path::statfs(mount.target).map_or((0, 1), |found| (found.f_blocks, found.f_bsize.unsigned_abs()));
    let (old, block) = size();
    let folder = open(mount.target, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    match folder.and_then(|folder| hilum_sys::grow_ext4(folder.as_fd(), bytes(device, "size") / block)) {
        Ok(()) => {
            let (new, _) = size();
            if new > old {
                let [old, new] = [old, new].map(|blocks| (blocks * block) >> 20);
                print_disk(console, mount, device, format_args!("grown from {old} to {new} MiB"));
            }
        }
        Err(errno) => print_disk(console, mount, device, format_args!("cannot grow it: {}", describe(errno))),
    }
}
