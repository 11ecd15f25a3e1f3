//! Workload -> Plan: the ordered steps that turn a helper process into an isolated program.
//!
//! A plan is data: `hilum explain` prints it, tests check it here, and src/runtime executes it. PID 1 and the helper
//! make the same plan from the same workload, so the index of a failed step identifies it.
//!
//! A plan has three phases. First PID 1 sets the limits of the cgroup, before there is a process. Then the new process
//! waits while PID 1 performs the steps that need the host's privileges: ids, priorities, and mounts that a user
//! namespace may not create. The process performs the remaining steps itself. The order matters:
//! - The root filesystem is attached and filled before the pivot, by file descriptors below it, so that no symbolic
//!   link in it can redirect a mount.
//! - Masks come after the mounts that they cover, and settings before /proc/sys becomes read-only.
//! - Capabilities are dropped after the last step that needs one, and before the program's first instruction.
//! - Descriptors are closed late, because reporting a failed step needs one. The seccomp filter comes last.

mod audit;
mod landlock;
mod settings;
mod show;
mod step;

pub use audit::audit;
pub use landlock::{PathRule, Rights, Ruleset, Scope, rules};
pub use settings::{SETTINGS, SHARES, SHARES_OF_ALL};
pub use step::{CgroupLimit, FileSystem, Mask, Mount, Phase, Setting, Step, Value};

use crate::config::{
    Bind, Config, DEFAULT_MEMORY_PERCENT, DEFAULT_PIDS, DEFAULT_TMP_BYTES, Ip, Overlay, Pools, Prefix, Ready, Right,
    User, Workload, limits,
};
use crate::namespaces::Namespaces;
use crate::netlink::has_tables;
use crate::seccomp::Profile;
use heapless::Vec;

/// Steps of the longest plan.
pub const STEPS: usize = 128;

/// All steps to start one workload.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The namespaces that the new process is created in.
    pub namespaces: Namespaces,
    /// The steps in order; the last one executes the program.
    pub steps: Vec<Step<'a>, STEPS>,
}

impl<'a> Plan<'a> {
    /// Iterates over the steps of one phase, with their index in the plan.
    pub fn of(&self, phase: Phase) -> impl Iterator<Item = (usize, &Step<'a>)> {
        self.steps.iter().enumerate().filter(move |(_, step)| step.phase() == phase)
    }
}

/// Paths below /proc to hide, which reveal facts about the whole board or reach into its kernel (moby's list).
const PROC_MASKS: [Mask; 9] = [
    Mask { path: c"proc/kcore", is_folder: false },
    Mask { path: c"proc/keys", is_folder: false },
    Mask { path: c"proc/timer_list", is_folder: false },
    Mask { path: c"proc/sched_debug", is_folder: false },
    Mask { path: c"proc/latency_stats", is_folder: false },
    Mask { path: c"proc/interrupts", is_folder: false },
    Mask { path: c"proc/acpi", is_folder: true },
    Mask { path: c"proc/scsi", is_folder: true },
    Mask { path: c"proc/asound", is_folder: true },
];
const SYS_MASKS: [Mask; 2] =
    [Mask { path: c"sys/firmware", is_folder: true }, Mask { path: c"sys/devices/virtual/powercap", is_folder: true }];

/// Paths below /proc to make read-only: writing to them changes the kernel, not only the process.
const PROC_READ_ONLY: [&core::ffi::CStr; 6] =
    [c"proc/bus", c"proc/fs", c"proc/irq", c"proc/pressure", c"proc/sys", c"proc/sysrq-trigger"];

const fn mount(filesystem: FileSystem, target: &'static core::ffi::CStr) -> Mount {
    Mount {
        filesystem,
        target,
        options: &[],
        bytes: 0,
        read_only: false,
        executable: false,
        devices: false,
        is_held: false,
        keeps_folders: false,
        owner: User::ROOT,
    }
}

