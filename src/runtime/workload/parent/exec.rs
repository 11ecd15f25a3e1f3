//! A further program inside of a running workload: `hilum exec`, and health checks.
//!
//! A helper enters the workload's namespaces and creates a process in the workload's cgroup. That process executes the
//! same steps of the plan as the workload's own program: identity, capabilities, Landlock, seccomp. Processes inside
//! can neither read nor trace these two (they are not dumpable, and their memory belongs to the host's user namespace,
//! CVE-2016-9962), and they execute nothing of the workload before privileges are dropped.

use super::set_up;
use crate::os::clock::monotonic_ms;
use crate::os::errno::describe;
use crate::os::wait::timespec_from_ms;
use crate::workload::cgroup::Cgroups;
use crate::workload::child::program::Program;
use crate::workload::child::steps::{self as child, Pipes};
use crate::workload::child::streams::{Streams, connect};
use crate::workload::report::{Joining, Outcome, Report, receive};
use heapless::String;
use hilum::config::{Config, Workload};
use hilum::fixed_string::append;
use hilum::namespaces::Namespaces;
use hilum::plan::{Plan, Step, plan};
use hilum_sys::{Cloned, SignalSet, exit};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, pidfd_send_signal, waitpid};

/// What the new process needs from the host.
struct Inside {
    /// The workload's cgroup.
    group: Option<OwnedFd>,
    /// Its cgroup namespace, which is entered last; `None` if it shares the host's.
    group_namespace: Option<OwnedFd>,
}

/// Milliseconds that a program has to exit after its client is gone.
const HANG_UP_MS: u64 = 2_000;

/// The workload to enter.
pub(crate) struct Target<'a> {
    pub(crate) config: &'a Config<'a>,
    pub(crate) workload: &'a Workload<'a>,
    /// Its first process, which is not reaped.
    pub(crate) pid: Pid,
    pub(crate) pidfd: BorrowedFd<'a>,
    pub(crate) cgroups: &'a Cgroups,
}

impl Target<'_> {
    /// Returns whether it is frozen.
    pub(crate) fn is_frozen(&self) -> bool {
        self.cgroups.is_frozen(self.workload)
    }

    /// Runs `words` inside. Returns the exit status, and stores an error message. Must be called in a helper, which
    /// must exit afterwards.
    ///
    /// `connection` receives the standard descriptors; the program is killed when it is closed, and at `until_ms` of
    /// the monotonic clock.
    pub(crate) fn run(
        &self,
        words: &[&str],
        term: &str,
        streams: Streams,
        connection: Option<BorrowedFd<'_>>,
        until_ms: Option<u64>,
    ) -> (u8, String<256>) {
        let mut text = String::new();
        let plan = plan(self.workload, &self.config.pools);
        let entered = self.enter(&plan);
        match entered.and_then(|inside| self.start(&plan, &inside, words, term, streams, connection)) {
            Ok((pidfd, pid, report)) => match wait(pid, pidfd, connection, until_ms) {
                Some(status) => {
                    if let Outcome::Failed(report) = receive(&report, &mut None) {
                        let _ = describe_failure(&mut text, &plan, report, words.first().copied().unwrap_or_default());
                    }
                    let signalled = status.terminating_signal().map(|signal| 128 + signal);
                    (status.exit_status().or(signalled).unwrap_or(255) as u8, text)
                }
                None => (124, text),
            },
            Err(errno) => {
                let _ =
                    append(&mut text, format_args!("enter workload \"{}\": {}", self.workload.name, describe(errno)));
                (125, text)
            }
        }
    }

    /// Takes over attributes that a process inside inherits from its parent, and enters all namespaces except the
    /// cgroup namespace, from which the new process could not be started in the workload's cgroup.
    fn enter(&self, plan: &Plan<'_>) -> Result<Inside, Errno> {
        let group = self.cgroups.of(self.workload)?;
        // Opened with the host's privileges, because a process that is not dumpable cannot be opened from inside.
        let group_namespace = match plan.namespaces.has(Namespaces::CGROUP) {
            true => Some(set_up::process_file(self.pid, "ns/cgroup", OFlags::RDONLY)?),
            false => None,
        };
        set_up::apply_to_self(plan)?;
        let mut namespaces = plan.namespaces.0 & !Namespaces::CGROUP;
        if self.workload.isolation.is_net_shared {
            namespaces |= Namespaces::NET;
        }
        crate::os::namespaces::enter(self.pidfd, namespaces)?;
        Ok(Inside { group, group_namespace })
    }

    fn start(
        &self,
        plan: &Plan<'_>,
        inside: &Inside,
        words: &[&str],
        term: &str,
        streams: Streams,
        connection: Option<BorrowedFd<'_>>,
    ) -> Result<(OwnedFd, Pid, OwnedFd), Errno> {
        let (report, report_writer) = pipe_with(PipeFlags::CLOEXEC)?;
        match hilum_sys::clone(0, inside.group.as_ref().map(AsFd::as_fd))? {
            Cloned::Parent { pid, pidfd } => {
                drop(report_writer);
                rustix::io::ioctl_fionbio(&report, true)?;
                Ok((pidfd, pid, report))
            }
            Cloned::Child => {
                drop(report);
                if let Some(namespace) = &inside.group_namespace
                    && let Err(errno) = crate::os::namespaces::enter(namespace.as_fd(), Namespaces::CGROUP)
                {
                    let step = Joining::Groups.step();
                    Report { step, errno: describe(errno) }.send(report_writer.as_fd());
                    exit(125)
                }
                let writer = report_writer.as_fd();
                let pipes = Pipes {
                    output: writer,
                    report: writer,
                    socket: None,
                    ready: None,
                    notify: None,
                    control: None,
                    is_timed: false,
                    template: "",
                    landlock_abi: hilum_sys::landlock_abi(),
                    is_connected: true,
                    config: self.config,
                };
                let has_terminal = matches!(streams, Streams::Made { terminal: Some(_), .. });
                let variables = self.config.pools.of(self.workload.env);
                let program = Program { words, variables, term: has_terminal.then_some(term) };
                child::run_program(self.workload, plan, &pipes, &program, || {
                    connect(self.workload, streams, connection)
                })
            }
        }
    }
}

