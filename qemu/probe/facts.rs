//! Prints what a program sees of itself and its environment, as lines `fact KEY VALUE`.

use crate::tell;
use core::mem::MaybeUninit;
use hilum_sys::Arguments;
use rustix::fs::{CWD, Mode, OFlags, RawDir, openat, readlinkat_raw, statat};
use rustix::io::Errno;

/// Prints everything.
pub(crate) fn tell_all(arguments: Arguments) {
    for argument in arguments.iter() {
        tell(format_args!("fact argument {}", argument.to_str().unwrap_or("?")));
    }
    for variable in arguments.environment() {
        tell(format_args!("fact environment {}", variable.to_str().unwrap_or("?")));
    }
    identity();
    for name in ["pid", "mnt", "uts", "ipc", "net", "cgroup", "user", "time"] {
        let mut path = heapless_path("/proc/self/ns/");
        path.push(name);
        link("namespace", name, path.text());
    }
    link("directory", "current", "/proc/self/cwd");
    descriptors();
    lines("/proc/self/status", "status", &["Cap", "NoNewPrivs", "Seccomp:", "SigBlk", "SigIgn", "Groups"]);
    lines("/proc/self/mountinfo", "mount", &[]);
    lines("/proc/self/cgroup", "cgroup", &[]);
    lines("/proc/net/if_inet6", "inet6", &[]);
    folder("/proc", "process", |name| name.bytes().all(|byte| byte.is_ascii_digit()));
    folder("/dev", "device", |name| !name.starts_with('.'));
    for path in ["/", "/tmp", "/run", "/dev", "/dev/shm", "/proc", "/proc/sys/kernel/hostname", "/bin"] {
        writable(path);
    }
    loopback();
}

fn identity() {
    use rustix::process::{getegid, geteuid, getgid, getpid, getppid, getsid, getuid};
    tell(format_args!("fact pid {}", getpid().as_raw_nonzero()));
    tell(format_args!("fact parent {}", getppid().map_or(0, |pid| pid.as_raw_nonzero().get())));
    tell(format_args!("fact session {}", getsid(None).map_or(0, |pid| pid.as_raw_nonzero().get())));
    tell(format_args!("fact user {}:{}", getuid().as_raw(), getgid().as_raw()));
    tell(format_args!("fact effective {}:{}", geteuid().as_raw(), getegid().as_raw()));
    let name = rustix::system::uname();
    tell(format_args!("fact hostname {}", name.nodename().to_str().unwrap_or("?")));
    let mask = rustix::process::umask(Mode::empty());
    tell(format_args!("fact umask {:03o}", mask.bits()));
}

/// A short path under construction.
struct ShortPath {
    bytes: [u8; 64],
    length: usize,
}

fn heapless_path(start: &str) -> ShortPath {
    let mut path = ShortPath { bytes: [0; 64], length: 0 };
    path.push(start);
    path
}

impl ShortPath {
    fn push(&mut self, text: &str) {
        for byte in text.bytes().take(self.bytes.len() - self.length) {
            self.bytes[self.length] = byte;
            self.length += 1;
        }
    }