const PROC: Mount = Mount { is_held: true, ..mount(FileSystem::Proc, c"proc") };
const SYS: Mount = Mount { read_only: true, is_held: true, ..mount(FileSystem::Sysfs, c"sys") };
const GROUPS: Mount = Mount { read_only: true, ..mount(FileSystem::Cgroup2, c"sys/fs/cgroup") };
/// The kernel has 3,072 pseudo terminals for all workloads together; each workload gets a share.
const PTS: Mount = Mount {
    options: &[(c"mode", c"0620"), (c"ptmxmode", c"0666"), (c"max", c"64")],
    devices: true,
    ..mount(FileSystem::Devpts, c"dev/pts")
};
/// A tmpfs that every user of the workload may write to.
const SHM: Mount =
    Mount { options: &[(c"mode", c"1777")], bytes: DEFAULT_TMP_BYTES, ..mount(FileSystem::Tmpfs, c"dev/shm") };
const TMP: Mount = Mount { target: c"tmp", keeps_folders: true, ..SHM };
const RUN: Mount = Mount { options: &[(c"mode", c"0755")], target: c"run", ..TMP };

/// The socket for state reports of the program (NOTIFY_SOCKET of `sd_notify(3)`).
pub const NOTIFY: &str = "/run/notify";

/// The control socket of a workload with a `control` line.
pub const CONTROL: &str = "/run/hilum.sock";
/// Its name in /run.
pub const CONTROL_NAME: &str = "hilum.sock";

/// The board's name servers from the configuration and DHCP (resolv.conf(5)). A workload with leases of its own has a file of
/// its own instead.
pub const RESOLV: Bind<'static> =
    Bind { source: "/run/resolv.conf", target: "/etc/resolv.conf", is_writable: false, is_executable: false };

/// Returns whether a workload gets names beyond those of its root filesystem.
fn has_names<'a>(workload: &Workload<'a>, pools: &Pools<'a>) -> bool {
    workload.network.addresses(pools).next().is_some()
}

/// Writes a workload's /etc/hosts (hosts(5)): its own name, and the names of workloads that it may talk to.
///
/// # Errors
/// Those of the writer.
pub fn write_hosts(
    workload: &Workload<'_>,
    config: &Config<'_>,
    writer: &mut dyn core::fmt::Write,
) -> core::fmt::Result {
    writer.write_str("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n")?;
    let name = |prefix: Prefix, named: &Workload<'_>, writer: &mut dyn core::fmt::Write| {
        write!(writer, "{} {}", Ip(prefix.address), named.hostname)?;
        if named.name != named.hostname {
            write!(writer, " {}", named.name)?;
        }
        writer.write_str("\n")
    };
    workload.network.addresses(&config.pools).try_for_each(|prefix| name(prefix, workload, writer))?;
    for peer in workload.network.talk.iter().filter_map(|index| config.workloads.get(index)) {
        workload
            .network
            .peer_addresses(&peer.network, &config.pools)
            .try_for_each(|(_, prefix)| name(prefix, peer, writer))?;
    }
    if workload.network.talks_to_board {
        let bridges = config
            .pools
            .of(workload.network.links)
            .iter()
            .filter_map(|link| config.system.network.bridge(link.attachment.name()));
        for prefix in bridges.flat_map(|bridge| &bridge.addresses) {
            writeln!(writer, "{} board", Ip(prefix.address))?;
        }
    }
    Ok(())
}

/// Returns the plan of a workload.
pub fn plan<'a>(workload: &'a Workload<'a>, pools: &'a Pools<'a>) -> Plan<'a> {
    let mut plan = Plan { namespaces: Namespaces(0), steps: Vec::new() };
    let steps = &mut plan.steps;
    // A plan that does not fit is a bug of this file: `every_plan_fits` counts the steps of the longest one.
    let mut add = |step| assert!(steps.push(step).is_ok(), "a plan has at most {STEPS} steps");
    let mut namespaces = Namespaces(Namespaces::ALL.0 & !workload.isolation.shared);
    if workload.isolation.is_net_shared {
        // PID 1 creates the namespace that several workloads share; their processes start in it.
        namespaces.0 &= !Namespaces::NET;
    }
    group_limits(workload, pools, &mut add);
    outside(workload, pools, namespaces, &mut add);
    mounts(workload, pools, namespaces, &mut add);
    identity(workload, pools, namespaces, &mut add);
    plan.namespaces = namespaces;
    plan
}

