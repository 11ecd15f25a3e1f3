//! Events of workloads: output, progress of the set-up, readiness, notifications.

use super::Workloads;
use super::corruption::is_mismatch;
use crate::init::context::Context;
use crate::init::event_lines;
use crate::init::timeline::Moment;
use crate::init::token::Token;
use crate::os::turn::{DATAGRAMS, OUTPUT_BYTES, READY_BYTES};
use crate::workload::{Outcome, Process, process_file};
use core::mem::MaybeUninit;
use hilum::config::Ready;
use hilum::supervise::Event;
use rustix::fd::AsFd;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::process::Pid;

/// Maximum bytes of a datagram to NOTIFY_SOCKET, as in systemd, which drops a longer one.
const NOTICE_BYTES: usize = 4096;

impl Workloads {
    /// Handles an event of a workload's descriptor. It is ignored if the workload is gone.
    pub(crate) fn handle(&mut self, cx: &mut Context, token: Token) {
        let (Token::Output(slot) | Token::Report(slot) | Token::Ready(slot) | Token::Notify(slot)) = token else {
            return;
        };
        let Some(index) = cx.config.get().index_of(slot) else { return };
        match token {
            Token::Report(_) => self.read_report(cx, index),
            Token::Ready(_) => self.read_ready(cx, index),
            Token::Notify(_) => self.read_notify(cx, index),
            _ => {
                self.read_output(cx, index);
            }
        }
    }

    /// Reads one chunk of a workload's output. Returns whether there was any.
    pub(super) fn read_output(&mut self, cx: &mut Context, index: usize) -> bool {
        let slot = cx.slot(index);
        let Some(process) = self.slots[slot].process.as_mut().filter(|process| process.has_writers) else {
            return false;
        };
        let mut room = [const { MaybeUninit::<u8>::uninit() }; OUTPUT_BYTES];
        match rustix::io::read(&process.output, &mut room) {
            Ok(([], _)) => {
                // All writers are gone, though perhaps not the process: there will be no more output.
                process.has_writers = false;
                cx.events.forget(process.output.as_fd());
                false
            }
            Ok((bytes, _)) => {
                self.logs.feed(cx.config.get().workload(index), slot, bytes, cx.now(), &mut cx.console);
                if !cx.is_deferring() {
                    // If many workloads write or exit in one turn, more output accumulates than fits into the console's
                    // queue.
                    cx.console.flush();
                }
                true
            }
            Err(errno) => errno == Errno::INTR,
        }
    }

    /// Handles the report of a set-up: the program was executed, or a step failed.
    pub(super) fn read_report(&mut self, cx: &mut Context, index: usize) {
        let slot = cx.slot(index);
        let Some(process) = &mut self.slots[slot].process else { return };
        match process.outcome() {
            Outcome::Pending => {}
            Outcome::More => {
                if let Some(report) = self.slots[slot].process.as_ref().and_then(|process| process.report.as_ref()) {
                    cx.events.rearm(report.as_fd(), Token::Report(slot));
                }
            }
            Outcome::Executed => {
                cx.end_deferral_soon();
                let Some(process) = &self.slots[slot].process else { return };
                let (pid, executed_us) = (process.pid, process.executed_us);
                self.launch.networks.keep(cx.config.get(), index, || process_file(pid, "ns/net", OFlags::RDONLY));
                // What was sent before waits in the sockets for the next turn.
                for (socket, token) in
                    [(&process.notify, Token::Notify(slot)), (&process.control, Token::Request(slot))]
                {
                    let _ = socket.as_ref().map(|socket| cx.events.watch(socket.as_fd(), token));
                }
                self.print_start(cx, index, pid, executed_us);
                self.report(cx, index, Event::Executed);
            }
            Outcome::Failed(report) => {
                let is_corrupt = is_mismatch(cx.config.get(), index, report);
                event_lines::failed_step(&mut cx.console, cx.config.get(), index, report);
                if is_corrupt {
                    self.note_corrupt(cx, index);
                }
            }
        }
    }

    /// Handles the readiness pipe. A newline means ready; the end of the pipe means nothing.
    pub(super) fn read_ready(&mut self, cx: &mut Context, index: usize) {
        let slot = cx.slot(index);
        let Some(Process { ready: Some(ready), .. }) = &self.slots[slot].process else { return };
        let mut bytes = [0; READY_BYTES];
        let is_ready = match rustix::io::read(ready, &mut bytes) {
            Err(Errno::AGAIN) => return,
            Ok(count @ 1..) if bytes[..count].contains(&b'\n') => true,
            Ok(1..) | Err(Errno::INTR) => return cx.events.rearm(ready.as_fd(), Token::Ready(slot)),
            _ => false,
        };
        if let Some(process) = &mut self.slots[slot].process {
            process.ready = None;
        }
        if is_ready {
            self.report(cx, index, Event::Ready);
        }
    }

    /// Reads notifications of a workload.
    pub(super) fn read_notify(&mut self, cx: &mut Context, index: usize) {
        let slot = cx.slot(index);
        for _ in 0..DATAGRAMS {
            let Some(Process { report: None, notify: Some(socket), .. }) = &self.slots[slot].process else { return };
            let mut bytes = [0_u8; NOTICE_BYTES];
            // Received descriptors are closed with the datagram, which is all that BARRIER=1 needs.
            let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
            let Ok((count, length)) = rustix::net::recv(socket, &mut bytes, flags) else { return };
            let is_cut = length > NOTICE_BYTES;
            let notice = hilum::notify::read(&bytes[..count], is_cut);
            if is_cut && !core::mem::replace(&mut self.slots[slot].is_cut, true) {
                let name = cx.config.get().workload(index).name;
                cx.console.info(format_args!(
                    "workload \"{name}\": notify: datagram of {length} bytes cut to {NOTICE_BYTES}"
                ));
            }
            if let Some(text) = notice.status {
                self.slots[slot].text = text;
            }
            if notice.is_ready && cx.config.get().workload(index).supervision.ready == Ready::Notify {
                self.report(cx, index, Event::Ready);
            }
            if notice.is_alive {
                self.report(cx, index, Event::Alive);
            }
        }
    }

    fn print_start(&mut self, cx: &mut Context, index: usize, pid: Pid, executed_us: Option<u64>) {
        let slot = cx.slot(index);
        let config = cx.config.clone();
        let name = config.get().workload(index).name;
        let moment = Moment::Executed(slot as u8);
        match executed_us {
            Some(us) => cx.timeline.note_at(moment, us),
            None => cx.timeline.note(moment),
        }
        cx.console.info(format_args!("workload \"{name}\": started, pid {}", pid.as_raw_nonzero()));
        if let (Some(entered_us), Some(executed_us)) = (self.entered_us, executed_us) {
            self.entered_us = None;
            let passed_us = executed_us.saturating_sub(entered_us);
            cx.console.info(format_args!("first workload after {passed_us} us"));
        }
    }
}
