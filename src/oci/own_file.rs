//! Keeps a container from overwriting this program (CVE-2019-5736).
//!
//! Until its program is executed, a new process is a copy of this one, and a script whose interpreter is /proc/self/exe runs this
//! program inside. Through /proc/PID/exe of such a process the file could be opened for writing. So this program runs from a
//! read-only mount of its own file, which is in no mount namespace: writing fails with EROFS, and no container can change that
//! mount.

use crate::error::{At, Error, Result};
use rustix::fd::AsFd;
use rustix::fs::{CWD, StatVfsMountFlags};
use rustix::mount::{MountAttrFlags, OpenTreeFlags, open_tree};
use std::os::unix::process::CommandExt;

const OWN: &str = "/proc/self/exe";

/// Executes this program again from a read-only mount, unless its file is on one.
///
/// # Errors
/// The mount cannot be made: then nothing is started.
pub fn protect() -> Result<()> {
    if rustix::fs::statvfs(OWN).at(OWN)?.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Ok(());
    }
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let copy = open_tree(CWD, OWN, flags).at("a read-only mount of this program")?;
    hilum_sys::restrict_mount(copy.as_fd(), MountAttrFlags::MOUNT_ATTR_RDONLY.bits())
        .at("a read-only mount of this program")?;
    let mut arguments = std::env::args_os();
    let mut command = std::process::Command::new(crate::mounts::own_path(copy.as_fd()));
    command.arg0(arguments.next().unwrap_or_default()).args(arguments);
    Err(Error(format!("{OWN}: {}", command.exec())))
}
