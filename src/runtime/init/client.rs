//! A connection to the control socket.
//!
//! PID 1 never blocks on it: a client that does not read loses its replies.

use heapless::{String, Vec};
use hilum::log::Cursor;
use hilum::supervise::WorkloadRequest;
use hilum::wire::{MESSAGE_BYTES, Reply};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::SendFlags;
use rustix::process::Pid;

/// Descriptors in a request.
pub(super) type Descriptors = Vec<OwnedFd, 3>;

/// The text of a reply: two names of workloads, one of them twice, and a sentence.
pub(super) type AnswerText = String<192>;

/// What a connection waits for.
pub(super) enum ClientState {
    /// It has not sent a request yet.
    New,
    /// It receives lines of the workload in this slot; `None` once the workload was removed from the configuration.
    Lines { slot: Option<usize>, cursor: Cursor, is_following: bool },
    /// It waits until another configuration is adopted.
    Reloading,
    /// It waits until its request has completed.
    Waiting { slot: Option<usize>, ask: WorkloadRequest },
}

/// The result of a request.
pub(super) enum Response {
    /// Close the connection with this exit status and text.
    Done(u8, AnswerText),
    /// Keep the connection waiting.
    Pending(ClientState),
    /// A helper replies, or nobody.
    Delegated,
}

/// Returns the response to a successful request.
pub(super) fn done() -> Response {
    Response::Done(0, AnswerText::new())
}

/// Returns the response to a failed request, with the reason.
pub(super) fn failed(why: core::fmt::Arguments<'_>) -> Response {
    Response::Done(1, hilum::fixed_string::text(why))
}

/// A connection.
pub(super) struct Client {
    pub(super) socket: OwnedFd,
    pub(super) state: ClientState,
    /// Whether its buffer was full. It gets no more until it has read.
    pub(super) is_full: bool,
    /// The slot of the workload by whose socket it came.
    pub(super) slot: usize,
    /// The PID of the run that this socket belongs to; `None` for the socket of PID 1.
    pub(super) run: Option<Pid>,
    /// Its number. A lower one is older.
    pub(super) number: u32,
}

impl Client {
    /// Sends a message. Returns false if the client is gone or does not read.
    pub(super) fn send(&self, reply: &Reply<'_>) -> bool {
        send(self.socket.as_fd(), reply)
    }

    /// Receives a request into `buffer`, with its descriptors. Returns `None` if there is none yet.
    ///
    /// # Errors
    /// The client is gone or sent an empty message; EMSGSIZE for a message that is too long.
    pub(super) fn receive(&self, buffer: &mut [u8; MESSAGE_BYTES]) -> Result<Option<(usize, Descriptors)>, Errno> {
        let mut descriptors = Descriptors::new();
        // Descriptors that do not fit are closed.
        let keep = &mut |descriptor| drop(descriptors.push(descriptor));
        match hilum_sys::receive_with_fds(self.socket.as_fd(), buffer, false, keep) {
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Ok(0) => Err(Errno::PIPE),
            result => result.map(|bytes| Some((bytes, descriptors))),
        }
    }
}

/// Sends a message to a connection. Returns false if it was not accepted.
pub(super) fn send(socket: BorrowedFd<'_>, reply: &Reply<'_>) -> bool {
    let Ok(message) = reply.message() else { return true };
    rustix::net::send(socket, &message, SendFlags::NOSIGNAL | SendFlags::DONTWAIT).is_ok()
}
