//! The parent's part of a start, with the host's privileges, while the new process waits: ids, priorities, and mounts
//! that a user namespace cannot create.
//!
//! PID 1 performs it itself if nothing can block. What may block on a disk or a server is done by a helper: paths that
//! are not cached in memory, image files, block devices and overlays; also links, because of the kernel's single lock
//! for all of them.

use super::root;
use crate::net::Rules;
use crate::os::clock::monotonic_ms;
use crate::os::errno::describe;
use crate::os::helper::{self, Kept, Role};
use crate::os::path::open;
use crate::os::wait::{poll_fd, poll_fd_until};
use crate::storage;
use crate::workload::context::LaunchContext;
use crate::workload::devices::find;
use crate::workload::handover::{FdList, send_fds};
use crate::workload::report::Report;
use crate::workload::{mounts, template};
use hilum::config::{Config, Device, Identity, Overlay, ResourceLimit, User, Workload, limits};
use hilum::fixed_string::text;
use hilum::namespaces::Namespaces;
use hilum::plan::{Phase, Plan, RESOLV, Step};
use rustix::event::PollFlags;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, prlimit, setpriority_process};

const SET_UP: Role = Role::new(c"hilum-setup");

/// The new process, which waits.
pub(crate) struct Waiting<'a> {
    /// Its PID on the host.
    pub(crate) pid: Pid,
    /// The slot of its workload.
    pub(crate) slot: usize,
    /// The socket on which it waits for descriptors.
    pub(crate) socket: BorrowedFd<'a>,
    /// The pipe for reporting a failed step.
    pub(crate) report: BorrowedFd<'a>,
    /// Whether this PID 1 mounts the board's disks.
    pub(crate) has_disks: bool,
    /// Whether its network namespace is set up, because it was kept.
    pub(crate) is_connected: bool,
}

/// Performs the parent's steps of the plan, or starts a helper for them. Returns the helper.
pub(crate) fn run(
    config: &Config<'_>,
    workload: &Workload<'_>,
    plan: &Plan<'_>,
    waiting: &Waiting<'_>,
    launch: &LaunchContext,
) -> Option<Pid> {
    if let Some(root) = cached_root(config, workload, launch.has_disks, waiting.is_connected) {
        all(config, workload, plan, waiting, launch, Some(&root));
        return None;
    }
    let keep = Kept::of(&[
        Some(waiting.socket),
        Some(waiting.report),
        launch.cgroups.fd(),
        launch.ready.as_ref().map(AsFd::as_fd),
    ]);
    let mut work = || {
        if let Some(ready) = &launch.ready {
            wait(ready, LONGEST_MS);
        }
        all(config, workload, plan, waiting, launch, None);
        0
    };
    match helper::spawn(&SET_UP, keep, &mut work) {
        Ok(helper) => Some(helper.pid),
        Err(errno) => {
            let step = plan.of(Phase::Parent).next().map_or(0, |(index, _)| index);
            Report { step, errno: describe(errno) }.send(waiting.report);
            None
        }
    }
}

/// Returns whether a step may block PID 1, or must wait for boot tasks.
pub(crate) fn needs_helper(config: &Config<'_>, workload: &Workload<'_>, has_disks: bool) -> bool {
    cached_root(config, workload, has_disks, false).is_none()
}

/// Returns the open folder of its root filesystem, if opening it does not block.
fn cached_root(config: &Config<'_>, workload: &Workload<'_>, has_disks: bool, is_connected: bool) -> Option<OwnedFd> {
    let mut binds = config.pools.of(workload.isolation.mounts).iter();
    let waits = workload.overlay != Overlay::None
        || !(is_connected || workload.network.links.is_empty())
        || !workload.isolation.volumes.is_empty()
        || config.pools.of(workload.isolation.devices).iter().any(Device::is_searched)
        || (has_disks && config.disks_of(workload) != 0)
        || binds.any(|bind| root::open_cached(bind.source, OFlags::empty()).is_err());
    if waits { None } else { root::open_cached_dir(workload.root) }
}

/// Maximum milliseconds that a workload waits for boot tasks.
pub(crate) const LONGEST_MS: u64 = 180_000;

/// Waits until the pipe is closed, with a timeout; missing parts are then reported by the step that needs them.
pub(crate) fn wait(ready: &OwnedFd, limit_ms: u64) {
    poll_fd_until(ready.as_fd(), PollFlags::IN, monotonic_ms() + limit_ms);
}

