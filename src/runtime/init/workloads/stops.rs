//! How workloads stop: the signal, the grace, the end of everything in them.

use super::Workloads;
use crate::init::context::Context;
use crate::os::errno::describe;
use crate::workload::{hears, signal_below};
use hilum::namespaces::Namespaces;
use hilum::supervise::{Event, ExitReason};
use rustix::io::Errno;

/// SIGKILL.
const KILL: u8 = 9;

impl Workloads {
    /// Sends a workload's first process a signal.
    ///
    /// # Errors
    /// ESRCH where it has ended, or never ran.
    pub(crate) fn signal(&self, cx: &Context, index: usize, signal: u8) -> Result<(), Errno> {
        let slot = cx.slot(index);
        self.slots[slot].process.as_ref().ok_or(Errno::SRCH)?.signal(signal)
    }

    /// Whether the first process of a workload would hear of a signal: the first one of a PID namespace hears only of what it has
    /// a handler for.
    pub(crate) fn hears(&self, cx: &Context, index: usize, signal: u8) -> bool {
        let slot = cx.slot(index);
        let isolation = &cx.config.get().workloads[index].isolation;
        let is_first = isolation.shared & Namespaces::flag("pid") == 0;
        let process = self.slots[slot].process.as_ref().filter(|process| process.ended.is_none());
        process.is_none_or(|process| hears(process.pid, signal, is_first))
    }

    /// Sends a workload its stop signal.
    pub(super) fn stop(&mut self, cx: &mut Context, index: usize) {
        let slot = cx.slot(index);
        if core::mem::take(&mut self.slots[slot].is_deferred) {
            return self.report(cx, index, Event::Exited(ExitReason::NoProcess));
        }
        let config = cx.config.clone();
        let workload = &config.get().workloads[index];
        // What is frozen would get the signal when it is too late.
        let _ = self.launch.cgroups.freeze(workload, false);
        // While it is being set up every other signal waits, and its program would never see it: the kernel keeps from the
        // first process of a PID namespace what that has no handler for.
        self.read_report(cx, index);
        let is_set_up = self.slots[slot].process.as_ref().is_none_or(|process| process.report.is_none());
        // What a shell has started that will not hear of it itself.
        if let Some(process) =
            self.slots[slot].process.as_ref().filter(|_| is_set_up && !self.hears(cx, index, workload.stop.signal.0))
        {
            signal_below(process.pid, workload.stop.signal.0);
        }
        match self.signal(cx, index, if is_set_up { workload.stop.signal.0 } else { KILL }) {
            // It ended already: its end is about to be read.
            Ok(()) | Err(Errno::SRCH) => {}
            Err(errno) => {
                cx.console.info(format_args!("workload \"{}\": signal: {}", workload.name, describe(errno)));
            }
        }
    }

    /// Kills everything in a workload.
    pub(super) fn kill(&mut self, cx: &mut Context, index: usize) {
        let config = cx.config.clone();
        let workload = &config.get().workloads[index];
        let (name, signal) = (workload.name, workload.stop.signal);
        let late = format_args!("workload \"{name}\": stop timed out, sending SIGKILL");
        // Nobody asks those that run as the board goes down.
        if self.hears(cx, index, signal.0) || workload.supervision.at_stop_ms > 0 {
            cx.console.info(late);
        } else {
            cx.console.info(format_args!(
                "{late}; its first process does not handle {signal}; if it is a shell, start the program with exec, or add: reaper"
            ));
        }
        // Without cgroup.kill (before kernel 5.14, in a container) its first process takes the others with it: they
        // share a PID namespace. What a workload that shares one left behind is found by a helper.
        if self.launch.cgroups.kill(workload).is_err() && !self.sweep_at_once(cx, index) {
            let _ = self.signal(cx, index, KILL);
        }
    }
}
