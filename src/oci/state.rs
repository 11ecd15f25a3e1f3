//! What is kept about a container on disk: `ROOT/ID/state.json`, a lock, and the socket of a start.
//!
//! The file appears as a whole (a temporary name, fsync, rename), and only after everything that it tells exists. A folder
//! without it is what a crash of `create` left, and the next `create` of that name or `delete --force` takes it over.

use crate::cgroup::Group;
use crate::config::{Hooks, Personality, Process, Seccomp, Spec, Texts};
use crate::error::{At, Error, Result, words};
use crate::files;
use rustix::fd::OwnedFd;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The socket on which a created container waits.
pub const SOCKET: &str = "start.sock";

/// A container's folder, locked: no other engine changes it meanwhile.
#[derive(Debug)]
pub struct Folder {
    /// Its path.
    pub path: PathBuf,
    lock: OwnedFd,
}

/// What state.json has.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// The container's name.
    pub id: String,
    /// Its first process, on the host.
    pub pid: i32,
    /// When that was started, in ticks since the boot (field 22 of /proc/PID/stat): tells it from one that got its number later.
    pub start_time: u64,
    /// The bundle.
    pub bundle: PathBuf,
    /// The root filesystem.
    pub rootfs: PathBuf,
    /// When it was created (RFC 3339).
    pub created: String,
    /// Texts of its config.json.
    pub annotations: Texts,
    /// Hooks of start and delete.
    pub hooks: Hooks,
    /// Its control group.
    pub group: Option<Group>,
    /// What `exec` takes over.
    pub defaults: Defaults,
}

/// What a further process of a container has in common with its first one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Defaults {
    /// The first process's description.
    pub process: Process,
    /// The kinds of its namespaces.
    pub namespaces: Vec<String>,
    /// Its filter of system calls.
    pub seccomp: Option<Seccomp>,
    /// Its personality.
    pub personality: Option<Personality>,
}

/// What a container does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It waits for `start`.
    Created,
    /// Its program runs.
    Running,
    /// Its processes are stopped by `pause`.
    Paused,
    /// Its first process has exited.
    Stopped,
}

impl Status {
    /// Returns the word of the specification.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

/// Checks a name, which becomes that of a folder.
fn check_id(id: &str) -> Result<()> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
    match !id.is_empty() && id.len() <= 1024 && id != "." && id != ".." && id.bytes().all(is_plain) {
        true => Ok(()),
        false => Err("invalid container ID format".into()),
    }
}

impl Folder {
    /// Creates the folder of a new container, or takes over what a crash left.
    ///
    /// # Errors
    /// A container of that name exists.
    pub fn create(root: &Path, id: &str) -> Result<Self> {
        check_id(id)?;
        let path = root.join(id);
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        loop {
            // Mostly the root is there, and the folder is not: then there is nothing in it.
            let is_new = match rustix::fs::mkdir(&path, Mode::RWXU) {
                Ok(()) => true,
                Err(_) => builder.create(&path).at(path.display()).map(|()| false)?,
            };
            let Some(folder) = Self::lock(&path)? else { continue };
            if is_new {
                return Ok(folder);
            }
            if path.join("state.json").exists() {
                return Err("container with given ID already exists".into());
            }
            let _ = fs::remove_file(path.join(SOCKET));
            return Ok(folder);
        }
    }

    /// Opens the folder of a container.
    ///
    /// # Errors
    /// There is none.
    pub fn open(root: &Path, id: &str) -> Result<Self> {
        check_id(id)?;
        let path = root.join(id);
        Self::lock(&path)?.ok_or_else(|| "container does not exist".into())
    }

