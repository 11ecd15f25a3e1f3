//! Output of workloads: split into lines, rate-limited, kept in a ring per workload, shown on the console.

use crate::console::Console;
use hilum::config::{Config, Workload, WorkloadSet, limits::WORKLOADS};
use hilum::log::{Cursor, Entry, LINE_BYTES, LineBuffer, MARK, Passes, Rate, Ring, remedy};
use hilum::text::Text;

/// Bytes of a workload's ring: about two hundred lines. Pages that were never written cost nothing.
const RING_BYTES: usize = 16 * 1024;
/// Bytes, and lines, above the rate that are held back; they are shown if no more follow.
const HELD_BYTES: usize = LINE_BYTES + 1024;
const HELD_LINES: u32 = 8;
/// The last lines of a workload that may say why it exited.
const REMEDY_LINES: u32 = 32;
/// Milliseconds until an unfinished line is shown.
const UNFINISHED_MS: u64 = 500;

/// The lines of a workload. The fields that are always written come first, in one page with the first lines.
#[repr(C)]
struct Log {
    rate: Rate,
    /// When the unfinished line is shown; 0 for never.
    unfinished_at: u64,
    ring: Ring<RING_BYTES>,
    unfinished: LineBuffer,
    held: Ring<HELD_BYTES>,
}

/// The lines of all workloads.
#[repr(C)]
pub(super) struct Logs {
    /// When [`Self::turn`] must be called; 0 for never.
    due: u64,
    /// The workloads that people have muted on the console, and whether workloads that a reload adds are muted.
    muted: [bool; WORKLOADS],
    mutes_new: bool,
    logs: [Log; WORKLOADS],
}

/// The workload of a line, and where it is shown.
struct LineSink<'a> {
    workload: &'a Workload<'a>,
    is_muted: bool,
    now: u64,
    console: &'a mut Console,
}

impl Logs {
    /// No lines yet.
    pub(super) const EMPTY: Self =
        Self { due: 0, muted: [false; WORKLOADS], mutes_new: false, logs: [const { Log::EMPTY }; WORKLOADS] };

    /// Takes output of the workload in this slot; `now` is the time of this turn in milliseconds.
    pub(super) fn feed(&mut self, workload: &Workload<'_>, slot: usize, bytes: &[u8], now: u64, console: &mut Console) {
        let log = &mut self.logs[slot];
        let mut sink = LineSink { workload, is_muted: self.muted[slot], now, console };
        let Log { rate, ring, unfinished, held, .. } = log;
        let mut is_new = log.unfinished_at == 0;
        unfinished.feed(bytes, |line| {
            is_new = true;
            keep(ring, rate, held, line, &mut sink);
        });
        match unfinished.is_waiting() {
            true if is_new => log.unfinished_at = now + UNFINISHED_MS,
            true => {}
            false if log.unfinished_at > 0 => log.unfinished_at = 0,
            false => {}
        }
        self.due = earliest([Some(self.due), log.due(workload)]);
    }

    /// Handles the exit of a workload: an unfinished line ends.
    pub(super) fn finish(&mut self, workload: &Workload<'_>, slot: usize, now: u64, console: &mut Console) {
        let mut sink = LineSink { workload, is_muted: self.muted[slot], now, console };
        let log = &mut self.logs[slot];
        let Log { rate, ring, unfinished, held, .. } = log;
        if unfinished.is_waiting() {
            unfinished.finish(|line| keep(ring, rate, held, line, &mut sink));
        }
        log.unfinished_at = 0;
        log.show_held(&mut sink);
    }

    /// Shows what has waited for long enough: an unfinished line, the last lines above the rate. Returns whether it
    /// checked.
    pub(super) fn turn(&mut self, config: &Config<'_>, now: u64, console: &mut Console) -> bool {
        if self.due == 0 || self.due > now {
            return false;
        }
        self.due = 0;
        for (index, workload) in config.workloads.iter().enumerate() {
            let slot = config.slots.of(index);
            let log = &mut self.logs[slot];
            let mut sink = LineSink { workload, is_muted: self.muted[slot], now, console };
            if (1..=now).contains(&log.unfinished_at) {
                log.unfinished_at = 0;
                let Log { rate, ring, unfinished, held, .. } = log;
                unfinished.show_unfinished(|line| keep(ring, rate, held, line, &mut sink));
            }
            if log.rate.due(workload.supervision.rate).is_some_and(|at| at <= now) {
                log.show_held(&mut sink);
            }
            self.due = earliest([Some(self.due), log.due(workload)]);
        }
        true
    }

    /// Returns when [`Self::turn`] must be called.
    pub(super) fn deadline(&self) -> Option<u64> {
        (self.due > 0).then_some(self.due)
    }

    /// Returns the position of the last `lines` lines.
    pub(super) fn last(&self, slot: usize, lines: u32) -> Cursor {
        self.logs[slot].ring.last(lines)
    }

