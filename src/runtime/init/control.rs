//! The control socket: connections, and the messages on them. What is asked for is done in `requests.rs`.
//!
//! A path socket with mode 0600; only this process's own user is listened to (CVE-2020-15257: no abstract socket). A
//! connection is never waited for: one that does not read loses its answers, and when there are too many the oldest goes.

use super::machine::Kind;
use core::mem::MaybeUninit;
use heapless::{String, Vec};
use hilum::config::{Config, Control as Wanted};
use hilum::log::Cursor;
use hilum::supervise::WorkloadRequest;
use hilum::wire::{MESSAGE_BYTES, Reply};
use hilum_sys::monotonic_ms;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, IoSliceMut};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, accept_with, bind, listen, recvmsg, send, socket_with,
};

/// Connections at a time.
pub(super) const CLIENTS: usize = 8;
/// Milliseconds without new connections after the board ran out of descriptors.
const PAUSE_MS: u64 = 1_000;
/// Where the socket is on a machine.
pub(crate) const USUAL: &str = "/run/hilum.sock";

/// Descriptors that come with a request.
pub(super) type Descriptors = Vec<OwnedFd, 3>;

/// The text of an answer: two names of workloads, one of them twice, and a sentence.
pub(super) type Text = String<192>;

/// What a connection is about.
pub(super) enum Doing {
    /// It has not asked yet.
    Nothing,
    /// It gets lines of the workload with this index.
    Lines { index: usize, cursor: Cursor, is_following: bool },
    /// It hears when another configuration is taken over.
    Reloading,
    /// It hears when what it asked for is done.
    Waiting { index: usize, ask: WorkloadRequest },
}

/// One connection.
pub(super) struct Client {
    pub(super) socket: OwnedFd,
    pub(super) doing: Doing,
    /// Whether its buffer was full: then it waits until it has read.
    pub(super) is_full: bool,
    born: u32,
}

/// Where the socket is; none where the configuration wants none, or in a container says nothing.
pub(super) fn path<'a>(config: &'a Config<'_>, kind: Kind) -> Option<&'a str> {
    match config.system.control {
        Wanted::At(path) => Some(path),
        Wanted::Usual if kind == Kind::Machine => Some(USUAL),
        _ => None,
    }
}

/// The socket and its connections.
pub(super) struct Control {
    listener: Option<OwnedFd>,
    pub(super) clients: [Option<Client>; CLIENTS],
    paused_until: u64,
    count: u32,
    /// The user of this process.
    user: u32,
}

impl Control {
    /// No socket.
    pub(super) const fn closed() -> Self {
        Self { listener: None, clients: [const { None }; CLIENTS], paused_until: 0, count: 0, user: u32::MAX }
    }

    /// Opens the socket, where there is a path for it.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn open(&mut self, path: Option<&str>) -> Result<(), Errno> {
        self.user = rustix::process::geteuid().as_raw();
        self.listener = path.map(open).transpose()?;
        Ok(())
    }

    /// Whom to wait for connections on; nobody while there are no descriptors for them.
    pub(super) fn listener(&self) -> Option<BorrowedFd<'_>> {
        self.listener.as_ref().map(AsFd::as_fd)
    }

    /// Whether connections are left waiting at `now`.
    pub(super) fn is_paused(&mut self, now: u64) -> bool {
        if self.paused_until <= now {
            self.paused_until = 0;
        }
        self.paused_until > 0
    }

    /// When connections are taken in again, where there were no descriptors for them.
    pub(super) fn resumes_at(&self) -> Option<u64> {
        (self.paused_until > 0).then_some(self.paused_until)
    }

    /// Takes a connection in; gives its place and the one that had it before, and none when there is none left to take. One
    /// that is not listened to gets no place.
    pub(super) fn accept(&mut self) -> Option<(usize, Option<Client>)> {
        let listener = self.listener.as_ref()?;
        let socket = match accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(socket) => socket,
            Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                self.paused_until = monotonic_ms() + PAUSE_MS;
                return None;
            }
            Err(_) => return None,
        };
        self.paused_until = 0;
        let is_own = hilum_sys::peer_user(socket.as_fd()) == Ok(self.user);
        self.count = self.count.wrapping_add(1);
        let client = Client { socket, doing: Doing::Nothing, is_full: false, born: self.count };
        if !is_own {
            client.send(&Reply::Done(1, "only the user that hilum runs as is listened to"));
            return None;
        }
        let free = self.clients.iter().position(Option::is_none);
        let age =
            |index: &usize| self.clients[*index].as_ref().map_or(0, |client| self.count.wrapping_sub(client.born));
        let place = free.or_else(|| (0..CLIENTS).max_by_key(age)).unwrap_or(0);
        Some((place, self.clients[place].replace(client)))
    }
}

impl Client {
    /// Sends a message; false where it was not taken, because the other side is gone or does not read.
    pub(super) fn send(&self, reply: &Reply<'_>) -> bool {
        let Ok(message) = reply.message() else { return true };
        send(&self.socket, &message, SendFlags::NOSIGNAL | SendFlags::DONTWAIT).is_ok()
    }

    /// Receives a request into `buffer`, with the descriptors that come with it. None where there is none yet.
    ///
    /// # Errors
    /// The other side is gone, or sent an empty message; EMSGSIZE for one that is too long.
    pub(super) fn receive(&self, buffer: &mut [u8; MESSAGE_BYTES]) -> Result<Option<(usize, Descriptors)>, Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let message = match recvmsg(&self.socket, &mut [IoSliceMut::new(buffer)], &mut control, flags) {
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            result => result?,
        };
        let mut descriptors = Descriptors::new();
        for part in control.drain() {
            if let RecvAncillaryMessage::ScmRights(sent) = part {
                // What does not fit is closed.
                sent.for_each(|descriptor| drop(descriptors.push(descriptor)));
            }
        }
        if message.flags.contains(ReturnFlags::TRUNC) {
            return Err(Errno::MSGSIZE);
        }
        if message.bytes == 0 { Err(Errno::PIPE) } else { Ok(Some((message.bytes, descriptors))) }
    }
}

fn open(path: &str) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    // What is left of an earlier one is nobody's: there is one process 1.
    let _ = rustix::fs::unlink(crate::path::Path(path));
    // The umask of this process is 0; the mode of the socket's file is that of its inode at bind.
    rustix::fs::fchmod(&socket, rustix::fs::Mode::from_raw_mode(0o600))?;
    bind(&socket, &SocketAddrUnix::new(crate::path::Path(path))?)?;
    listen(&socket, 16)?;
    Ok(socket)
}