/// The limits of the cgroup, before it has a process.
fn group_limits<'a>(workload: &'a Workload<'a>, pools: &'a Pools<'a>, add: &mut impl FnMut(Step<'a>)) {
    let resources = &workload.resources;
    let mut limit = |file, value, is_asked_for| add(Step::Limit(CgroupLimit { file, value, is_asked_for }));
    limit("pids.max", Value::Number(resources.pids.unwrap_or(DEFAULT_PIDS)), resources.pids.is_some());
    let memory = resources.memory.map_or(Value::MemoryPercent(DEFAULT_MEMORY_PERCENT), Value::Number);
    limit("memory.max", memory, resources.memory.is_some());
    // Without a swap limit, memory above the limit would go to the board's swap. On an OOM kill, the whole workload is
    // killed.
    limit("memory.swap.max", Value::Number(resources.swap.unwrap_or(0)), resources.swap.is_some());
    limit("memory.oom.group", Value::Number(1), resources.memory.is_some());
    for (file, value) in [("memory.high", resources.memory_high), ("memory.min", resources.memory_min)] {
        if let Some(value) = value {
            limit(file, Value::Number(value), true);
        }
    }
    if let Some(percent) = resources.cpu_percent {
        limit("cpu.max", Value::CpuPercent(percent), true);
    }
    if let Some(weight) = resources.cpu_weight {
        limit("cpu.weight", Value::Number(weight.into()), true);
    }
    if let Some(list) = resources.cpuset {
        limit("cpuset.cpus", Value::Text(list), true);
    }
    for io in pools.of(resources.io) {
        limit("io.max", Value::Io(*io), true);
    }
    if workload.isolation.devices.is_empty() {
        add(Step::DeviceControl);
    }
}

/// Steps that need the host's privileges, while the new process waits.
fn outside<'a>(
    workload: &'a Workload<'a>,
    pools: &'a Pools<'a>,
    namespaces: Namespaces,
    add: &mut impl FnMut(Step<'a>),
) {
    let (identity, isolation) = (&workload.identity, &workload.isolation);
    if namespaces.has(Namespaces::USER) {
        if !workload.may_set_groups() {
            add(Step::DenyGroups);
        }
        add(Step::Ids(isolation.first_id));
    }
    add(Step::OomScore(identity.oom_score_adj));
    pools.of(identity.rlimits).iter().for_each(|limit| add(Step::ResourceLimit(*limit)));
    if identity.nice != 0 || identity.scheduler.is_some() || identity.ioprio.is_some() {
        add(Step::Priority(identity));
    }
    if namespaces.has(Namespaces::NET) {
        (0..).zip(pools.of(workload.network.links)).for_each(|(number, link)| add(Step::Connect(link, number)));
        if has_tables(&workload.network, pools) {
            add(Step::Rules(pools.of(workload.network.publish)));
        }
    }
    add(Step::OpenRoot(workload.root, workload.verity));
    if workload.overlay != Overlay::None {
        add(Step::Overlay(workload.overlay));
    }
    // In the order in which the new process attaches them.
    if !namespaces.has(Namespaces::PID) {
        add(Step::CreateMount(PROC));
    }
    if isolation.has_sys && !namespaces.has(Namespaces::NET) {
        add(Step::CreateMount(SYS));
    }
    add(Step::Devices(pools.of(isolation.devices)));
    if workload.network.has_resolv {
        add(Step::OpenMount(RESOLV));
    }
    pools.of(isolation.mounts).iter().for_each(|bind| add(Step::OpenMount(*bind)));
    pools.of(isolation.volumes).iter().for_each(|volume| add(Step::OpenVolume(*volume)));
    add(Step::SendFds);
}

