//! What a copy of PID 1 that lasts does first.

use crate::path::open;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Makes this process, a copy of PID 1, one like any other: it has nothing of the console (standard input, output and error are
/// /dev/null), and the kernel may end it when memory is short (`oom_score_adj` 0, proc_pid_oom_score_adj(5)).
///
/// # Errors
/// The kernel's, where /dev/null is not there.
pub(crate) fn become_ordinary() -> Result<(), Errno> {
    may_be_killed();
    let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)
}

/// Lets the kernel end this process when memory is short: what it does can be done again, what PID 1 does cannot.
pub(crate) fn may_be_killed() {
    if let Ok(score) = open("/proc/self/oom_score_adj", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
        let _ = rustix::io::write(&score, b"0");
    }
}
