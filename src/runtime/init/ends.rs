//! The ends of processes: reaping, what a workload left in its pipe, what it left behind.

use super::board::Board;
use super::timeline::Moment;
use super::{tell, words};
use crate::turn::{ENDS, LAST_HELPINGS, LEFT_HELPINGS};
use crate::workload::{Process, end_all};
use hilum::config::Stop;
use hilum::netlink::has_tables;
use hilum::supervise::{Event, ExitReason};
use hilum_sys::{Cloned, exit};
use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};

/// Processes left behind that are told of: an exit status carries their number.
const MOST_LEFT: u32 = 100;

impl Board {
    /// Takes processes that ended, workloads and orphans alike: so many a turn, until there is none left.
    ///
    /// There is one place that reaps, so nobody can steal a status; and until it reaps a pid, that pid is nobody
    /// else's. SIGCHLD coalesces, so one signal may stand for any number of ends.
    pub(super) fn reap(&mut self) {
        for _ in 0..ENDS {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => self.ended(pid, status),
                Err(Errno::INTR) => {}
                _ => return,
            }
        }
        self.has_ends = true;
    }

    /// Goes on with what had its share in the turn before.
    pub(super) fn go_on(&mut self) {
        self.comes_back = false;
        if core::mem::take(&mut self.has_ends) {
            self.reap();
        }
        for index in 0..self.processes.len() {
            if self.processes[index].as_ref().is_some_and(|process| process.ended.is_some()) {
                self.read_last(index, 1);
            }
        }
    }

    fn ended(&mut self, pid: Pid, status: WaitStatus) {
        if self.console.ended(pid) || self.is_prepared(pid, status) {
            return;
        }
        if let Some(index) = self.notes.iter().position(|note| note.check == Some(pid)) {
            self.notes[index].check = None;
            return self.tell(index, Event::Checked(status.exit_status() == Some(0)));
        }
        if let Some(index) = self.notes.iter().position(|note| note.sweeper == Some(pid)) {
            return self.swept(index, status);
        }
        self.helper_ended(pid);
        // One that is reaped already has no pid any more.
        let is_its = |process: &Process| process.pid == pid && process.ended.is_none();
        let Some(index) = self.processes.iter().position(|process| process.as_ref().is_some_and(is_its)) else {
            return;
        };
        self.let_go();
        // What it wrote and reported before it ended comes first.
        self.read_report(index);
        self.read_ready(index);
        self.read_notify(index);
        // Told before its end.
        self.carry_out();
        if let Some(process) = &mut self.processes[index] {
            process.ended = Some((status, LEFT_HELPINGS));
        }
        self.read_last(index, LAST_HELPINGS);
    }

    /// Reads on in the pipe of a workload that ended, for at most so many helpings; tells of its end when nothing is left.
    pub(super) fn read_last(&mut self, index: usize, helpings: u32) {
        for _ in 0..helpings {
            let has_read = self.read_output(index);
            let Some(Process { ended: Some((status, left)), .. }) = &mut self.processes[index] else { return };
            *left = left.saturating_sub(1);
            if !has_read || *left == 0 {
                let status = *status;
                if !self.sweeps(index) {
                    self.end(index, status);
                }
                return;
            }
        }
        self.comes_back = true;
    }

    /// Has a helper end what a workload left behind that shares process ids; gives whether one does. The workload has ended when
    /// that has.
    fn sweeps(&mut self, index: usize) -> bool {
        if self.notes[index].sweeper.is_some() {
            return true;
        }
        let config = self.config.clone();
        let workload = &config.get().workloads[index];
        self.around.groups.is_populated(workload) != Some(false) && self.sweep(index, &workload.stop)
    }

    /// Kills what a workload left behind whose first process has ended; gives whether that is so.
    pub(super) fn sweep_at_once(&mut self, index: usize) -> bool {
        let Some(sweeper) = self.notes[index].sweeper.take() else { return false };
        // It is not reaped yet, so nobody else has its pid.
        let _ = rustix::process::kill_process(sweeper, Signal::KILL);
        self.sweep(index, &Stop { signal: hilum::config::Signal(Signal::KILL.as_raw() as u8), grace_ms: 0 })
    }

    fn sweep(&mut self, index: usize, stop: &Stop) -> bool {
        let Some(namespace) = self.processes[index].as_ref().and_then(|process| process.mount_namespace) else {
            return false;
        };
        match hilum_sys::clone(0, None) {
            Ok(Cloned::Child) => {
                let _ = hilum_sys::close_all_but(&mut []);
                exit(end_all(namespace, stop, MOST_LEFT) as i32)
            }
            Ok(Cloned::Parent { pid, .. }) => {
                self.notes[index].sweeper = Some(pid);
                true
            }
            Err(errno) => {
                self.console.tell(format_args!(
                    "workload \"{}\": {}: processes that it left behind may run on",
                    self.config.get().workloads[index].name,
                    words(errno)
                ));
                false
            }
        }
    }

    /// What a workload left behind has ended, or will not.
    fn swept(&mut self, index: usize, status: WaitStatus) {
        self.notes[index].sweeper = None;
        if let Some(process) = &mut self.processes[index] {
            process.mount_namespace = None;
        }
        let name = self.config.get().workloads[index].name;
        match status.exit_status() {
            Some(0) => {}
            Some(count) => self.console.tell(format_args!(
                "workload \"{name}\": {count} process{} left behind cannot be killed",
                if count == 1 { "" } else { "es" }
            )),
            None => self.console.tell(format_args!("workload \"{name}\": processes that it left behind may run on")),
        }
        self.read_last(index, LAST_HELPINGS);
    }

    /// A workload has ended, and everything that it wrote is read.
    fn end(&mut self, index: usize, status: WaitStatus) {
        let config = self.config.clone();
        let workload = &config.get().workloads[index];
        self.logs.finish(workload, index, self.now, &mut self.console);
        let set_up = self.processes[index].take().is_some_and(|process| {
            let output = process.has_writers.then_some(&process.output);
            // Before that it is the way that the socket comes, and not waited on.
            let notify = process.notify.as_ref().filter(|_| process.report.is_none());
            output.into_iter().chain(notify).for_each(|fd| self.forget(fd.as_fd()));
            !process.has_failed
        });
        let end = match status.terminating_signal() {
            Some(signal) => ExitReason::Signal(signal as u8),
            None => ExitReason::Exit(status.exit_status().unwrap_or(0) as u8),
        };
        let name = workload.name;
        match end {
            ExitReason::Exit(code) if set_up => {
                self.console.tell(format_args!("workload \"{name}\": exited with status {code}"));
            }
            ExitReason::Signal(signal) => {
                let out_of_memory = self.around.groups.out_of_memory(workload, index);
                tell::killed(&mut self.console, name, signal, out_of_memory.as_ref());
                self.notes[index].out_of_memory = out_of_memory.map(|found| (found.peak.unwrap_or(0), found.limit));
            }
            _ => {}
        }
        self.remove_rules(index);
        self.around.groups.remove(workload, index);
        self.timeline.note(Moment::Ended(index as u8));
        self.tell(index, Event::Exited(end));
        // Before the next end is told: it may be that of what somebody is about to start for.
        self.carry_out();
    }

    /// A copy that set a workload up has ended. It may have done so after the workload itself did.
    fn helper_ended(&mut self, pid: Pid) {
        let Some(index) = self.notes.iter().position(|note| note.helper == Some(pid)) else { return };
        self.notes[index].helper = None;
        if self.processes[index].is_none() {
            self.remove_rules(index);
        }
        if self.deferred.contains(index) {
            self.deferred.remove(index);
            self.start(index);
        }
    }

    /// Takes away what leads to a workload that ended. Those of a network that several share stay with it.
    fn remove_rules(&mut self, index: usize) {
        let config = self.config.clone();
        let Some(workload) = config.get().workloads.get(index) else { return };
        if !has_tables(&workload.network, &config.get().pools) || workload.isolation.is_net_shared {
            return;
        }
        if let Err(errno) = self.around.networks.rules.remove(workload.name) {
            self.console.say(format_args!("workload \"{}\": packet rules: {}", workload.name, words(errno)));
        }
    }
}
