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

    /// Brings the events into the order of another configuration: `old[new]` is where each workload was before. What
    /// happened to one that is gone is forgotten.
    pub(super) fn adopt(&mut self, old: &[Option<usize>]) {
        let mut kept = 0;
        for at in 0..self.count {
            let (us, moment) = self.events[at];
            let moment = match moment.words().1 {
                None => Some(moment),
                Some(index) => {
                    let new = old.iter().position(|old| *old == Some(index.into()));
                    new.map(|new| moment.of(new as u8))
                }
            };
            if let Some(moment) = moment {
                self.events[kept] = (us, moment);
                kept += 1;
            }
        }
        self.count = kept;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, Moment)> {
        self.events[..self.count].iter().copied()
    }
}

impl Moment {
    /// The same of another workload.
    const fn of(self, index: u8) -> Self {
        match self {
            Self::Start(_) => Self::Start(index),
            Self::Executed(_) => Self::Executed(index),
            Self::Ready(_) => Self::Ready(index),
            Self::Ended(_) => Self::Ended(index),
            other => other,
        }
    }

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
