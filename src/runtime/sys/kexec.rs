//! Another kernel for the next reboot, without the firmware or by it.

use crate::call::call;
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Errno;

/// Loads a kernel with its initramfs, from regular files (kexec_file_load(2)).
///
/// # Errors
/// EPERM without CAP_SYS_BOOT or under lockdown, ENOEXEC for something else than a kernel, ENOMEM, ENOSYS on a kernel that is built
/// without it.
#[cfg(not(target_arch = "aarch64"))]
pub fn load_kernel(
    kernel: BorrowedFd<'_>,
    initramfs: BorrowedFd<'_>,
    command_line: &core::ffi::CStr,
) -> Result<(), Errno> {
    use linux_raw_sys::general::__NR_kexec_file_load;
    let line = command_line.to_bytes_with_nul();
    let [kernel, initramfs] = [kernel, initramfs].map(|file| file.as_raw_fd() as usize);
    // SAFETY: the kernel reads two files and the command line, which outlive the call.
    unsafe { call(__NR_kexec_file_load, [kernel, initramfs, line.len(), line.as_ptr() as usize, 0, 0]) }.map(|_| ())
}

/// A part of a kernel to load.
#[cfg(target_arch = "aarch64")]
#[derive(Debug)]
pub struct Segment<'a> {
    /// Its contents.
    pub file: BorrowedFd<'a>,
    /// Bytes of the file.
    pub bytes: u64,
    /// Its physical address, that of a page.
    pub place: u64,
    /// Bytes of memory there, at least those of the file; the rest of the pages is zeros.
    pub room: u64,
}

/// Loads a kernel in segments (kexec_load(2)). `entry` is the physical address of its first instruction. The mappings of the
/// files last as long as this process.
///
/// # Errors
/// EPERM without CAP_SYS_BOOT or under lockdown, EADDRNOTAVAIL for segments outside of memory, EBUSY if the kernel cannot stop its
/// other processors (those of a device tree with spin tables), EFAULT for a file that is shorter, ENOMEM, ENOSYS.
#[cfg(target_arch = "aarch64")]
pub fn load_segments(entry: u64, segments: &[Segment<'_>; 3]) -> Result<(), Errno> {
    use linux_raw_sys::general::{__NR_kexec_load, __NR_mmap, MAP_PRIVATE, PROT_READ};
    // struct kexec_segment: source and its bytes, destination and its bytes (include/uapi/linux/kexec.h).
    let mut table = [[0; 4]; 3];
    for (row, segment) in table.iter_mut().zip(segments) {
        let (bytes, file) = (segment.bytes as usize, segment.file.as_raw_fd() as usize);
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let source = unsafe { call(__NR_mmap, [0, bytes, PROT_READ as usize, MAP_PRIVATE as usize, file, 0]) }?;
        *row = [source, bytes, segment.place as usize, segment.room.next_multiple_of(4096) as usize];
    }
    // SAFETY: the kernel reads the table, which outlives the call, and the mappings, which stay.
    unsafe { call(__NR_kexec_load, [entry as usize, table.len(), table.as_ptr() as usize, 0, 0, 0]) }.map(|_| ())
}

/// Changes a register of 32 bits with a physical address, below /dev/mem: the bits of `mask` get the value `bits`.
///
/// # Errors
/// Those of mmap(2): EPERM if the kernel keeps the registers of drivers (CONFIG_IO_STRICT_DEVMEM) and its command line lacks
/// `iomem=relaxed`.
#[cfg(target_arch = "aarch64")]
pub fn change_register(memory: BorrowedFd<'_>, address: usize, mask: u32, bits: u32) -> Result<(), Errno> {
    use linux_raw_sys::general::{__NR_mmap, MAP_SHARED, PROT_READ, PROT_WRITE};
    const PAGE: usize = 4096;
    let (access, memory) = ((PROT_READ | PROT_WRITE) as usize, memory.as_raw_fd() as usize);
    let arguments = [0, PAGE, access, MAP_SHARED as usize, memory, address / PAGE * PAGE];
    // SAFETY: a new mapping, at an address that the kernel chooses. It has no memory of ours: the kernel refuses all memory there
    // (CONFIG_STRICT_DEVMEM).
    let page = unsafe { call(__NR_mmap, arguments) }?;
    let register = (page + address % PAGE) as *mut u32;
    // SAFETY: the register is inside of the page, which stays mapped.
    let old = unsafe { register.read_volatile() };
    // SAFETY: the same.
    unsafe { register.write_volatile(old & !mask | bits) };
    Ok(())
}
