//! Waiting for a descriptor or for time to pass, always with a timeout.

use crate::os::clock::monotonic_ms;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, waitpid};

/// Converts milliseconds to a timespec.
#[inline(never)]
pub(crate) fn timespec_from_ms(count: u64) -> Timespec {
    Timespec { tv_sec: (count / 1_000) as i64, tv_nsec: (count % 1_000 * 1_000_000) as i64 }
}

/// Sleeps for `count` milliseconds, or until a signal arrives.
#[inline(never)]
pub(crate) fn pause(count: u64) {
    let _ = poll(&mut [], Some(&timespec_from_ms(count)));
}

/// Waits for a child to exit and reaps it, for at most `limit_ms` milliseconds. Checks every `step_ms`.
pub(crate) fn await_exit(pid: Pid, limit_ms: u64, step_ms: u64) {
    let until = monotonic_ms() + limit_ms;
    while matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(None)) && monotonic_ms() < until {
        pause(step_ms);
    }
}

/// Waits for a descriptor, for at most `count` milliseconds. Returns whether an event occurred.
///
/// # Errors
/// EINTR if a signal arrived first.
#[inline(never)]
pub(crate) fn poll_fd(fd: BorrowedFd<'_>, what: PollFlags, count: u64) -> Result<bool, Errno> {
    Ok(poll(&mut [PollFd::from_borrowed_fd(fd, what)], Some(&timespec_from_ms(count)))? == 1)
}

/// Waits until a time, and continues after signals.
pub(crate) fn poll_fd_until(fd: BorrowedFd<'_>, what: PollFlags, until_ms: u64) -> bool {
    loop {
        match poll_fd(fd, what, until_ms.saturating_sub(monotonic_ms())) {
            Err(Errno::INTR) => {}
            answer => return answer == Ok(true),
        }
    }
}
