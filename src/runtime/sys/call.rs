//! Raw system calls as results: the negated errno becomes a rustix `Errno`.

use rustix::io::Errno;

/// Enters the kernel, and converts its return value into a result.
///
/// # Safety
/// As for `arch::syscall`: the arguments are valid for system call `number`.
#[inline]
pub(crate) unsafe fn call(number: u32, args: [usize; 6]) -> Result<usize, Errno> {
    // SAFETY: passed on from the caller.
    let answer = unsafe { crate::arch::syscall(number, args) };
    // The kernel's errno range (include/linux/err.h, MAX_ERRNO); everything else is a value, high addresses included.
    if (-4095..0).contains(&answer) {
        return Err(Errno::from_raw_os_error(-(answer as i32)));
    }
    Ok(answer as usize)
}
