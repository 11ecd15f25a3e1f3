//! Encodes and decodes the control protocol: requests of commands to PID 1, and its replies.
//!
//! Each connection of a SOCK_SEQPACKET socket carries one request and its replies. The kernel preserves message
//! boundaries, so no framing is needed. A request begins with `h` and the protocol version. Numbers are little-endian;
//! a text is the rest of a message, or ends with a NUL.

use crate::text;
use crate::text::Text;

mod parts;
mod reply;
mod request;

pub use reply::{Reply, SystemStatus, WorkloadStatus};
pub use request::{Command, END, FILES, Request, TEXTS, TEXTS_BYTES};

/// The version of the protocol.
pub const VERSION: u8 = 1;
/// Bytes of the longest message: a line of a log with its number and time.
pub const MESSAGE_BYTES: usize = crate::log::LINE_BYTES + 64;
/// Maximum words of a request.
pub const WORDS: usize = 32;

/// A message that is being encoded.
pub type Message = heapless::Vec<u8, MESSAGE_BYTES>;

/// Why a message is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// It is truncated, or contains an invalid number.
    Bytes,
    /// It has another version of the protocol.
    Version(u8),
    /// It has a command that this version does not know.
    Command,
    /// It is too long.
    Long,
}

impl Malformed {
    /// Returns the reason as text, for the peer.
    pub const fn text(self) -> Text {
        match self {
            Self::Bytes => text!("malformed message"),
            Self::Version(_) | Self::Command => {
                text!("PID 1 has version 1 of the control protocol, and not this command; use a hilum of its version")
            }
            Self::Long => text!("message too long"),
        }
    }
}

#[cfg(test)]
mod tests;
