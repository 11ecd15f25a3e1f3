//! PID 1's side of a start: group, pipes, clone. It returns as soon as the process exists and never waits for it.

use super::leftover::mount_namespace;
use super::network::Networks;
use super::report::{Outcome, receive};
use super::{Groups, child, handover, outside};
use crate::path::access;
use hilum::config::{Config, Ready};
use hilum::namespaces::Namespaces;
use hilum::plan::{Phase, plan};
use hilum_sys::Cloned;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::Access;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Gid, Pid, Signal, Uid, WaitStatus, pidfd_send_signal};

/// The highest descriptor that `ready fd` can name.
const HIGHEST_READY: i32 = 63;

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
    /// A copy of PID 1 that does the outside of its set-up.
    pub(crate) helper: Option<Pid>,
    /// Before its program is executed, where its own socket comes from; then that socket.
    pub(crate) notify: Option<OwnedFd>,
    /// How it ended, while what it left in its pipe is still read; and how many helpings that may take.
    pub(crate) ended: Option<(WaitStatus, u32)>,
    /// Its mount namespace, where processes may be left in there when it has ended: it shares process ids.
    pub(crate) mount_namespace: Option<u64>,
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
        if !matches!(outcome, Outcome::Pending | Outcome::More) {
            self.report = None;
            self.has_failed = matches!(outcome, Outcome::Failed(_));
            // The socket was sent before the program was executed, so this does not wait.
            let sent = self.notify.take().and_then(|socket| handover::receive(socket.as_fd()).ok()?);
            self.notify = sent.and_then(|mut sent| sent.pop());
        }
        outcome
    }
}

/// What every start needs of PID 1.
pub(crate) struct Surroundings {
    /// The workloads' control groups.
    pub(crate) groups: Groups,
    /// Network namespaces that several workloads share.
    pub(crate) networks: Networks,
    /// Where the template lies.
    pub(crate) template: &'static str,
    /// The kernel's version of Landlock; 0 where it has none.
    pub(crate) landlock_abi: u32,
    /// It ends when modules, bridges and rules are there; none when that is so.
    pub(crate) ready: Option<OwnedFd>,
    /// It ends when the board's disks are mounted, or could not be; none when that is so.
    pub(crate) disks: Option<OwnedFd>,
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

/// Starts the workload at `index` in namespaces of its own; with `is_timed` it tells when it got to its program.
///
/// # Errors
/// The kernel's, for a limit, the group, a pipe, or the clone. Nothing is left behind then but the empty group.
#[expect(
    clippy::too_many_lines,
    reason = "its pipes in functions of their own took 300 bytes more of the board's file"
)]
pub(crate) fn spawn(
    config: &Config<'_>,
    index: usize,
    around: &mut Surroundings,
    is_timed: bool,
) -> Result<Process, Failure> {
    let workload = &config.workloads[index];
    let plan = plan(workload, &config.pools);
    let group = around.groups.open(workload, index)?;
    for (step, limit) in plan.of(Phase::Before) {
        around.groups.limit(group.as_ref(), limit, plan.namespaces.has("user")).map_err(|errno| Failure {
            step: Some(step),
            errno,
            hint: None,
        })?;
    }
    let (output, output_writer) = pipe_with(PipeFlags::CLOEXEC)?;
    // Programs open /dev/stdout again by its name, which asks for the pipe's own permissions.
    let user = outside::on_board(workload, &plan);
    rustix::fs::fchown(&output_writer, Some(Uid::from_raw(user.uid)), Some(Gid::from_raw(user.gid)))?;
    let (report, report_writer) = pipe_with(PipeFlags::CLOEXEC)?;
    for reader in [&output, &report] {
        rustix::io::ioctl_fionbio(reader, true)?;
    }
    // Away from the number that the program is to find its own one at.
    let report_writer = match workload.supervision.ready {
        Ready::Fd(_) => rustix::io::fcntl_dupfd_cloexec(report_writer, HIGHEST_READY + 1)?,
        _ => report_writer,
    };
    let (ready, ready_writer) = match workload.supervision.ready {
        Ready::Fd(_) => {
            let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
            rustix::io::ioctl_fionbio(&reader, true)?;
            rustix::fs::fchown(&writer, Some(Uid::from_raw(user.uid)), Some(Gid::from_raw(user.gid)))?;
            (Some(reader), Some(rustix::io::fcntl_dupfd_cloexec(writer, HIGHEST_READY + 1)?))
        }
        _ => (None, None),
    };
    let (notify, child_notify) = match workload.supervision.has_notify() {
        true => handover::pair().map(|(own, other)| (Some(own), Some(other)))?,
        false => (None, None),
    };
    if let Some(notify) = &notify {
        rustix::io::ioctl_fionbio(notify, true)?;
    }
    let (socket, child_socket) = handover::pair()?;
    let network = around.networks.enter(config, index)?;
    let cloned = hilum_sys::clone(plan.namespaces.0, group.as_ref().map(AsFd::as_fd));
    if matches!(cloned, Ok(Cloned::Child)) {
        // The other end has to be PID 1's alone, so that its end can be heard.
        drop(socket);
        let pipes = child::Pipes {
            output: output_writer.as_fd(),
            report: report_writer.as_fd(),
            socket: Some(child_socket.as_fd()),
            ready: ready_writer.as_ref().map(AsFd::as_fd),
            notify: child_notify.as_ref().map(AsFd::as_fd),
            is_timed,
            template: around.template,
            landlock_abi: around.landlock_abi,
            config,
        };
        child::run(workload, &plan, &pipes)
    }
    network.leave()?;
    match cloned.map_err(|errno| Failure { step: None, errno, hint: hint(plan.namespaces, errno) })? {
        Cloned::Child => Err(Errno::CHILD.into()),
        Cloned::Parent { pid, pidfd } => {
            // It waits for its root filesystem, so it is there.
            let mount_namespace = if plan.namespaces.has("pid") { None } else { mount_namespace(pid) };
            let waiting = outside::Waiting {
                pid,
                socket: socket.as_fd(),
                report: report_writer.as_fd(),
                has_disks: around.has_disks,
            };
            let helper = outside::run(config, workload, &plan, &waiting, around);
            Ok(Process {
                pid,
                pidfd,
                output,
                has_writers: true,
                report: Some(report),
                executed_us: None,
                has_failed: false,
                helper,
                ready,
                notify,
                ended: None,
                mount_namespace,
            })
        }
    }
}

/// What helps when the clone failed: the kernel's own answer does not say which of eight namespaces it is about.
fn hint(namespaces: Namespaces, errno: Errno) -> Option<&'static str> {
    let lacks = |name: &str, path: &str| namespaces.has(name) && access(path, Access::EXISTS) == Err(Errno::NOENT);
    match errno {
        Errno::INVAL if lacks("user", "/proc/self/ns/user") => {
            Some("the kernel has no user namespaces; write: share user")
        }
        Errno::INVAL if lacks("time", "/proc/self/ns/time") => {
            Some("the kernel has no time namespaces; write: share time")
        }
        Errno::NOSPC | Errno::USERS => Some("the limits below /proc/sys/user allow no more namespaces"),
        Errno::PERM | Errno::NOSYS => {
            Some("making namespaces takes CAP_SYS_ADMIN, no chroot, and no filter that refuses clone3")
        }
        _ => None,
    }
}
