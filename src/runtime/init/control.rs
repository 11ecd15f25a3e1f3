//! The control socket and its connections. `requests.rs` executes the requests.
//!
//! It is a path socket with mode 0600, not an abstract one (CVE-2020-15257), and accepts only clients with PID 1's own
//! uid. If there are too many connections, the oldest one is closed.
//!
//! A workload with a `control` line has a socket of its own in its /run, with the same mode, for its user. What a
//! connection may request is decided by the socket it came by, not by the process that uses it; it ends with the run of
//! the workload. These connections have places of their own, so that a workload cannot close those of the operator.

use super::client::{Client, ClientState, Response, done, failed};
use super::context::Context;
use super::requests::Requests;
use super::token::Token;
use crate::os::clock::monotonic_ms;
use crate::os::path::{listen_at, socket};
use crate::os::turn::LINES;
use hilum::config::{Config, WorkloadSet};
use hilum::wire::{Command, MESSAGE_BYTES, Malformed, Reply, Request};
use rustix::event::epoll::EventFlags;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{SocketFlags, SocketType, accept_with};

/// The maximum number of connections by the control socket of PID 1. As many more come by those of workloads.
const OWN: usize = 8;
const CLIENTS: usize = 2 * OWN;
/// Stands for the slot of a connection by the socket of PID 1.
const NO_SLOT: usize = usize::MAX;
/// Milliseconds without new connections after PID 1 ran out of descriptors.
const PAUSE_MS: u64 = 1_000;
/// Maximum bytes of a line that is sent.
const LINE_BYTES: usize = hilum::log::LINE_BYTES + 2 * hilum::log::MARK.len();
/// The exit status of `exec` if the program could not be run.
const STATUS_NOT_ENTERED: u8 = 125;

/// The socket and its connections.
pub(super) struct Control {
    listener: Option<OwnedFd>,
    /// Whether the loop waits for connections.
    is_watched: bool,
    clients: [Option<Client>; CLIENTS],
    /// Until when new connections are left pending because of a lack of descriptors; 0 if they are not.
    paused_until: u64,
    count: u32,
    /// The uid of this process.
    user: u32,
}

impl Control {
    /// Creates the service without a socket.
    pub(super) const fn closed() -> Self {
        Self {
            listener: None,
            is_watched: false,
            clients: [const { None }; CLIENTS],
            paused_until: 0,
            count: 0,
            user: u32::MAX,
        }
    }

    /// Opens the socket if the configuration wants one.
    ///
    /// # Errors
    /// Those of socket(2), bind(2) and listen(2).
    pub(super) fn open(&mut self, cx: &Context) -> Result<(), Errno> {
        self.user = rustix::process::geteuid().as_raw();
        if let Some(path) = cx.control_socket() {
            let listener = socket(SocketType::SEQPACKET)?;
            listen_at(listener.as_fd(), path)?;
            self.listener = Some(listener);
        }
        Ok(())
    }

    /// Watches for connections, unless descriptors are short: the loop would never sleep.
    pub(super) fn register(&mut self, cx: &Context) {
        if self.paused_until <= cx.now() {
            self.paused_until = 0;
        }
        let wanted = self.paused_until == 0;
        let Some(listener) = self.listener.as_ref().filter(|_| wanted != self.is_watched) else { return };
        if wanted {
            self.is_watched = cx.events.watch(listener.as_fd(), Token::Control).is_ok();
        } else {
            cx.events.forget(listener.as_fd());
            self.is_watched = false;
        }
    }

    /// Returns when [`Self::register`] must be called.
    pub(super) fn deadline(&self) -> Option<u64> {
        (self.paused_until > 0).then_some(self.paused_until)
    }

    /// Handles an event of the socket, or of a connection.
    pub(super) fn handle(&mut self, token: Token, requests: &mut Requests<'_>) {
        match token {
            Token::Control => self.accept(NO_SLOT, requests),
            Token::Request(slot) => self.accept(slot, requests),
            Token::Client(place) => self.read_client(place, requests),
            _ => {}
        }
    }

    /// Continues with every waiting connection.
    pub(super) fn tick(&mut self, requests: &mut Requests<'_>) {
        for place in 0..CLIENTS {
            let Some(client) = &mut self.clients[place] else { continue };
            if requests.right_of(client).is_none() {
                self.hang_up(place, requests.cx);
                continue;
            }
            match &mut client.state {
                ClientState::New => {}
                ClientState::Reloading if requests.reload.is_pending() => {}
                ClientState::Reloading => self.give(place, done(), requests.cx),
                ClientState::Waiting { slot: None, .. } | ClientState::Lines { slot: None, .. } => {
                    let gone = failed(format_args!("no longer in the configuration"));
                    self.give(place, gone, requests.cx);
                }
                ClientState::Waiting { slot: Some(slot), ask } => {
                    let (slot, ask) = (*slot, *ask);
                    if let Some(response) = requests.outcome_of(slot, ask) {
                        self.give(place, response, requests.cx);
                    }
                }
                ClientState::Lines { .. } if client.is_full => {}
                ClientState::Lines { .. } => self.send_lines(place, requests),
            }
        }
    }

    /// Handles a new configuration. A client that follows a workload that was removed or changed is told of its end; a
    /// client that waits for a changed workload continues to wait.
    pub(super) fn adopt(&mut self, old: &Config<'_>, new: &Config<'_>, kept: WorkloadSet) {
        let is_same = |slot: usize| match (old.index_of(slot), new.index_of(slot)) {
            (Some(before), Some(after)) => old.workload(before).name == new.workload(after).name,
            _ => false,
        };
        for client in self.clients.iter_mut().flatten() {
            match &mut client.state {
                ClientState::Lines { slot, .. } => *slot = slot.filter(|slot| kept.contains(*slot)),
                ClientState::Waiting { slot, .. } => *slot = slot.filter(|slot| is_same(*slot)),
                ClientState::New | ClientState::Reloading => {}
            }
        }
    }

