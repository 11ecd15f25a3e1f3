//! Control groups (version 2, cgroups(7)): one for PID 1, one for each workload.
//!
//! `/sys/fs/cgroup/init` holds PID 1, away from the workloads' accounting and with memory that is kept for it;
//! `/sys/fs/cgroup/workload/NAME` holds one workload. Inside of a container the hierarchy belongs to the host, so there
//! are no groups then, and a limit that a line asks for is refused.

use super::devices::Nodes;
use crate::console::Console;
use crate::os::errno::describe;
use crate::os::path::{Path, open, stat};
use heapless::{String, Vec};
use hilum::config::{Config, Device, IoLimit, Workload};
use hilum::devices::{Allowed, program};
use hilum::fixed_string::append;
use hilum::plan::{CgroupLimit, Phase, Step, Value, plan};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io::Errno;

/// How a group is opened that processes are born into and programs are attached to.
const GROUP: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const FOLDER: Mode = Mode::from_raw_mode(0o755);

/// Bytes that are kept for PID 1 when memory is short: several times what it has.
const OWN_MEMORY: &[u8] = b"1048576";

/// The workloads' groups.
pub(crate) struct Cgroups {
    /// The folder that holds them. `None` if there are no groups.
    folder: Option<OwnedFd>,
    /// The program that decides about the usual devices. `None` until it was needed.
    usual_devices: Option<OwnedFd>,
}

/// What is kept of one workload's group.
#[derive(Clone, Copy)]
pub(crate) struct CgroupState {
    /// Whether it could not be removed yet: it is busy for a moment after the last process has exited.
    is_busy: bool,
    /// How often the kernel had killed in it before its last start, if it is used again.
    killed: u32,
}

impl CgroupState {
    pub(crate) const NONE: Self = Self { is_busy: false, killed: 0 };

    /// Whether the group waits for its removal.
    pub(crate) fn is_busy(self) -> bool {
        self.is_busy
    }
}

/// A workload that ran out of memory.
pub(crate) struct OutOfMemory {
    /// The most that it had, in bytes. `None` before kernel 5.19.
    pub(crate) peak: Option<u64>,
    /// What it may have.
    pub(crate) limit: u64,
}

impl Cgroups {
    /// No groups: not this process's hierarchy.
    pub(crate) const fn none() -> Self {
        Self { folder: None, usual_devices: None }
    }

    /// Makes the folder for the workloads' groups, with the controllers that their lines need; says what failed.
    pub(crate) fn prepare(config: &Config<'_>, console: &mut Console) -> Self {
        let mut groups = Self::none();
        match make(config) {
            Ok(folder) => groups.folder = Some(folder),
            Err(errno) => console.error(format_args!("cgroups: {}; running workloads without", describe(errno))),
        }
        groups
    }

    /// Goes over to another configuration, which may need further controllers.
    pub(crate) fn adopt(&self, config: &Config<'_>, console: &mut Console) {
        if self.folder.is_none() {
            return;
        }
        if let Err(errno) = make(config) {
            console.error(format_args!("cgroups: {}", describe(errno)));
        }
    }

    /// Moves PID 1 into its own group. To be called when the board has started: moving a process waits for a grace
    /// period of the kernel (cgroup_threadgroup_rwsem), which no workload has to wait for.
    pub(crate) fn move_self(&self) -> Result<(), Errno> {
        if self.folder.is_none() {
            return Ok(());
        }
        let own = open_folder(open_root()?.as_fd(), "init")?;
        // A kernel without the memory controller keeps nothing for anybody.
        let _ = write(own.as_fd(), "memory.min", OWN_MEMORY);
        write(own.as_fd(), "cgroup.procs", b"0")
    }

    /// Returns the group of a workload, made where it is not there: the last run's may still be on its way out, and then it
    /// is used again.
    pub(crate) fn open(&self, workload: &Workload<'_>, state: &mut CgroupState) -> Result<Option<OwnedFd>, Errno> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let group = open_folder(folder.as_fd(), workload.name)?;
        if core::mem::take(&mut state.is_busy) {
            state.killed = kills(group.as_fd());
        }
        Ok(Some(group))
    }