/// Performs the parent's steps; with the open folder of the root filesystem if PID 1 does it itself.
fn all(
    config: &Config<'_>,
    workload: &Workload<'_>,
    plan: &Plan<'_>,
    waiting: &Waiting<'_>,
    launch: &LaunchContext,
    root: Option<&OwnedFd>,
) {
    let mut opened = FdList::new();
    // The user namespace for mapping owners; `None` if the workload shares the host's ids.
    let users = if plan.namespaces.has(Namespaces::USER) {
        process_file(waiting.pid, "ns/user", OFlags::RDONLY).ok()
    } else {
        None
    };
    let users = users.as_ref().map(AsFd::as_fd);
    for (index, step) in plan.of(Phase::Parent) {
        // A helper may have waited long. If the process has exited, its end of the socket is closed, and its PID may be
        // reused.
        if root.is_none() && poll_fd(waiting.socket, PollFlags::IN, 0) == Ok(true) {
            return;
        }
        let done = match (step, root) {
            (Step::OpenRoot(..), Some(root)) => root::in_folder(root, users).and_then(|root| push(&mut opened, root)),
            (Step::Devices(devices), _) => {
                devices_of(workload, devices, plan, launch).and_then(|mount| push(&mut opened, mount))
            }
            _ => apply(step, config, workload, plan, waiting, users, &mut opened),
        };
        if let Err(errno) = done {
            // Closing the socket ends the process.
            return Report { step: index, errno: describe(errno) }.send(waiting.report);
        }
    }
}

fn apply(
    step: &Step<'_>,
    config: &Config<'_>,
    workload: &Workload<'_>,
    plan: &Plan<'_>,
    waiting: &Waiting<'_>,
    users: Option<BorrowedFd<'_>>,
    opened: &mut FdList,
) -> Result<(), Errno> {
    let pid = waiting.pid;
    require_mounts(step, config, waiting)?;
    match *step {
        Step::Ids(first) => {
            // Three numbers of at most ten digits fit.
            let line = text::<32>(format_args!("0 {first} {}", limits::IDS));
            write(pid, "uid_map", &line)?;
            write(pid, "gid_map", &line)
        }
        Step::Priority(identity) => prioritize(pid, identity),
        Step::OpenRoot(path, verity) => push(opened, root::open(path, verity, waiting.slot, users)?),
        Step::Overlay(overlay) => {
            let lower = opened.pop().ok_or(Errno::BADF)?;
            push(opened, root::overlay(lower, overlay, users, first_id(workload, plan))?)
        }
        Step::CreateMount(ref mount) => push(opened, mounts::make(mount)?),
        Step::OpenVolume(ref volume) => {
            let on_disk = workload.identity.user;
            push(opened, root::open_volume(volume, on_disk, host_user(workload, plan), users)?)
        }
        Step::OpenMount(bind) => {
            let own = if bind == RESOLV { crate::net::own_name_servers(config, workload)? } else { None };
            push(opened, root::open_bind(own.as_ref().map_or(bind.source, |own| own.as_str()), users)?)
        }
        Step::Connect(..) | Step::Rules(_) if waiting.is_connected => Ok(()),
        Step::Connect(link, number) => {
            let namespace = process_file(pid, "ns/net", OFlags::RDONLY)?;
            crate::net::connect(workload, link, number, namespace.as_fd(), true)
        }
        // In a helper: PID 1 creates no links itself.
        Step::Rules(published) => {
            Rules::none().make(config, workload)?;
            crate::net::forget_missed(published);
            Ok(())
        }
        Step::SendFds => send_fds(waiting.socket, opened),
        _ => common(pid, step),
    }
}

/// Executes a step of the parent that needs nothing of a workload, for every engine.
pub(crate) fn common(pid: Pid, step: &Step<'_>) -> Result<(), Errno> {
    match *step {
        Step::DenyGroups => write(pid, "setgroups", "deny"),
        Step::OomScore(score) => score_out_of_memory(pid, score),
        Step::ResourceLimit(limit) => limit_resource(pid, limit),
        _ => Ok(()),
    }
}