    /// Waits for the lock. `None` if the folder is removed meanwhile.
    fn lock(path: &Path) -> Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(lock) = rustix::fs::open(path, flags, Mode::empty()) else { return Ok(None) };
        flock(&lock, FlockOperation::LockExclusive).at(path.display())?;
        let own = rustix::fs::fstat(&lock).at(path.display())?;
        let is_there = own.st_nlink > 0 && rustix::fs::stat(path).is_ok_and(|now| own.st_ino == now.st_ino);
        Ok(is_there.then(|| Self { path: path.to_owned(), lock }))
    }

    /// Closes the lock in a copy of this process: a lock of flock(2) is held as long as any copy of its descriptor is open.
    ///
    /// # Errors
    /// ENOSYS before kernel 5.9.
    pub fn close_copy(&self) -> Result<()> {
        let number = self.lock.as_raw_fd().unsigned_abs();
        hilum_sys::close_range(number, number).at("lock")
    }

    /// Reads state.json.
    ///
    /// # Errors
    /// The container was never complete.
    pub fn read(&self) -> Result<Kept> {
        let text = files::read(&self.path.join("state.json")).map_err(|_| Error("container does not exist".into()))?;
        serde_json::from_slice(&text).map_err(|error| Error(format!("state.json: {error}")))
    }

    /// Writes state.json as a whole.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn write(&self, kept: &Kept) -> Result<()> {
        let text = serde_json::to_vec(kept).map_err(|error| Error(format!("state.json: {error}")))?;
        write_whole(&self.path.join("state.json"), &text)
    }

    /// Removes everything.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn remove(self) -> Result<()> {
        // First the file that says that there is a container.
        let _ = fs::remove_file(self.path.join("state.json"));
        // Mostly that was all.
        match rustix::fs::rmdir(&self.path) {
            Ok(()) => Ok(()),
            Err(_) => fs::remove_dir_all(&self.path).at(self.path.display()),
        }
    }
}

/// Writes a file so that it has either its old content or all of the new one, whatever crashes.
///
/// # Errors
/// Those of the kernel.
pub fn write_whole(path: &Path, text: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let temporary = path.with_file_name(name);
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    };
    write().at(path.display())
}

/// Returns the state and the start time of a process, from /proc/PID/stat (proc_pid_stat(5)).
pub fn process(pid: i32) -> Option<(char, u64)> {
    let text = files::read_line(format!("/proc/{pid}/stat").as_ref()).ok()?;
    // The name may contain anything, and ends at the last parenthesis.
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

impl Kept {
    /// Returns what the container does now.
    pub fn status(&self, folder: &Path) -> Status {
        match process(self.pid) {
            Some((state, start)) if start == self.start_time && !matches!(state, 'Z' | 'X' | 'x') => {
                match &self.group {
                    Some(group) if group.is_frozen() => Status::Paused,
                    _ if folder.join(SOCKET).exists() => Status::Created,
                    _ => Status::Running,
                }
            }
            _ => Status::Stopped,
        }
    }

    /// Returns the state as the specification has it, for hooks and `state`.
    pub fn told(&self, status: &str) -> serde_json::Value {
        let pid = if status == "stopped" { 0 } else { self.pid };
        let mut told = serde_json::json!({
            "ociVersion": VERSION, "id": self.id, "pid": pid, "status": status, "bundle": self.bundle,
            "rootfs": self.rootfs, "created": self.created, "owner": "",
        });
        if !self.annotations.is_empty() {
            told["annotations"] = serde_json::json!(self.annotations);
        }
        told
    }
}

/// The version of the specification.
pub const VERSION: &str = "1.2.0";

/// Reads the config.json of a bundle.
///
/// # Errors
/// It does not exist or is no JSON.
pub fn config(bundle: &Path) -> Result<Spec> {
    let path = bundle.join("config.json");
    let text = files::read(&path).map_err(|errno| match errno {
        Errno::NOENT => Error(format!("JSON specification file {} not found", path.display())),
        _ => Error(format!("{}: {}", path.display(), words(errno))),
    })?;
    serde_json::from_slice(&text).map_err(|error| Error(format!("{}: {error}", path.display())))
}
