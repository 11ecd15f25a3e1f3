//! PID 1's side of a start: group, pipes, clone. It returns as soon as the process exists and never waits for it.

use super::report::{Outcome, receive};
use super::{Groups, child};
use hilum::config::Workload;
use hilum::plan::plan;
use hilum_sys::Cloned;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, pidfd_send_signal};

/// A workload's process as PID 1 holds it.
pub(crate) struct Process {
    /// Its pid here; it cannot be another's until this process is reaped.
    pub(crate) pid: Pid,
    /// For signals, which through it cannot reach a stranger, and to hear of its end.
    pub(crate) pidfd: OwnedFd,
    /// What it writes to standard output and standard error, in the order in which it writes.
    pub(crate) output: OwnedFd,
    /// Where its set-up reports; none once it has.
    pub(crate) report: Option<OwnedFd>,
    /// When it was about to execute its program, where that was asked for.
    pub(crate) executed_us: Option<u64>,
    /// Whether its set-up failed: its exit status is then hilum's own.
    pub(crate) has_failed: bool,
}

impl Process {
    /// Sends a signal to the workload's first process.
    pub(crate) fn signal(&self, number: u8) -> Result<(), Errno> {
        let signal = Signal::from_named_raw(number.into()).ok_or(Errno::INVAL)?;
        pidfd_send_signal(&self.pidfd, signal)
    }

    /// What the set-up has reported so far; pending when it was told before.
    pub(crate) fn outcome(&mut self) -> Outcome {
        let executed_us = &mut self.executed_us;
        let outcome = self.report.as_ref().map_or(Outcome::Pending, |report| receive(report, executed_us));
        if !matches!(outcome, Outcome::Pending) {
            self.report = None;
            self.has_failed = matches!(outcome, Outcome::Failed(_));
        }
        outcome
    }
}

/// Starts `workload` in namespaces of its own; with `is_timed` it tells when it got to its program.
///
/// # Errors
/// The kernel's, for the group, a pipe, or the clone. Nothing is left behind then but the empty group.
pub(crate) fn spawn(workload: &Workload<'_>, groups: &Groups, is_timed: bool) -> Result<Process, Errno> {
    let group = groups.open(workload)?;
    let (output, output_writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let (report, report_writer) = pipe_with(PipeFlags::CLOEXEC)?;
    for reader in [&output, &report] {
        rustix::io::ioctl_fionbio(reader, true)?;
    }
    let plan = plan(workload);
    match hilum_sys::clone(plan.namespaces.0, group.as_ref().map(AsFd::as_fd))? {
        Cloned::Child => child::run(
            workload,
            &plan,
            &child::Pipes { output: output_writer.as_fd(), report: report_writer.as_fd(), is_timed },
        ),
        Cloned::Parent { pid, pidfd } => {
            Ok(Process { pid, pidfd, output, report: Some(report), executed_us: None, has_failed: false })
        }
    }
}
