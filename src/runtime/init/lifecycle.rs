//! What is done to workloads and what comes from them: starts, output, readiness, checks. Their ends are in `ends.rs`.

use super::board::Board;
use super::note::Note;
use super::source::Source;
use super::timeline::Moment;
use super::{tell, words};
use crate::turn::{DATAGRAMS, OUTPUT_BYTES, READY_BYTES};
use crate::workload::{Failure, Outcome, Process, Report, Target, hears, is_good, signal_below, spawn};
use core::mem::MaybeUninit;
use hilum::config::{Check, Ready};
use hilum::namespaces::Namespaces;
use hilum::supervise::{Event, ExitReason};
use hilum_sys::{Cloned, exit};
use rustix::event::epoll;
use rustix::fd::{AsFd, AsRawFd};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::process::Pid;

/// What a start counts as that failed before there was a process: the status of a failed set-up.
const STATUS_SETUP: u8 = 125;
/// The signal that nothing can keep out.
const KILL: u8 = 9;
/// Bytes of a datagram to NOTIFY_SOCKET that are read. systemd reads as many, and nothing of a longer one.
const NOTICE_BYTES: usize = 4096;
/// Milliseconds that one look for readiness may take.
const READY_LOOK_MS: u64 = 1_000;

impl Board {
    /// Reads one helping of what a workload wrote; gives whether there was any.
    pub(super) fn read_output(&mut self, index: usize) -> bool {
        let Some(process) = self.processes[index].as_mut().filter(|process| process.has_writers) else { return false };
        let mut room = [const { MaybeUninit::<u8>::uninit() }; OUTPUT_BYTES];
        match rustix::io::read(&process.output, &mut room) {
            Ok(([], _)) => {
                // Every writer is gone, the process perhaps not: there is nothing to wait for here any more.
                process.has_writers = false;
                let _ = epoll::delete(&self.epoll, &process.output);
                false
            }
            Ok((bytes, _)) => {
                self.logs.feed(&self.config.get().workloads[index], index, bytes, self.now, &mut self.console);
                if self.quiet_until.is_none() {
                    // In a turn in which many write, or end, more comes than waits for the terminal.
                    self.console.flush();
                }
                true
            }
            Err(errno) => errno == Errno::INTR,
        }
    }

    /// Hears whether the set-up of a workload got to its program.
    pub(super) fn read_report(&mut self, index: usize) {
        let Some(process) = &mut self.processes[index] else { return };
        match process.outcome() {
            Outcome::Pending => {}
            Outcome::More => {
                if let Some(report) = self.processes[index].as_ref().and_then(|process| process.report.as_ref()) {
                    self.rearm(report.as_fd(), Source::Report(index));
                }
            }
            Outcome::Executed => {
                self.let_go_soon();
                let Some(process) = &self.processes[index] else { return };
                let (pid, executed_us) = (process.pid, process.executed_us);
                if let Some(notify) = &process.notify {
                    // Its lines wait in the socket for the next turn.
                    let _ = self.watch(notify.as_fd(), Source::Notify(index));
                }
                self.tell_started(index, pid, executed_us);
                self.tell(index, Event::Executed);
            }
            Outcome::Failed(report) => {
                tell::failed_step(&mut self.console, self.config.get(), index, report);
            }
        }
    }

    /// A newline says that it is ready; the end of the pipe says nothing.
    pub(super) fn read_ready(&mut self, index: usize) {
        let Some(Process { ready: Some(ready), .. }) = &self.processes[index] else { return };
        let mut bytes = [0; READY_BYTES];
        let is_ready = match rustix::io::read(ready, &mut bytes) {
            Err(Errno::AGAIN) => return,
            Ok(count @ 1..) if bytes[..count].contains(&b'\n') => true,
            Ok(1..) | Err(Errno::INTR) => return self.rearm(ready.as_fd(), Source::Ready(index)),
            _ => false,
        };
        if let Some(process) = &mut self.processes[index] {
            process.ready = None;
        }
        if is_ready {
            self.tell(index, Event::Ready);
        }
    }

