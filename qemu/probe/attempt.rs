//! What an isolated program may not do: each is really tried, and the errno told (0: it worked).

use crate::tell;
use hilum_sys::Attempt;
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

/// Tries every system call by its number, beyond the last one of any table.
pub(crate) fn calls() {
    const NUMBERS: u32 = 480;
    for number in 0..NUMBERS {
        match hilum_sys::attempt(number) {
            Ok(Attempt::Done) => tell(format_args!("call {number} 0")),
            Ok(Attempt::Failed(errno)) => tell(format_args!("call {number} {errno}")),
            Ok(Attempt::Killed(signal)) => tell(format_args!("call {number} signal {signal}")),
            Ok(Attempt::Waited) => tell(format_args!("call {number} waited")),
            Err(errno) => tell(format_args!("call {number} not tried: {}", errno.raw_os_error())),
        }
    }
}
