//! Determines which process reacts to a workload's stop signal: its first one, or those that it has started. It reads
//! only /proc, which is in memory.

use crate::os::files::read_text;
use heapless::Vec;
use hilum::fixed_string::text;
use hilum::number::number;
use hilum::signal_status::reacts_to;
use hilum::split::Split;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Maximum bytes that are read of a file in /proc.
const FILE_BYTES: usize = 4096;
/// Maximum processes below the first one: shells start one or a few.
const MOST_BELOW: usize = 64;

/// Returns whether a signal to a process has any effect; `is_first` means that it is PID 1 of its PID namespace. If
/// this is unknown, the answer is yes.
pub(crate) fn process_reacts_to(pid: Pid, signal: u8, is_first: bool) -> bool {
    let mut bytes = [0; FILE_BYTES];
    status(pid, &mut bytes).is_none_or(|status| reacts_to(status, signal, is_first))
}

/// Sends a signal to the descendants of a process that does not react itself, such as a shell without `exec`: on each
/// branch to the first process with a handler, or else to the last one. A shell in between continues after that one has
/// exited.
pub(crate) fn signal_below(first: Pid, number: u8) {
    let Some(signal) = Signal::from_named_raw(number.into()) else { return };
    let mut waiting: Vec<(Pid, Pid), MOST_BELOW> = Vec::new();
    add_children(first, &mut waiting);
    for _ in 0..MOST_BELOW {
        let Some((pid, parent)) = waiting.pop() else { return };
        // By a pidfd, and checked afterwards, because the PID may have been reused.
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        let mut bytes = [0; FILE_BYTES];
        let Some(status) = status(pid, &mut bytes).filter(|status| is_child(status, parent)) else { continue };
        let is_last = reacts_to(status, number, true) || !add_children(pid, &mut waiting);
        if is_last {
            let _ = pidfd_send_signal(&process, signal);
        }
    }
}

/// Adds the children of a process (proc(5), /proc/PID/task/PID/children), as many as fit. Returns whether there are
/// any.
fn add_children(parent: Pid, waiting: &mut Vec<(Pid, Pid), MOST_BELOW>) -> bool {
    let (mut bytes, number) = ([0; FILE_BYTES], parent.as_raw_nonzero());
    let path = text::<48>(format_args!("/proc/{number}/task/{number}/children"));
    let list = read_text(&path, &mut bytes);
    // A truncated number would be the pid of no child, or of another one.
    list.parts(b' ').filter_map(|word| Pid::from_raw(hilum::number::number(word)?)).for_each(|pid| {
        let _ = waiting.push((pid, parent));
    });
    !list.is_empty()
}

fn is_child(status: &str, parent: Pid) -> bool {
    let word = status.each_line().find_map(|line| line.strip_prefix("PPid:\t"));
    word.and_then(number) == Some(parent.as_raw_nonzero().get())
}

fn status(pid: Pid, bytes: &mut [u8; FILE_BYTES]) -> Option<&str> {
    let text = read_text(&text::<32>(format_args!("/proc/{}/status", pid.as_raw_nonzero())), bytes);
    (!text.is_empty()).then_some(text)
}
