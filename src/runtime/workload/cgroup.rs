//! cgroups (version 2, cgroups(7)): one for PID 1, one for each workload.
//!
//! `/sys/fs/cgroup/init` contains PID 1, so that it is not accounted to workloads and has reserved memory;
//! `/sys/fs/cgroup/workload/NAME` contains one workload. In a container the hierarchy belongs to the host: there are no
//! cgroups, and a limit in the configuration is refused.

use super::devices::Nodes;
use crate::console::Console;
use crate::os::errno::describe;
use crate::os::files::text_of;
use crate::os::path::{mkdirat, open, openat, rmdirat, stat};
use heapless::{String, Vec};
use hilum::config::{Config, Device, IoLimit, Workload};
use hilum::devices::{Allowed, program};
use hilum::fixed_string::append;
use hilum::number::number;
use hilum::plan::{CgroupLimit, Phase, Step, Value, plan};
use hilum::split::Split;
use hilum::wire::{END, FILES};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

/// Flags to open a cgroup for starting processes in it and attaching programs to it.
const GROUP: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const FOLDER: Mode = Mode::from_raw_mode(0o755);

/// Bytes that are reserved for PID 1 under memory pressure: several times its size.
const OWN_MEMORY: &[u8] = b"1048576";

/// The cgroups of the workloads.
pub(crate) struct Cgroups {
    /// Their parent folder; `None` if there are no cgroups.
    folder: Option<OwnedFd>,
    /// The program for the default devices; `None` until it was needed.
    usual_devices: Option<OwnedFd>,
}

/// The state of a workload's cgroup.
#[derive(Clone, Copy)]
pub(crate) struct CgroupState {
    /// Whether it could not be removed yet: it is busy for a moment after the last process has exited.
    is_busy: bool,
    /// The count of OOM kills before the last start, if the cgroup is reused.
    killed: u32,
}

impl CgroupState {
    pub(crate) const NONE: Self = Self { is_busy: false, killed: 0 };

    /// Returns whether the cgroup waits for its removal.
    pub(crate) fn is_busy(self) -> bool {
        self.is_busy
    }
}

/// A workload that ran out of memory.
pub(crate) struct OutOfMemory {
    /// Peak memory in bytes; `None` before kernel 5.19.
    pub(crate) peak: Option<u64>,
    /// The memory limit in bytes.
    pub(crate) limit: u64,
}

impl Cgroups {
    /// No cgroups: the hierarchy belongs to somebody else.
    pub(crate) const fn none() -> Self {
        Self { folder: None, usual_devices: None }
    }

    /// Creates the parent folder with the controllers that lines need; reports failures.
    pub(crate) fn prepare(config: &Config<'_>, console: &mut Console) -> Self {
        let mut groups = Self::none();
        match make(config) {
            Ok(folder) => groups.folder = Some(folder),
            Err(errno) => console.error(format_args!("cgroups: {}; running workloads without", describe(errno))),
        }
        groups
    }

    /// Enables further controllers that another configuration needs.
    pub(crate) fn adopt(&self, config: &Config<'_>, console: &mut Console) {
        if self.folder.is_none() {
            return;
        }
        if let Err(errno) = make(config) {
            console.error(format_args!("cgroups: {}", describe(errno)));
        }
    }

    /// Moves PID 1 into its own cgroup. Called after the boot: moving a process waits for an RCU grace period
    /// (cgroup_threadgroup_rwsem), which must not delay workloads.
    pub(crate) fn move_self(&self) -> Result<(), Errno> {
        if self.folder.is_none() {
            return Ok(());
        }
        let own = open_folder(open_root()?.as_fd(), "init")?;
        // A kernel without the memory controller cannot reserve memory.
        let _ = write(own.as_fd(), "memory.min", OWN_MEMORY);
        write(own.as_fd(), "cgroup.procs", b"0")
    }

    /// Returns the cgroup of a workload, and creates it if necessary. The one of the previous run may not be removed
    /// yet; then it is reused.
    pub(crate) fn open(&self, workload: &Workload<'_>, state: &mut CgroupState) -> Result<Option<OwnedFd>, Errno> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let group = open_folder(folder.as_fd(), workload.name)?;
        if core::mem::take(&mut state.is_busy) {
            state.killed = kills(group.as_fd());
        }
        Ok(Some(group))
    }

