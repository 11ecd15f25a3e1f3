//! What a workload with `share pid` leaves behind when its first process has ended: it gets the stop signal and the grace of its
//! workload, and is killed then.
//!
//! Without a PID namespace of its own nothing ends with its first process. But every process of it is in its mount
//! namespace, and no other one is: it has one of its own always, and cannot leave it. So they are found by that, as
//! /proc/PID/ns/mnt names it (namespaces(7)).

use crate::os::clock::monotonic_ms;
use crate::os::path::stat;
use crate::os::wait::pause;
use hilum::config::Stop;
use hilum::fixed_string::text;
use rustix::fs::{CWD, Mode, OFlags, RawDir, openat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Milliseconds that they have to be gone.
const END_MS: u64 = 2_000;
const STEP_MS: u64 = 5;

/// Returns the mount namespace of a process, by the inode that stands for it. `None` if it has ended.
pub(crate) fn mount_namespace(pid: Pid) -> Option<u64> {
    // A pid has at most seven digits.
    let path = text::<32>(format_args!("/proc/{}/ns/mnt", pid.as_raw_nonzero()));
    stat(&path).ok().map(|found| found.st_ino)
}

/// Asks every process in a mount namespace to end, and kills those that are there when their grace is over, until none is left.
/// Gives how many are, up to `most`. It waits: to be called in a helper.
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
        // What cannot be looked at is not known to be gone.
        let left = signal_all(namespace, Some(Signal::KILL)).unwrap_or(1);
        if left == 0 || monotonic_ms() >= until {
            return left.min(most);
        }
        pause(STEP_MS);
    }
}

/// Sends a signal to what is there now, or only looks. Returns how many that were.
fn signal_all(namespace: u64, signal: Option<Signal>) -> Result<u32, Errno> {
    let folder = openat(CWD, c"/proc", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut buffer = [core::mem::MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(&folder, &mut buffer);
    let (mut count, own) = (0, rustix::process::getpid());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_str().unwrap_or_default();
        let Some(pid) = name.parse().ok().and_then(Pid::from_raw).filter(|pid| *pid != own) else { continue };
        if mount_namespace(pid) != Some(namespace) {
            continue;
        }
        count += 1;
        // By a descriptor, and looked at once more: the number may be somebody else's by now.
        if let Some(signal) = signal
            && let Ok(process) = pidfd_open(pid, PidfdFlags::empty())
            && mount_namespace(pid) == Some(namespace)
        {
            let _ = pidfd_send_signal(&process, signal);
        }
    }
    Ok(count)
}