    /// Returns the line at `cursor`, and advances it.
    pub(super) fn read(&self, slot: usize, cursor: &mut Cursor, buffer: &mut [u8]) -> Option<Entry> {
        self.logs[slot].ring.read(cursor, buffer)
    }

    /// Returns what to do about the last error in the lines since `ms` that the confinement may cause.
    pub(super) fn remedy(&self, slot: usize, ms: u64) -> Option<Text> {
        let (mut cursor, mut line) = (self.last(slot, REMEDY_LINES), [0; 512]);
        let mut found = None;
        while let Some(entry) = self.read(slot, &mut cursor, &mut line) {
            if entry.ms >= ms {
                found = remedy(&line[..entry.length]).or(found);
            }
        }
        found
    }

    /// Returns the number of lines that the rate suppressed.
    pub(super) fn dropped(&self, slot: usize) -> u32 {
        self.logs[slot].rate.lost()
    }

    /// Mutes or unmutes a workload on the console.
    pub(super) fn mute(&mut self, slot: usize, is_muted: bool) {
        self.muted[slot] = is_muted;
    }

    /// The same for all workloads, including those that a reload adds.
    pub(super) fn mute_all(&mut self, is_muted: bool) {
        self.muted = [is_muted; WORKLOADS];
        self.mutes_new = is_muted;
    }

    /// Handles a new configuration: slots that are not in `kept` belong to new or changed workloads. A changed workload
    /// stays muted; a new one is muted if all were.
    pub(super) fn adopt(&mut self, old: &Config<'_>, new: &Config<'_>, kept: WorkloadSet) {
        for (index, workload) in new.workloads.iter().enumerate() {
            let slot = new.slots.of(index);
            if old.find(workload.name).is_none() {
                self.muted[slot] = self.mutes_new;
            }
            if !kept.contains(slot) {
                self.logs[slot].clear();
            }
        }
    }
}

impl Log {
    const EMPTY: Self =
        Self { rate: Rate::NEW, unfinished_at: 0, ring: Ring::EMPTY, unfinished: LineBuffer::EMPTY, held: Ring::EMPTY };

    fn clear(&mut self) {
        self.unfinished.finish(|_| {});
        self.ring.clear();
        self.held.clear();
        self.rate = Rate::NEW;
    }

    fn due(&self, workload: &Workload<'_>) -> Option<u64> {
        let at = earliest([Some(self.unfinished_at), self.rate.due(workload.supervision.rate)]);
        (at > 0).then_some(at)
    }

    /// Shows the last lines above the rate, because no more followed, and reports the number of the others.
    fn show_held(&mut self, sink: &mut LineSink<'_>) {
        let suppressed = self.rate.take_suppressed();
        if suppressed == 0 {
            return;
        }
        let last = self.held.count().min(HELD_LINES);
        self.rate.keep(last);
        show_suppressed(&mut self.ring, suppressed.saturating_sub(last), sink);
        let (mut cursor, mut line) = (self.held.last(last), [0; LINE_BYTES + 2 * MARK.len()]);
        while let Some(entry) = self.held.read(&mut cursor, &mut line) {
            show(&mut self.ring, &line[..entry.length], &mut LineSink { now: entry.ms, ..sink.again() });
        }
        self.held.clear();
    }
}

impl<'a> LineSink<'a> {
    fn again(&mut self) -> LineSink<'_> {
        LineSink { workload: self.workload, is_muted: self.is_muted, now: self.now, console: self.console }
    }
}

/// Returns the earlier of two times, or 0 for never.
fn earliest(times: [Option<u64>; 2]) -> u64 {
    times.into_iter().flatten().filter(|at| *at > 0).min().unwrap_or(0)
}

fn keep(
    ring: &mut Ring<RING_BYTES>,
    rate: &mut Rate,
    held: &mut Ring<HELD_BYTES>,
    line: &[u8],
    sink: &mut LineSink<'_>,
) {
    match rate.pass(sink.workload.supervision.rate, sink.now) {
        Passes::No => return held.push(sink.now, line),
        Passes::After(suppressed) => {
            held.clear();
            show_suppressed(ring, suppressed, sink);
        }
        Passes::Yes => {}
    }
    show(ring, line, sink);
}

fn show(ring: &mut Ring<RING_BYTES>, line: &[u8], sink: &mut LineSink<'_>) {
    ring.push(sink.now, line);
    if !sink.is_muted && !sink.workload.supervision.is_quiet {
        sink.console.workload_line(sink.workload.name, line);
    }
}

fn show_suppressed(ring: &mut Ring<RING_BYTES>, count: u32, sink: &mut LineSink<'_>) {
    if count > 0 {
        // Ten digits fit.
        let text = hilum::fixed_string::text::<64>(format_args!("({count} lines over the rate limit dropped)"));
        show(ring, text.as_bytes(), sink);
    }
}
