//! What PID 1 needs before it can start anything: descriptors, filesystems, and a root that can be pivoted.
//!
//! There are two environments: a machine (the first PID namespace, with the initramfs as root), and a container (any
//! other PID namespace, created by an engine or a test). In a container PID 1 uses a mount namespace of its own, and
//! changes nothing of the host.

use super::modules;
use crate::console::Console;
use crate::os::environment::Environment;
use crate::os::errno::describe;
use crate::os::files::{fill_standard_descriptors, read_text};
use crate::os::path::{self, open};
use crate::os::root;
use crate::storage;
use crate::workload::prepare_template;
use core::ffi::CStr;
use core::mem::MaybeUninit;
use hilum::config::Config;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create, fsmount,
    fsopen, move_mount, open_tree,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::system::RebootCommand;

/// Mounts that failed, to be reported once there is a console.
pub(super) type Missing = heapless::Vec<(&'static str, Errno), 16>;

/// The name of a machine's initial pid namespace in /proc (include/linux/proc_ns.h).
const FIRST_PID_NAMESPACE: &[u8] = b"pid:[4026531836]";

/// A kernel filesystem and its mount point.
struct Early {
    kind: &'static str,
    target: &'static str,
    flags: MountFlags,
    options: Option<&'static CStr>,
}

const NO_PROGRAMS: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);
const PROC: &str = "/proc";

/// In this order, because some are below others.
const EARLY: [Early; 6] = [
    Early { kind: "sysfs", target: "/sys", flags: NO_PROGRAMS, options: None },
    Early { kind: "devtmpfs", target: "/dev", flags: MountFlags::NOSUID, options: Some(c"mode=0755") },
    Early {
        kind: "devpts",
        target: "/dev/pts",
        flags: MountFlags::NOSUID.union(MountFlags::NOEXEC),
        options: Some(c"mode=0620,ptmxmode=0666"),
    },
    Early {
        kind: "tmpfs",
        target: "/dev/shm",
        flags: MountFlags::NOSUID.union(MountFlags::NODEV),
        options: Some(c"mode=1777"),
    },
    Early {
        kind: "tmpfs",
        target: "/run",
        flags: MountFlags::NOSUID.union(MountFlags::NODEV),
        options: Some(c"mode=0755"),
    },
    Early { kind: "cgroup2", target: "/sys/fs/cgroup", flags: NO_PROGRAMS, options: Some(c"nsdelegate") },
];

/// Makes sure that descriptors 0, 1 and 2 are open, and no others.
///
/// The kernel opens /dev/console for them only if the initramfs has that node; an engine may have closed some.
/// Otherwise the next opened file would become everybody's standard output.
pub(super) fn open_standard_descriptors() {
    // Before anything is opened, descriptors from 3 on are inherited ones. On a kernel before 5.9 this call fails and
    // they stay open. No workload gets them, because its start fails at the same call with an error.
    let _ = hilum_sys::close_range(3, u32::MAX);
    fill_standard_descriptors();
}

