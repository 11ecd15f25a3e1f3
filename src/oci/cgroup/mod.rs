//! The control group of a container (version 2): made by path or by systemd, limited, frozen, emptied, removed.

pub mod devices;
pub mod grouping;
pub mod resources;
pub mod stats;
pub mod systemd;
mod tree;

pub use tree::enable;

use crate::error::{At, Error, Result};
use crate::files;
use resources::{Resources, Setting};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where the hierarchy is mounted.
pub const ROOT: &str = "/sys/fs/cgroup";
/// How long the kernel or systemd may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is kept about the group of a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Group {
    /// Its path below the hierarchy's root, which begins with a slash.
    pub path: String,
    /// systemd's unit.
    pub unit: Option<String>,
}

/// Waits until `is_done`. Returns whether that happened in time.
pub fn wait_until(mut is_done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !is_done() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Checks that the hierarchy is there.
///
/// # Errors
/// It is of version 1, or nothing is mounted.
pub fn check() -> Result<()> {
    const CGROUP2: u64 = 0x6367_7270;
    let found = rustix::fs::statfs(ROOT).at(ROOT)?;
    match found.f_type as u64 {
        CGROUP2 => Ok(()),
        _ => Err(Error(format!("{ROOT} is no hierarchy of cgroup version 2"))),
    }
}

/// Returns the group of a container by `linux.cgroupsPath`, or below `/hilum-oci` without one.
///
/// # Errors
/// The path leads out of the hierarchy.
pub fn by_path(wanted: Option<&str>, id: &str) -> Result<Group> {
    let wanted = wanted.filter(|path| !path.is_empty());
    let path = wanted.map_or_else(|| format!("/hilum-oci/{id}"), |path| format!("/{}", path.trim_start_matches('/')));
    if path.contains('\0') || path.split('/').any(|part| part == "..") || path.trim_end_matches('/').is_empty() {
        return Err(Error(format!("linux.cgroupsPath {path:?} is not valid")));
    }
    Ok(Group { path: path.trim_end_matches('/').to_owned(), unit: None })
}

impl Group {
    /// Returns the path of its folder.
    pub fn folder(&self) -> PathBuf {
        Path::new(ROOT).join(self.path.trim_start_matches('/'))
    }

    /// Opens its folder, without following links.
    ///
    /// # Errors
    /// It does not exist.
    pub fn open(&self) -> Result<OwnedFd> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let root = rustix::fs::open(ROOT, flags, Mode::empty()).at(ROOT)?;
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        openat2(&root, self.path.trim_start_matches('/'), flags, Mode::empty(), how).at(format!("cgroup {}", self.path))
    }

    fn read(&self, file: &str) -> Result<String, Errno> {
        files::read_line(&self.folder().join(file))
    }

    fn write(&self, file: &str, value: &str) -> Result<(), Errno> {
        files::write_line(&self.folder().join(file), value)
    }

    /// Returns whether it has the controllers that limits need, and those whose figures `events` prints.
    fn has_controllers(&self, settings: &[Setting]) -> bool {
        let Ok(text) = self.read("cgroup.controllers") else { return false };
        let has = |name: &str| text.split_whitespace().any(|known| known == name);
        let needed = settings.iter().filter_map(|setting| setting.file.split_once('.')).map(|(name, _)| name);
        needed.filter(|name| *name != "cgroup").chain(["cpu", "memory", "pids"]).all(has)
    }

    /// Creates it, with the controllers that it needs, if it does not exist; one that has processes or is frozen is somebody else's.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn create(&self, settings: &[Setting]) -> Result<()> {
        let folder = self.folder();
        // Mostly the group above is there, and enables what is needed.
        let made = rustix::fs::mkdir(&folder, Mode::from_raw_mode(0o755));
        if made.is_ok() && self.has_controllers(settings) {
            return Ok(());
        }
        if made == Err(Errno::EXIST) {
            if self.has_processes() {
                return Err(Error(format!("container's cgroup is not empty: {}", self.path)));
            }
            if self.is_frozen() {
                return Err(Error(format!("container's cgroup unexpectedly frozen: {}", self.path)));
            }
        }
        let mut path = PathBuf::from(ROOT);
        for part in self.path.split('/').filter(|part| !part.is_empty()) {
            enable(&path);
            path.push(part);
            match fs::create_dir(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(error).at(format!("cgroup {}", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes limits.
    ///
    /// # Errors
    /// A controller that is missing, a value that the kernel refuses.
    pub fn limit(&self, settings: &[Setting]) -> Result<()> {
        for Setting { file, value } in settings {
            match self.write(file, value) {
                Err(Errno::NOENT) => {
                    // A kernel without swap accounting has no limit to take away.
                    if !matches!((file.as_str(), value.as_str()), ("memory.swap.max", "max" | "0")) {
                        let controller = file.split('.').next().unwrap_or_default();
                        return Err(Error(format!(
                            "{file}: the cgroup controller {controller} is not available in {}",
                            self.path
                        )));
                    }
                }
                // A weight of disks needs a scheduler that has weights, or none.
                written => written.at(format!("{file} = {value:?} in cgroup {}", self.path))?,
            }
        }
        Ok(())
    }

    /// Installs the filter of devices, in place of an earlier one.
    ///
    /// # Errors
    /// Those of bpf(2).
    pub fn filter_devices(&self, resources: &Resources) -> Result<()> {
        let program = devices::program(&resources.devices)?;
        let group = self.open()?;
        let filter = hilum_sys::load_device_filter(&program).at("the filter of devices")?;
        hilum_sys::replace_device_filter(group.as_fd(), filter.as_fd()).at("the filter of devices")
    }

    /// Returns whether a process is in it or below it.
    pub fn has_processes(&self) -> bool {
        self.read("cgroup.events").is_ok_and(|text| text.contains("populated 1"))
    }

    /// Returns whether its processes are stopped, or will be.
    pub fn is_frozen(&self) -> bool {
        self.read("cgroup.freeze").is_ok_and(|text| text.trim() == "1")
    }

    /// Stops all processes, or lets them continue, and waits until that has happened.
    ///
    /// # Errors
    /// It does not exist, or a process does not stop in ten seconds: they continue then.
    pub fn freeze(&self, is_frozen: bool) -> Result<()> {
        let value = if is_frozen { "1" } else { "0" };
        self.write("cgroup.freeze", value).at(format!("cgroup.freeze of {}", self.path))?;
        let wanted = format!("frozen {value}");
        if wait_until(|| self.read("cgroup.events").is_ok_and(|text| text.contains(&wanted))) {
            return Ok(());
        }
        if is_frozen {
            let _ = self.write("cgroup.freeze", "0");
        }
        Err(Error(format!("cgroup {} is not {wanted} after {} s", self.path, PATIENCE.as_secs())))
    }

    /// Returns its processes and those below it, in ascending order.
    ///
    /// # Errors
    /// It does not exist.
    pub fn processes(&self) -> Result<Vec<i32>> {
        let mut found = Vec::new();
        tree::visit(&self.folder(), &mut |folder| {
            let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            found.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0));
        })
        .at(format!("cgroup {}", self.path))?;
        found.sort_unstable();
        Ok(found)
    }

    /// Sends a signal to all processes. Those that are started meanwhile get SIGKILL as well, but maybe no other one.
    ///
    /// # Errors
    /// It does not exist.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        if signal == Signal::KILL && self.write("cgroup.kill", "1").is_ok() {
            return Ok(());
        }
        for pid in self.processes()? {
            let Some(number) = Pid::from_raw(pid) else { continue };
            let Ok(process) = pidfd_open(number, PidfdFlags::empty()) else { continue };
            // The number may have been given to another process before it was opened.
            if own_path(pid).is_some_and(|path| is_below(&path, &self.path)) {
                let _ = pidfd_send_signal(&process, signal);
            }
        }
        Ok(())
    }

    /// Kills what is left in it, and removes it with all groups below it. One that does not exist is no error.
    ///
    /// # Errors
    /// It still has processes after ten seconds.
    pub fn remove(&self) -> Result<()> {
        let folder = self.folder();
        // Mostly it is empty. systemd removes it with its unit.
        if self.unit.is_none() && matches!(rustix::fs::rmdir(&folder), Ok(()) | Err(Errno::NOENT)) {
            return Ok(());
        }
        if self.has_processes() {
            self.signal(Signal::KILL)?;
        }
        if let Some(unit) = &self.unit {
            systemd::stop(unit);
        }
        // EBUSY for some milliseconds after the last process has ended.
        if !wait_until(|| !folder.exists() || tree::remove(&folder).is_ok()) {
            return Err(Error(format!("cgroup {} cannot be removed", self.path)));
        }
        Ok(())
    }
}

/// Returns whether a path is that of a group or below it.
pub fn is_below(path: &str, group: &str) -> bool {
    path.strip_prefix(group).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns the path of a process's group (cgroups(7), "/proc files").
pub fn own_path(pid: i32) -> Option<String> {
    let text = files::read_line(format!("/proc/{pid}/cgroup").as_ref()).ok()?;
    text.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned)
}
