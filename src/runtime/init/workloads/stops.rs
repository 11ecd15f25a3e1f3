//! Stopping workloads: stop signal, grace period, SIGKILL.

use super::Workloads;
use crate::init::context::Context;
use crate::os::errno::describe;
use crate::workload::{process_reacts_to, signal_below};
use hilum::namespaces::Namespaces;
use hilum::supervise::{Event, ExitReason};
use rustix::io::Errno;

/// SIGKILL.
const KILL: u8 = 9;

impl Workloads {
    /// Sends a signal to a workload's first process.
    ///
    /// # Errors
    /// ESRCH if it has exited, or never ran.
    pub(crate) fn signal(&self, cx: &Context, index: usize, signal: u8) -> Result<(), Errno> {
        let slot = cx.slot(index);
        self.slots[slot].process.as_ref().ok_or(Errno::SRCH)?.signal(signal)
    }

    /// Returns whether the first process of a workload would react to a signal: PID 1 of a PID namespace only receives
    /// signals that it has a handler for.
    pub(crate) fn reacts_to(&self, cx: &Context, index: usize, signal: u8) -> bool {
        let slot = cx.slot(index);
        let isolation = &cx.config.get().workload(index).isolation;
        let is_first = isolation.shared & Namespaces::PID == 0;
        let process = self.slots[slot].process.as_ref().filter(|process| process.ended.is_none());
        process.is_none_or(|process| process_reacts_to(process.pid, signal, is_first))
    }

    /// Sends a workload its stop signal.
    pub(super) fn stop(&mut self, cx: &mut Context, index: usize) {
        let slot = cx.slot(index);
        if core::mem::take(&mut self.slots[slot].is_deferred) {
            return self.report(cx, index, Event::Exited(ExitReason::NoProcess));
        }
        let config = cx.config.clone();
        let workload = config.get().workload(index);
        // A frozen workload would receive the signal too late.
        let _ = self.launch.cgroups.freeze(workload, false);
        // During the set-up all other signals are blocked and would be lost: the kernel discards signals for PID 1 of a
        // PID namespace that have no handler.
        self.read_report(cx, index);
        let is_set_up = self.slots[slot].process.as_ref().is_none_or(|process| process.report.is_none());
        // Processes that a shell has started and that will not be signalled by it.
        if let Some(process) = self.slots[slot]
            .process
            .as_ref()
            .filter(|_| is_set_up && !self.reacts_to(cx, index, workload.stop.signal.0))
        {
            signal_below(process.pid, workload.stop.signal.0);
        }
        match self.signal(cx, index, if is_set_up { workload.stop.signal.0 } else { KILL }) {
            // It has already exited; its exit is about to be handled.
            Ok(()) | Err(Errno::SRCH) => {}
            Err(errno) => {
                cx.console.info(format_args!("workload \"{}\": signal: {}", workload.name, describe(errno)));
            }
        }
    }

    /// Kills all processes of a workload.
    pub(super) fn kill(&mut self, cx: &mut Context, index: usize) {
        let config = cx.config.clone();
        let workload = config.get().workload(index);
        let (name, signal) = (workload.name, workload.stop.signal);
        let late = format_args!("workload \"{name}\": stop timed out, sending SIGKILL");
        // `at-stop` workloads are not asked to stop.
        if self.reacts_to(cx, index, signal.0) || workload.supervision.at_stop_ms > 0 {
            cx.console.info(late);
        } else {
            cx.console.info(format_args!(
                "{late}; its first process does not handle {signal}; if it is a shell, start the program with exec, or add: reaper"
            ));
        }
        // Without cgroup.kill (before kernel 5.14, in a container), the kernel kills the other processes with the first
        // one: they share a PID namespace. A helper finds the remaining processes of a workload in the host's PID
        // namespace.
        if self.launch.cgroups.kill(workload).is_err() && !self.sweep_at_once(cx, index) {
            let _ = self.signal(cx, index, KILL);
        }
    }
}