    fn text(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

fn link(key: &str, name: &str, path: &str) {
    let mut buffer = [MaybeUninit::uninit(); 256];
    match readlinkat_raw(CWD, path, &mut buffer) {
        Ok((target, _)) => tell(format_args!("fact {key} {name} {}", core::str::from_utf8(target).unwrap_or("?"))),
        Err(errno) => tell(format_args!("fact {key} {name} errno {}", errno.raw_os_error())),
    }
}

/// Prints all descriptors up to 63 with their targets.
fn descriptors() {
    for number in 0..64_u8 {
        let mut path = heapless_path("/proc/self/fd/");
        let digits = [b'0' + number / 10, b'0' + number % 10];
        path.push(core::str::from_utf8(if number < 10 { &digits[1..] } else { &digits }).unwrap_or_default());
        let mut buffer = [MaybeUninit::uninit(); 256];
        if let Ok((target, _)) = readlinkat_raw(CWD, path.text(), &mut buffer) {
            tell(format_args!("fact descriptor {number} {}", core::str::from_utf8(target).unwrap_or("?")));
        }
    }
}

/// Prints the lines of a file that begin with one of `prefixes`; all lines without prefixes.
fn lines(path: &str, key: &str, prefixes: &[&str]) {
    let Ok(file) = openat(CWD, path, OFlags::RDONLY, Mode::empty()) else {
        tell(format_args!("fact {key} unreadable"));
        return;
    };
    let mut buffer = [0; 16 * 1024];
    let mut length = 0;
    while let Ok(count) = rustix::io::read(&file, &mut buffer[length..])
        && count > 0
    {
        length += count;
    }
    for line in core::str::from_utf8(&buffer[..length]).unwrap_or_default().lines() {
        if prefixes.is_empty() || prefixes.iter().any(|prefix| line.starts_with(prefix)) {
            // Separate words with blanks, because not every console preserves tabs.
            let mut text = heapless_line();
            for word in line.split_whitespace() {
                text.push(word);
            }
            tell(format_args!("fact {key} {}", text.text()));
        }
    }
}

struct Words {
    bytes: [u8; 512],
    length: usize,
}

fn heapless_line() -> Words {
    Words { bytes: [0; 512], length: 0 }
}

impl Words {
    fn push(&mut self, word: &str) {
        let blank = if self.length > 0 { " " } else { "" };
        for byte in blank.bytes().chain(word.bytes()) {
            if self.length < self.bytes.len() {
                self.bytes[self.length] = byte;
                self.length += 1;
            }
        }
    }

    fn text(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

/// Prints the entries of a folder, devices with their numbers and mode.
fn folder(path: &str, key: &str, wanted: impl Fn(&str) -> bool) {
    let Ok(folder) = openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()) else {
        tell(format_args!("fact {key} unreadable"));
        return;
    };
    let mut buffer = [MaybeUninit::uninit(); 2048];
    let mut entries = RawDir::new(&folder, &mut buffer);
    while let Some(Ok(entry)) = entries.next() {
        let name = entry.file_name();
        let Some(text) = name.to_str().ok().filter(|text| wanted(text)) else { continue };
        let stat = statat(&folder, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW);
        match stat {
            Ok(stat) if stat.st_mode & 0o170_000 == 0o020_000 => {
                let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
                tell(format_args!("fact {key} {text} {major}:{minor} {:o}", stat.st_mode & 0o7777));
            }
            _ => tell(format_args!("fact {key} {text}")),
        }
    }
}

/// Prints whether a folder or file is writable.
fn writable(path: &str) {
    let made = openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
        .and_then(|folder| rustix::fs::mkdirat(&folder, "probe-was-here", Mode::RWXU));
    let result = match made {
        Err(Errno::NOTDIR) => openat(CWD, path, OFlags::WRONLY, Mode::empty()).map(|_| ()),
        other => other,
    };
    tell(format_args!("fact writable {path} {}", result.map_or_else(Errno::raw_os_error, |()| 0)));
}

/// Sends a datagram to itself over 127.0.0.1, on the lowest port.
fn loopback() {
    use rustix::net::sockopt::{Timeout, set_socket_timeout};
    use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrV4, SocketType, bind, recv, sendto, socket};
    let address = SocketAddrV4::new(core::net::Ipv4Addr::LOCALHOST, 1);
    let result = socket(AddressFamily::INET, SocketType::DGRAM, None).and_then(|socket| {
        bind(&socket, &address)?;
        sendto(&socket, b"x", SendFlags::empty(), &address)?;
        let mut byte = [0; 1];
        // Usually it arrives at once; on a busy machine the kernel may defer it to a thread (ksoftirqd).
        set_socket_timeout(&socket, Timeout::Recv, Some(core::time::Duration::from_secs(10)))?;
        recv(&socket, &mut byte, RecvFlags::empty()).map(|_| ())
    });
    tell(format_args!("fact loopback {}", result.map_or_else(Errno::raw_os_error, |()| 0)));
}

/// Prints limits and priorities of this process, one line each.
pub(crate) fn limits() {
    use rustix::process::{Resource, getpriority_process, getrlimit};
    for (name, resource) in [("nofile", Resource::Nofile), ("core", Resource::Core)] {
        let limit = getrlimit(resource);
        tell(format_args!("limit {name} {} {}", limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX)));
    }
    tell(format_args!("nice {}", getpriority_process(None).unwrap_or(99)));
    tell(format_args!("ioprio {}", hilum_sys::io_priority()));
    let (policy, priority) = hilum_sys::scheduler();
    tell(format_args!("policy {policy} {priority}"));
    lines("/proc/self/oom_score_adj", "oom", &[]);
    // Back to the value of the board's own processes, which needs a capability on the host.
    let lowered = openat(CWD, "/proc/self/oom_score_adj", OFlags::WRONLY, Mode::empty())
        .and_then(|file| rustix::io::write(&file, b"-1000").map(|_| ()));
    tell(format_args!("oom-lowered {}", lowered.map_or_else(Errno::raw_os_error, |()| 0)));
    lines("/proc/self/status", "status", &["Groups"]);
    tell(format_args!("umask {:03o}", rustix::process::umask(Mode::empty()).bits()));
    tell(format_args!("machine {}", rustix::system::uname().machine().to_str().unwrap_or("?")));
}
