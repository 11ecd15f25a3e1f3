//! The first process of a PID namespace for a program that is a bad one: it forwards signals, and reaps.
//!
//! It is the process that the set-up was done by: everything that confines the program confines it as well. It cannot
//! be read or traced, and ends after the program, which ends everything else in there.

use super::filter::filter;
use crate::os::clock::monotonic_ms;
use crate::os::wait::timespec_from_ms;
use hilum::config::{Pools, Stop, Workload};
use hilum::plan::{Step, plan};
use hilum_sys::{Cloned, SignalFd, SignalSet, exit};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions};

/// Gives the copy that becomes the program. The caller's own process stays the first one, and does not return.
pub(crate) fn stay(workload: &Workload<'_>, pools: &Pools<'_>) -> Result<(), Errno> {
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
            let signals = SignalFd::open(SignalSet::ALL)?;
            for step in &plan(workload, pools).steps {
                if let Step::Seccomp(seccomp, capabilities) = step {
                    // Without it the program would have a neighbour that is less confined.
                    filter(seccomp, capabilities.0)?;
                }
            }
            reap(pid, &signals, &workload.stop)
        }
    }
}

/// Forwards signals to the program, and reaps. When the program has ended, what is left gets the workload's stop signal and its
/// grace; the kernel ends it with this process.
fn reap(program: Pid, signals: &SignalFd, stop: &Stop) -> ! {
    /// What shells add to the number of a signal that ended a program.
    const SIGNALLED: i32 = 128;
    // Of the program, once it has ended.
    let (mut status, mut until) = (None, 0_u64);
    loop {
        let left_ms = until.saturating_sub(monotonic_ms());
        let limit = status.map(|_| timespec_from_ms(left_ms));
        let _ = poll(&mut [PollFd::new(&signals.fd(), PollFlags::IN)], limit.as_ref());
        while let Some(caught) = signals.next() {
            match Signal::from_named_raw(caught.signal as i32).filter(|signal| *signal != Signal::CHILD) {
                Some(_) if status.is_some() => hilum_sys::signal_everything(caught.signal),
                Some(signal) => drop(rustix::process::kill_process(program, signal)),
                None => {}
            }
        }
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, ended))) if pid == program => {
                    let signalled = ended.terminating_signal().map(|signal| SIGNALLED + signal);
                    status = Some(ended.exit_status().or(signalled).unwrap_or(0));
                    until = monotonic_ms() + u64::from(stop.grace_ms);
                    hilum_sys::signal_everything(stop.signal.0.into());
                }
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => break,
                // Nobody is left.
                Err(_) => exit(status.unwrap_or(0)),
            }
        }
        if let Some(status) = status
            && monotonic_ms() >= until
        {
            exit(status)
        }
    }
}
