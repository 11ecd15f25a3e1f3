//! What the event loop waits on: descriptors come into its epoll set, and leave it before they are closed.

use super::board::Board;
use super::source::Source;
use rustix::event::epoll::{self, EventFlags};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;

impl Board {
    /// Waits for the console while lines wait for it, and only then: a terminal that is ready would never let the loop
    /// sleep.
    pub(super) fn watch_console(&mut self) {
        let wanted = self.console.has_waiting() && self.quiet_until.is_none();
        let has_changed = self.console.has_changed();
        if let Some(watched) = self.watched_console.take_if(|_| has_changed || !wanted) {
            let _ = epoll::delete(&self.epoll, &watched);
        }
        if wanted && self.watched_console.is_none() {
            // A descriptor of its own: what the console writes to may be another one when it is taken out of the set.
            let watched = self.console.fd().try_clone_to_owned();
            // What cannot be waited for (a plain file) is never slow either.
            self.watched_console = watched
                .ok()
                .filter(|fd| epoll::add(&self.epoll, fd, Source::Console.data(), Source::Console.interest()).is_ok());
        }
    }

    /// Waits for connections, but not while there are no descriptors for them: the loop would never sleep.
    pub(super) fn watch_control(&mut self, now: u64) {
        let wanted = !self.control.is_paused(now);
        let Some(listener) = self.control.listener() else { return };
        if wanted != self.waits_for_control {
            let changed = match wanted {
                true => epoll::add(&self.epoll, listener, Source::Control.data(), EventFlags::IN),
                false => epoll::delete(&self.epoll, listener),
            };
            self.waits_for_control = wanted && changed.is_ok();
        }
    }

    /// Has the loop wait for a descriptor.
    pub(super) fn watch(&self, fd: BorrowedFd<'_>, source: Source) -> Result<(), Errno> {
        epoll::add(&self.epoll, fd, source.data(), source.interest())
    }

    /// Has the loop hear in its next turn of what is left on a descriptor that is told of once: the kernel looks at it again
    /// (EPOLL_CTL_MOD, epoll_ctl(2)).
    pub(super) fn rearm(&self, fd: BorrowedFd<'_>, source: Source) {
        let _ = epoll::modify(&self.epoll, fd, source.data(), source.interest());
    }

    /// Has the loop wait for it no longer. To be done before it is closed: a child that is being set up, or the copy that
    /// does it, may hold it as well, and it would stay in the set as long (epoll(7), the sixth question).
    pub(super) fn forget(&self, fd: BorrowedFd<'_>) {
        let _ = epoll::delete(&self.epoll, fd);
    }
}
