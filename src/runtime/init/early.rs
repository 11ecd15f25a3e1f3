//! What the kernel leaves to PID 1 before anything can be started: descriptors, filesystems, a root that can be pivoted.
//!
//! Two kinds of surroundings: a machine (the first PID namespace, whose root is the initramfs), and a container (any
//! other PID namespace, made by an engine or a test). In a container everything is done inside a mount namespace of
//! its own, and nothing that belongs to the host is touched.

use super::modules;
use crate::console::Console;
use crate::os::environment::Environment;
use crate::os::errno::describe;
use crate::os::files::{fill_standard_descriptors, read_file};
use crate::os::path::{Path, open};
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

/// Targets that could not be mounted, to be reported once there is a console.
pub(super) type Missing = heapless::Vec<(&'static str, Errno), 16>;

/// The names that /proc gives the first namespaces of a machine (include/linux/proc_ns.h).
const FIRST_PID_NAMESPACE: &[u8] = b"pid:[4026531836]";
const FIRST_UTS_NAMESPACE: &[u8] = b"uts:[4026531838]";

/// A filesystem that the kernel makes up, and where it belongs.
struct Early {
    kind: &'static CStr,
    target: &'static str,
    flags: MountFlags,
    options: Option<&'static CStr>,
}

const NO_PROGRAMS: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);
const PROC: &str = "/proc";

/// In this order: each may lie below one before it.
const EARLY: [Early; 6] = [
    Early { kind: c"sysfs", target: "/sys", flags: NO_PROGRAMS, options: None },
    Early { kind: c"devtmpfs", target: "/dev", flags: MountFlags::NOSUID, options: Some(c"mode=0755") },
    Early {
        kind: c"devpts",
        target: "/dev/pts",
        flags: MountFlags::NOSUID.union(MountFlags::NOEXEC),
        options: Some(c"mode=0620,ptmxmode=0666"),
    },
    Early {
        kind: c"tmpfs",
        target: "/dev/shm",
        flags: MountFlags::NOSUID.union(MountFlags::NODEV),
        options: Some(c"mode=1777"),
    },
    Early {
        kind: c"tmpfs",
        target: "/run",
        flags: MountFlags::NOSUID.union(MountFlags::NODEV),
        options: Some(c"mode=0755"),
    },
    Early { kind: c"cgroup2", target: "/sys/fs/cgroup", flags: NO_PROGRAMS, options: Some(c"nsdelegate") },
];

/// Makes sure that descriptors 0, 1 and 2 are something, and that nothing else was handed down.
///
/// The kernel opens /dev/console for them where the initramfs has that node, and gives none where not; an engine may
/// have closed some. Otherwise the next file that is opened becomes the standard output of everything.
pub(super) fn open_standard_descriptors() {
    // Before anything is opened: from 3 up there are only strangers. It fails on a kernel without the call (before
    // 5.9), and then they stay, but no workload gets them: it runs into the same failure, and says so.
    let _ = hilum_sys::close_range(3, u32::MAX);
    fill_standard_descriptors();
}

