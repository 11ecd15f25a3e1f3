//! Control groups (version 2, cgroups(7)): one for PID 1, one for each workload.
//!
//! `/sys/fs/cgroup/init` holds PID 1, away from the workloads' accounting; `/sys/fs/cgroup/workload/NAME` holds one
//! workload. Inside of a container the hierarchy belongs to the host, so there are no groups then.

use crate::init::{Console, words};
use hilum::config::Workload;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, open, openat, unlinkat};
use rustix::io::Errno;

const FOLDER: Mode = Mode::from_raw_mode(0o755);

/// The folder that holds the workloads' groups; none where there are no groups.
pub(crate) struct Groups(Option<OwnedFd>);

impl Groups {
    /// No groups: not this process's hierarchy.
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// Makes the folder for the workloads' groups; says what failed.
    pub(crate) fn prepare(console: &mut Console) -> Self {
        match make() {
            Ok(folder) => Self(Some(folder)),
            Err(errno) => {
                console.say(format_args!("control groups: {}; workloads run without", words(errno)));
                Self(None)
            }
        }
    }

    /// Moves PID 1 into its own group. To be called when the board has started: moving a process waits for a grace
    /// period of the kernel (cgroup_threadgroup_rwsem), which no workload has to wait for.
    pub(crate) fn settle(&self) -> Result<(), Errno> {
        if self.0.is_none() {
            return Ok(());
        }
        let own = open_folder(open_root()?.as_fd(), "init")?;
        write(own.as_fd(), "cgroup.procs", b"0")
    }

    /// The group of a workload, made where it is not there: the last run's may still be on its way out, and then it
    /// is used again.
    pub(super) fn open(&self, workload: &Workload<'_>) -> Result<Option<OwnedFd>, Errno> {
        let Some(folder) = &self.0 else { return Ok(None) };
        open_folder(folder.as_fd(), workload.name).map(Some)
    }

    /// Kills everything in the group of a workload (cgroup.kill, from kernel 5.14 on).
    pub(crate) fn kill(&self, workload: &Workload<'_>) -> Result<(), Errno> {
        let folder = self.0.as_ref().ok_or(Errno::OPNOTSUPP)?;
        let group = openat(folder, workload.name, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        write(group.as_fd(), "cgroup.kill", b"1")
    }

    /// Removes the group of a workload that ended. It may be busy for a moment after a kill; then it stays, and the
    /// next start uses it.
    pub(crate) fn remove(&self, workload: &Workload<'_>) {
        if let Some(folder) = &self.0 {
            let _ = unlinkat(folder, workload.name, AtFlags::REMOVEDIR);
        }
    }
}

fn make() -> Result<OwnedFd, Errno> {
    open_folder(open_root()?.as_fd(), "workload")
}

fn open_root() -> Result<OwnedFd, Errno> {
    open("/sys/fs/cgroup", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn open_folder(parent: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    match mkdirat(parent, name, FOLDER) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    openat(parent, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn write(group: BorrowedFd<'_>, file: &str, text: &[u8]) -> Result<(), Errno> {
    let file = openat(group, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, text).map(|_| ())
}
