//! Exits of workloads and their helpers: remaining output, and remaining processes.

use super::Workloads;
use super::slots::Slot;
use crate::init::context::Context;
use crate::init::event_lines;
use crate::init::timeline::Moment;
use crate::os::errno::describe;
use crate::os::helper::{self, Kept, Role};
use crate::os::turn::{LAST_HELPINGS, LEFT_HELPINGS};
use crate::workload::{Process, end_all};
use hilum::config::Stop;
use hilum::supervise::{Event, ExitReason, State};
use rustix::fd::AsFd;
use rustix::process::{Pid, Signal};

/// The maximum of counted remaining processes, because an exit status carries the number.
const MAX_LEFT: u32 = 100;

const SWEEPER: Role = Role::new(c"hilum-sweep");

impl Workloads {
    /// Continues to read the output of exited workloads.
    pub(crate) fn read_on(&mut self, cx: &mut Context) {
        for index in 0..cx.config.get().workloads.len() {
            let process = &self.slots[cx.slot(index)].process;
            if process.as_ref().is_some_and(|process| process.ended.is_some()) {
                self.read_last(cx, index, 1);
            }
        }
    }

    /// Handles the exit of a process: the first one of a workload, or a helper.
    pub(crate) fn exited(&mut self, cx: &mut Context, pid: Pid, end: ExitReason) {
        let find = |slots: &[Slot], is_it: &dyn Fn(&Slot) -> bool| slots.iter().position(is_it);
        if let Some(slot) = find(&self.slots, &|slot| slot.check == Some(pid)) {
            self.slots[slot].check = None;
            if let Some(index) = cx.config.get().index_of(slot) {
                self.report(cx, index, Event::Checked(end == ExitReason::Exit(0)));
            }
            return;
        }
        if let Some(slot) = find(&self.slots, &|slot| slot.sweeper == Some(pid)) {
            self.slots[slot].sweeper = None;
            if let Some(index) = cx.config.get().index_of(slot) {
                self.swept(cx, index, end);
            }
            return;
        }
        if let Some(place) = self.forgetters.iter().position(|forgetter| *forgetter == pid) {
            self.forgetters.swap_remove(place);
            return self.start_deferred(cx);
        }
        if let Some(slot) = find(&self.slots, &|slot| slot.set_up == Some(pid)) {
            self.slots[slot].set_up = None;
            if let Some(index) = cx.config.get().index_of(slot) {
                self.set_up_exited(cx, index);
            }
        }
        // A reaped process has no PID any more.
        let is_its = |process: &Process| process.pid == pid && process.ended.is_none();
        let slot = find(&self.slots, &|slot| slot.process.as_ref().is_some_and(is_its));
        let Some((slot, index)) = slot.and_then(|slot| Some((slot, cx.config.get().index_of(slot)?))) else { return };
        cx.end_deferral_now();
        // Its output and reports come before its exit.
        self.read_report(cx, index);
        self.read_ready(cx, index);
        self.read_notify(cx, index);
        // Printed before its exit.
        self.carry_out(cx);
        if let Some(process) = &mut self.slots[slot].process {
            process.ended = Some((end, LEFT_HELPINGS));
        }
        self.read_last(cx, index, LAST_HELPINGS);
    }

    /// Reads the remaining output of an exited workload, at most this many chunks; reports its exit when nothing is
    /// left.
    pub(super) fn read_last(&mut self, cx: &mut Context, index: usize, helpings: u32) {
        let slot = cx.slot(index);
        for _ in 0..helpings {
            let has_read = self.read_output(cx, index);
            let Some(Process { ended: Some((end, left)), .. }) = &mut self.slots[slot].process else { return };
            *left = left.saturating_sub(1);
            if !has_read || *left == 0 {
                let end = *end;
                if !self.sweeps(cx, index) {
                    self.end(cx, index, end);
                }
                return;
            }
        }
        cx.events.come_back();
    }

    /// Starts a helper that kills the remaining processes of an exited workload that shares the PID namespace. Returns
    /// whether one is needed. The workload has exited when the helper is done.
    fn sweeps(&mut self, cx: &mut Context, index: usize) -> bool {
        let slot = cx.slot(index);
        if self.slots[slot].sweeper.is_some() {
            return true;
        }
        let config = cx.config.clone();
        let workload = config.get().workload(index);
        self.launch.cgroups.is_populated(workload) != Some(false) && self.sweep(cx, index, &workload.stop)
    }

