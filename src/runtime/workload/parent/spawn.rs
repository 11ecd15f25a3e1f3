//! PID 1's part of a start: cgroup, pipes, clone. It returns as soon as the process exists and never waits for it.

use super::leftovers::mount_namespace;
use super::set_up;
use crate::os::path::{self, access};
use crate::workload::cgroup::CgroupState;
use crate::workload::child::steps as child;
use crate::workload::context::{Failure, LaunchContext, Process};
use crate::workload::handover;
use hilum::config::{Config, Ready, Right};
use hilum::namespaces::Namespaces;
use hilum::plan::{Phase, plan};
use hilum::text;
use hilum::text::Text;
use hilum_sys::Cloned;
use rustix::fd::AsFd;
use rustix::fs::Access;
use rustix::io::Errno;
use rustix::net::SocketType;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Gid, Uid};

/// The highest descriptor of `ready fd`.
const HIGHEST_READY: i32 = 63;

/// Starts the workload at `index` in new namespaces. With `is_timed`, it reports the time of the program's start.
///
/// # Errors
/// Those of the kernel, for a limit, the cgroup, a pipe, or the clone. Only the empty cgroup remains then.
#[expect(
    clippy::too_many_lines,
    reason = "its pipes in functions of their own took 300 bytes more of the board's file"
)]
pub(crate) fn spawn(
    config: &Config<'_>,
    index: usize,
    launch: &mut LaunchContext,
    cgroup: &mut CgroupState,
    is_timed: bool,
) -> Result<Process, Failure> {
    let workload = config.workload(index);
    let plan = plan(workload, &config.pools);
    let group = launch.cgroups.open(workload, cgroup)?;
    for (step, limit) in plan.of(Phase::Prepare) {
        launch
            .cgroups
            .limit(group.as_ref(), limit, plan.namespaces.has(Namespaces::USER))
            .map_err(|errno| Failure { step: Some(step), errno, hint: None })?;
    }
    let (output, output_writer) = pipe_with(PipeFlags::CLOEXEC)?;
    // Programs may open /dev/stdout by name, which checks the pipe's permissions.
    let user = set_up::host_user(workload, &plan);
    rustix::fs::fchown(&output_writer, Some(Uid::from_raw(user.uid)), Some(Gid::from_raw(user.gid)))?;
    let (report, report_writer) = pipe_with(PipeFlags::CLOEXEC)?;
    for reader in [&output, &report] {
        rustix::io::ioctl_fionbio(reader, true)?;
    }
    // At another number than the program's descriptor for readiness.
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
    // The new process binds them to paths of its own.
    let made = |is_wanted: bool, kind| is_wanted.then(|| path::socket(kind)).transpose();
    let notify = made(workload.supervision.has_notify(), SocketType::DGRAM)?;
    let control = made(workload.supervision.control != Right::None, SocketType::SEQPACKET)?;
    let (socket, child_socket) = handover::pair()?;
    let network = launch.networks.enter(config, index)?;
    let is_connected = network.is_set_up();
    let namespaces = plan.namespaces.0 & if is_connected { !Namespaces::NET } else { u64::MAX };
    let cloned = hilum_sys::clone(namespaces, group.as_ref().map(AsFd::as_fd));
    if matches!(cloned, Ok(Cloned::Child)) {
        // Only PID 1 must hold the other end, so that its closing is noticed.
        drop(socket);
        let pipes = child::Pipes {
            output: output_writer.as_fd(),
            report: report_writer.as_fd(),
            socket: Some(child_socket.as_fd()),
            ready: ready_writer.as_ref().map(AsFd::as_fd),
            notify: notify.as_ref().map(AsFd::as_fd),
            control: control.as_ref().map(AsFd::as_fd),
            is_timed,
            template: launch.template,
            landlock_abi: launch.landlock_abi,
            is_connected,
            config,
        };
        child::run(workload, &plan, &pipes)
    }
    network.leave()?;
    match cloned.map_err(|errno| Failure { step: None, errno, hint: hint(plan.namespaces, errno) })? {
        Cloned::Child => Err(Errno::CHILD.into()),
        Cloned::Parent { pid, pidfd } => {
            // The process waits for its root filesystem, so it exists.
            let mount_namespace = if plan.namespaces.has(Namespaces::PID) { None } else { mount_namespace(pid) };
            let waiting = set_up::Waiting {
                pid,
                slot: config.slots.of(index),
                socket: socket.as_fd(),
                report: report_writer.as_fd(),
                has_disks: launch.has_disks,
                is_connected,
            };
            let helper = set_up::run(config, workload, &plan, &waiting, launch);
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
                control,
                ended: None,
                mount_namespace,
            })
        }
    }
}

/// Returns a hint for a failed clone: the errno does not say which of eight namespaces is the cause.
fn hint(namespaces: Namespaces, errno: Errno) -> Option<Text> {
    let lacks = |flag, path| namespaces.has(flag) && access(path, Access::EXISTS) == Err(Errno::NOENT);
    match errno {
        Errno::INVAL if lacks(Namespaces::USER, "/proc/self/ns/user") => {
            Some(text!("the kernel has no user namespaces; write: share user"))
        }
        Errno::INVAL if lacks(Namespaces::TIME, "/proc/self/ns/time") => {
            Some(text!("the kernel has no time namespaces; write: share time"))
        }
        Errno::NOSPC | Errno::USERS => Some(text!("a limit in /proc/sys/user is reached")),
        Errno::PERM | Errno::NOSYS => {
            Some(text!("namespaces need CAP_SYS_ADMIN, no chroot, and a seccomp filter that allows clone3"))
        }
        _ => None,
    }
}
