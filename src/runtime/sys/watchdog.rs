//! The timeout of a watchdog.

use crate::call::call;
use linux_raw_sys::general::__NR_ioctl;
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::Errno;

/// Sets a watchdog's timeout in seconds. Returns the one that the driver chose (WDIOC_SETTIMEOUT of
/// Documentation/watchdog/watchdog-api.rst).
///
/// # Errors
/// ENOTTY if it is not a watchdog.
pub fn set_watchdog(device: &OwnedFd, seconds: u32) -> Result<u32, Errno> {
    /// `_IOWR('W', 6, int)` and `_IOR('W', 7, int)`.
    const SET_TIMEOUT: usize = 0xc004_5706;
    const GET_TIMEOUT: usize = 0x8004_5707;
    let mut taken = seconds as i32;
    let address = &raw mut taken;
    let ioctl = |request| {
        // SAFETY: both requests read and write one int through the pointer.
        unsafe { call(__NR_ioctl, [device.as_raw_fd() as usize, request, address as usize, 0, 0, 0]) }
    };
    match ioctl(SET_TIMEOUT) {
        // If the hardware does not support this timeout, the driver's default stays in effect.
        Err(Errno::OPNOTSUPP | Errno::NOTTY | Errno::INVAL) => ioctl(GET_TIMEOUT)?,
        result => result?,
    };
    Ok(taken.unsigned_abs())
}
