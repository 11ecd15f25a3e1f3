//! What PID 1 waits on: one epoll(7) set, which descriptors enter, and leave before they are closed.

use super::token::Token;
use crate::os::clock::monotonic_ms;
use crate::os::wait::timespec_from_ms;
use hilum_sys::{SignalFd, SignalInfo, SignalSet};
use rustix::event::epoll::{self, Event, EventFlags};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;

/// The events of one turn.
pub(super) const EVENTS: usize = 16;

/// The set and the time of the turn.
pub(super) struct EventLoop {
    epoll: OwnedFd,
    signals: SignalFd,
    /// Read once a turn: a clock that is read costs a system call.
    now: u64,
    /// Whether something has had its share of this turn and goes on in the next one (`os/turn.rs`).
    is_unfinished: bool,
}

impl EventLoop {
    /// Makes the set, with the signals in it.
    ///
    /// # Errors
    /// Those of epoll_create1(2) and signalfd(2).
    pub(super) fn open() -> Result<Self, Errno> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let signals = SignalFd::open(SignalSet::ALL)?;
        epoll::add(&epoll, signals.fd(), Token::Signals.data(), EventFlags::IN)?;
        Ok(Self { epoll, signals, now: monotonic_ms(), is_unfinished: false })
    }

    /// Waits for events for at most `sleep_ms` milliseconds, and begins a turn. Returns how many there are.
    pub(super) fn wait(&mut self, sleep_ms: u64, events: &mut [Event; EVENTS]) -> usize {
        // An interrupted or failed wait is a turn without events: the next turn looks at everything again.
        let count = epoll::wait(&self.epoll, &mut events[..], Some(&timespec_from_ms(sleep_ms))).unwrap_or(0);
        self.now = monotonic_ms();
        count
    }

    /// Whether something is there to be handled: a test's loop would not sleep.
    #[cfg(test)]
    pub(super) fn has_events(&self) -> bool {
        // epoll_wait(2) would take an edge away.
        let mut fds = [rustix::event::PollFd::new(&self.epoll, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut fds, Some(&timespec_from_ms(0))) == Ok(1)
    }

    /// Returns the millisecond in which this turn began.
    pub(super) fn now(&self) -> u64 {
        self.now
    }

    /// Returns the next signal to PID 1; `None` if there is none now.
    pub(super) fn next_signal(&self) -> Option<SignalInfo> {
        self.signals.next()
    }

    /// Waits for a descriptor from now on.
    ///
    /// # Errors
    /// Those of epoll_ctl(2).
    pub(super) fn watch(&self, fd: BorrowedFd<'_>, token: Token) -> Result<(), Errno> {
        epoll::add(&self.epoll, fd, token.data(), token.interest())
    }

    /// Waits for something else on a descriptor of the set.
    pub(super) fn watch_for(&self, fd: BorrowedFd<'_>, token: Token, interest: EventFlags) {
        let _ = epoll::modify(&self.epoll, fd, token.data(), interest);
    }

    /// Has the next turn report what is left on a descriptor that is reported once: the kernel looks at it again
    /// (EPOLL_CTL_MOD, epoll_ctl(2)).
    pub(super) fn rearm(&self, fd: BorrowedFd<'_>, token: Token) {
        self.watch_for(fd, token, token.interest());
    }

    /// Waits for it no longer. To be called before it is closed: a process that is being set up, or the helper that does it,
    /// may hold it as well, and it would stay in the set as long (epoll(7), the sixth question).
    pub(super) fn forget(&self, fd: BorrowedFd<'_>) {
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Has the next turn begin at once: something has had its share of this one.
    pub(super) fn come_back(&mut self) {
        self.is_unfinished = true;
    }

    /// Whether the next turn begins at once.
    pub(super) fn is_unfinished(&self) -> bool {
        self.is_unfinished
    }

    /// What had its share gets the next one now.
    pub(super) fn begin_share(&mut self) {
        self.is_unfinished = false;
    }
}
