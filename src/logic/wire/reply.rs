//! What comes back.

use super::parts::{Parts, put, put_text};
use super::{Malformed, Message};
use crate::supervise::ExitReason;

/// Stands for the time since something that has not happened.
const NEVER: u64 = u64::MAX;

/// The board as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemStatus {
    /// Milliseconds of the monotonic clock.
    pub now_ms: u64,
    /// Whether it goes down.
    pub is_going_down: bool,
    /// Whether only workloads that are marked `safe` were started.
    pub is_safe: bool,
    /// Boots in a row that went badly, before this one.
    pub bad_boots: u32,
}

/// One workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkloadStatus<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its state by [`crate::supervise::State::number`].
    pub state: u8,
    /// Its first process; 0 for none.
    pub pid: u32,
    /// Milliseconds since its state changed. `None` before it did for the first time.
    pub since_ms: Option<u64>,
    /// How often it was restarted.
    pub restarts: u32,
    /// How it ended last.
    pub last: Option<ExitReason>,
    /// The kernel ended it for its memory: the most that it had, and its limit, in bytes; 0 for unknown.
    pub out_of_memory: Option<(u64, u64)>,
    /// Whether a block of its verified image did not match its hash.
    pub is_corrupt: bool,
    /// Lines of it that were dropped from its log.
    pub dropped: u32,
    /// What it needs and what failed, for a workload that was not started for that; or what it waits for.
    pub need: &'a str,
    /// The addresses of its links, with a comma between two.
    pub addresses: &'a str,
    /// What it last said of itself (STATUS= of `sd_notify(3)`).
    pub text: &'a str,
}

/// A message from PID 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply<'a> {
    /// The board as a whole.
    System(SystemStatus),
    /// One workload.
    Status(WorkloadStatus<'a>),
    /// A line of a log: its number, its time in milliseconds, its bytes.
    Line(u32, u64, &'a [u8]),
    /// Something that happened, at this microsecond since the kernel's start.
    Event(u64, &'a str),
    /// With this message come the other ends of a program's standard descriptors: its terminal, or where its input is
    /// written and its output read; then where its errors are read, where they go another way.
    Streams,
    /// It is over: an exit status, and why where it is not 0.
    Done(u8, &'a str),
}

impl Reply<'_> {
    /// As it is sent. A text that is too long is cut by who makes it.
    ///
    /// # Errors
    /// It does not fit.
    pub fn message(&self) -> Result<Message, Malformed> {
        let mut message = Message::new();
        let out = &mut message;
        match *self {
            Self::System(board) => {
                put(out, &[1, u8::from(board.is_going_down), u8::from(board.is_safe)])?;
                put(out, &board.now_ms.to_le_bytes())?;
                put(out, &board.bad_boots.to_le_bytes())?;
            }
            Self::Status(status) => {
                put(out, &[2, status.state])?;
                put(out, &status.pid.to_le_bytes())?;
                put(out, &status.since_ms.unwrap_or(NEVER).to_le_bytes())?;
                put(out, &status.restarts.to_le_bytes())?;
                put(out, &end_bytes(status.last))?;
                let (peak, limit) = status.out_of_memory.unwrap_or((0, 0));
                put(out, &[u8::from(status.is_corrupt), u8::from(status.out_of_memory.is_some())])?;
                put(out, &peak.to_le_bytes())?;
                put(out, &limit.to_le_bytes())?;
                put(out, &status.dropped.to_le_bytes())?;
                [status.name, status.need, status.addresses, status.text]
                    .iter()
                    .try_for_each(|text| put_text(out, text))?;
            }
            Self::Line(number, ms, bytes) => {
                put(out, &[3])?;
                put(out, &number.to_le_bytes())?;
                put(out, &ms.to_le_bytes())?;
                put(out, bytes)?;
            }
            Self::Event(us, text) => {
                put(out, &[4])?;
                put(out, &us.to_le_bytes())?;
                put(out, text.as_bytes())?;
            }
            Self::Streams => put(out, &[5])?,
            Self::Done(status, text) => {
                put(out, &[6, status])?;
                put(out, text.as_bytes())?;
            }
        }
        Ok(message)
    }
}

impl<'a> Reply<'a> {
    /// As it was received.
    ///
    /// # Errors
    /// The bytes are no reply.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut parts = Parts(bytes);
        let reply = match parts.byte()? {
            1 => {
                let [is_going_down, is_safe] = parts.bytes()?.map(|flag: u8| flag != 0);
                Self::System(SystemStatus {
                    is_going_down,
                    is_safe,
                    now_ms: parts.word64()?,
                    bad_boots: parts.word32()?,
                })
            }
            2 => Self::Status(read_status(&mut parts)?),
            3 => {
                let (number, ms) = (parts.word32()?, parts.word64()?);
                Self::Line(number, ms, core::mem::take(&mut parts.0))
            }
            4 => Self::Event(parts.word64()?, parts.rest()?),
            5 => Self::Streams,
            6 => Self::Done(parts.byte()?, parts.rest()?),
            _ => return Err(Malformed::Bytes),
        };
        if parts.0.is_empty() { Ok(reply) } else { Err(Malformed::Bytes) }
    }
}

fn read_status<'a>(parts: &mut Parts<'a>) -> Result<WorkloadStatus<'a>, Malformed> {
    let state = parts.byte()?;
    let (pid, since_ms, restarts) = (parts.word32()?, parts.word64()?, parts.word32()?);
    let last = end(parts.bytes()?)?;
    let is_corrupt = parts.byte()? != 0;
    let (is_out_of_memory, peak, limit) = (parts.byte()? != 0, parts.word64()?, parts.word64()?);
    Ok(WorkloadStatus {
        state,
        pid,
        since_ms: (since_ms != NEVER).then_some(since_ms),
        restarts,
        last,
        is_corrupt,
        out_of_memory: is_out_of_memory.then_some((peak, limit)),
        dropped: parts.word32()?,
        name: parts.text()?,
        need: parts.text()?,
        addresses: parts.text()?,
        text: parts.text()?,
    })
}

fn end_bytes(end: Option<ExitReason>) -> [u8; 2] {
    match end {
        None => [0, 0],
        Some(ExitReason::Exit(status)) => [1, status],
        Some(ExitReason::Signal(signal)) => [2, signal],
        Some(ExitReason::NoProcess) => [3, 0],
        Some(ExitReason::NotReady) => [4, 0],
        Some(ExitReason::Unhealthy) => [5, 0],
        Some(ExitReason::Early) => [6, 0],
    }
}

fn end(bytes: [u8; 2]) -> Result<Option<ExitReason>, Malformed> {
    Ok(Some(match bytes {
        [0, _] => return Ok(None),
        [1, status] => ExitReason::Exit(status),
        [2, signal] => ExitReason::Signal(signal),
        [3, _] => ExitReason::NoProcess,
        [4, _] => ExitReason::NotReady,
        [5, _] => ExitReason::Unhealthy,
        [6, _] => ExitReason::Early,
        _ => return Err(Malformed::Bytes),
    }))
}