    /// Kills the remaining processes of a workload whose first process has exited. Returns whether it has.
    pub(super) fn sweep_at_once(&mut self, cx: &mut Context, index: usize) -> bool {
        let slot = cx.slot(index);
        let Some(sweeper) = self.slots[slot].sweeper.take() else { return false };
        // It is not reaped yet, so its PID is not reused.
        let _ = rustix::process::kill_process(sweeper, Signal::KILL);
        self.sweep(cx, index, &Stop { signal: hilum::config::Signal(Signal::KILL.as_raw() as u8), grace_ms: 0 })
    }

    fn sweep(&mut self, cx: &mut Context, index: usize, stop: &Stop) -> bool {
        let slot = cx.slot(index);
        let Some(namespace) = self.slots[slot].process.as_ref().and_then(|process| process.mount_namespace) else {
            return false;
        };
        let mut work = || end_all(namespace, stop, MAX_LEFT) as i32;
        match helper::spawn(&SWEEPER, Kept::none(), &mut work) {
            Ok(helper) => {
                self.slots[slot].sweeper = Some(helper.pid);
                true
            }
            Err(errno) => {
                cx.console.info(format_args!(
                    "workload \"{}\": {}: its leftover processes may still run",
                    cx.config.get().workload(index).name,
                    describe(errno)
                ));
                false
            }
        }
    }

    /// The remaining processes of a workload have exited, or will not.
    fn swept(&mut self, cx: &mut Context, index: usize, end: ExitReason) {
        let slot = cx.slot(index);
        self.slots[slot].sweeper = None;
        if let Some(process) = &mut self.slots[slot].process {
            process.mount_namespace = None;
        }
        let name = cx.config.get().workload(index).name;
        match end {
            ExitReason::Exit(0) => {}
            ExitReason::Exit(count) => cx.console.info(format_args!(
                "workload \"{name}\": {count} leftover process{} still running after SIGKILL",
                if count == 1 { "" } else { "es" }
            )),
            _ => cx.console.info(format_args!("workload \"{name}\": its leftover processes may still run")),
        }
        self.read_last(cx, index, LAST_HELPINGS);
    }

    /// Handles a workload that has exited and whose output is read.
    fn end(&mut self, cx: &mut Context, index: usize, end: ExitReason) {
        let slot = cx.slot(index);
        let config = cx.config.clone();
        let workload = config.get().workload(index);
        self.logs.finish(workload, slot, cx.now(), &mut cx.console);
        let set_up = self.slots[slot].process.take().is_some_and(|process| {
            let output = process.has_writers.then_some(&process.output);
            let sockets = process.notify.iter().chain(&process.control);
            output.into_iter().chain(sockets).for_each(|fd| cx.events.forget(fd.as_fd()));
            !process.has_failed
        });
        let name = workload.name;
        match end {
            ExitReason::Exit(code) if set_up => {
                cx.console.info(format_args!("workload \"{name}\": exited with status {code}"));
            }
            ExitReason::Signal(signal) => {
                let out_of_memory = self.launch.cgroups.out_of_memory(workload, &self.slots[slot].cgroup);
                event_lines::killed(&mut cx.console, name, signal, out_of_memory.as_ref());
                self.slots[slot].out_of_memory = out_of_memory.map(|found| (found.peak.unwrap_or(0), found.limit));
            }
            _ => {}
        }
        let unit = self.supervisor.unit(index);
        if !end.is_success()
            && matches!(unit.state, State::Starting(_) | State::Ready | State::Unhealthy(_))
            && let Some(remedy) = self.logs.remedy(slot, unit.started_at())
        {
            cx.console.info(format_args!("workload \"{name}\": likely remedy for what it printed: {remedy}"));
        }
        // What may have gone wrong in its network is not passed on to the next run.
        let is_sound = match unit.state {
            State::Ready | State::Stopping(_) => set_up,
            State::Starting(_) => end.is_success(),
            _ => false,
        };
        if !is_sound {
            self.launch.networks.throw_away(config.get(), index);
        }
        self.remove_rules(cx, index);
        self.launch.cgroups.remove(workload, &mut self.slots[slot].cgroup);
        cx.timeline.note(Moment::Ended(slot as u8));
        self.report_end(cx, index, end);
        // Before the next exit is reported: it may be that of a workload which is about to be started on request.
        self.carry_out(cx);
    }

    /// Handles the exit of a set-up helper, which may come after the exit of the workload.
    fn set_up_exited(&mut self, cx: &mut Context, index: usize) {
        let slot = cx.slot(index);
        if self.slots[slot].process.is_none() {
            self.remove_rules(cx, index);
        }
        if core::mem::take(&mut self.slots[slot].is_deferred) {
            self.start(cx, index);
        }
    }
}