/// Writes which step of joining failed, and why.
fn describe_failure(text: &mut String<256>, plan: &Plan<'_>, report: Report, program: &str) -> core::fmt::Result {
    let errno = report.errno;
    let step = plan.steps.get(report.step);
    match step {
        Some(Step::Execute(_)) => append(text, format_args!("exec {program}: {errno}"))?,
        Some(step) => append(text, format_args!("{step}: {errno}"))?,
        None => append(text, format_args!("{}: {errno}", Joining::text(report.step)))?,
    }
    match step {
        Some(step) => step.hint(errno.0).map_or(Ok(()), |hint| append(text, format_args!(": {hint}"))),
        None => Joining::hint(report.step, errno).map_or(Ok(()), |hint| append(text, format_args!(": {hint}"))),
    }
}

/// Waits for the program; kills it when the connection is closed or its time has expired. Returns `None` if it timed
/// out.
fn wait(pid: Pid, pidfd: OwnedFd, connection: Option<BorrowedFd<'_>>, until_ms: Option<u64>) -> Option<WaitStatus> {
    hilum_sys::mask(SignalSet::ALL);
    let (mut until_ms, mut is_late, mut has_hung_up) = (until_ms, false, false);
    loop {
        let left = until_ms.map(|until| timespec_from_ms(until.saturating_sub(monotonic_ms())));
        let ended = match connection.filter(|_| !has_hung_up) {
            Some(connection) => {
                let mut events =
                    [PollFd::new(&pidfd, PollFlags::IN), PollFd::from_borrowed_fd(connection, PollFlags::RDHUP)];
                let _ = poll(&mut events, left.as_ref());
                if !events[1].revents().is_empty() {
                    has_hung_up = true;
                    let _ = pidfd_send_signal(&pidfd, Signal::HUP);
                    until_ms = Some(monotonic_ms() + HANG_UP_MS);
                }
                !events[0].revents().is_empty()
            }
            None => poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], left.as_ref()) == Ok(1),
        };
        if ended {
            let status = waitpid(Some(pid), WaitOptions::empty()).ok().flatten().map(|(_, status)| status);
            return status.filter(|_| !is_late);
        }
        if until_ms.is_some_and(|until| until <= monotonic_ms()) {
            is_late = true;
            let _ = pidfd_send_signal(&pidfd, Signal::KILL);
            until_ms = None;
        }
    }
}
