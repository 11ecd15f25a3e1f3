//! Whether a process would hear of a signal, by what `/proc/PID/status` says of it (proc(5)).

const KILL: u8 = 9;
const CONT: u8 = 18;
const STOP: u8 = 19;

/// Whether a signal to the process with this status does anything.
///
/// The kernel keeps from the first process of a PID namespace (`is_first`) what that has no handler for, though it would end any
/// other one (pid_namespaces(7)). What is blocked waits, and may be taken without a handler. A status that says nothing hides
/// nothing.
pub fn reacts_to(status: &str, signal: u8, is_first: bool) -> bool {
    let has = |key: &str| {
        let set = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).map(|set| set >> (signal.max(1) - 1) & 1 == 1)
    };
    let (Some(is_blocked), Some(is_ignored), Some(is_caught)) = (has("SigBlk"), has("SigIgn"), has("SigCgt")) else {
        return true;
    };
    is_blocked || is_caught || matches!(signal, KILL | CONT | STOP) || (!is_first && !is_ignored)
}

#[cfg(test)]
mod tests;
