//! Who hears of a workload's stop signal: its first process, or those that it has started. All of it is read from /proc,
//! which is in memory.

use crate::os::files::read_file;
use heapless::Vec;
use hilum::fixed_string::text;
use hilum::signal_status::reacts_to;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Bytes of a file of /proc that are looked at.
const FILE_BYTES: usize = 4096;
/// Processes below the first one that are looked at: shells start one or a few.
const MOST_BELOW: usize = 64;

/// Whether a signal to a process does anything; `is_first` says that it is the first one of its PID namespace. What cannot be
/// looked at is taken to hear.
pub(crate) fn hears(pid: Pid, signal: u8, is_first: bool) -> bool {
    let mut bytes = [0; FILE_BYTES];
    status(pid, &mut bytes).is_none_or(|status| reacts_to(status, signal, is_first))
}

/// Sends a signal to what a process has started that does not hear of it itself, as a shell without `exec`: on each way down from
/// it to the first process that has a handler, or to the last one. A shell on the way goes on when that has ended.
pub(crate) fn signal_below(first: Pid, number: u8) {
    let Some(signal) = Signal::from_named_raw(number.into()) else { return };
    let mut waiting: Vec<(Pid, Pid), MOST_BELOW> = Vec::new();
    add_children(first, &mut waiting);
    for _ in 0..MOST_BELOW {
        let Some((pid, parent)) = waiting.pop() else { return };
        // By a descriptor, and looked at afterwards: the number may be somebody else's by now.
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        let mut bytes = [0; FILE_BYTES];
        let Some(status) = status(pid, &mut bytes).filter(|status| is_child(status, parent)) else { continue };
        let is_last = reacts_to(status, number, true) || !add_children(pid, &mut waiting);
        if is_last {
            let _ = pidfd_send_signal(&process, signal);
        }
    }
}

/// Adds the children of a process (proc(5), /proc/PID/task/PID/children), as many as fit. Returns whether it has some.
fn add_children(parent: Pid, waiting: &mut Vec<(Pid, Pid), MOST_BELOW>) -> bool {
    let (mut bytes, number) = ([0; FILE_BYTES], parent.as_raw_nonzero());
    let path = text::<48>(format_args!("/proc/{number}/task/{number}/children"));
    let length = read_file(&path, &mut bytes).unwrap_or(0);
    let list = core::str::from_utf8(&bytes[..length]).unwrap_or_default();
    // A number that was cut is no child's, or another child's.
    list.split_whitespace().filter_map(|word| Pid::from_raw(word.parse().ok()?)).for_each(|pid| {
        let _ = waiting.push((pid, parent));
    });
    length > 0
}

fn is_child(status: &str, parent: Pid) -> bool {
    let word = status.split_once("\nPPid:\t").and_then(|(_, rest)| rest.lines().next());
    word.and_then(|word| word.parse().ok()) == Some(parent.as_raw_nonzero().get())
}

fn status(pid: Pid, bytes: &mut [u8; FILE_BYTES]) -> Option<&str> {
    let length = read_file(&text::<32>(format_args!("/proc/{}/status", pid.as_raw_nonzero())), bytes).ok()?;
    core::str::from_utf8(&bytes[..length]).ok()
}