/// Makes this process less of a target: what a new process takes over from it cannot be read or traced before it is
/// confined (CVE-2016-9962), it has no supplementary groups to hand down, and it is not what the kernel kills when
/// memory is short. It raises the limit of files that programs may raise their own to. Nothing of it is needed for the boot.
fn protect(environment: Environment) {
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    let _ = rustix::thread::set_thread_groups(&[]);
    // What it makes has the modes that it says.
    rustix::process::umask(Mode::empty());
    raise_file_limit();
    if environment == Environment::Machine
        && let Ok(score) = open("/proc/self/oom_score_adj", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
    {
        let _ = rustix::io::write(&score, b"-1000");
    }
}

/// Raises the hard limit of open files from the kernel's 4096 (INR_OPEN_MAX) to what systemd gives to services since version
/// 240: workloads inherit it. The soft one stays: programs that use select(2) count on 1024.
fn raise_file_limit() {
    const FILES: u64 = 524_288;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if maximum < Some(FILES) && maximum.is_some() {
        let _ = setrlimit(Resource::Nofile, Rlimit { current, maximum: Some(FILES) });
    }
}

/// Finds out where this runs, mounts what is missing, and makes the root one that can be pivoted.
pub(super) fn prepare() -> (Environment, Missing) {
    let mut missing = Missing::new();
    let mut note = |target, result: Result<(), Errno>| {
        if let Err(errno) = result {
            // It cannot overflow: there are fewer targets than places, and each is tried once.
            let _ = missing.push((target, errno));
        }
    };
    // A machine has no /proc yet. It is looked at before it is attached: taking a mount away again costs a grace period.
    let proc = make_proc();
    let is_first = proc.as_ref().ok().and_then(|proc| link_is(proc.as_fd(), c"self/ns/pid", FIRST_PID_NAMESPACE));
    // Where it cannot be made there is one already: a confined container.
    let is_first = is_first.or_else(|| link_is(CWD, c"/proc/self/ns/pid", FIRST_PID_NAMESPACE));
    if is_first == Some(false) {
        note("/", hilum_sys::unshare_mount().and_then(|()| root::make_private()));
        // A /proc of another PID namespace says nothing about the processes of this one.
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
        // A kernel without it has nothing to share.
        let _ = rustix::fs::open(share.path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
            .and_then(|file| rustix::io::write(file, share.value.as_bytes()));
    }
    // Ctrl-Alt-Del becomes a SIGINT to this process instead of an immediate reset (reboot(2)).
    note("Ctrl-Alt-Del", rustix::system::reboot(RebootCommand::CadOff));
    (Environment::Machine, missing)
}

/// Returns a proc filesystem of this PID namespace, not attached anywhere yet.
fn make_proc() -> Result<OwnedFd, Errno> {
    let kind = fsopen(c"proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&kind)?;
    let attributes =
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(&kind, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

fn attach_proc(proc: OwnedFd) -> Result<(), Errno> {
    make_folder(PROC);
    move_mount(proc, c"", CWD, Path(PROC), MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// Says what [`prepare`] could not do.
pub(super) fn print(missing: &Missing, console: &mut Console) {
    for (target, errno) in missing {
        console.error(format_args!("boot: {target}: {}", describe(*errno)));
    }
}

/// Does what the system section asks of a machine. A container's settings belong to whoever made it, unless it has a
/// namespace of its own for them.
pub(super) fn configure(environment: Environment, config: &Config<'_>, console: &mut Console) {
    let system = &config.system;
    if environment == Environment::Machine && system.modules_come_first() {
        modules::load_all(config, console);
    }
    if environment == Environment::Machine && system.disks_come_first() {
        let _ = storage::mount_all(config, true, 0, None, console);
    }
    let Some(hostname) = system.hostname else { return };
    if environment == Environment::Container && link_is(CWD, c"/proc/self/ns/uts", FIRST_UTS_NAMESPACE) != Some(false) {
        return;
    }
    if let Err(errno) = rustix::system::sethostname(hostname.as_bytes()) {
        console.error(format_args!("hostname {hostname}: {}", describe(errno)));
    }
}

/// Returns the kernel command line; empty in a container, whose host's it would be.
pub(super) fn command_line(environment: Environment, buffer: &mut [u8]) -> &str {
    if environment == Environment::Container {
        return "";
    }
    let length = read_file("/proc/cmdline", buffer).unwrap_or(0);
    core::str::from_utf8(&buffer[..length]).unwrap_or_default()
}

/// Mounts one of the kernel's own filesystems, on a folder that is made where there is none.
fn mount(early: &Early) -> Result<(), Errno> {
    make_folder(early.target);
    rustix::mount::mount(early.kind, Path(early.target), early.kind, early.flags, early.options)
}

fn make_folder(path: &str) {
    // That it exists already is the usual case, and that it could not be made shows at the mount.
    let _ = crate::os::path::mkdir(path, Mode::from_raw_mode(0o755));
}

/// Puts a copy of the root mount over itself and moves into it.
///
/// pivot_root(2) refuses the initial ramfs (EINVAL): it has no parent mount that the old root could move to. The copy
/// is a bind mount, so no byte is copied, and it has the initial ramfs as its parent. Only a root that is a ramfs or
/// tmpfs can be the initial one.
fn re_root() -> Result<(), Errno> {
    if !root::is_in_memory()? {
        return Ok(());
    }
    let copy = open_tree(CWD, c"/", OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)?;
    move_mount(&copy, c"", CWD, c"/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    // "/" still names the mount below; the descriptor names the copy.
    rustix::process::fchdir(&copy)?;
    rustix::process::chroot(c".")?;
    rustix::process::chdir(c"/")
}

/// Whether the symbolic link at `path`, relative to `folder`, says `expected`. `None` if it cannot be read.
fn link_is(folder: BorrowedFd<'_>, path: &CStr, expected: &[u8]) -> Option<bool> {
    let mut buffer = [MaybeUninit::uninit(); 64];
    let (text, _) = rustix::fs::readlinkat_raw(folder, path, &mut buffer[..]).ok()?;
    Some(*text == *expected)
}