    /// Executes a step about the cgroup.
    ///
    /// The filter for the default devices backs up the user namespace: all mounts with devices in a workload are
    /// created by PID 1. Verifying the first such program takes the kernel longer than starting a workload, so the
    /// filter is attached after the boot, and from then on at each start.
    pub(crate) fn limit(&self, group: Option<&OwnedFd>, step: &Step<'_>, has_own_users: bool) -> Result<(), Errno> {
        match (step, group) {
            (Step::Limit(limit), Some(group)) => match write_limit(group.as_fd(), limit) {
                // An optional limit that the kernel does not support is skipped; `hilum doctor` reports it.
                Err(_) if !limit.is_asked_for => Ok(()),
                // Without swap accounting nothing can be swapped, which is what the limit demands.
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

    /// Allows a workload, before it runs, its own devices besides the default ones, and no others.
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

    /// Attaches the filter for the default devices to all workloads that started without one.
    pub(crate) fn control_devices(&mut self, workloads: &[Workload<'_>]) {
        let Some(folder) = &self.folder else { return };
        // Without CONFIG_CGROUP_BPF, only the mounts restrict devices.
        let Ok(filter) = hilum_sys::load_device_filter(&program(&mut core::iter::empty())) else { return };
        for workload in workloads.iter().filter(|workload| workload.isolation.devices.is_empty()) {
            if let Ok(group) = openat(folder.as_fd(), workload.name, GROUP) {
                let _ = hilum_sys::attach_device_filter(group.as_fd(), filter.as_fd());
            }
        }
        self.usual_devices = Some(filter);
    }

    /// Returns the descriptor that a helper needs for cgroups; `None` if there are none.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.folder.as_ref().map(AsFd::as_fd)
    }

    /// Returns the cgroup of a running workload; `None` if there are no cgroups.
    pub(crate) fn of(&self, workload: &Workload<'_>) -> Result<Option<OwnedFd>, Errno> {
        self.folder.as_ref().map(|folder| openat(folder.as_fd(), workload.name, GROUP)).transpose()
    }

    /// Freezes or thaws all processes of a workload (cgroup.freeze).
    pub(crate) fn freeze(&self, workload: &Workload<'_>, is_frozen: bool) -> Result<(), Errno> {
        let folder = self.folder.as_ref().ok_or(Errno::OPNOTSUPP)?;
        let text = if is_frozen { b"1" } else { b"0" };
        write(existing(folder, workload.name)?.as_fd(), "cgroup.freeze", text)
    }

    /// Returns whether a workload is frozen, or about to be.
    pub(crate) fn is_frozen(&self, workload: &Workload<'_>) -> bool {
        let group = self.folder.as_ref().and_then(|folder| existing(folder, workload.name).ok());
        group.is_some_and(|group| read_number(group.as_fd(), "cgroup.freeze") == Some(1))
    }

    /// Kills all processes of a workload (cgroup.kill, kernel 5.14 or later).
    pub(crate) fn kill(&self, workload: &Workload<'_>) -> Result<(), Errno> {
        let folder = self.folder.as_ref().ok_or(Errno::OPNOTSUPP)?;
        write(existing(folder, workload.name)?.as_fd(), "cgroup.kill", b"1")
    }

    /// Returns whether a process is left in the cgroup of a workload (cgroup.events); `None` if that is unknown.
    pub(crate) fn is_populated(&self, workload: &Workload<'_>) -> Option<bool> {
        let group = existing(self.folder.as_ref()?, workload.name).ok()?;
        let mut text = [0; 64];
        let length = read(group.as_fd(), "cgroup.events", &mut text).ok()?;
        Some(text_of(&text, length).each_line().all(|line| line != "populated 0"))
    }

    /// Returns the texts of at most [`FILES`] files of a workload's cgroup, each with [`END`] behind it, as far as they fit into `buffer`.
    /// The text of a file that cannot be read is empty.
    pub(crate) fn texts<'b>(&self, workload: &Workload<'_>, files: &[&str], buffer: &'b mut [u8]) -> &'b str {
        let group = self.folder.as_ref().and_then(|folder| existing(folder, workload.name).ok());
        let mut length = 0;
        for file in files.iter().take(FILES) {
            let Some(rest) = buffer.get_mut(length..) else { break };
            let group = group.as_ref().filter(|_| file.place_of(b'/').is_none());
            let read = group.and_then(|group| read(group.as_fd(), file, rest).ok()).unwrap_or(0);
            if let Some(end) = rest.get_mut(read) {
                *end = END;
            }
            length += read + 1;
        }
        text_of(buffer, length.min(buffer.len()))
    }

    /// Returns whether the OOM killer killed in the cgroup of a workload, with its memory.
    pub(crate) fn out_of_memory(&self, workload: &Workload<'_>, state: &CgroupState) -> Option<OutOfMemory> {
        let group = existing(self.folder.as_ref()?, workload.name).ok()?;
        if kills(group.as_fd()) <= state.killed {
            return None;
        }
        let number = |file| read_number(group.as_fd(), file);
        Some(OutOfMemory { peak: number("memory.peak"), limit: number("memory.max").unwrap_or(u64::MAX) })
    }

    /// Removes the cgroup of an exited workload, and kills what is left in it: a process in the host's PID namespace
    /// survives the workload's first process. It may be busy for a moment; then this is repeated.
    pub(crate) fn remove(&self, workload: &Workload<'_>, state: &mut CgroupState) {
        if workload.isolation.shared != 0 {
            let _ = self.kill(workload);
        }
        state.is_busy = true;
        self.sweep(workload, state);
    }

    /// Tries to remove the cgroup of an exited workload. If it is busy, it stays marked as busy.
    pub(crate) fn sweep(&self, workload: &Workload<'_>, state: &mut CgroupState) {
        let Some(folder) = &self.folder else {
            *state = CgroupState::NONE;
            return;
        };
        if !matches!(rmdirat(folder.as_fd(), workload.name), Err(Errno::BUSY)) {
            *state = CgroupState::NONE;
        }
    }
}

/// Attaches a device filter to a cgroup: the default devices and these. On a kernel without it, nodev mounts and the
/// missing right to create nodes still apply.
fn attach(group: BorrowedFd<'_>, devices: &mut dyn Iterator<Item = Allowed>) {
    let _ = hilum_sys::load_device_filter(&program(devices))
        .and_then(|filter| hilum_sys::attach_device_filter(group, filter.as_fd()));
}

/// Creates the parent folder, and enables the controllers that plans need.
fn make(config: &Config<'_>) -> Result<OwnedFd, Errno> {
    let root = open_root()?;
    let mut text = [0; 256];
    let length = read(root.as_fd(), "cgroup.controllers", &mut text)?;
    let there = text_of(&text, length);
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
            let named = IoLimit::NAMES.parts(b' ').zip(io.limits);
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
    // Five numbers of at most twenty digits with their names fit; a longer list of processors is refused.
    put.map_err(|_| Errno::NAMETOOLONG)?;
    write(group, limit.file, line.as_bytes())
}

/// Returns the number of OOM kills in a cgroup (memory.events).
fn kills(group: BorrowedFd<'_>) -> u32 {
    let mut text = [0; 256];
    let length = read(group, "memory.events", &mut text).unwrap_or(0);
    let lines = text_of(&text, length).each_line();
    lines.filter_map(|line| line.strip_prefix("oom_kill ")).find_map(number).unwrap_or(0)
}

fn read_number(group: BorrowedFd<'_>, file: &str) -> Option<u64> {
    let mut text = [0; 24];
    let length = read(group, file, &mut text).ok()?;
    number(text_of(&text, length).without_end(b'\n'))
}

fn read(group: BorrowedFd<'_>, file: &str, buffer: &mut [u8]) -> Result<usize, Errno> {
    rustix::io::read(openat(group.as_fd(), file, OFlags::RDONLY | OFlags::CLOEXEC)?, buffer)
}

fn open_root() -> Result<OwnedFd, Errno> {
    open("/sys/fs/cgroup", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn existing(folder: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    openat(folder.as_fd(), name, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC)
}

fn open_folder(parent: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    match mkdirat(parent, name, FOLDER) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    openat(parent, name, GROUP)
}

fn write(group: BorrowedFd<'_>, file: &str, text: &[u8]) -> Result<(), Errno> {
    let file = openat(group.as_fd(), file, OFlags::WRONLY | OFlags::CLOEXEC)?;
    rustix::io::write(&file, text).map(|_| ())
}
