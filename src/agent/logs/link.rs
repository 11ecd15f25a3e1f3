//! A connection to a syslog server: TCP (RFC 6587), or TLS over it (RFC 5425).

use crate::tls;
use anyhow::{Context, Result, bail};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The time for a connection, a write, and the end of a connection.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });
/// How long a link is quiet before it ends in order: what was written before has arrived, or was refused.
const QUIET: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 1_000 });

/// Where messages go.
#[derive(Debug)]
pub(super) struct Server {
    /// A name or address, and a port.
    address: String,
    /// The settings of TLS, and the name in the server's certificate; `None` for plain TCP.
    tls: Option<(Arc<ClientConfig>, rustls::pki_types::ServerName<'static>)>,
}

impl Server {
    /// # Errors
    /// The files of TLS cannot be read, or do not fit.
    pub(super) fn new(address: &str, tls: Option<&tls::Files>) -> Result<Self> {
        let tls = match tls {
            None => None,
            Some(files) => {
                let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
                let host = host.trim_start_matches('[').trim_end_matches(']');
                let name = files.name.as_deref().unwrap_or(host).to_owned();
                Some((Arc::new(tls::config(files)?), name.try_into().context("the name of the server")?))
            }
        };
        Ok(Self { address: address.to_owned(), tls })
    }

    /// Connects.
    ///
    /// # Errors
    /// There is nobody, or it cannot prove who it is.
    pub(super) fn connect(&self) -> Result<Link> {
        let mut last = None;
        for address in self.address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(socket) => return self.begin(socket),
                Err(error) => last = Some(error),
            }
        }
        Err(last.map_or_else(|| anyhow::anyhow!("the name has no address"), Into::into))
    }

    fn begin(&self, socket: TcpStream) -> Result<Link> {
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let Some((config, name)) = &self.tls else { return Ok(Link::Plain(socket)) };
        let connection = ClientConnection::new(Arc::clone(config), name.clone())?;
        let mut stream = StreamOwned::new(connection, socket);
        // The server's certificate is checked before anything is sent.
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Link::Tls(Box::new(stream)))
    }
}

/// A connection.
#[derive(Debug)]
pub(super) enum Link {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Link {
    /// Writes frames.
    ///
    /// # Errors
    /// The link is broken. How much the server has is not known.
    pub(super) fn write(&mut self, frames: &[u8]) -> Result<()> {
        match self {
            Self::Plain(socket) => socket.write_all(frames)?,
            Self::Tls(stream) => {
                stream.write_all(frames)?;
                stream.flush()?;
            }
        }
        Ok(())
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.sock,
        }
    }

    /// Waits until the server has closed its side, for at most so long. Returns whether it has.
    fn is_closed_within(&mut self, time: Duration) -> Result<bool> {
        let until = Instant::now() + time;
        let mut bytes = [0; 256];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            self.socket().set_read_timeout(Some(left))?;
            let read = match self {
                Self::Plain(socket) => socket.read(&mut bytes),
                Self::Tls(stream) => stream.read(&mut bytes),
            };
            match read {
                Ok(0) => return Ok(true),
                // A syslog server has nothing to say.
                Ok(_) => {}
                // rsyslog closes without the alert of TLS.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(true),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Returns whether the server still listens.
    pub(super) fn check(&mut self) -> Result<()> {
        if self.is_closed_within(Duration::from_millis(1))? {
            bail!("the server closed the connection")
        } else {
            Ok(())
        }
    }

    /// Ends the link, so that the server is known to have read everything.
    ///
    /// Syslog has no acknowledgement. But a server that reads the end of the stream has read all before it, and then closes its side; if
    /// it ends for another reason before it has read everything, the kernel resets the connection. A server that closed before the end
    /// was sent is told apart because the link was quiet for a second.
    ///
    /// # Errors
    /// How much the server has is not known.
    pub(super) fn finish(mut self) -> Result<()> {
        if self.is_closed_within(QUIET)? {
            bail!("the server closed the connection");
        }
        if let Self::Tls(stream) = &mut self {
            stream.conn.send_close_notify();
            stream.flush()?;
        }
        self.socket().shutdown(Shutdown::Write)?;
        if self.is_closed_within(PATIENCE)? { Ok(()) } else { bail!("the server does not close the connection") }
    }
}

#[cfg(test)]
mod tests;