/// Protects this process and its children. New processes cannot be read or traced before they are confined
/// (CVE-2016-9962); there are no supplementary groups to inherit; the OOM killer spares PID 1. Also raises the limit of
/// open files for programs. The boot does not depend on any of this.
fn protect(environment: Environment) {
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    let _ = rustix::thread::set_thread_groups(&[]);
    // New files and folders get exactly the mode that is requested.
    rustix::process::umask(Mode::empty());
    raise_file_limit();
    if environment == Environment::Machine
        && let Ok(score) = open("/proc/self/oom_score_adj", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
    {
        let _ = rustix::io::write(&score, b"-1000");
    }
}

/// Raises the hard limit of open files from the kernel's 4096 (INR_OPEN_MAX) to that of systemd services since version
/// 240; workloads inherit it. The soft limit stays at 1024, because programs with select(2) depend on it.
fn raise_file_limit() {
    const FILES: u64 = 524_288;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if maximum < Some(FILES) && maximum.is_some() {
        let _ = setrlimit(Resource::Nofile, Rlimit { current, maximum: Some(FILES) });
    }
}

/// Detects the environment, mounts what is missing, and makes the root pivotable.
pub(super) fn prepare() -> (Environment, Missing) {
    let mut missing = Missing::new();
    let note: &mut dyn FnMut(&'static str, Result<(), Errno>) = &mut |target, result| {
        if let Err(errno) = result {
            // It fits: each target is tried once.
            let _ = missing.push((target, errno));
        }
    };
    // A machine has no /proc yet. It is inspected before it is attached, because detaching it again costs an RCU grace
    // period.
    let proc = make_proc();
    let is_first = proc.as_ref().ok().and_then(|proc| link_is(proc.as_fd(), c"self/ns/pid", FIRST_PID_NAMESPACE));
    // In a confined container it cannot be created, but one is already mounted.
    let is_first = is_first.or_else(|| link_is(CWD, c"/proc/self/ns/pid", FIRST_PID_NAMESPACE));
    if is_first == Some(false) {
        note("/", hilum_sys::unshare_mount().and_then(|()| root::make_private()));
        // The /proc of another PID namespace does not show the processes of this one.
        if link_is(CWD, c"/proc/self", b"1") != Some(true) {
            note(PROC, proc.and_then(attach_proc));
        }
        protect(Environment::Container);
        note("workload template", prepare_template(Environment::Container));
        return (Environment::Container, missing);
    }
    note("/", re_root());
    note(PROC, proc.and_then(attach_proc));
    for early in &EARLY {
        note(early.target, mount(early));
    }
    protect(Environment::Machine);
    note("workload template", prepare_template(Environment::Machine));
    for share in &hilum::plan::SHARES_OF_ALL {
        // A kernel without the setting has no such limit.
        let _ = rustix::fs::open(share.path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
            .and_then(|file| rustix::io::write(file, share.value.as_bytes()));
    }
    // Ctrl-Alt-Del sends SIGINT to this process instead of resetting at once (reboot(2)).
    note("Ctrl-Alt-Del", rustix::system::reboot(RebootCommand::CadOff));
    (Environment::Machine, missing)
}

/// Creates a proc filesystem of this PID namespace, not attached yet.
fn make_proc() -> Result<OwnedFd, Errno> {
    let kind = fsopen(c"proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&kind)?;
    let attributes =
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(&kind, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

fn attach_proc(proc: OwnedFd) -> Result<(), Errno> {
    make_folder(PROC);
    path::attach(proc.as_fd(), PROC)
}

/// Reports what [`prepare`] could not do.
pub(super) fn print(missing: &Missing, console: &mut Console) {
    for (target, errno) in missing {
        console.error(format_args!("boot: {target}: {}", describe(*errno)));
    }
}

/// Loads the modules and mounts the disks that come before everything else.
pub(super) fn configure(environment: Environment, config: &Config<'_>, console: &mut Console) {
    let system = &config.system;
    if environment == Environment::Machine && system.modules_come_first() {
        modules::load_all(config, console);
    }
    if environment == Environment::Machine && system.disks_come_first() {
        let _ = storage::mount_all(config, true, 0, None, console);
    }
}

/// Returns the kernel command line. It is empty in a container, where it would be the host's.
pub(super) fn command_line(environment: Environment, buffer: &mut [u8]) -> &str {
    if environment == Environment::Container {
        return "";
    }
    read_text("/proc/cmdline", buffer)
}

/// Mounts a kernel filesystem, and creates the folder if it does not exist.
fn mount(early: &Early) -> Result<(), Errno> {
    make_folder(early.target);
    path::mount(early.kind, early.target, early.kind, early.flags, early.options)
}

fn make_folder(path: &str) {
    // Usually the folder exists; a real failure shows at the mount.
    let _ = path::mkdir(path, Mode::from_raw_mode(0o755));
}

/// Bind-mounts the root over itself and moves there.
///
/// pivot_root(2) refuses the initial ramfs (EINVAL), because it has no parent mount. The bind mount has the initial
/// ramfs as its parent, and copies no data. Only a ramfs or tmpfs can be the initial root.
fn re_root() -> Result<(), Errno> {
    if !root::is_in_memory()? {
        return Ok(());
    }
    let copy = open_tree(CWD, c"/", OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)?;
    move_mount(&copy, c"", CWD, c"/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    // "/" still refers to the lower mount; the descriptor refers to the new one.
    rustix::process::fchdir(&copy)?;
    rustix::process::chroot(c".")?;
    rustix::process::chdir(c"/")
}

/// Returns whether the symbolic link at `path`, relative to `folder`, is `expected`. `None` if it cannot be read.
fn link_is(folder: BorrowedFd<'_>, path: &CStr, expected: &[u8]) -> Option<bool> {
    let mut buffer = [MaybeUninit::uninit(); 64];
    let (text, _) = rustix::fs::readlinkat_raw(folder, path, &mut buffer[..]).ok()?;
    Some(*text == *expected)
}
