//! Swap on zram: a block device that compresses what is written to it into memory.

use crate::console::Console;
use crate::os::errno::describe;
use crate::os::path::open;
use hilum::config::Swap;
use hilum::fixed_string::text;
use hilum_sys::swap_on;
use rustix::fs::{Mode, OFlags, statfs};
use rustix::io::{Errno, pwrite, write};
use rustix::system::sysinfo;

/// The priority of the swap area; zram-generator uses the same, and disks are lower.
const PRIORITY: u16 = 100;
/// The offset of the fields of the header in its page, after the space of a boot sector (`union swap_header` in
/// include/linux/swap.h).
const FIELDS: u64 = 1024;
/// The end of the first page.
const MAGIC: &[u8] = b"SWAPSPACE2";

/// Creates the swap area, and reports it. This may be repeated.
pub(crate) fn start_swap(swap: &Swap<'_>, console: &mut Console) {
    let memory = sysinfo();
    let bytes = swap.bytes(memory.totalram as u64 * u64::from(memory.mem_unit));
    match set_up(swap.algorithm, bytes) {
        Ok(()) => console.info(format_args!("swap: {} KiB on /dev/zram0, {}", bytes >> 10, swap.algorithm)),
        // An earlier attempt did this before it was killed.
        Err(("size", Errno::BUSY)) => {}
        Err((what, errno)) => {
            let algorithm = swap.algorithm;
            console.error(format_args!(
                "swap: zram {what}: {}; are the modules zram and {algorithm} missing?",
                describe(errno)
            ));
        }
    }
}

/// Returns the step that failed, and why.
fn set_up(algorithm: &str, bytes: u64) -> Result<(), (&'static str, Errno)> {
    let set =
        |path: &str, value: &str| write(open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?, value.as_bytes());
    // The algorithm of a device that has a size cannot be changed.
    match set("/sys/block/zram0/comp_algorithm", algorithm) {
        Ok(_) | Err(Errno::BUSY) => {}
        Err(errno) => return Err(("algorithm", errno)),
    }
    set("/sys/block/zram0/disksize", &text::<20>(format_args!("{bytes}"))).map_err(|errno| ("size", errno))?;
    let header = || {
        let device = open("/dev/zram0", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        // The block size of proc is the size of a page (simple_statfs of fs/libfs.c).
        let page = statfs(c"/proc")?.f_bsize.unsigned_abs();
        // Version, last page, bad pages.
        let mut fields = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        fields[4..8].copy_from_slice(&((bytes / page - 1) as u32).to_ne_bytes());
        pwrite(&device, &fields, FIELDS)?;
        pwrite(&device, MAGIC, page - MAGIC.len() as u64)
    };
    header().map_err(|errno| ("header", errno))?;
    swap_on(c"/dev/zram0", PRIORITY).map_err(|errno| ("swapon", errno))
}
