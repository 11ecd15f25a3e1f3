//! Forbidden actions: each is tried, and its errno printed (0 for success).

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
    attempt("own-mount-namespace", hilum_sys::unshare_mount());
    let write = |path: &str| {
        open(path, OFlags::WRONLY, Mode::empty()).and_then(|file| rustix::io::write(&file, b"x").map(|_| ()))
    };
    attempt("write-core-pattern", write("/proc/sys/kernel/core_pattern"));
    attempt("write-sysrq", write("/proc/sysrq-trigger"));
    attempt("write-root", rustix::fs::mkdir("/new", Mode::RWXU));
    attempt("setuid", rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(0)));
}

/// Tries every system call number, beyond the last one of any table.
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

/// Looks for other processes for a while, and tries to open the memory and the root of each.
pub(crate) fn prowl(milliseconds: u32) {
    use core::fmt::Write;
    use core::mem::MaybeUninit;
    use rustix::fs::RawDir;
    let now = || rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let begin = now();
    let passed = || (now().tv_sec - begin.tv_sec) * 1_000 + (now().tv_nsec - begin.tv_nsec) / 1_000_000;
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let (mut tried, mut opened, mut of_hilum) = (0_u32, 0_u32, 0_u32);
    while passed() < i64::from(milliseconds) {
        let Ok(folder) = open("/proc", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()) else { return };
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut entries = RawDir::new(&folder, &mut buffer);
        while let Some(Ok(entry)) = entries.next() {
            let name = entry.file_name().to_str().unwrap_or_default();
            if name.parse::<i32>().is_ok_and(|pid| pid != own) {
                for what in ["mem", "root/etc/hilum.conf", "environ"] {
                    let mut path = heapless::String::<48>::new();
                    let _ = write!(path, "{name}/{what}");
                    let flags = if what == "mem" { OFlags::RDWR } else { OFlags::RDONLY };
                    tried += 1;
                    let is_open = rustix::fs::openat(&folder, path.as_str(), flags, Mode::empty()).is_ok();
                    opened += u32::from(is_open);
                    // The name changes at exec: a process that still has it now had it before.
                    let mut path = heapless::String::<48>::new();
                    let _ = write!(path, "{name}/comm");
                    let mut comm = [0; 16];
                    let length = rustix::fs::openat(&folder, path.as_str(), OFlags::RDONLY, Mode::empty())
                        .and_then(|file| rustix::io::read(&file, &mut comm));
                    let is_hilum = length.is_ok_and(|length| comm[..length].starts_with(b"hilum"));
                    of_hilum += u32::from(is_open && is_hilum);
                }
            }
        }
    }
    tell(format_args!("prowled: tried {tried}, opened {opened}"));
    tell(format_args!("prowled: of hilum {of_hilum}"));
}