/// Creates the workload's /dev, and allows its devices.
fn devices_of(
    workload: &Workload<'_>,
    devices: &[Device<'_>],
    plan: &Plan<'_>,
    launch: &LaunchContext,
) -> Result<OwnedFd, Errno> {
    let nodes = find(devices).map_err(|(_, errno)| errno)?;
    if !devices.is_empty() {
        launch.cgroups.allow_devices(workload, devices, &nodes);
    }
    template::with_devices(devices, &nodes, host_user(workload, plan))
}

/// Refuses a path in a filesystem of the board that is not mounted: data written there would be lost at power off,
/// unnoticed.
fn require_mounts(step: &Step<'_>, config: &Config<'_>, waiting: &Waiting<'_>) -> Result<(), Errno> {
    let path = match *step {
        Step::OpenRoot(path, _) | Step::Overlay(Overlay::Folder(path)) => path,
        Step::OpenMount(bind) => bind.source,
        Step::OpenVolume(volume) => volume.folder,
        _ => return Ok(()),
    };
    match config.mount_of(path).filter(|_| waiting.has_disks) {
        Some(mount) if !storage::is_mounted(mount) => Err(Errno::NOTBLK),
        _ => Ok(()),
    }
}

/// Applies to this process itself what the parent applies to a workload: limits and priorities.
pub(crate) fn apply_to_self(plan: &Plan<'_>) -> Result<(), Errno> {
    let own = rustix::process::getpid();
    for (_, step) in plan.of(Phase::Parent) {
        match *step {
            Step::OomScore(score) => score_out_of_memory(own, score)?,
            Step::ResourceLimit(limit) => limit_resource(own, limit)?,
            Step::Priority(identity) => prioritize(own, identity)?,
            _ => {}
        }
    }
    Ok(())
}

fn score_out_of_memory(pid: Pid, score: i16) -> Result<(), Errno> {
    self::write(pid, "oom_score_adj", &text::<8>(format_args!("{score}")))
}

fn limit_resource(pid: Pid, limit: ResourceLimit) -> Result<(), Errno> {
    let some = |value: u64| (value != u64::MAX).then_some(value);
    let resource = RESOURCES.get(usize::from(limit.resource)).ok_or(Errno::INVAL)?;
    prlimit(Some(pid), *resource, Rlimit { current: some(limit.soft), maximum: some(limit.hard) }).map(|_| ())
}

/// Returns the host's id for the workload's id 0.
fn first_id(workload: &Workload<'_>, plan: &Plan<'_>) -> u32 {
    if plan.namespaces.has(Namespaces::USER) { workload.isolation.first_id } else { 0 }
}

/// Returns the workload's user as host ids.
pub(crate) fn host_user(workload: &Workload<'_>, plan: &Plan<'_>) -> User {
    let (first, user) = (first_id(workload, plan), workload.identity.user);
    User { uid: first + user.uid, gid: first + user.gid }
}

fn push(opened: &mut FdList, mount: OwnedFd) -> Result<(), Errno> {
    opened.push(mount).map_err(|_| Errno::MFILE)
}

/// Resources in the order of their numbers, as in the configuration's table.
const RESOURCES: [Resource; 16] = [
    Resource::Cpu,
    Resource::Fsize,
    Resource::Data,
    Resource::Stack,
    Resource::Core,
    Resource::Rss,
    Resource::Nproc,
    Resource::Nofile,
    Resource::Memlock,
    Resource::As,
    Resource::Locks,
    Resource::Sigpending,
    Resource::Msgqueue,
    Resource::Nice,
    Resource::Rtprio,
    Resource::Rttime,
];

fn prioritize(pid: Pid, identity: &Identity) -> Result<(), Errno> {
    if identity.nice != 0 {
        setpriority_process(Some(pid), identity.nice.into())?;
    }
    if let Some((policy, priority)) = identity.scheduler {
        hilum_sys::set_scheduler(pid, policy, priority)?;
    }
    identity.ioprio.map_or(Ok(()), |value| hilum_sys::set_io_priority(pid, value))
}

/// Returns a file of /proc/PID. The process exists, because PID 1 has not reaped it, or a helper has just checked it;
/// so its PID is not reused.
pub(crate) fn process_file(pid: Pid, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    // A PID has at most seven digits, and the names are short.
    let path = text::<48>(format_args!("/proc/{}/{name}", pid.as_raw_nonzero()));
    open(path.as_str(), flags | OFlags::CLOEXEC, Mode::empty())
}

fn write(pid: Pid, name: &str, text: &str) -> Result<(), Errno> {
    rustix::io::write(process_file(pid, name, OFlags::WRONLY)?, text.as_bytes()).map(|_| ())
}
