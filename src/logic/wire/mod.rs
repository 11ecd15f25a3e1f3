//! The control protocol <-> bytes: what a command asks PID 1 for, and what comes back.
//!
//! One connection of a SOCK_SEQPACKET socket carries one request and its answers; the kernel keeps messages apart, so
//! there is no framing to get wrong. A request begins with `h` and the version of the protocol. Numbers are
//! little-endian; texts are the rest of a message, or end with a NUL.

mod parts;
mod reply;
mod request;

pub use reply::{Reply, SystemStatus, WorkloadStatus};
pub use request::{Command, Request};

/// The version that both sides speak.
pub const VERSION: u8 = 1;
/// Bytes of the longest message: a line of a log, with its number and time.
pub const MESSAGE_BYTES: usize = crate::log::LINE_BYTES + 64;
/// Words of the longest request.
pub const WORDS: usize = 32;

/// A message while it is put together.
pub type Message = heapless::Vec<u8, MESSAGE_BYTES>;

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// It ends too early, or holds a number that means nothing.
    Bytes,
    /// It is of another version of the protocol.
    Version(u8),
    /// It is too long.
    Long,
}

impl Malformed {
    /// In words, for the other side.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Bytes => "malformed message",
            Self::Version(_) => "another version of the protocol; use the hilum that runs as PID 1",
            Self::Long => "message too long",
        }
    }
}

#[cfg(test)]
mod tests;
