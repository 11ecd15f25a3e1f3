//! Reports about the progress of a build.

use std::cell::RefCell;

/// An event of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A line.
    Line(&'a str),
    /// The progress of a long step in bytes.
    Bytes {
        /// The step.
        what: &'a str,
        /// Bytes so far.
        done: u64,
        /// Bytes in total; 0 if that is unknown.
        total: u64,
    },
    /// The end of a long step.
    End,
}

/// A receiver of events.
pub trait Tell {
    /// Receives an event.
    fn tell(&self, event: Event<'_>);
}

impl<F: FnMut(Event<'_>) + ?Sized> Tell for RefCell<&mut F> {
    fn tell(&self, event: Event<'_>) {
        (self.borrow_mut())(event);
    }
}

/// Ignores events.
impl Tell for () {
    fn tell(&self, _: Event<'_>) {}
}

/// Sends events to a receiver.
#[derive(Clone, Copy)]
pub struct Progress<'a>(&'a dyn Tell);

impl<'a> Progress<'a> {
    /// Returns a sender to `who`.
    pub fn new(who: &'a dyn Tell) -> Self {
        Self(who)
    }

    /// Sends a line.
    pub fn say(&self, line: &str) {
        self.0.tell(Event::Line(line));
    }

    /// Sends the progress of a long step.
    pub fn bytes(&self, what: &str, done: u64, total: u64) {
        self.0.tell(Event::Bytes { what, done, total });
    }

    /// Sends the end of a long step.
    pub fn end(&self) {
        self.0.tell(Event::End);
    }
}
