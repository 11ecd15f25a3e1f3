//! Clocks. Only monotonic ones: nothing in this project is driven by a clock that can be set.
//!
//! The call is made directly: rustix reads the clock through the vDSO, whose parser costs more bytes than the few
//! readings here cost time.

use crate::call::call;
use linux_raw_sys::general::{__NR_clock_gettime, CLOCK_BOOTTIME, CLOCK_MONOTONIC, timespec};

/// Microseconds since the machine booted, suspend included (CLOCK_BOOTTIME, clock_gettime(2)).
pub fn boottime_us() -> u64 {
    let now = read(CLOCK_BOOTTIME);
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1_000
}

/// Milliseconds of CLOCK_MONOTONIC, the clock that deadlines and timers use.
pub fn monotonic_ms() -> u64 {
    let now = read(CLOCK_MONOTONIC);
    now.tv_sec as u64 * 1_000 + now.tv_nsec as u64 / 1_000_000
}

fn read(clock: u32) -> timespec {
    let mut now = timespec { tv_sec: 0, tv_nsec: 0 };
    let address = &raw mut now;
    // SAFETY: clock_gettime writes one timespec through the pointer. These two clocks exist on every kernel, so the
    // call cannot fail, and a failure would leave the zeroes above.
    let _ = unsafe { call(__NR_clock_gettime, [clock as usize, address as usize, 0, 0, 0, 0]) };
    now
}
