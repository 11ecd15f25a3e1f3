//! Another configuration while PID 1 runs: what is gone or changed stops, then what is new or changed starts, and nothing
//! else is touched. A file that is wrong changes nothing.

use super::client::AnswerText;
use super::configuration::{self, Configuration};
use super::context::Context;
use super::workloads::Workloads;
use crate::os::clock::monotonic_ms;
use hilum::config::{WorkloadSet, has_same_system, unchanged};
use hilum::fixed_string::text;
use hilum::supervise::{Event, WorkloadRequest};

/// Milliseconds that control groups of what stopped have to be removed.
const CGROUPS_MS: u64 = 2_000;

/// A configuration that waits until what is gone or changed has stopped.
pub(super) struct Pending {
    pub(super) config: Configuration,
    /// The slots of the workloads that go on.
    pub(super) kept: WorkloadSet,
    /// Until when control groups are waited for; 0 while workloads are.
    cgroups_until: u64,
}

/// Reading the configuration again.
pub(super) struct Reload {
    /// Where the configuration was read from.
    path: heapless::String<256>,
    pub(super) pending: Option<Pending>,
}

/// A configuration that was taken over.
pub(super) struct Adopted {
    pub(super) old: Configuration,
    /// The slots of the workloads that went on.
    pub(super) kept: WorkloadSet,
}

impl Reload {
    /// Nothing is pending. `path` is where the configuration was read from.
    pub(super) fn new(path: &str) -> Self {
        // It fits: no path is longer than that.
        Self { path: heapless::String::try_from(path).unwrap_or_default(), pending: None }
    }

    /// Whether another configuration waits to be taken over.
    pub(super) fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Reads the file again, for the end of this turn. Returns what is wrong, in one line; then nothing is changed.
    pub(super) fn begin(&mut self, cx: &Context, workloads: &Workloads) -> Option<AnswerText> {
        if workloads.supervisor.shutting_down().is_some() {
            return Some(text(format_args!("shutting down")));
        }
        if self.pending.is_some() {
            return Some(text(format_args!("a reload is already in progress")));
        }
        let mut wrong = AnswerText::new();
        let mut print = |line: core::fmt::Arguments<'_>| wrong = text(line);
        let Some(config) = configuration::read(&self.path, Some(&cx.config), &mut print) else {
            return Some(wrong);
        };
        let (old, new) = (cx.config.get(), config.get());
        if !has_same_system(old, new) {
            return Some(text(format_args!("[system] has changed; reboot to apply it")));
        }
        let kept = unchanged(old, new);
        self.pending = Some(Pending { config, kept, cgroups_until: 0 });
        None
    }

    /// Stops what is not part of a waiting configuration, and takes that over once it has stopped. Returns what was taken over.
    pub(super) fn tick(&mut self, cx: &mut Context, workloads: &mut Workloads) -> Option<Adopted> {
        if workloads.supervisor.shutting_down().is_some() {
            self.pending = None;
        }
        let kept = self.pending.as_ref()?.kept;
        let mut is_running = false;
        for index in 0..cx.config.get().workloads.len() {
            if !kept.contains(cx.slot(index)) {
                // In every turn: somebody may have asked for it again meanwhile.
                workloads.report(cx, index, Event::Requested(WorkloadRequest::Stop));
                workloads.carry_out(cx);
                is_running |= workloads.supervisor.state(index).is_running();
            }
        }
        if is_running {
            return None;
        }
        // A group that is still there would be another workload's.
        let (now, pending) = (monotonic_ms(), self.pending.as_mut()?);
        if workloads.has_busy_cgroups() {
            if pending.cgroups_until == 0 {
                pending.cgroups_until = now + CGROUPS_MS;
            }
            if now < pending.cgroups_until {
                return None;
            }
        }
        let Pending { config, kept, .. } = self.pending.take()?;
        let old = core::mem::replace(&mut cx.config, config);
        workloads.adopt(cx, &old, kept, now);
        Some(Adopted { old, kept })
    }
}
