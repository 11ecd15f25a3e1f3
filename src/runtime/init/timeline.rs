//! Events with their time in microseconds since the kernel's start, for `hilum timeline`.

use crate::os::clock::boottime_us;
use hilum::config::{WorkloadSet, limits};
use hilum_sys::TakeCell;

/// The number of events that are kept: the first ones, which are those of the boot, and four for each workload. Unused
/// entries take no memory.
const COUNT: usize = 64 + 4 * limits::WORKLOADS;

/// An event.
#[derive(Clone, Copy)]
pub(super) enum Moment {
    /// The start of the clock.
    Kernel,
    /// /init was entered.
    Entered,
    /// The kernel's filesystems are mounted.
    Prepared,
    /// The configuration is read.
    Configured,
    /// Console, watchdog and cgroups are ready; boot tasks and workloads start.
    Arranged,
    /// Modules are loaded, and bridges and rules exist.
    NetworkReady,
    /// The board's disks are mounted, or cannot be mounted.
    DisksReady,
    /// The process of the workload in this slot is created.
    Start(u8),
    /// Its program was executed.
    Executed(u8),
    /// It is ready.
    Ready(u8),
    /// It exited.
    Ended(u8),
}

static EVENTS: TakeCell<[(u64, Moment); COUNT]> = TakeCell::new([(0, Moment::Kernel); COUNT]);

/// The recorded events.
pub(super) struct Timeline {
    events: &'static mut [(u64, Moment)],
    count: usize,
}

impl Timeline {
    /// Creates a timeline with the kernel's start, at 0.
    pub(super) fn new() -> Self {
        let events = EVENTS.take().map_or(&mut [][..], |events| &mut events[..]);
        Self { count: events.len().min(1), events }
    }

    /// Records an event that happens now.
    pub(super) fn note(&mut self, moment: Moment) {
        self.note_at(moment, boottime_us());
    }

    /// Records an event at this microsecond, in chronological order even if it is reported late.
    pub(super) fn note_at(&mut self, moment: Moment, us: u64) {
        if self.count >= self.events.len() {
            return;
        }
        let later = self.events[..self.count].iter().rev().take_while(|(at, _)| *at > us).count();
        let place = self.count - later;
        self.events.copy_within(place..self.count, place + 1);
        self.events[place] = (us, moment);
        self.count += 1;
    }

    /// Removes the events of workloads whose slots are not in `slots`.
    pub(super) fn keep(&mut self, slots: WorkloadSet) {
        let mut kept = 0;
        for at in 0..self.count {
            let event = self.events[at];
            if event.1.words().1.is_none_or(|slot| slots.contains(slot.into())) {
                self.events[kept] = event;
                kept += 1;
            }
        }
        self.count = kept;
    }

    /// Returns the time of the first event after the kernel's start: /init was entered.
    pub(super) fn entered_us(&self) -> Option<u64> {
        self.events.get(1).map(|(us, _)| *us)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, Moment)> {
        self.events.iter().take(self.count).copied()
    }
}

impl Moment {
    /// Returns the event's text, and the slot of the workload.
    pub(super) const fn words(self) -> (&'static str, Option<u8>) {
        match self {
            Self::Kernel => ("kernel started", None),
            Self::Entered => ("hilum entered", None),
            Self::Prepared => ("filesystems mounted", None),
            Self::Configured => ("configuration read", None),
            Self::Arranged => ("board arranged", None),
            Self::NetworkReady => ("modules ready", None),
            Self::DisksReady => ("disks ready", None),
            Self::Start(slot) => ("start", Some(slot)),
            Self::Executed(slot) => ("program executed", Some(slot)),
            Self::Ready(slot) => ("ready", Some(slot)),
            Self::Ended(slot) => ("ended", Some(slot)),
        }
    }
}

#[cfg(test)]
mod tests;
