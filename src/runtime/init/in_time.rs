//! Work that a disk can hold up for ever, done by a child with a deadline.

use super::wait::becomes_until;
use hilum_sys::{Cloned, exit, monotonic_ms};
use rustix::event::PollFlags;
use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::process::{Signal, WaitOptions, pidfd_send_signal, waitpid};

/// The highest answer: an exit status carries it.
pub(super) const MOST: u32 = 100;

/// Has a child do the work, and does not wait for it: it is reaped with the orphans.
///
/// # Errors
/// What clone3(2) says.
pub(super) fn aside(work: &mut dyn FnMut()) -> Result<(), Errno> {
    if let Cloned::Child = hilum_sys::clone(0, None)? {
        // What it keeps open of PID 1 would stay in PID 1's epoll set.
        let _ = hilum_sys::close_all_but(&mut []);
        work();
        exit(0)
    }
    Ok(())
}

/// Has a child do the work; gives its answer, up to [`MOST`].
///
/// # Errors
/// Its own, and ETIMEDOUT after `limit_ms` milliseconds: then it is killed, and reaped with the orphans.
pub(crate) fn in_time(limit_ms: u64, work: &mut dyn FnMut() -> Result<u32, Errno>) -> Result<u32, Errno> {
    const FAILED: i32 = 128;
    match hilum_sys::clone(0, None)? {
        Cloned::Child => exit(match work() {
            Ok(answer) => answer.min(MOST) as i32,
            Err(errno) => FAILED + errno.raw_os_error().clamp(1, 127),
        }),
        Cloned::Parent { pid, pidfd } => {
            if !becomes_until(pidfd.as_fd(), PollFlags::IN, monotonic_ms() + limit_ms) {
                let _ = pidfd_send_signal(&pidfd, Signal::KILL);
                return Err(Errno::TIMEDOUT);
            }
            let status = waitpid(Some(pid), WaitOptions::empty())?.and_then(|(_, status)| status.exit_status());
            match status {
                Some(answer @ 0..FAILED) => Ok(answer.unsigned_abs()),
                Some(failed) => Err(Errno::from_raw_os_error(failed - FAILED)),
                None => Err(Errno::IO),
            }
        }
    }
}
