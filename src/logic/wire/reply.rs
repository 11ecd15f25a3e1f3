//! Replies of PID 1.

use super::parts::{Parts, put, put_text};
use super::{Malformed, Message};
use crate::supervise::ExitReason;

/// The duration since an event that has not happened.
const NEVER: u64 = u64::MAX;

/// The state of the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemStatus {
    /// Milliseconds of the monotonic clock.
    pub now_ms: u64,
    /// Whether it is shutting down.
    pub is_going_down: bool,
    /// Whether only workloads that are marked `safe` were started.
    pub is_safe: bool,
    /// Consecutive bad boots before this one.
    pub bad_boots: u32,
    /// What the clock is worth, as a place in [`crate::time::STATES`].
    pub clock: u8,
}

/// The state of one workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkloadStatus<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its state by [`crate::supervise::State::number`].
    pub state: u8,
    /// The PID of its first process; 0 for none.
    pub pid: u32,
    /// Milliseconds since its last change of state; `None` before the first one.
    pub since_ms: Option<u64>,
    /// How often it was restarted.
    pub restarts: u32,
    /// Its last exit.
    pub last: Option<ExitReason>,
    /// If it was killed by the OOM killer: its peak memory and its limit in bytes; 0 for unknown.
    pub out_of_memory: Option<(u64, u64)>,
    /// Whether a block of its verified image did not match its hash.
    pub is_corrupt: bool,
    /// The number of lines that were dropped from its log.
    pub dropped: u32,
    /// The failed workload that it needs and that kept it from starting, or what it waits for.
    pub need: &'a str,
    /// The addresses of its links, separated by commas.
    pub addresses: &'a str,
    /// Its last status text (STATUS= of `sd_notify(3)`).
    pub text: &'a str,
}

/// A message from PID 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply<'a> {
    /// The state of the board.
    System(SystemStatus),
    /// The state of one workload.
    Status(WorkloadStatus<'a>),
    /// A line of a log: its number, its time in milliseconds, its bytes.
    Line(u32, u64, &'a [u8]),
    /// An event, with its time in microseconds since the kernel's start.
    Event(u64, &'a str),
    /// Carries descriptors for a program's standard streams: its terminal, or the ends of its input and output; and the
    /// end of its errors, if they are separate.
    Streams,
    /// The last reply: an exit status, and the reason if it is not 0.
    Done(u8, &'a str),
}

impl Reply<'_> {
    /// Encodes the reply. The caller must truncate long texts.
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
                put(out, &[board.clock])?;
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
    /// Decodes a reply.
    ///
    /// # Errors
    /// The bytes are not a valid reply.
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
                    clock: parts.byte()?,
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
        // A newer PID 1 may send more behind the known fields.
        Ok(reply)
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
