//! What is done to a new process from outside, with the board's privileges, while it waits: ids, priorities, and the
//! mounts that it cannot make in a user namespace of its own.
//!
//! PID 1 does it itself where nothing can make it wait. A disk or a server can: what is not in the kernel's memory, an image
//! file, a block device and an overlay are opened by a helper, which ends when it is done. So can the kernel's one
//! lock for all links.

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
use hilum::plan::{Phase, Plan, Step};
use rustix::event::PollFlags;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, prlimit, setpriority_process};

const SET_UP: Role = Role::new(c"hilum-setup");

/// The new process and the way to it.
pub(crate) struct Waiting<'a> {
    /// Its pid here.
    pub(crate) pid: Pid,
    /// Where it waits for what was opened.
    pub(crate) socket: BorrowedFd<'a>,
    /// Where a step that failed is reported.
    pub(crate) report: BorrowedFd<'a>,
    /// Whether the board's disks are mounted here, and not by somebody else.
    pub(crate) has_disks: bool,
}

/// Does the plan's outside steps, or has a helper do them. Returns the helper.
pub(crate) fn run(
    config: &Config<'_>,
    workload: &Workload<'_>,
    plan: &Plan<'_>,
    waiting: &Waiting<'_>,
    launch: &LaunchContext,
) -> Option<Pid> {
    if let Some(root) = cached_root(config, workload, launch.has_disks) {
        all(config, workload, plan, waiting, launch, Some(&root));
        return None;
    }
    let keep = Kept::of([
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

/// Whether something of it can make PID 1 wait, or has to wait itself for what is prepared at boot.
pub(crate) fn needs_helper(config: &Config<'_>, workload: &Workload<'_>, has_disks: bool) -> bool {
    cached_root(config, workload, has_disks).is_none()
}

/// Its root filesystem's folder, open, where nothing can make PID 1 wait.
fn cached_root(config: &Config<'_>, workload: &Workload<'_>, has_disks: bool) -> Option<OwnedFd> {
    let mut binds = config.pools.of(workload.isolation.mounts).iter();
    let waits = workload.overlay != Overlay::None
        || !workload.network.links.is_empty()
        || !workload.isolation.volumes.is_empty()
        || config.pools.of(workload.isolation.devices).iter().any(Device::is_searched)
        || (has_disks && config.disks_of(workload) != 0)
        || binds.any(|bind| root::open_cached(bind.source, OFlags::empty()).is_err());
    if waits { None } else { root::open_cached_dir(workload.root) }
}

/// Milliseconds that a workload waits for what is prepared at boot.
pub(crate) const LONGEST_MS: u64 = 180_000;

/// Waits for the end of the pipe; not for ever, and then what is missing shows in the step that needs it.
pub(crate) fn wait(ready: &OwnedFd, limit_ms: u64) {
    poll_fd_until(ready.as_fd(), PollFlags::IN, monotonic_ms() + limit_ms);
}

/// Does the outside steps; with the open folder of its root filesystem where it is known already, as PID 1 does it itself.
fn all(
    config: &Config<'_>,
    workload: &Workload<'_>,
    plan: &Plan<'_>,
    waiting: &Waiting<'_>,
    launch: &LaunchContext,
    root: Option<&OwnedFd>,
) {
    let mut opened = FdList::new();
    // An open user namespace to map the owners of files with; none where the workload has the board's ids.
    let users =
        if plan.namespaces.has("user") { process_file(waiting.pid, "ns/user", OFlags::RDONLY).ok() } else { None };
    let users = users.as_ref().map(AsFd::as_fd);
    for (index, step) in plan.of(Phase::Parent) {
        // A copy may have waited long. The other end of the socket is closed when the process is gone, and its pid may be
        // somebody else's then.
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
            // The process ends when the socket does.
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
        Step::DenyGroups => write(pid, "setgroups", "deny"),
        Step::Ids(first) => {
            // Three numbers of at most ten digits fit.
            let line = text::<32>(format_args!("0 {first} {}", limits::IDS));
            write(pid, "uid_map", &line)?;
            write(pid, "gid_map", &line)
        }
        Step::OomScore(score) => score_out_of_memory(pid, score),
        Step::ResourceLimit(limit) => limit_resource(pid, limit),
        Step::Priority(identity) => prioritize(pid, identity),
        Step::OpenRoot(path, verity) => push(opened, root::open(path, verity, workload.name, users)?),
        Step::Overlay(overlay) => {
            let lower = opened.pop().ok_or(Errno::BADF)?;
            push(opened, root::overlay(lower, overlay, users, first_id(workload, plan))?)
        }
        Step::CreateMount(ref mount) => push(opened, mounts::make(mount)?),
        Step::OpenVolume(ref volume) => {
            let on_disk = workload.identity.user;
            push(opened, root::open_volume(volume, on_disk, host_user(workload, plan), users)?)
        }
        Step::OpenMount(bind) => push(opened, root::open_bind(bind.source, users)?),
        Step::Connect(link, number) => {
            let namespace = process_file(pid, "ns/net", OFlags::RDONLY)?;
            crate::net::connect(workload, link, number, namespace.as_fd())
        }
        // In a helper: PID 1 makes no links itself.
        Step::Rules(published) => {
            Rules::none().make(config, workload)?;
            crate::net::forget_missed(published);
            Ok(())
        }
        Step::SendFds => send_fds(waiting.socket, opened),
        _ => Ok(()),
    }
}

/// Makes the workload's /dev, and allows it what is in there.
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

/// Refuses a path in one of the board's own filesystems that is not mounted: what is written there would be gone with
/// the power, and nobody would know.
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

/// Gives this process itself what a workload's process gets from outside: its limits and priorities.
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

/// Returns the id that the board gives to the workload's id 0.
fn first_id(workload: &Workload<'_>, plan: &Plan<'_>) -> u32 {
    if plan.namespaces.has("user") { workload.isolation.first_id } else { 0 }
}

/// Returns the workload's user as the board counts.
pub(crate) fn host_user(workload: &Workload<'_>, plan: &Plan<'_>) -> User {
    let (first, user) = (first_id(workload, plan), workload.identity.user);
    User { uid: first + user.uid, gid: first + user.gid }
}

fn push(opened: &mut FdList, mount: OwnedFd) -> Result<(), Errno> {
    opened.push(mount).map_err(|_| Errno::MFILE)
}

/// Resources in the order of their numbers, which the configuration's table has as well.
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

/// Returns a file of /proc/PID. The process is there, as PID 1 has not reaped it or a copy has just seen, so its pid is nobody else's.
pub(crate) fn process_file(pid: Pid, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    // A pid has at most seven digits, and the names are short.
    let path = text::<48>(format_args!("/proc/{}/{name}", pid.as_raw_nonzero()));
    open(path.as_str(), flags | OFlags::CLOEXEC, Mode::empty())
}

fn write(pid: Pid, name: &str, text: &str) -> Result<(), Errno> {
    rustix::io::write(process_file(pid, name, OFlags::WRONLY)?, text.as_bytes()).map(|_| ())
}
