//! Determines from `/proc/PID/status` (proc(5)) whether a process would react to a signal.

use crate::split::Split;

const KILL: u8 = 9;
const CONT: u8 = 18;
const STOP: u8 = 19;

/// Returns whether a signal has any effect on the process with this status.
///
/// The kernel ignores signals without a handler for PID 1 of a PID namespace (`is_first`), even if they would kill
/// another process (pid_namespaces(7)). A blocked signal stays pending and may be read without a handler. If the status
/// is unreadable, the signal is assumed to have an effect.
pub fn reacts_to(status: &str, signal: u8, is_first: bool) -> bool {
    let has = |key: &str| {
        let set = status.each_line().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        set.and_then(|set| crate::number::number_of_radix::<u64>(set.trim_ascii(), 16))
            .map(|set| set >> (signal.max(1) - 1) & 1 == 1)
    };
    let (Some(is_blocked), Some(is_ignored), Some(is_caught)) = (has("SigBlk"), has("SigIgn"), has("SigCgt")) else {
        return true;
    };
    is_blocked || is_caught || matches!(signal, KILL | CONT | STOP) || (!is_first && !is_ignored)
}

#[cfg(test)]
mod tests;
