//! Labels of security modules: what a program becomes when it is executed (proc(5), `/proc/PID/attr/exec`).
//!
//! The folder is opened on the host's /proc before the pivot, and its files are opened below it without links and without crossing a
//! mount, so nothing that a container mounts over /proc can catch the write (CVE-2025-52881).

use crate::config::Process;
use crate::error::{At, Error, Result};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

/// PROC_SUPER_MAGIC
const PROC: u64 = 0x9fa0;

/// A label that a program gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label<'a> {
    /// A profile of AppArmor.
    Profile(&'a str),
    /// A context of SELinux.
    Context(&'a str),
}

/// Returns the labels that a process asks for. Without AppArmor's confinement this program has none either.
pub fn wanted(process: &Process) -> impl Iterator<Item = Label<'_>> {
    let profile = process.apparmor_profile.as_deref().filter(|name| !matches!(*name, "" | "unconfined"));
    let context = process.selinux_label.as_deref().filter(|label| !label.is_empty());
    profile.map(Label::Profile).into_iter().chain(context.map(Label::Context))
}

/// Checks that the kernel has what the labels are for.
///
/// # Errors
/// It has not: a program that runs without its label would have more rights than it was given.
pub fn check(process: &Process) -> Result<()> {
    for label in wanted(process) {
        let (is_there, what) = match label {
            Label::Profile(_) => {
                let enabled = std::fs::read("/sys/module/apparmor/parameters/enabled");
                (enabled.is_ok_and(|text| text.first() == Some(&b'Y')), "process.apparmorProfile: AppArmor")
            }
            Label::Context(_) => {
                (std::path::Path::new("/sys/fs/selinux/enforce").exists(), "process.selinuxLabel: SELinux")
            }
        };
        if !is_there {
            return Err(Error(format!("{what} is not enabled in this kernel")));
        }
    }
    Ok(())
}

/// Opens the folder of this process's labels, while /proc is the host's.
///
/// # Errors
/// Another filesystem is mounted there.
pub fn open() -> Result<OwnedFd> {
    const FOLDER: &str = "/proc/thread-self/attr";
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(FOLDER, flags, Mode::empty()).at(FOLDER)?;
    match rustix::fs::fstatfs(&folder).at(FOLDER)?.f_type as u64 {
        PROC => Ok(folder),
        _ => Err(Error(format!("{FOLDER} is not that of the kernel"))),
    }
}

/// Sets the label of the next program that this process executes.
///
/// # Errors
/// The label is not loaded, or the process must not take it.
pub fn set(folder: &OwnedFd, label: Label<'_>) -> Result<()> {
    let (text, name) = match label {
        Label::Profile(profile) => (format!("exec {profile}"), format!("AppArmor profile {profile}")),
        Label::Context(context) => (context.to_owned(), format!("SELinux label {context}")),
    };
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let open = |path: &str| openat2(folder.as_fd(), path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty(), how);
    // The first is there if the kernel has several modules.
    let file = match (open("apparmor/exec"), label) {
        (Err(Errno::NOENT), _) | (_, Label::Context(_)) => open("exec"),
        (found, Label::Profile(_)) => found,
    };
    let write = || rustix::io::write(file?, text.as_bytes());
    // The kernel says ENOENT for a profile that is not loaded.
    write().map(drop).at(format!("unable to apply {name}"))
}