    /// Reads what a workload says of itself.
    pub(super) fn read_notify(&mut self, index: usize) {
        for _ in 0..DATAGRAMS {
            let Some(Process { report: None, notify: Some(socket), .. }) = &self.processes[index] else { return };
            let mut bytes = [0_u8; NOTICE_BYTES];
            // Descriptors that come along are closed with the datagram: BARRIER=1 needs no more.
            let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
            let Ok((count, length)) = rustix::net::recv(socket, &mut bytes, flags) else { return };
            let is_cut = length > NOTICE_BYTES;
            let notice = hilum::notify::read(&bytes[..count], is_cut);
            if is_cut && !core::mem::replace(&mut self.notes[index].is_cut, true) {
                let name = self.config.get().workloads[index].name;
                self.console.tell(format_args!(
                    "workload \"{name}\": notify: {length} bytes in one datagram; what is behind {NOTICE_BYTES} was not read"
                ));
            }
            if let Some(text) = notice.status {
                self.notes[index].text = text;
            }
            if notice.is_ready && self.config.get().workloads[index].supervision.ready == Ready::Notify {
                self.tell(index, Event::Ready);
            }
            if notice.is_alive {
                self.tell(index, Event::Alive);
            }
        }
    }

    pub(super) fn start(&mut self, index: usize) {
        if self.is_deferred(index) {
            return self.deferred.insert(index);
        }
        let is_timed = self.entered_us.is_some();
        self.notes[index] = Note { check: None, ..Note::NONE };
        self.timeline.note(Moment::Start(index as u8));
        let result = spawn(self.config.get(), index, &mut self.around, is_timed).and_then(|process| {
            self.watch(process.output.as_fd(), Source::Output(index))?;
            if let Some(report) = &process.report {
                self.watch(report.as_fd(), Source::Report(index))?;
            }
            if let Some(ready) = &process.ready {
                self.watch(ready.as_fd(), Source::Ready(index))?;
            }
            Ok(process)
        });
        let config = self.config.clone();
        let workload = &config.get().workloads[index];
        match result {
            Ok(process) => {
                self.notes[index].helper = process.helper;
                self.processes[index] = Some(process);
            }
            Err(Failure { step: Some(step), errno, .. }) => {
                // What a line asks for and the kernel cannot will not be otherwise in a second: it is a failed start.
                tell::failed_step(&mut self.console, config.get(), index, Report { step, errno: words(errno) });
                self.around.groups.remove(workload, index);
                self.tell(index, Event::Exited(ExitReason::Exit(STATUS_SETUP)));
            }
            Err(Failure { step: None, errno, hint }) => {
                let (before, hint) = hint.map_or(("", ""), |hint| (": ", hint));
                self.console.tell(format_args!(
                    "workload \"{}\": start: {}{before}{hint}",
                    workload.name,
                    words(errno)
                ));
                self.tell(index, Event::Exited(ExitReason::NoProcess));
            }
        }
    }

    /// Sends a workload's first process a signal.
    ///
    /// # Errors
    /// ESRCH where it has ended, or never ran.
    pub(super) fn signal(&self, index: usize, signal: u8) -> Result<(), Errno> {
        self.processes[index].as_ref().ok_or(Errno::SRCH)?.signal(signal)
    }

    /// Whether the first process of a workload would hear of a signal: the first one of a PID namespace hears only of what it has
    /// a handler for.
    pub(super) fn hears(&self, index: usize, signal: u8) -> bool {
        let isolation = &self.config.get().workloads[index].isolation;
        let is_first = isolation.shared & Namespaces::flag("pid") == 0;
        let process = self.processes[index].as_ref().filter(|process| process.ended.is_none());
        process.is_none_or(|process| hears(process.pid, signal, is_first))
    }

