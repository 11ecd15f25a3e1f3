//! Another kernel for the next reboot, without the firmware.

use crate::call::call;
use core::ffi::CStr;
use linux_raw_sys::general::__NR_kexec_file_load;
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Errno;

/// Loads a kernel with its initramfs, from regular files (kexec_file_load(2)).
///
/// # Errors
/// EPERM without CAP_SYS_BOOT or under lockdown, ENOEXEC for something else than a kernel, ENOMEM, ENOSYS on a kernel that is built
/// without it.
pub fn load_kernel(kernel: BorrowedFd<'_>, initramfs: BorrowedFd<'_>, command_line: &CStr) -> Result<(), Errno> {
    let line = command_line.to_bytes_with_nul();
    let [kernel, initramfs] = [kernel, initramfs].map(|file| file.as_raw_fd() as usize);
    // SAFETY: the kernel reads two files and the command line, which outlive the call.
    unsafe { call(__NR_kexec_file_load, [kernel, initramfs, line.len(), line.as_ptr() as usize, 0, 0]) }.map(|_| ())
}
