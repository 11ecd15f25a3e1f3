//! Work that a disk can hold up for ever, done by a helper with a deadline.

use super::helper::{Kept, Role, spawn};
use super::wait::poll_fd_until;
use crate::os::clock::monotonic_ms;
use rustix::event::PollFlags;
use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::process::{Signal, WaitOptions, pidfd_send_signal, waitpid};

/// The highest answer: an exit status carries it.
pub(crate) const MAX_ANSWER: u32 = 100;

/// The exit status of a helper that failed is this and the error number.
const FAILED: i32 = 128;

const ROLE: Role = Role::new(c"hilum-deadline");

/// Has a helper do the work, and does not wait for it: it is reaped with the orphans.
///
/// # Errors
/// Those of clone3(2).
pub(crate) fn in_background(work: &mut dyn FnMut()) -> Result<(), Errno> {
    let mut run = || {
        work();
        0
    };
    spawn(&ROLE, Kept::none(), &mut run).map(|_| ())
}

/// Has a helper do the work. Returns its answer, up to [`MAX_ANSWER`]. The helper has none of this process's descriptors.
///
/// # Errors
/// Those of the work, and ETIMEDOUT after `limit_ms` milliseconds: then the helper is killed, and reaped with the orphans.
pub(crate) fn with_timeout(limit_ms: u64, work: &mut dyn FnMut() -> Result<u32, Errno>) -> Result<u32, Errno> {
    let mut run = || match work() {
        Ok(answer) => answer.min(MAX_ANSWER) as i32,
        Err(errno) => FAILED + errno.raw_os_error().clamp(1, 127),
    };
    let helper = spawn(&ROLE, Kept::none(), &mut run)?;
    if !poll_fd_until(helper.pidfd.as_fd(), PollFlags::IN, monotonic_ms() + limit_ms) {
        let _ = pidfd_send_signal(&helper.pidfd, Signal::KILL);
        return Err(Errno::TIMEDOUT);
    }
    let status = waitpid(Some(helper.pid), WaitOptions::empty())?.and_then(|(_, status)| status.exit_status());
    match status {
        Some(answer @ 0..FAILED) => Ok(answer.unsigned_abs()),
        Some(failed) => Err(Errno::from_raw_os_error(failed - FAILED)),
        None => Err(Errno::IO),
    }
}
