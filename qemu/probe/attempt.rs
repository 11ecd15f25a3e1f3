//! What an isolated program may not do: each is really tried, and the errno told (0: it worked).

use crate::tell;
use rustix::fs::{CWD, Mode, OFlags, open};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

fn attempt(what: &str, result: Result<(), Errno>) {
    tell(format_args!("attempt {what} {}", result.map_or_else(Errno::raw_os_error, |()| 0)));
}

/// Tries everything.
pub(crate) fn all() {
    attempt("mount", rustix::mount::mount("none", "/tmp", "tmpfs", MountFlags::empty(), None));
    attempt("remount", rustix::mount::mount_remount("/", MountFlags::BIND, c""));
    attempt("umount", rustix::mount::unmount("/", UnmountFlags::DETACH));
    attempt("umount-proc", rustix::mount::unmount("/proc", UnmountFlags::DETACH));
    attempt("pivot_root", rustix::process::pivot_root(".", "."));
    attempt("chroot", rustix::process::chroot("/tmp"));
    attempt("sethostname", rustix::system::sethostname(b"taken"));
    attempt("reboot", rustix::system::reboot(rustix::system::RebootCommand::CadOff));
    let node = rustix::fs::makedev(1, 1);
    attempt("mknod", rustix::fs::mknodat(CWD, "/tmp/mem", rustix::fs::FileType::CharacterDevice, Mode::RWXU, node));
    attempt("own-mount-namespace", hilum_sys::own_mount_namespace());
    let write = |path: &str| {
        open(path, OFlags::WRONLY, Mode::empty()).and_then(|file| rustix::io::write(&file, b"x").map(|_| ()))
    };
    attempt("write-core-pattern", write("/proc/sys/kernel/core_pattern"));
    attempt("write-sysrq", write("/proc/sysrq-trigger"));
    attempt("write-root", rustix::fs::mkdir("/new", Mode::RWXU));
    attempt("setuid", rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(0)));
}
