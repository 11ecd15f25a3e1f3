//! Clocks. Supervision depends only on monotonic ones; the one that can be set is read and set for the programs.
//!
//! The system calls are made directly: rustix uses the vDSO, whose parser would cost more bytes than it saves time for
//! these few calls.

use crate::call::call;
use linux_raw_sys::general::{
    __NR_adjtimex, __NR_clock_gettime, CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_REALTIME, timespec,
};
use rustix::io::Errno;

/// Words of `struct timex` (include/uapi/linux/timex.h), and the places of its fields among them.
const TIMEX_WORDS: usize = 26;
const MODES: usize = 0;
const OFFSET: usize = 1;
const STATUS: usize = 5;
const CONSTANT: usize = 6;
const SECONDS: usize = 9;
const NANOSECONDS: usize = 10;

/// ADJ_OFFSET, ADJ_MAXERROR, ADJ_ESTERROR, ADJ_STATUS, ADJ_TIMECONST, ADJ_SETOFFSET, ADJ_NANO.
const BY_OFFSET: u64 = 1 | 0x20;
const ERRORS_AND_STATUS: u64 = 4 | 8 | 0x10;
const BY_STEP: u64 = 0x100;
const IN_NANOSECONDS: u64 = 0x2000;
/// STA_PLL. Without STA_UNSYNC, the kernel writes the time to the hardware clock every eleven minutes.
const SYNCHRONISED: u64 = 1;
const UNSYNCHRONISED: u64 = 0x40;

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

/// Returns microseconds since 1970 of CLOCK_REALTIME, the clock that can be set.
pub fn realtime_us() -> i64 {
    let now = read(CLOCK_REALTIME);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
}

/// What happens to the clock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is set forward to a time that is not right yet: it does not count as synchronised.
    Rise,
    /// It is set, and counts as synchronised.
    Step,
    /// The kernel slews it with this time constant (`time_constant` in kernel/time/ntp.c), and it counts as synchronised.
    Slew(u8),
}

/// Changes the clock by an offset in microseconds; one that is slewed is at most half a second.
///
/// # Errors
/// EPERM without CAP_SYS_TIME, EINVAL for a time before 1970.
pub fn change_clock(by_us: i64, change: Change) -> Result<(), Errno> {
    let mut timex = [0; TIMEX_WORDS];
    let mut modes = IN_NANOSECONDS | ERRORS_AND_STATUS | BY_STEP;
    match change {
        Change::Rise => modes = IN_NANOSECONDS | BY_STEP,
        Change::Step => {}
        Change::Slew(constant) => {
            modes = IN_NANOSECONDS | ERRORS_AND_STATUS | BY_OFFSET;
            timex[CONSTANT] = constant.into();
        }
    }
    (timex[MODES], timex[STATUS]) = (modes, SYNCHRONISED);
    // The kernel reads either this or that.
    timex[OFFSET] = by_us.wrapping_mul(1_000).cast_unsigned();
    timex[SECONDS] = by_us.div_euclid(1_000_000).cast_unsigned();
    timex[NANOSECONDS] = (by_us.rem_euclid(1_000_000) * 1_000).cast_unsigned();
    adjust(&mut timex)
}

/// Returns whether a program has synchronised the clock, and did so again in the last hours (STA_UNSYNC, adjtimex(2)).
pub fn is_clock_synchronised() -> bool {
    let mut timex = [0; TIMEX_WORDS];
    adjust(&mut timex).is_ok() && timex[STATUS] & UNSYNCHRONISED == 0
}

fn adjust(timex: &mut [u64; TIMEX_WORDS]) -> Result<(), Errno> {
    let address = timex.as_mut_ptr();
    // SAFETY: the kernel reads and writes one `struct timex` of 208 bytes, which is what the borrowed array has.
    unsafe { call(__NR_adjtimex, [address as usize, 0, 0, 0, 0, 0]) }.map(|_| ())
}

fn read(clock: u32) -> timespec {
    let mut now = timespec { tv_sec: 0, tv_nsec: 0 };
    let address = &raw mut now;
    // SAFETY: clock_gettime writes one timespec through the pointer. Every kernel has these three clocks, so the call
    // cannot fail; a failure would leave the zeroes above.
    let _ = unsafe { call(__NR_clock_gettime, [clock as usize, address as usize, 0, 0, 0, 0]) };
    now
}