    /// Accepts one connection by the socket of PID 1, or of the workload in a slot; if more are pending, the loop takes
    /// another turn.
    fn accept(&mut self, slot: usize, requests: &mut Requests<'_>) {
        let (listener, run) = match requests.workloads.control_socket(slot) {
            Some((socket, pid)) => (socket, Some(pid)),
            None => match self.listener.as_ref().filter(|_| slot == NO_SLOT) {
                Some(socket) => (socket, None),
                None => return,
            },
        };
        let socket = match accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(socket) => socket,
            Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                self.paused_until = monotonic_ms() + PAUSE_MS;
                return;
            }
            Err(_) => return,
        };
        if run.is_some() {
            requests.cx.events.rearm(listener.as_fd(), Token::Request(slot));
        }
        self.paused_until = 0;
        // In a workload, the mode of the socket decides.
        let is_own = run.is_some() || hilum_sys::peer_user(socket.as_fd()) == Ok(self.user);
        self.count = self.count.wrapping_add(1);
        let client = Client { socket, state: ClientState::New, is_full: false, slot, run, number: self.count };
        if !is_own {
            client.send(&Reply::Done(1, "only the user that hilum runs as may send commands"));
            return;
        }
        let place = self.place_for(slot);
        self.hang_up(place, requests.cx);
        if requests.cx.events.watch(client.socket.as_fd(), Token::Client(place)).is_ok() {
            self.clients[place] = Some(client);
        }
    }

    /// Returns the place of a new connection: a free one, or that of the oldest connection of the source with the most
    /// of them, this one included.
    fn place_for(&self, slot: usize) -> usize {
        let (mut found, mut most) = (0, 0);
        let first = if slot == NO_SLOT { 0 } else { OWN };
        for place in first..first + OWN {
            let Some(client) = &self.clients[place] else { return place };
            let count = self.clients.iter().flatten().filter(|other| other.slot == client.slot).count() as u64;
            let age = u64::from(self.count.wrapping_sub(client.number));
            let rank = (count + u64::from(client.slot == slot)) << 32 | age;
            if rank > most {
                (found, most) = (place, rank);
            }
        }
        found
    }

    /// Handles an event of a connection: a message, free space in its buffer, or its end.
    fn read_client(&mut self, place: usize, requests: &mut Requests<'_>) {
        let Some(client) = &mut self.clients[place] else { return };
        client.is_full = false;
        let Some(right) = requests.right_of(client) else { return self.hang_up(place, requests.cx) };
        let mut buffer = [0; MESSAGE_BYTES];
        let received = client.receive(&mut buffer);
        let is_new = matches!(client.state, ClientState::New);
        match received {
            Ok(None) => {}
            // Each connection may send only one request.
            Ok(Some(_)) if !is_new => self.hang_up(place, requests.cx),
            Ok(Some((length, descriptors))) => {
                let response = match Request::read(&buffer[..length]) {
                    Ok(request) => match (requests.answer(client, right, &request, &descriptors), request.command) {
                        (Response::Done(_, why), Command::Exec) => Response::Done(STATUS_NOT_ENTERED, why),
                        (response, _) => response,
                    },
                    Err(malformed) => failed(format_args!("{}", malformed.text())),
                };
                self.give(place, response, requests.cx);
            }
            Err(Errno::MSGSIZE) => {
                self.give(place, failed(format_args!("{}", Malformed::Long.text())), requests.cx);
            }
            Err(_) => self.hang_up(place, requests.cx),
        }
    }

    fn give(&mut self, place: usize, response: Response, cx: &Context) {
        let Some(client) = &mut self.clients[place] else { return };
        match response {
            Response::Pending(state) => client.state = state,
            Response::Done(status, text) => {
                client.send(&Reply::Done(status, &text));
                self.hang_up(place, cx);
            }
            Response::Delegated => self.hang_up(place, cx),
        }
    }

    fn hang_up(&mut self, place: usize, cx: &Context) {
        if let Some(client) = self.clients[place].take() {
            cx.events.forget(client.socket.as_fd());
        }
    }

    fn send_lines(&mut self, place: usize, requests: &mut Requests<'_>) {
        let Some(client) = &mut self.clients[place] else { return };
        let ClientState::Lines { slot: Some(slot), ref mut cursor, is_following } = client.state else { return };
        let mut line = [0; LINE_BYTES];
        let mut left = LINES;
        let mut is_full = false;
        loop {
            if left == 0 {
                return requests.cx.events.come_back();
            }
            left -= 1;
            let before = *cursor;
            let Some(entry) = requests.workloads.logs.read(slot, cursor, &mut line) else { break };
            let reply = Reply::Line(entry.number, entry.ms, &line[..entry.length]);
            if !super::client::send(client.socket.as_fd(), &reply) {
                // It is tried again after the client has read; a closed connection is handled by its own event.
                *cursor = before;
                is_full = true;
                break;
            }
        }
        client.is_full = is_full;
        let wanted = EventFlags::RDHUP | if is_full { EventFlags::OUT } else { EventFlags::IN };
        requests.cx.events.watch_for(client.socket.as_fd(), Token::Client(place), wanted);
        if !is_following && !is_full {
            self.give(place, done(), requests.cx);
        }
    }
}
