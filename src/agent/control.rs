//! Requests to PID 1 over the control socket, by the library's own encoding of them.

use anyhow::{Context, Result, bail};
use hilum::wire::{MESSAGE_BYTES, Reply, Request};
use rustix::fd::{AsFd, OwnedFd};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType, connect, recv, send, sendmsg, socket_with,
};
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The timeout of each message.
const PATIENCE: Duration = Duration::from_secs(5);

/// The same while an update is written: a block may take a minute.
const SLOW: Duration = Duration::from_secs(180);

/// The control socket.
#[derive(Debug)]
pub(crate) struct Control {
    path: PathBuf,
    /// PID 1 gets one request at a time, however many threads ask.
    turn: Mutex<()>,
}

impl Control {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, turn: Mutex::new(()) }
    }

    /// Sends a request, and passes each reply but the last one to `each`.
    ///
    /// # Errors
    /// PID 1 does not answer within five seconds, or refuses; the error is its reason.
    pub(crate) fn ask(&self, message: &[u8], each: &mut dyn FnMut(&Reply<'_>)) -> Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let socket = self.connect().with_context(|| format!("{}", self.path.display()))?;
        send(&socket, message, SendFlags::NOSIGNAL)?;
        finish(&socket, each)
    }

    /// Sends a request with a descriptor, whose replies are read by [`finish`]: it may take minutes, so it does not keep others waiting.
    ///
    /// # Errors
    /// PID 1 does not listen.
    pub(crate) fn hand_in(&self, message: &[u8], file: &impl AsFd) -> Result<OwnedFd> {
        let socket = self.connect().with_context(|| format!("{}", self.path.display()))?;
        set_socket_timeout(&socket, Timeout::Recv, Some(SLOW))?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let files = [file.as_fd()];
        control.push(SendAncillaryMessage::ScmRights(&files));
        sendmsg(&socket, &[IoSlice::new(message)], &mut control, SendFlags::NOSIGNAL)?;
        Ok(socket)
    }

    fn connect(&self) -> Result<OwnedFd> {
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        for timeout in [Timeout::Recv, Timeout::Send] {
            set_socket_timeout(&socket, timeout, Some(PATIENCE))?;
        }
        connect(&socket, &SocketAddrUnix::new(&self.path)?)?;
        Ok(socket)
    }
}

/// Encodes a request.
///
/// # Errors
/// It does not fit.
pub(crate) fn message(request: &Request<'_>) -> Result<Vec<u8>> {
    request.message().map(|message| message.to_vec()).map_err(|malformed| anyhow::anyhow!(malformed.text()))
}

/// Reads replies up to the last one.
///
/// # Errors
/// PID 1 refuses, which is the error, or does not answer.
pub(crate) fn finish(socket: &OwnedFd, each: &mut dyn FnMut(&Reply<'_>)) -> Result<()> {
    let mut buffer = [0; MESSAGE_BYTES];
    loop {
        let (length, _) = recv(socket, &mut buffer, RecvFlags::empty()).context("PID 1 does not answer")?;
        match Reply::read(&buffer[..length]) {
            Ok(Reply::Done(0, _)) => return Ok(()),
            Ok(Reply::Done(_, why)) => bail!("{why}"),
            Ok(reply) => each(&reply),
            Err(_) if length == 0 => bail!("PID 1 closed the connection"),
            Err(malformed) => bail!("{}", malformed.text()),
        }
    }
}