    /// Asks a workload to end.
    pub(super) fn stop(&mut self, index: usize) {
        if self.deferred.contains(index) {
            self.deferred.remove(index);
            return self.tell(index, Event::Exited(ExitReason::NoProcess));
        }
        let config = self.config.clone();
        let workload = &config.get().workloads[index];
        // What is frozen would get the signal when it is too late.
        let _ = self.around.groups.freeze(workload, false);
        // While it is being set up every other signal waits, and its program would never see it: the kernel keeps from the
        // first process of a PID namespace what that has no handler for.
        self.read_report(index);
        let is_set_up = self.processes[index].as_ref().is_none_or(|process| process.report.is_none());
        // What a shell has started that will not hear of it itself.
        if let Some(process) =
            self.processes[index].as_ref().filter(|_| is_set_up && !self.hears(index, workload.stop.signal.0))
        {
            signal_below(process.pid, workload.stop.signal.0);
        }
        match self.signal(index, if is_set_up { workload.stop.signal.0 } else { KILL }) {
            // It ended already: its end is about to be read.
            Ok(()) | Err(Errno::SRCH) => {}
            Err(errno) => {
                self.console.tell(format_args!("workload \"{}\": signal: {}", workload.name, words(errno)));
            }
        }
    }

    pub(super) fn kill(&mut self, index: usize) {
        let config = self.config.clone();
        let workload = &config.get().workloads[index];
        let (name, signal) = (workload.name, workload.stop.signal);
        let late = format_args!("workload \"{name}\": stop: not done in time, killing it");
        // Nobody asks those that run as the board goes down.
        if self.hears(index, signal.0) || workload.supervision.at_stop_ms > 0 {
            self.console.tell(late);
        } else {
            self.console.tell(format_args!(
                "{late}: its first process has no handler for {signal}; where that is a shell, start the program with exec, or add the line: reaper"
            ));
        }
        // Without cgroup.kill (before kernel 5.14, in a container) its first process takes the others with it: they
        // share a PID namespace. What a workload that shares one left behind is found by a helper.
        if self.around.groups.kill(workload).is_err() && !self.sweep_at_once(index) {
            let _ = self.signal(index, KILL);
        }
    }

    /// Has a copy of this process look whether a workload is ready, or healthy.
    pub(super) fn check(&mut self, index: usize) {
        let config = self.config.clone();
        let workload = &config.get().workloads[index];
        let Some(process) = &self.processes[index] else { return };
        let is_ready = self.supervisor.state(index) == hilum::supervise::State::Ready;
        let (check, within_ms) = match (&workload.supervision.health, workload.supervision.ready) {
            (Some(health), _) if is_ready => (health.check.clone(), u64::from(health.interval_ms)),
            (_, Ready::Tcp(port)) => (Check::Tcp(port), READY_LOOK_MS),
            _ => return,
        };
        match hilum_sys::clone(0, None) {
            Ok(Cloned::Child) => {
                let target = Target {
                    config: config.get(),
                    workload,
                    pid: process.pid,
                    pidfd: process.pidfd.as_fd(),
                    groups: &self.around.groups,
                };
                let mut kept = [process.pidfd.as_raw_fd().unsigned_abs(), self.around.groups.number()];
                let _ = hilum_sys::close_all_but(&mut kept);
                // What a person has frozen does not answer, and is not ill for that.
                let is_good = is_good(&target, &check, within_ms) || (is_ready && target.is_frozen());
                exit(i32::from(!is_good))
            }
            // Its end is the answer.
            Ok(Cloned::Parent { pid, .. }) => self.notes[index].check = Some(pid),
            Err(_) => self.tell(index, Event::Checked(false)),
        }
    }

    fn tell_started(&mut self, index: usize, pid: Pid, executed_us: Option<u64>) {
        let config = self.config.clone();
        let name = config.get().workloads[index].name;
        let moment = Moment::Executed(index as u8);
        match executed_us {
            Some(us) => self.timeline.note_at(moment, us),
            None => self.timeline.note(moment),
        }
        self.console.tell(format_args!("workload \"{name}\": started, pid {}", pid.as_raw_nonzero()));
        if let (Some(entered_us), Some(executed_us)) = (self.entered_us, executed_us) {
            self.entered_us = None;
            let passed_us = executed_us.saturating_sub(entered_us);
            self.console.tell(format_args!("first workload after {passed_us} us"));
        }
    }
}
