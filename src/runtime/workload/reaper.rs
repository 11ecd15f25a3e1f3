//! The first process of a PID namespace for a program that is a bad one: it forwards signals, and reaps.
//!
//! It is the process that the set-up was done by: everything that confines the program confines it as well. It cannot
//! be read or traced, and ends with the program, which ends everything else in there.

use super::child::filter;
use hilum::config::{Lists, Workload};
use hilum::plan::{Step, plan};
use hilum_sys::{Cloned, SignalSet, Signals, exit};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions};

/// Gives the copy that becomes the program. The caller's own process stays the first one, and does not return.
pub(super) fn stay(workload: &Workload<'_>, lists: &Lists<'_>) -> Result<(), Errno> {
    // Before there is a program whose end could be missed. What is blocked here is unblocked in the copy.
    hilum_sys::mask(SignalSet::ALL);
    match hilum_sys::clone(0, None)? {
        Cloned::Child => {
            hilum_sys::mask(SignalSet::EMPTY);
            Ok(())
        }
        Cloned::Parent { pid, pidfd } => {
            drop(pidfd);
            // The report among them: PID 1 waits for its end.
            let _ = hilum_sys::close_range(3, u32::MAX);
            let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
            let signals = Signals::open(SignalSet::ALL)?;
            for step in &plan(workload, lists).steps {
                if let Step::Seccomp(seccomp, capabilities) = step {
                    // Without it the program would have a neighbour that is less confined.
                    filter(seccomp, capabilities.0)?;
                }
            }
            reap(pid, &signals)
        }
    }
}

fn reap(program: Pid, signals: &Signals) -> ! {
    /// What shells add to the number of a signal that ended a program.
    const SIGNALLED: i32 = 128;
    loop {
        let _ = poll(&mut [PollFd::new(&signals.fd(), PollFlags::IN)], None);
        while let Some(caught) = signals.next() {
            if let Some(signal) = Signal::from_named_raw(caught.signal as i32).filter(|signal| *signal != Signal::CHILD)
            {
                let _ = rustix::process::kill_process(program, signal);
            }
        }
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            if pid == program {
                let signalled = status.terminating_signal().map(|signal| SIGNALLED + signal);
                exit(status.exit_status().or(signalled).unwrap_or(0))
            }
        }
    }
}
