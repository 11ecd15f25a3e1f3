//! The epoll(7) set. Descriptors must be removed from it before they are closed.

use super::token::Token;
use crate::os::clock::monotonic_ms;
use crate::os::wait::timespec_from_ms;
use hilum_sys::{SignalFd, SignalInfo, SignalSet};
use rustix::event::epoll::{self, Event, EventFlags};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;

/// The maximum number of events of a turn.
pub(super) const EVENTS: usize = 16;

/// The epoll set, and the time of the turn.
pub(super) struct EventLoop {
    epoll: OwnedFd,
    signals: SignalFd,
    /// Read once per turn, because reading the clock costs a system call.
    now: u64,
    /// Whether something used up its share of this turn and continues in the next one (`os/turn.rs`).
    is_unfinished: bool,
}

impl EventLoop {
    /// Creates the set, with a signalfd in it.
    ///
    /// # Errors
    /// Those of epoll_create1(2) and signalfd(2).
    pub(super) fn open() -> Result<Self, Errno> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let signals = SignalFd::open(SignalSet::ALL)?;
        epoll::add(&epoll, signals.fd(), Token::Signals.data(), EventFlags::IN)?;
        Ok(Self { epoll, signals, now: monotonic_ms(), is_unfinished: false })
    }

    /// Waits for events for at most `sleep_ms` milliseconds, and starts a turn. Returns the number of events.
    pub(super) fn wait(&mut self, sleep_ms: u64, events: &mut [Event; EVENTS]) -> usize {
        // An interrupted or failed wait is a turn without events: the next turn checks everything again.
        let count = epoll::wait(&self.epoll, &mut events[..], Some(&timespec_from_ms(sleep_ms))).unwrap_or(0);
        self.now = monotonic_ms();
        count
    }

    /// Returns whether an event is pending: a test's loop would not sleep.
    #[cfg(test)]
    pub(super) fn has_events(&self) -> bool {
        // epoll_wait(2) would consume an edge.
        let mut fds = [rustix::event::PollFd::new(&self.epoll, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut fds, Some(&timespec_from_ms(0))) == Ok(1)
    }

    /// Returns the time at the start of this turn in milliseconds.
    pub(super) fn now(&self) -> u64 {
        self.now
    }

    /// Returns the next signal to PID 1, or `None`.
    pub(super) fn next_signal(&self) -> Option<SignalInfo> {
        self.signals.next()
    }

    /// Adds a descriptor to the set.
    ///
    /// # Errors
    /// Those of epoll_ctl(2).
    pub(super) fn watch(&self, fd: BorrowedFd<'_>, token: Token) -> Result<(), Errno> {
        epoll::add(&self.epoll, fd, token.data(), token.interest())
    }

    /// Changes the events of a descriptor in the set.
    pub(super) fn watch_for(&self, fd: BorrowedFd<'_>, token: Token, interest: EventFlags) {
        let _ = epoll::modify(&self.epoll, fd, token.data(), interest);
    }

    /// Reports remaining data of an edge-triggered descriptor in the next turn: the kernel checks it again
    /// (EPOLL_CTL_MOD, epoll_ctl(2)).
    pub(super) fn rearm(&self, fd: BorrowedFd<'_>, token: Token) {
        self.watch_for(fd, token, token.interest());
    }

    /// Removes a descriptor from the set. This must happen before it is closed: a process in set-up, or its helper, may
    /// hold a copy, which would keep it in the set (epoll(7), question 6).
    pub(super) fn forget(&self, fd: BorrowedFd<'_>) {
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Starts the next turn at once, because something used up its share of this one.
    pub(super) fn come_back(&mut self) {
        self.is_unfinished = true;
    }

    /// Returns whether the next turn starts at once.
    pub(super) fn is_unfinished(&self) -> bool {
        self.is_unfinished
    }

    /// Starts a new share.
    pub(super) fn begin_share(&mut self) {
        self.is_unfinished = false;
    }
}
