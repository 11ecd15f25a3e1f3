//! Replaces the configuration while PID 1 runs: removed and changed workloads stop, then new and changed ones start;
//! all others keep running. An invalid file changes nothing.

use super::client::AnswerText;
use super::configuration::{self, Configuration};
use super::context::Context;
use super::workloads::Workloads;
use crate::os::clock::monotonic_ms;
use hilum::config::{WorkloadSet, has_same_system, unchanged};
use hilum::fixed_string::text;
use hilum::supervise::{Event, WorkloadRequest};

/// Milliseconds that cgroups of stopped workloads have to be removed.
const CGROUPS_MS: u64 = 2_000;

/// A configuration that waits until removed and changed workloads have stopped.
pub(super) struct Pending {
    pub(super) config: Configuration,
    /// The slots of workloads that keep running.
    pub(super) kept: WorkloadSet,
    /// Until when to wait for cgroups; 0 while waiting for workloads.
    cgroups_until: u64,
}

/// Reading the configuration again.
pub(super) struct Reload {
    /// The path of the configuration.
    path: heapless::String<256>,
    pub(super) pending: Option<Pending>,
}

/// A configuration that was adopted.
pub(super) struct Adopted {
    pub(super) old: Configuration,
    /// The slots of workloads that kept running.
    pub(super) kept: WorkloadSet,
}

impl Reload {
    /// Creates the service without a pending configuration. `path` is the path of the current one.
    pub(super) fn new(path: &str) -> Self {
        // No path is longer.
        Self { path: heapless::String::try_from(path).unwrap_or_default(), pending: None }
    }

    /// Returns whether a configuration is pending.
    pub(super) fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Reads the file again, to be adopted at the end of this turn. Returns an error in one line; then nothing changes.
    pub(super) fn begin(&mut self, cx: &Context, workloads: &Workloads) -> Option<AnswerText> {
        if workloads.supervisor.shutting_down().is_some() {
            return Some(text(format_args!("shutting down")));
        }
        if self.pending.is_some() {
            return Some(text(format_args!("a reload is already in progress")));
        }
        let site = cx.config.get().system.site;
        let mut wrong = AnswerText::new();
        let mut print = |line: core::fmt::Arguments<'_>| wrong = text(line);
        let Some(config) = configuration::read(&self.path, site, Some(&cx.config), &mut print) else {
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

    /// Stops workloads for a pending configuration, and adopts it once they have stopped. Returns the previous one.
    pub(super) fn tick(&mut self, cx: &mut Context, workloads: &mut Workloads) -> Option<Adopted> {
        if workloads.supervisor.shutting_down().is_some() {
            self.pending = None;
        }
        let kept = self.pending.as_ref()?.kept;
        let mut is_running = false;
        for index in 0..cx.config.get().workloads.len() {
            if !kept.contains(cx.slot(index)) {
                // In every turn, because a request may have started it meanwhile.
                workloads.report(cx, index, Event::Requested(WorkloadRequest::Stop));
                workloads.carry_out(cx);
                is_running |= workloads.supervisor.state(index).is_running();
            }
        }
        if is_running {
            return None;
        }
        // A remaining cgroup would be reused by another workload.
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
