//! What a start needs of PID 1, and what it leaves there.

use super::cgroup::Cgroups;
use super::handover;
use super::networks::Networks;
use super::report::{Outcome, receive};
use hilum::supervise::ExitReason;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, pidfd_send_signal};

/// A workload's process as PID 1 holds it.
pub(crate) struct Process {
    /// Its pid here; it cannot be another's until this process is reaped.
    pub(crate) pid: Pid,
    /// For signals, which through it cannot reach a stranger, and to hear of its end.
    pub(crate) pidfd: OwnedFd,
    /// What it writes to standard output and standard error, in the order in which it writes.
    pub(crate) output: OwnedFd,
    /// Whether anybody can still write there.
    pub(crate) has_writers: bool,
    /// Where its set-up reports; none once it has.
    pub(crate) report: Option<OwnedFd>,
    /// When it was about to execute its program, where that was asked for.
    pub(crate) executed_us: Option<u64>,
    /// Whether its set-up failed: its exit status is then hilum's own.
    pub(crate) has_failed: bool,
    /// Where it writes a newline when it is ready.
    pub(crate) ready: Option<OwnedFd>,
    /// The helper that does the outside of its set-up.
    pub(crate) helper: Option<Pid>,
    /// Before its program is executed, where its own socket comes from; then that socket.
    pub(crate) notify: Option<OwnedFd>,
    /// How it ended, while what it left in its pipe is still read; and how many helpings that may take.
    pub(crate) ended: Option<(ExitReason, u32)>,
    /// Its mount namespace, where processes may be left in there when it has ended: it shares process ids.
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

    /// What the set-up has reported so far; pending when it was reported before.
    pub(crate) fn outcome(&mut self) -> Outcome {
        let executed_us = &mut self.executed_us;
        let outcome = self.report.as_ref().map_or(Outcome::Pending, |report| receive(report, executed_us));
        if !matches!(outcome, Outcome::Pending | Outcome::More) {
            self.report = None;
            self.has_failed = matches!(outcome, Outcome::Failed(_));
            // The socket was sent before the program was executed, so this does not wait.
            let sent = self.notify.take().and_then(|socket| handover::receive_fds(socket.as_fd()).ok()?);
            self.notify = sent.and_then(|mut sent| sent.pop());
        }
        outcome
    }
}

/// What every start needs of PID 1.
pub(crate) struct LaunchContext {
    /// The workloads' control groups.
    pub(crate) cgroups: Cgroups,
    /// Network namespaces that several workloads share.
    pub(crate) networks: Networks,
    /// Where the template lies.
    pub(crate) template: &'static str,
    /// The kernel's version of Landlock; 0 where it has none.
    pub(crate) landlock_abi: u32,
    /// It ends when modules, bridges and rules are there. `None` if that is so.
    pub(crate) ready: Option<OwnedFd>,
    /// Whether the board's disks are this process's to mount.
    pub(crate) has_disks: bool,
}

/// A start that made no process: the step of the plan, where it was one, and what the kernel said.
pub(crate) struct Failure {
    pub(crate) step: Option<usize>,
    pub(crate) errno: Errno,
    /// What helps.
    pub(crate) hint: Option<&'static str>,
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self { step: None, errno, hint: None }
    }
}
