//! Another configuration on a board that runs: what is gone or changed stops, then what is new or changed starts, and
//! nothing else is touched. A file that is wrong changes nothing.

use super::board::Board;
use super::configuration::{self, Configuration};
use super::control::{Doing, Text};
use super::note::Note;
use super::source::Source;
use hilum::config::limits::WORKLOADS;
use hilum::config::{has_same_system, unchanged};
use hilum::fixed_string::text;
use hilum::supervise::{Event, WorkloadRequest};
use hilum_sys::monotonic_ms;
use rustix::event::epoll;
use rustix::fd::AsFd;

/// Milliseconds that control groups of what stopped have to be removed.
const SWEEP_MS: u64 = 2_000;

/// A configuration that waits until what is gone or changed has stopped.
pub(super) struct Pending {
    pub(super) config: Configuration,
    /// The slots of its workloads that go on unchanged.
    kept: hilum::config::WorkloadSet,
    /// Where each of its workloads is now; none for one that is new or changed.
    pub(super) places: [Option<usize>; WORKLOADS],
    /// Until when control groups are waited for; 0 while workloads are.
    sweep_until: u64,
}

impl Board {
    /// Reads the file again, for the end of this turn. Gives what is wrong, in one line; then nothing is changed.
    pub(super) fn begin_reload(&mut self) -> Option<Text> {
        if self.supervisor.shutting_down().is_some() {
            return Some(text(format_args!("the board goes down")));
        }
        if self.pending.is_some() {
            return Some(text(format_args!("the configuration is being taken over already")));
        }
        let mut wrong = Text::new();
        let mut tell = |line: core::fmt::Arguments<'_>| wrong = text(line);
        let Some(config) = configuration::read(&self.config_path, Some(&self.config), &mut tell) else {
            return Some(wrong);
        };
        let (old, new) = (self.config.clone(), config.get());
        if !has_same_system(old.get(), new) {
            return Some(text(format_args!("the [system] section has changed; that takes a reboot")));
        }
        let kept = unchanged(old.get(), new);
        let place = |index| Some(new.slots.of(index)).filter(|slot| kept.contains(*slot));
        let places = core::array::from_fn(|index| {
            (index < new.workloads.len()).then(|| place(index).and_then(|slot| old.get().index_of(slot))).flatten()
        });
        self.pending = Some(Pending { config, kept, places, sweep_until: 0 });
        None
    }

    /// Stops what is not part of a waiting configuration, and takes that over once it has stopped.
    pub(super) fn finish_reload(&mut self) {
        if self.supervisor.shutting_down().is_some() {
            self.pending = None;
        }
        let mut is_running = false;
        for index in 0..self.config.get().workloads.len() {
            if self.pending.as_ref().is_some_and(|pending| !pending.places.contains(&Some(index))) {
                // In every turn: somebody may have asked for it again meanwhile.
                self.tell(index, Event::Requested(WorkloadRequest::Stop));
                self.carry_out();
                is_running |= self.supervisor.state(index).is_running();
            }
        }
        if is_running {
            return;
        }
        let Some(pending) = &mut self.pending else { return };
        // A group that is still there would be another workload's.
        let now = monotonic_ms();
        if self.around.groups.has_leftover() {
            if pending.sweep_until == 0 {
                pending.sweep_until = now + SWEEP_MS;
            }
            if now < pending.sweep_until {
                return;
            }
        }
        if let Some(pending) = self.pending.take() {
            self.adopt(pending, now);
        }
    }

    fn adopt(&mut self, pending: Pending, now: u64) {
        let (new, old) = (pending.config.clone(), self.config.clone());
        let (config, before) = (new.get(), old.get().workloads.len());
        self.config = pending.config;
        let places = &pending.places[..config.workloads.len()];
        self.logs.adopt(places);
        self.logs.adopt_muted(old.get(), config);
        self.timeline.adopt(places);
        let deferred = core::mem::take(&mut self.deferred);
        for (new, _) in places.iter().enumerate().filter(|(_, old)| old.is_some_and(|old| deferred.contains(old))) {
            self.deferred.insert(new);
        }
        self.around.networks.adopt(places);
        self.around.groups.adopt(places, config, &mut self.console);
        let mut processes = core::mem::replace(&mut self.processes, [const { None }; WORKLOADS]);
        let mut notes: [Note; WORKLOADS] = [const { Note::NONE }; WORKLOADS];
        for (new, old) in places.iter().enumerate().filter_map(|(new, old)| Some((new, (*old)?))) {
            self.processes[new] = processes[old].take();
            core::mem::swap(&mut notes[new], &mut self.notes[old]);
            self.watch_again(new);
        }
        for (place, note) in self.notes.iter_mut().zip(notes) {
            *place = note;
        }
        for client in self.control.clients.iter_mut().flatten() {
            if let Doing::Lines { index, .. } | Doing::Waiting { index, .. } = &mut client.doing {
                // One that listens to a workload that is gone hears nothing any more, and of its end by that.
                let name = old.get().workloads.get(*index).map(|workload| workload.name);
                let same = places.iter().position(|old| *old == Some(*index));
                *index = same.unwrap_or(WORKLOADS);
                if same.is_none()
                    && let Doing::Waiting { index, .. } = &mut client.doing
                {
                    // One that has changed is still the one that was asked for.
                    let changed = config.workloads.iter().position(|workload| Some(workload.name) == name);
                    *index = changed.unwrap_or(WORKLOADS);
                }
            }
        }
        crate::net::adopt(config, &mut self.console);
        let same = places.iter().filter(|place| place.is_some()).count();
        let (gone, new) = (before - same, places.len() - same);
        self.console.tell(format_args!("configuration taken over: {gone} stopped, {new} new, {same} as before"));
        self.supervisor.adopt(config, pending.kept, now);
        self.carry_out();
    }

    /// The descriptors of a workload whose index has changed say so from now on.
    fn watch_again(&mut self, index: usize) {
        let Some(process) = &self.processes[index] else { return };
        let sources = [
            (Some(process.output.as_fd()), Source::Output(index)),
            (process.report.as_ref().map(AsFd::as_fd), Source::Report(index)),
            (process.ready.as_ref().map(AsFd::as_fd), Source::Ready(index)),
            (process.notify.as_ref().map(AsFd::as_fd), Source::Notify(index)),
        ];
        for (fd, source) in sources {
            if let Some(fd) = fd {
                // One that is not waited on any more is not found, and stays so.
                let _ = epoll::modify(&self.epoll, fd, source.data(), source.interest());
            }
        }
    }
}
