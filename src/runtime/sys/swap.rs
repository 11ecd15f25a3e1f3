//! Swap areas.

use crate::call::call;
use core::ffi::CStr;
use linux_raw_sys::general::__NR_swapon;
use rustix::io::Errno;

/// Starts to swap to a device with this priority, up to 32,767 (swapon(2)).
///
/// # Errors
/// EINVAL if it has no header of a swap area, EBUSY if it is used already, EPERM without CAP_SYS_ADMIN.
pub fn swap_on(path: &CStr, priority: u16) -> Result<(), Errno> {
    /// SWAP_FLAG_PREFER of linux/swap.h: the other bits are a priority.
    const PREFER: usize = 0x8000;
    let flags = PREFER | usize::from(priority & 0x7fff);
    // SAFETY: the kernel reads a C string, which outlives the call.
    unsafe { call(__NR_swapon, [path.as_ptr() as usize, flags, 0, 0, 0, 0]) }.map(|_| ())
}