/// Steps of the new process in its namespaces, up to the pivot.
fn mounts<'a>(
    workload: &'a Workload<'a>,
    pools: &'a Pools<'a>,
    namespaces: Namespaces,
    add: &mut impl FnMut(Step<'a>),
) {
    let isolation = &workload.isolation;
    add(Step::ReceiveFds);
    if namespaces.has(Namespaces::USER) {
        add(Step::BecomeNsRoot);
    }
    add(Step::Session);
    add(Step::Keyring);
    if namespaces.has(Namespaces::UTS) {
        add(Step::Hostname(workload.hostname));
    }
    // A shared network namespace was configured when it was created.
    if namespaces.has(Namespaces::NET) {
        add(Step::Loopback);
        SETTINGS.iter().for_each(|setting| add(Step::Setting(setting)));
        (0..).zip(pools.of(workload.network.links)).for_each(|(number, link)| add(Step::Link(link, number)));
    }
    if namespaces.has(Namespaces::USER) {
        SHARES.iter().for_each(|share| add(Step::Share(share)));
    }
    add(Step::PrivateMounts);
    add(Step::Root { is_writable: workload.overlay != Overlay::None });
    add(if namespaces.has(Namespaces::PID) { Step::Mount(PROC) } else { Step::Attach(PROC) });
    PROC_READ_ONLY.iter().for_each(|path| add(Step::ReadOnly(path)));
    PROC_MASKS.iter().for_each(|mask| add(Step::Mask(*mask)));
    if isolation.has_sys {
        add(if namespaces.has(Namespaces::NET) { Step::Mount(SYS) } else { Step::Attach(SYS) });
        if namespaces.has(Namespaces::CGROUP) {
            add(Step::Mount(GROUPS));
        }
        SYS_MASKS.iter().for_each(|mask| add(Step::Mask(*mask)));
    }
    add(Step::Dev);
    let has_names = has_names(workload, pools);
    add(Step::Mount(PTS));
    add(Step::Mount(SHM));
    add(Step::Mount(Mount { bytes: isolation.tmp_bytes, executable: isolation.tmp_is_executable, ..TMP }));
    // A program that does not run as user 0 writes its PID files and sockets there.
    let control = workload.supervision.control;
    add(Step::Mount(Mount { is_held: has_names || control != Right::None, owner: workload.identity.user, ..RUN }));
    if has_names {
        add(Step::Hosts);
    }
    if control != Right::None {
        add(Step::Control(control));
    }
    if workload.network.has_resolv {
        add(Step::Bind(RESOLV));
    }
    pools.of(isolation.mounts).iter().for_each(|bind| add(Step::Bind(*bind)));
    pools.of(isolation.volumes).iter().for_each(|volume| add(Step::Bind(volume.bind())));
    // Standard input is the workload's own /dev/null.
    add(Step::Output);
    add(Step::Pivot);
    if workload.supervision.has_notify() {
        add(Step::Notify);
    }
    add(Step::Directory(workload.directory));
}

/// Identity and remaining privileges of the program.
fn identity<'a>(
    workload: &'a Workload<'a>,
    pools: &'a Pools<'a>,
    namespaces: Namespaces,
    add: &mut impl FnMut(Step<'a>),
) {
    let (identity, isolation) = (&workload.identity, &workload.isolation);
    if let Some(persona) = identity.personality {
        add(Step::Personality(persona));
    }
    add(Step::DropBoundingSet(isolation.capabilities));
    add(Step::NoNewPrivileges);
    if isolation.has_landlock {
        add(Step::Landlock(isolation.tcp.as_ref(), Scope::of_joining(namespaces)));
    }
    let has_denied_groups = namespaces.has(Namespaces::USER) && !workload.may_set_groups();
    // It is already user 0 of its user namespace, without groups that it could drop.
    if !has_denied_groups || identity.user != User::ROOT {
        add(Step::User {
            user: identity.user,
            groups: &identity.groups,
            has_denied_groups,
            capabilities: isolation.capabilities,
        });
    }
    add(Step::Capabilities(isolation.capabilities));
    add(Step::Umask(identity.umask));
    let ready = if let Ready::Fd(number) = workload.supervision.ready { number } else { 0 };
    add(Step::Descriptors { ready });
    add(Step::Signals);
    if workload.supervision.has_reaper {
        add(Step::Reaper);
    }
    if isolation.seccomp.profile != Profile::Off {
        add(Step::Seccomp(&isolation.seccomp, isolation.capabilities));
    }
    add(Step::Execute(pools.of(workload.exec).first().copied().unwrap_or_default()));
}

/// Returns the last id of a range that begins with `first`.
pub(crate) const fn last_id(first: u32) -> u32 {
    first + (limits::IDS - 1)
}

#[cfg(test)]
mod tests;
