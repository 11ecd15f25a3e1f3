//! Reaping of children.

use hilum::supervise::ExitReason;
use rustix::io::Errno;
use rustix::process::Pid;

/// Reaps one process (wait(2), WNOHANG). Returns `None` if none has exited.
///
/// # Errors
/// EINTR; ECHILD without children.
pub(crate) fn reap() -> Result<Option<(Pid, ExitReason)>, Errno> {
    #[cfg(test)]
    return Ok(super::fake::reap());
    #[cfg(not(test))]
    Ok(rustix::process::wait(rustix::process::WaitOptions::NOHANG)?.map(|(pid, status)| {
        let end = match status.terminating_signal() {
            Some(signal) => ExitReason::Signal(signal as u8),
            None => ExitReason::Exit(status.exit_status().unwrap_or(0) as u8),
        };
        (pid, end)
    }))
}
