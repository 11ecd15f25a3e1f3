//! Starts a slot's kernel at the next reboot, without the firmware.

use super::disk::{Blocks, Disk};
use super::{Reason, reason, refused};
use hilum::fixed_string::append;
use hilum::text;
use hilum::update::{BLOCK_BYTES, Range, Slot};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;

/// Bytes of a kernel command line (COMMAND_LINE_SIZE is 2,048 on both architectures).
const LINE_BYTES: usize = 2048;
/// What a kernel that is started so has on its command line.
const TRIAL: &str = " hilum.trial";
/// Blocks that are read at once.
const AT_ONCE: usize = 16;

/// Loads the kernel of a slot.
pub(super) fn load(disk: &Disk, slot: Slot) -> Result<(), Reason> {
    let parts = disk.record.parts(slot);
    if parts.kernel.bytes == 0 {
        return Err(reason(text!("the slot has no kernel that kexec can start"), 0));
    }
    let copied = |range| copy(disk, slot, range).map_err(|errno| refused(text!("reading the slot: {}"), errno));
    let (kernel, initramfs, words) = (copied(parts.kernel)?, copied(parts.initramfs)?, copied(parts.command_line)?);
    let mut buffer = [0; LINE_BYTES];
    let length = rustix::io::pread(&words, &mut buffer, 0).unwrap_or(0);
    let mut line = heapless::String::<LINE_BYTES>::new();
    let words = crate::os::files::text_of(&buffer, length);
    let whole = append(&mut line, format_args!("{words} hilum.slot={}{TRIAL}\0", slot.name()));
    let line = whole.ok().and_then(|()| core::ffi::CStr::from_bytes_with_nul(line.as_bytes()).ok());
    let line = line.ok_or_else(|| reason(text!("its kernel command line is malformed"), 0))?;
    #[cfg(not(target_arch = "aarch64"))]
    let loaded = hilum_sys::load_kernel(kernel.as_fd(), initramfs.as_fd(), line);
    #[cfg(target_arch = "aarch64")]
    let loaded =
        super::segments::load([kernel.as_fd(), initramfs.as_fd()], [parts.kernel.bytes, parts.initramfs.bytes], line);
    loaded.map_err(|errno| refused(text!("kexec: {}"), errno))
}

/// Copies a part of a slot into a file in memory, because kexec_file_load(2) takes regular files.
fn copy(disk: &Disk, slot: Slot, range: Range) -> Result<OwnedFd, Errno> {
    let file = memfd_create(c"hilum-slot", MemfdFlags::CLOEXEC)?;
    let mut blocks = Blocks([[0; BLOCK_BYTES]; AT_ONCE]);
    let block = BLOCK_BYTES as u64;
    let end = range.start.checked_add(range.bytes).ok_or(Errno::IO)?;
    let mut at = range.start / block * block;
    while at < end {
        let count = ((end - at).div_ceil(block) as usize).min(AT_ONCE);
        let part = &mut blocks.0[..count];
        disk.read(slot, at, part)?;
        let skipped = range.start.saturating_sub(at) as usize;
        let until = ((end - at) as usize).min(count * BLOCK_BYTES);
        let mut bytes = &part.as_flattened()[skipped..until];
        while !bytes.is_empty() {
            let count = rustix::io::write(&file, bytes)?;
            bytes = &bytes[count..];
        }
        at += (count * BLOCK_BYTES) as u64;
    }
    Ok(file)
}
