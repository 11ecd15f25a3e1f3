//! Loads an arm64 kernel, which needs what a boot loader does (`hilum::update::arm64`).

use crate::os::files::{read_file, text_of};
use core::ffi::CStr;
use hilum::update::arm64::{self, TREE_BYTES};
use hilum_sys::Segment;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{Errno, pread, write};

/// The device tree that this kernel was started with.
const TREE: &str = "/sys/firmware/fdt";
const MEMORY: &str = "/proc/iomem";
const PAGE: usize = 4096;

/// Loads a kernel and an initramfs from files with these bytes.
///
/// # Errors
/// ENOEXEC for something else than a kernel for arm64, ENOMEM if no piece of memory is large enough, ENODATA for a device tree
/// without /chosen; those of kexec_load(2), and of the files.
pub(super) fn load(files: [BorrowedFd<'_>; 2], bytes: [u64; 2], line: &CStr) -> Result<(), Errno> {
    let mut buffer = [0; TREE_BYTES];
    let _ = pread(files[0], &mut buffer[..arm64::HEADER_BYTES], 0);
    let kernel = buffer.first_chunk().and_then(arm64::kernel).ok_or(Errno::NOEXEC)?;
    let length = read_file(MEMORY, &mut buffer)?;
    let layout = arm64::layout(text_of(&buffer, length), kernel, bytes[1]).ok_or(Errno::NOMEM)?;
    // What a larger tree lacks is noticed.
    let length = read_file(TREE, &mut buffer[..TREE_BYTES - PAGE])?;
    let mut random = [0; 40];
    read_file("/dev/urandom", &mut random)?;
    let properties: [(&str, &[u8]); 5] = [
        ("bootargs", line.to_bytes_with_nul()),
        ("linux,initrd-start", &layout.initramfs.to_be_bytes()),
        ("linux,initrd-end", &(layout.initramfs + bytes[1]).to_be_bytes()),
        // The kernel erases those that it was started with.
        ("kaslr-seed", &random[..8]),
        ("rng-seed", &random[8..]),
    ];
    let tree = memfd_create(c"hilum-tree", MemfdFlags::CLOEXEC)?;
    let mut tree_bytes = 0;
    let mut put = |part: &[u8]| {
        tree_bytes += part.len();
        (write(&tree, part) == Ok(part.len())).then_some(())
    };
    let written =
        put(&arm64::entry(&layout)).and_then(|()| arm64::with_chosen(&mut buffer[..length], &properties, &mut put));
    written.ok_or(Errno::NODATA)?;
    let segments = [
        (files[0], bytes[0], layout.kernel, kernel.1),
        (files[1], bytes[1], layout.initramfs, bytes[1]),
        (tree.as_fd(), tree_bytes as u64, layout.entry, tree_bytes as u64),
    ];
    hilum_sys::load_segments(
        layout.entry,
        &segments.map(|(file, bytes, place, room)| Segment { file, bytes, place, room }),
    )
}