    /// Carries out a step that concerns the group.
    ///
    /// The filter of the usual devices is the second lock on what a workload with a user namespace of its own cannot
    /// open anyway: every mount that it sees devices on is PID 1's. The kernel takes longer to check the first such
    /// program than to start a workload, so it comes when the board has started, and from then on at each start.
    pub(crate) fn limit(&self, group: Option<&OwnedFd>, step: &Step<'_>, has_own_users: bool) -> Result<(), Errno> {
        match (step, group) {
            (Step::Limit(limit), Some(group)) => match write_limit(group.as_fd(), limit) {
                // What no line asked for is left out where the kernel cannot; `hilum doctor` tells.
                Err(_) if !limit.is_asked_for => Ok(()),
                // Nothing can be swapped where there is no swap accounting, and that is what was asked for.
                Err(Errno::NOENT) if limit.file == "memory.swap.max" && limit.value == Value::Number(0) => Ok(()),
                result => result,
            },
            (Step::Limit(limit), None) if limit.is_asked_for => Err(Errno::OPNOTSUPP),
            (Step::DeviceControl, Some(group)) => {
                if let Some(usual) = &self.usual_devices {
                    let _ = hilum_sys::attach_device_filter(group.as_fd(), usual.as_fd());
                } else if !has_own_users {
                    attach(group.as_fd(), &mut core::iter::empty());
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Allows a workload, which has not begun to run, its own devices beside the usual ones, and no others.
    pub(crate) fn allow_devices(&self, workload: &Workload<'_>, devices: &[Device<'_>], nodes: &Nodes) {
        let Ok(Some(group)) = self.of(workload) else { return };
        let mut allowed = nodes.iter().filter_map(|node| {
            let line = devices.get(node.line)?;
            Some(Allowed {
                is_block: node.kind == FileType::BlockDevice,
                major: rustix::fs::major(node.device),
                minor: Some(rustix::fs::minor(node.device)),
                read: line.read,
                write: line.write,
            })
        });
        attach(group.as_fd(), &mut allowed);
    }

    /// Has the filter of the usual devices decide for every workload that started without one.
    pub(crate) fn control_devices(&mut self, workloads: &[Workload<'_>]) {
        let Some(folder) = &self.folder else { return };
        // A kernel without it (CONFIG_CGROUP_BPF) has the first lock.
        let Ok(filter) = hilum_sys::load_device_filter(&program(&mut core::iter::empty())) else { return };
        for workload in workloads.iter().filter(|workload| workload.isolation.devices.is_empty()) {
            if let Ok(group) = openat(folder.as_fd(), Path(workload.name), GROUP, Mode::empty()) {
                let _ = hilum_sys::attach_device_filter(group.as_fd(), filter.as_fd());
            }
        }
        self.usual_devices = Some(filter);
    }

    /// Returns the descriptor that a helper needs for them; `None` if there are no groups.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.folder.as_ref().map(AsFd::as_fd)
    }

    /// Returns the group of a workload that runs. `None` if there are no groups.
    pub(crate) fn of(&self, workload: &Workload<'_>) -> Result<Option<OwnedFd>, Errno> {
        self.folder.as_ref().map(|folder| openat(folder.as_fd(), Path(workload.name), GROUP, Mode::empty())).transpose()
    }

    /// Stops every process of a workload where it is, or lets them go on (cgroup.freeze).
    pub(crate) fn freeze(&self, workload: &Workload<'_>, is_frozen: bool) -> Result<(), Errno> {
        let folder = self.folder.as_ref().ok_or(Errno::OPNOTSUPP)?;
        let text = if is_frozen { b"1" } else { b"0" };
        write(existing(folder, workload.name)?.as_fd(), "cgroup.freeze", text)
    }

    /// Whether what is in the group of a workload is stopped, or about to be.
    pub(crate) fn is_frozen(&self, workload: &Workload<'_>) -> bool {
        let group = self.folder.as_ref().and_then(|folder| existing(folder, workload.name).ok());
        group.is_some_and(|group| read_number(group.as_fd(), "cgroup.freeze") == Some(1))
    }

    /// Kills everything in the group of a workload (cgroup.kill, from kernel 5.14 on).
    pub(crate) fn kill(&self, workload: &Workload<'_>) -> Result<(), Errno> {
        let folder = self.folder.as_ref().ok_or(Errno::OPNOTSUPP)?;
        write(existing(folder, workload.name)?.as_fd(), "cgroup.kill", b"1")
    }

    /// Whether a process is left in the group of a workload (cgroup.events). `None` if nobody counts.
    pub(crate) fn is_populated(&self, workload: &Workload<'_>) -> Option<bool> {
        let group = existing(self.folder.as_ref()?, workload.name).ok()?;
        let mut text = [0; 64];
        let length = read(group.as_fd(), "cgroup.events", &mut text).ok()?;
        Some(!core::str::from_utf8(&text[..length]).unwrap_or_default().contains("populated 0"))
    }

    /// Whether the kernel killed in the group of a workload because its memory was used up.
    pub(crate) fn out_of_memory(&self, workload: &Workload<'_>, state: &CgroupState) -> Option<OutOfMemory> {
        let group = existing(self.folder.as_ref()?, workload.name).ok()?;
        if kills(group.as_fd()) <= state.killed {
            return None;
        }
        let number = |file| read_number(group.as_fd(), file);
        Some(OutOfMemory { peak: number("memory.peak"), limit: number("memory.max").unwrap_or(u64::MAX) })
    }

    /// Removes the group of a workload that ended, and whatever of it is left in there: a process that shared the
    /// board's PID namespace outlives its first one. It may be busy for a moment; then it is tried again.
    pub(crate) fn remove(&self, workload: &Workload<'_>, state: &mut CgroupState) {
        if workload.isolation.shared != 0 {
            let _ = self.kill(workload);
        }
        state.is_busy = true;
        self.sweep(workload, state);
    }

    /// Tries to remove the group of a workload that ended. If it is busy, it stays so.
    pub(crate) fn sweep(&self, workload: &Workload<'_>, state: &mut CgroupState) {
        let Some(folder) = &self.folder else {
            *state = CgroupState::NONE;
            return;
        };
        if !matches!(unlinkat(folder, Path(workload.name), AtFlags::REMOVEDIR), Err(Errno::BUSY)) {
            *state = CgroupState::NONE;
        }
    }
}

/// Has the usual devices and these be all that the processes of a group may use. The second lock: nodev mounts and the missing right
/// to make nodes hold on a kernel without it.
fn attach(group: BorrowedFd<'_>, devices: &mut dyn Iterator<Item = Allowed>) {
    let _ = hilum_sys::load_device_filter(&program(devices))
        .and_then(|filter| hilum_sys::attach_device_filter(group, filter.as_fd()));
}

/// Makes the folder of the workloads, and hands the controllers down that their plans set limits of.
fn make(config: &Config<'_>) -> Result<OwnedFd, Errno> {
    let root = open_root()?;
    let mut text = [0; 256];
    let length = read(root.as_fd(), "cgroup.controllers", &mut text)?;
    let there = core::str::from_utf8(&text[..length]).unwrap_or_default();
    let mut wanted: Vec<&str, 8> = Vec::new();
    for workload in &config.workloads {
        for (_, step) in plan(workload, &config.pools).of(Phase::Prepare) {
            let Step::Limit(limit) = step else { continue };
            let name = limit.controller();
            if there.split_ascii_whitespace().any(|known| known == name) && !wanted.contains(&name) {
                // There are five controllers with limits.
                let _ = wanted.push(name);
            }
        }
    }
    let mut line: String<64> = String::new();
    wanted.iter().try_for_each(|name| append(&mut line, format_args!("+{name} "))).map_err(|_| Errno::NOSPC)?;
    let folder = open_folder(root.as_fd(), "workload")?;
    if !line.is_empty() {
        write(root.as_fd(), "cgroup.subtree_control", line.as_bytes())?;
        write(folder.as_fd(), "cgroup.subtree_control", line.as_bytes())?;
    }
    Ok(folder)
}

fn write_limit(group: BorrowedFd<'_>, limit: &CgroupLimit<'_>) -> Result<(), Errno> {
    let mut line: String<160> = String::new();
    let put = match limit.value {
        Value::MemoryPercent(percent) => {
            let info = rustix::system::sysinfo();
            let bytes = info.totalram as u64 / 100 * percent * u64::from(info.mem_unit);
            append(&mut line, format_args!("{bytes}"))
        }
        Value::Io(io) => {
            let device = stat(io.device)?.st_rdev;
            let named = IoLimit::NAMES.iter().zip(io.limits);
            append(&mut line, format_args!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device))).and_then(
                |()| {
                    named.into_iter().try_for_each(|(name, limit)| match limit {
                        Some(limit) => append(&mut line, format_args!(" {name}={}", Value::Number(limit))),
                        None => Ok(()),
                    })
                },
            )
        }
        value => append(&mut line, format_args!("{value}")),
    };
    // Five numbers of at most twenty digits and their names fit; a list of processors that does not is refused.
    put.map_err(|_| Errno::NAMETOOLONG)?;
    write(group, limit.file, line.as_bytes())
}

/// How often the kernel has killed in a group because memory was used up (memory.events).
fn kills(group: BorrowedFd<'_>) -> u32 {
    let mut text = [0; 256];
    let length = read(group, "memory.events", &mut text).unwrap_or(0);
    let lines = core::str::from_utf8(&text[..length]).unwrap_or_default().lines();
    lines.filter_map(|line| line.strip_prefix("oom_kill ")).find_map(|count| count.parse().ok()).unwrap_or(0)
}

fn read_number(group: BorrowedFd<'_>, file: &str) -> Option<u64> {
    let mut text = [0; 24];
    let length = read(group, file, &mut text).ok()?;
    core::str::from_utf8(&text[..length]).ok()?.trim_end().parse().ok()
}

fn read(group: BorrowedFd<'_>, file: &str, buffer: &mut [u8]) -> Result<usize, Errno> {
    rustix::io::read(openat(group, Path(file), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?, buffer)
}

fn open_root() -> Result<OwnedFd, Errno> {
    open("/sys/fs/cgroup", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn existing(folder: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    openat(folder.as_fd(), Path(name), OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn open_folder(parent: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    match mkdirat(parent, Path(name), FOLDER) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    openat(parent, Path(name), GROUP, Mode::empty())
}

fn write(group: BorrowedFd<'_>, file: &str, text: &[u8]) -> Result<(), Errno> {
    let file = openat(group, Path(file), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, text).map(|_| ())
}
