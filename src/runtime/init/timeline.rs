//! What happened and when, in microseconds since the kernel's start: for `hilum timeline`.

use hilum_sys::boottime_us;

/// Events that are kept: the first ones, which are the boot.
const EVENTS: usize = 128;

/// What happened.
#[derive(Clone, Copy)]
pub(super) enum Moment {
    /// /init was entered.
    Entered,
    /// The kernel's filesystems are mounted.
    Prepared,
    /// The configuration is read.
    Configured,
    /// Modules are loaded, links and groups are there.
    Arranged,
    /// The workload with this index gets a process.
    Start(u8),
    /// Its program was executed.
    Executed(u8),
    /// It is ready.
    Ready(u8),
    /// It ended.
    Ended(u8),
}

/// The events so far.
pub(super) struct Timeline {
    events: [(u64, Moment); EVENTS],
    count: usize,
}

impl Timeline {
    pub(super) const fn new() -> Self {
        Self { events: [(0, Moment::Entered); EVENTS], count: 0 }
    }

    /// Notes that something happens now.
    pub(super) fn note(&mut self, moment: Moment) {
        self.note_at(moment, boottime_us());
    }

    /// Notes that something happened at this microsecond.
    pub(super) fn note_at(&mut self, moment: Moment, us: u64) {
        if let Some(place) = self.events.get_mut(self.count) {
            *place = (us, moment);
            self.count += 1;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, Moment)> {
        self.events[..self.count].iter().copied()
    }
}

impl Moment {
    /// What it is about, and of which workload.
    pub(super) const fn words(self) -> (&'static str, Option<u8>) {
        match self {
            Self::Entered => ("hilum entered", None),
            Self::Prepared => ("filesystems mounted", None),
            Self::Configured => ("configuration read", None),
            Self::Arranged => ("board arranged", None),
            Self::Start(index) => ("start", Some(index)),
            Self::Executed(index) => ("program executed", Some(index)),
            Self::Ready(index) => ("ready", Some(index)),
            Self::Ended(index) => ("ended", Some(index)),
        }
    }
}
