//! What the mount table has, and whether the media are still there.

use crate::os::files::{each, read_number};
use crate::os::path::open;
use hilum::fixed_string::text;
use hilum::storage::{MountEntry, entries};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Reads this process's mount table, and passes each entry to `work`. Does not block on disks.
///
/// # Errors
/// Those of the kernel.
pub(crate) fn each_mount(work: &mut dyn FnMut(&MountEntry<'_>)) -> Result<(), Errno> {
    let table = open("/proc/self/mountinfo", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut lines = [0; 4096];
    loop {
        // A page contains only whole lines, because the kernel ends each read after a line (fs/seq_file.c).
        let count = rustix::io::read(&table, &mut lines)?;
        if count == 0 {
            return Ok(());
        }
        entries(core::str::from_utf8(&lines[..count]).unwrap_or_default()).for_each(|entry| work(&entry));
    }
}

/// Lets the kernel notice which disks have lost their medium, which may block: it looks when a disk is opened (`sd_open`
/// of drivers/scsi/sd.c).
pub(crate) fn look_for_media() {
    let mut open_disk = |name: &str| {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let _ = open(&text::<64>(format_args!("/dev/{name}")), flags, Mode::empty());
        Ok(())
    };
    let _ = each("/sys/block", &mut open_disk);
}

/// Returns whether a device, by its major and minor number, exists, and neither it nor the disk that it is a partition
/// of has lost its medium. The kernel keeps the size of a partition in use.
pub(crate) fn has_medium((major, minor): (u32, u32)) -> bool {
    // Two numbers of at most ten digits fit.
    let size = |above| read_number(&text::<48>(format_args!("/sys/dev/block/{major}:{minor}/{above}size")));
    !matches!(size(""), None | Some(0)) && size("../") != Some(0)
}
