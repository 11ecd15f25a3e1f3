//! Formats `hilum status` for a workload and for the slots of updates, as text and as JSON.

pub mod slots;

use crate::config::Signal;
use crate::split::Split;
use crate::supervise::{ExitReason, State};
use crate::wire::WorkloadStatus;
use core::fmt;

/// The counters of a workload's cgroup; `None` if the cgroup or its controller does not exist.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Bytes of memory in use.
    pub memory: Option<u64>,
    /// Peak memory in bytes.
    pub peak: Option<u64>,
    /// The memory limit in bytes; `u64::MAX` for none.
    pub limit: Option<u64>,
    /// Microseconds of processor time.
    pub cpu_us: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Whether it is frozen.
    pub is_frozen: bool,
}

/// Reads a number from a cgroup's file: the value after `key`, if lines have keys. `max` is returned as `u64::MAX`.
pub fn counter(text: &str, key: &str) -> Option<u64> {
    let value = text.each_line().find_map(|line| line.strip_prefix(key))?.trim_ascii();
    if value == "max" { Some(u64::MAX) } else { crate::number::number(value) }
}

/// Returns the name of a state by its number in the control protocol; `?` if the number is unknown to this version.
pub fn state_name(number: u8) -> &'static str {
    State::NAMES.parts(b' ').nth(number.into()).unwrap_or("?")
}

/// The last exit, what it waits for, and its status text.
#[derive(Debug)]
pub struct Details<'a>(pub &'a WorkloadStatus<'a>);

impl fmt::Display for Details<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(status) = self;
        let mut parts = 0;
        let mut next = |formatter: &mut fmt::Formatter<'_>| {
            parts += 1;
            formatter.write_str(if parts > 1 { ", " } else { "" })
        };
        if let Some((peak, limit)) = status.out_of_memory {
            next(formatter)?;
            write!(formatter, "oom-killed, peak {} of limit {}", Bytes(Some(peak)), Bytes(Some(limit)))?;
        } else if let Some(end) = status.last {
            next(formatter)?;
            match end {
                ExitReason::Exit(status) => write!(formatter, "status {status}")?,
                ExitReason::Signal(signal) => write!(formatter, "{}", Signal(signal))?,
                ExitReason::NoProcess => formatter.write_str("no process")?,
                ExitReason::NotReady => formatter.write_str("not ready in time")?,
                ExitReason::Unhealthy => formatter.write_str("unhealthy")?,
                ExitReason::Early => formatter.write_str("exited before it was ready")?,
            }
        }
        if status.is_corrupt {
            next(formatter)?;
            formatter.write_str("corrupt")?;
        }
        if !status.need.is_empty() {
            next(formatter)?;
            let waits = status.state == State::Waiting.number();
            write!(formatter, "{} {}", if waits { "waits for" } else { "failed need:" }, status.need)?;
        }
        if status.dropped > 0 {
            next(formatter)?;
            write!(formatter, "{} log lines dropped", status.dropped)?;
        }
        if !status.text.is_empty() {
            next(formatter)?;
            write!(formatter, "\"{}\"", status.text)?;
        }
        if parts == 0 { formatter.write_str("-") } else { Ok(()) }
    }
}

/// Formats bytes for people.
#[derive(Debug)]
pub struct Bytes(pub Option<u64>);

impl fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => formatter.write_str("-"),
            Some(bytes) if bytes < 10 << 20 => write!(formatter, "{}K", bytes >> 10),
            Some(bytes) if bytes < 10 << 30 => write!(formatter, "{}M", bytes >> 20),
            Some(bytes) => write!(formatter, "{}G", bytes >> 30),
        }
    }
}

/// Formats milliseconds for people.
#[derive(Debug)]
pub struct Uptime(pub u64);

impl fmt::Display for Uptime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1_000;
        match seconds {
            0..60 => write!(formatter, "{seconds}.{}s", self.0 / 100 % 10),
            60..3_600 => write!(formatter, "{}m{:02}s", seconds / 60, seconds % 60),
            3_600..86_400 => write!(formatter, "{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
            _ => write!(formatter, "{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
        }
    }
}

/// Formats a workload as a JSON object (RFC 8259); unknown values are null.
#[derive(Debug)]
pub struct Json<'a>(pub &'a WorkloadStatus<'a>, pub &'a Usage);

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(status, usage) = self;
        write!(
            f,
            "{{\"name\":\"{}\",\"state\":\"{}\",\"frozen\":{},\"pid\":{},\"since_ms\":{},\"restarts\":{}",
            status.name,
            state_name(status.state),
            usage.is_frozen,
            Number(Some(status.pid.into()).filter(|pid| *pid > 0), "null"),
            Number(status.since_ms, "null"),
            status.restarts
        )?;
        let (mut exit, mut signal, mut reason) = (None, None, "");
        match status.last {
            Some(ExitReason::Exit(status)) => exit = Some(status.into()),
            Some(ExitReason::Signal(number)) => signal = Some(number.into()),
            Some(ExitReason::NoProcess) => reason = "no-process",
            Some(ExitReason::NotReady) => reason = "not-ready",
            Some(ExitReason::Unhealthy) => reason = "unhealthy",
            Some(ExitReason::Early) => (exit, reason) = (Some(0), "early"),
            None => {}
        }
        if status.out_of_memory.is_some() {
            reason = "oom-killed";
        }
        write!(
            f,
            ",\"exit\":{},\"signal\":{},\"reason\":{}",
            Number(exit, "null"),
            Number(signal, "null"),
            Text(reason)
        )?;
        write!(f, ",\"memory\":{},\"memory_peak\":{}", Number(usage.memory, "null"), Number(usage.peak, "null"))?;
        write!(f, ",\"memory_limit\":{}", Number(usage.limit.filter(|limit| *limit < u64::MAX), "null"))?;
        write!(f, ",\"cpu_us\":{},\"pids\":{}", Number(usage.cpu_us, "null"), Number(usage.pids, "null"))?;
        write!(f, ",\"corrupt\":{},\"dropped_lines\":{},\"addresses\":[", status.is_corrupt, status.dropped)?;
        for (index, address) in status.addresses.parts(b',').filter(|address| !address.is_empty()).enumerate() {
            write!(f, "{}\"{address}\"", if index > 0 { "," } else { "" })?;
        }
        write!(f, "],\"need\":{}", Text(status.need))?;
        write!(f, ",\"status\":{}}}", Text(status.text))
    }
}

/// A number or null.
#[derive(Debug)]
pub struct Number(pub Option<u64>, pub &'static str);

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => write!(formatter, "{number}"),
            None => formatter.write_str(self.1),
        }
    }
}

/// A string. Control characters were removed before, so only two characters need escapes.
#[derive(Debug)]
pub struct Text<'a>(pub &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return formatter.write_str("null");
        }
        formatter.write_str("\"")?;
        let mut rest = self.0;
        while let Some(at) = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\')) {
            formatter.write_str(&rest[..at])?;
            formatter.write_str("\\")?;
            formatter.write_str(&rest[at..=at])?;
            rest = &rest[at + 1..];
        }
        formatter.write_str(rest)?;
        formatter.write_str("\"")
    }
}

#[cfg(test)]
mod tests;
