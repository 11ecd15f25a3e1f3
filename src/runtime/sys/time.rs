//! Monotonic clocks. This project does not depend on a clock that can be set.
//!
//! The system call is made directly: rustix uses the vDSO, whose parser would cost more bytes than it saves time for
//! these few calls.

use crate::call::call;
use linux_raw_sys::general::{__NR_clock_gettime, CLOCK_BOOTTIME, CLOCK_MONOTONIC, timespec};

/// Returns microseconds since the boot, including suspend (CLOCK_BOOTTIME, clock_gettime(2)).
pub fn boottime_us() -> u64 {
    let now = read(CLOCK_BOOTTIME);
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1_000
}

/// Returns milliseconds of CLOCK_MONOTONIC, the clock of deadlines and timers.
pub fn monotonic_ms() -> u64 {
    let now = read(CLOCK_MONOTONIC);
    now.tv_sec as u64 * 1_000 + now.tv_nsec as u64 / 1_000_000
}

fn read(clock: u32) -> timespec {
    let mut now = timespec { tv_sec: 0, tv_nsec: 0 };
    let address = &raw mut now;
    // SAFETY: clock_gettime writes one timespec through the pointer. Every kernel has these two clocks, so the call
    // cannot fail; a failure would leave the zeroes above.
    let _ = unsafe { call(__NR_clock_gettime, [clock as usize, address as usize, 0, 0, 0, 0]) };
    now
}
