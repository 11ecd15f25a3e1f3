//! Requests to PID 1 over the control socket, by the library's own encoding of them.

use anyhow::{Context, Result, bail};
use hilum::wire::{MESSAGE_BYTES, Reply, Request};
use rustix::fd::OwnedFd;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv, send, socket_with,
};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The timeout of each message.
const PATIENCE: Duration = Duration::from_secs(5);

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
fn finish(socket: &OwnedFd, each: &mut dyn FnMut(&Reply<'_>)) -> Result<()> {
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
