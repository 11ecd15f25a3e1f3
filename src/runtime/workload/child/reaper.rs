//! A minimal init for programs that cannot act as PID 1: forwards signals and reaps orphans.
//!
//! It is the process that did the set-up, with the same restrictions as the program. It cannot be read or traced. It
//! exits after the program, which kills all other processes of the PID namespace.

use super::filter::filter;
use crate::os::clock::monotonic_ms;
use crate::os::wait::timespec_from_ms;
use hilum::config::{Pools, Stop, Workload};
use hilum::plan::{Step, plan};
use hilum_sys::{Cloned, SignalFd, SignalSet, exit};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions};

/// Forks: returns in the child, which becomes the program. The caller stays PID 1 and does not return.
pub(crate) fn stay(workload: &Workload<'_>, pools: &Pools<'_>) -> Result<(), Errno> {
    // Block signals before the program exists, so that its exit is not missed. They are unblocked in the child.
    hilum_sys::mask(SignalSet::ALL);
    match hilum_sys::clone(0, None)? {
        Cloned::Child => {
            hilum_sys::mask(SignalSet::EMPTY);
            Ok(())
        }
        Cloned::Parent { pid, pidfd } => {
            drop(pidfd);
            // This includes the report pipe, whose end PID 1 waits for.
            let _ = hilum_sys::close_range(3, u32::MAX);
            let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
            let signals = SignalFd::open(SignalSet::ALL)?;
            for step in &plan(workload, pools).steps {
                if let Step::Seccomp(seccomp, capabilities) = step {
                    // Otherwise the program would have a less restricted neighbour.
                    filter(seccomp, capabilities.0)?;
                }
            }
            reap(pid, &signals, &workload.stop)
        }
    }
}

/// Forwards signals to the program, and reaps. After the program has exited, the remaining processes get the workload's
/// stop signal and grace period; then the kernel kills them with this process.
fn reap(program: Pid, signals: &SignalFd, stop: &Stop) -> ! {
    /// Added by shells to the number of a signal that killed a program.
    const SIGNALLED: i32 = 128;
    // Set once the program has exited.
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
                // No process is left.
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
