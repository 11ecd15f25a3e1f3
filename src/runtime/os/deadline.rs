//! Work that may hang on a disk, done by a helper with a timeout.

use super::helper::{Kept, Role, spawn};
use super::wait::poll_fd_until;
use crate::os::clock::monotonic_ms;
use rustix::event::PollFlags;
use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::process::{Signal, WaitOptions, pidfd_send_signal, waitpid};

/// The largest result, because an exit status carries it.
pub(crate) const MAX_ANSWER: u32 = 100;

/// The exit status of a failed helper is this plus the errno.
const FAILED: i32 = 128;

const ROLE: Role = Role::new(c"hilum-deadline");

/// Does the work in a helper and does not wait for it; the helper is reaped as an orphan.
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

/// Does the work in a helper, which has none of this process's descriptors. Returns its result, up to [`MAX_ANSWER`].
///
/// # Errors
/// Those of the work, and ETIMEDOUT after `limit_ms` milliseconds: then the helper is killed, and reaped as an orphan.
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
