//! What workloads write: cut into lines, held to their rate, kept in a ring for each, shown on the console.

use super::Console;
use hilum::config::{Workload, limits::WORKLOADS};
use hilum::log::{Cursor, Entry, LineBuffer, Passes, Rate, Ring};

/// Bytes of the lines that are kept of each workload: about a hundred lines. Pages that were never written cost nothing.
const RING_BYTES: usize = 8 * 1024;

/// One workload's lines.
struct Log {
    unfinished: LineBuffer,
    ring: Ring<RING_BYTES>,
    rate: Rate,
}

/// The lines of every workload.
pub(super) struct Logs([Log; WORKLOADS]);

impl Logs {
    /// Nothing was written yet.
    pub(super) const EMPTY: Self =
        Self([const { Log { unfinished: LineBuffer::EMPTY, ring: Ring::EMPTY, rate: Rate::NEW } }; WORKLOADS]);

    /// Takes what the workload at `index` wrote; `now` is the millisecond of this turn.
    pub(super) fn feed(
        &mut self,
        workload: &Workload<'_>,
        index: usize,
        bytes: &[u8],
        now: u64,
        console: &mut Console,
    ) {
        let Log { unfinished, ring, rate } = &mut self.0[index];
        unfinished.feed(bytes, |line| keep(ring, rate, workload, line, now, console));
    }

    /// The workload ended: what is left of a line that never got its newline is one.
    pub(super) fn finish(&mut self, workload: &Workload<'_>, index: usize, now: u64, console: &mut Console) {
        let Log { unfinished, ring, rate } = &mut self.0[index];
        unfinished.finish(|line| keep(ring, rate, workload, line, now, console));
        let suppressed = rate.take_suppressed();
        if suppressed > 0 {
            tell_suppressed(ring, workload, suppressed, now, console);
        }
    }

    /// Where the last `lines` lines begin.
    pub(super) fn last(&self, index: usize, lines: u32) -> Cursor {
        self.0[index].ring.last(lines)
    }

    /// The line at `cursor`, which moves on.
    pub(super) fn read(&self, index: usize, cursor: &mut Cursor, buffer: &mut [u8]) -> Option<Entry> {
        self.0[index].ring.read(cursor, buffer)
    }

    /// Lines that are not kept any more.
    pub(super) fn dropped(&self, index: usize) -> u32 {
        self.0[index].ring.dropped()
    }

    /// Brings the logs into the order of another configuration: `old[new]` is where each was before. What was at no
    /// place of `old` any more is given to the new ones, and emptied.
    pub(super) fn adopt(&mut self, old: &[Option<usize>]) {
        let mut at: [usize; WORKLOADS] = core::array::from_fn(|index| index);
        for (new, old) in old.iter().enumerate() {
            let place = old.and_then(|old| at.iter().position(|was| *was == old));
            if let Some(place) = place.filter(|place| *place != new) {
                self.0.swap(new, place);
                at.swap(new, place);
            }
        }
        for (new, old) in old.iter().enumerate().filter(|(_, old)| old.is_none()) {
            debug_assert!(old.is_none());
            self.0[new].unfinished.finish(|_| {});
            self.0[new].ring.clear();
            self.0[new].rate = Rate::NEW;
        }
    }
}

fn keep(
    ring: &mut Ring<RING_BYTES>,
    rate: &mut Rate,
    workload: &Workload<'_>,
    line: &[u8],
    now: u64,
    console: &mut Console,
) {
    match rate.pass(workload.supervision.rate, now) {
        Passes::No => return,
        Passes::After(suppressed) => tell_suppressed(ring, workload, suppressed, now, console),
        Passes::Yes => {}
    }
    ring.push(now, line);
    if !workload.supervision.is_quiet {
        console.workload_line(workload.name, line);
    }
}

fn tell_suppressed(ring: &mut Ring<RING_BYTES>, workload: &Workload<'_>, count: u32, now: u64, console: &mut Console) {
    // Ten digits fit.
    let text = hilum::text::text::<64>(format_args!("({count} lines above the rate were not kept)"));
    ring.push(now, text.as_bytes());
    if !workload.supervision.is_quiet {
        console.workload_line(workload.name, text.as_bytes());
    }
}
