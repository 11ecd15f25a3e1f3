//! What a start needs from PID 1, and the resulting process.

use super::cgroup::Cgroups;
use super::networks::Networks;
use super::report::{Outcome, receive};
use hilum::supervise::ExitReason;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, pidfd_send_signal};

/// A workload's process as PID 1 holds it.
pub(crate) struct Process {
    /// Its PID on the host; not reused until this process is reaped.
    pub(crate) pid: Pid,
    /// For signals, which cannot reach another process through it, and to be notified of its exit.
    pub(crate) pidfd: OwnedFd,
    /// Its standard output and error, in the order in which they are written.
    pub(crate) output: OwnedFd,
    /// Whether the pipe still has writers.
    pub(crate) has_writers: bool,
    /// The report pipe of its set-up; `None` after the report.
    pub(crate) report: Option<OwnedFd>,
    /// When it was about to execute its program, if that was requested.
    pub(crate) executed_us: Option<u64>,
    /// Whether its set-up failed: its exit status is then hilum's own.
    pub(crate) has_failed: bool,
    /// The pipe of `ready fd`.
    pub(crate) ready: Option<OwnedFd>,
    /// The helper that performs the parent's part of its set-up.
    pub(crate) helper: Option<Pid>,
    /// Its notify socket, if it has one.
    pub(crate) notify: Option<OwnedFd>,
    /// Its control socket, if it has one.
    pub(crate) control: Option<OwnedFd>,
    /// How it exited, while its remaining output is read; and the remaining chunks.
    pub(crate) ended: Option<(ExitReason, u32)>,
    /// Its mount namespace, if processes may remain after its exit because it shares the host's PID namespace.
    pub(crate) mount_namespace: Option<u64>,
}

impl Process {
    /// Sends a signal to the workload's first process.
    pub(crate) fn signal(&self, number: u8) -> Result<(), Errno> {
        #[cfg(test)]
        if true {
            return crate::os::fake::signal(self.pid, number);
        }
        let signal = Signal::from_named_raw(number.into()).ok_or(Errno::INVAL)?;
        pidfd_send_signal(&self.pidfd, signal)
    }

    /// Returns the report of the set-up; pending if it was already returned.
    pub(crate) fn outcome(&mut self) -> Outcome {
        let executed_us = &mut self.executed_us;
        let outcome = self.report.as_ref().map_or(Outcome::Pending, |report| receive(report, executed_us));
        if !matches!(outcome, Outcome::Pending | Outcome::More) {
            self.report = None;
            self.has_failed = matches!(outcome, Outcome::Failed(_));
        }
        outcome
    }
}

/// State of PID 1 that every start needs.
pub(crate) struct LaunchContext {
    /// The workloads' cgroups.
    pub(crate) cgroups: Cgroups,
    /// Network namespaces that several workloads share.
    pub(crate) networks: Networks,
    /// The path of the template.
    pub(crate) template: &'static str,
    /// The kernel's ABI version of Landlock; 0 if it does not have it.
    pub(crate) landlock_abi: u32,
    /// A pipe that is closed when modules, bridges and rules are ready; `None` if they are.
    pub(crate) ready: Option<OwnedFd>,
    /// Whether this process mounts the board's disks.
    pub(crate) has_disks: bool,
}

/// A start that created no process: the step of the plan, if it was one, and the errno.
pub(crate) struct Failure {
    pub(crate) step: Option<usize>,
    pub(crate) errno: Errno,
    /// A hint.
    pub(crate) hint: Option<hilum::text::Text>,
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self { step: None, errno, hint: None }
    }
}
