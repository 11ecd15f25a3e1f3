//! Processes of a workload with `share pid` that remain after its first process has exited: they get the workload's
//! stop signal and grace period, and then SIGKILL.
//!
//! Without a PID namespace of its own, nothing is killed with the first process. But all processes of the workload, and
//! no others, are in its mount namespace, which they cannot leave. They are found by its id in /proc/PID/ns/mnt
//! (namespaces(7)).

use crate::os::clock::monotonic_ms;
use crate::os::path::stat;
use crate::os::wait::pause;
use hilum::config::Stop;
use hilum::fixed_string::text;
use rustix::fs::{CWD, Mode, OFlags, RawDir, openat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Milliseconds that they have to exit after SIGKILL.
const END_MS: u64 = 2_000;
const STEP_MS: u64 = 5;

/// Returns the mount namespace of a process, as an inode number; `None` if it has exited.
pub(crate) fn mount_namespace(pid: Pid) -> Option<u64> {
    // A PID has at most seven digits.
    let path = text::<32>(format_args!("/proc/{}/ns/mnt", pid.as_raw_nonzero()));
    stat(&path).ok().map(|found| found.st_ino)
}

/// Stops all processes in a mount namespace, and kills those that remain after the grace period. Returns how many are
/// left, up to `most`. Blocks, so it must be called in a helper.
pub(crate) fn end_all(namespace: u64, stop: &Stop, most: u32) -> u32 {
    let grace_until = monotonic_ms() + u64::from(stop.grace_ms);
    let mut left = Signal::from_named_raw(stop.signal.0.into())
        .map_or(0, |signal| signal_all(namespace, Some(signal)).unwrap_or(1));
    while left > 0 && monotonic_ms() < grace_until {
        pause(STEP_MS);
        left = signal_all(namespace, None).unwrap_or(1);
    }
    let until = monotonic_ms() + END_MS;
    loop {
        // If they cannot be counted, they are not known to be gone.
        let left = signal_all(namespace, Some(Signal::KILL)).unwrap_or(1);
        if left == 0 || monotonic_ms() >= until {
            return left.min(most);
        }
        pause(STEP_MS);
    }
}

/// Sends a signal to all current processes, or only counts them. Returns their number.
fn signal_all(namespace: u64, signal: Option<Signal>) -> Result<u32, Errno> {
    let folder = openat(CWD, c"/proc", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut buffer = [core::mem::MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(&folder, &mut buffer);
    let (mut count, own) = (0, rustix::process::getpid());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_str().unwrap_or_default();
        let Some(pid) = hilum::number::number(name).and_then(Pid::from_raw).filter(|pid| *pid != own) else { continue };
        if mount_namespace(pid) != Some(namespace) {
            continue;
        }
        count += 1;
        // By a pidfd, and checked again, because the PID may have been reused.
        if let Some(signal) = signal
            && let Ok(process) = pidfd_open(pid, PidfdFlags::empty())
            && mount_namespace(pid) == Some(namespace)
        {
            let _ = pidfd_send_signal(&process, signal);
        }
    }
    Ok(count)
}
