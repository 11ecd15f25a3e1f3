//! Single actions that a test requests: `do open:/x:w mount:tmpfs:/tmp`. Each is performed, and its errno (0 for
//! success) printed as `did ACTION ERRNO`.

use crate::tell;
use hilum_sys::Arguments;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, open};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketAddrV4, SocketType, bind, connect, listen, socket};
use rustix::process::{Pid, Signal};

/// Performs all actions in order. Returns how many of them failed.
pub(crate) fn all(arguments: Arguments) -> i32 {
    let mut failed = 0;
    for argument in arguments.iter().skip(2) {
        let text = argument.to_str().unwrap_or_default();
        let result = match text.strip_prefix("notify:") {
            Some(line) => notify(arguments, line),
            None => match text.strip_prefix("barrier:") {
                Some(count) => barrier(arguments, count),
                None => one(text),
            },
        };
        failed += i32::from(result.is_err());
        tell(format_args!("did {text} {}", result.map_or_else(Errno::raw_os_error, |()| 0)));
    }
    failed
}

#[expect(clippy::too_many_lines, reason = "a table: one word of a test, the call that it makes")]
fn one(text: &str) -> Result<(), Errno> {
    let mut parts = text.split(':');
    let action = parts.next().unwrap_or_default();
    let mut part = || parts.next().unwrap_or_default();
    match action {
        "open" => {
            let path = part();
            open_as(path, part()).map(|_| ())
        }
        "read" => read(part()),
        "writable" => crate::walk::writable(part()),
        "find" => {
            let path = part();
            find(path, part())
        }
        "hear" => {
            let stream = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
            bind(&stream, &SocketAddrUnix::new_abstract_name(part().as_bytes())?)?;
            listen(&stream, 8)?;
            core::mem::forget(stream);
            Ok(())
        }
        "speak" => {
            let stream = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
            connect(&stream, &SocketAddrUnix::new_abstract_name(part().as_bytes())?)
        }
        "write" => {
            let path = part();
            rustix::io::write(open_as(path, "w")?, part().as_bytes()).map(|_| ())
        }
        "make" => open(part(), OFlags::CREATE | OFlags::WRONLY, Mode::RWXU).map(|_| ()),
        "lock" => {
            // It stays open until the program exits.
            let file = open_as(part(), "r")?;
            rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)?;
            core::mem::forget(file);
            Ok(())
        }
        "lock-record" => {
            // The lock belongs to this process until it closes the file (fcntl_locking(2)).
            let file = open_as(part(), "rw")?;
            rustix::fs::fcntl_lock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)?;
            core::mem::forget(file);
            Ok(())
        }
        "watch" => {
            let path = part();
            watch(path, part())
        }
        "mkdir" => rustix::fs::mkdir(part(), Mode::RWXU),
        "remove" => rustix::fs::unlink(part()),
        "chmod" => rustix::fs::chmod(part(), Mode::from_raw_mode(0o777)),
        "owner" => {
            let path = part();
            let found = rustix::fs::stat(path)?;
            tell(format_args!("owner {path} {}:{}", found.st_uid, found.st_gid));
            Ok(())
        }
        "copy" => {
            let from = part();
            copy(from, part())
        }
        "exec" => execute(part()),
        "mount" => {
            let kind = part();
            rustix::mount::mount("none", part(), kind, MountFlags::empty(), None)
        }
        "remount" => rustix::mount::mount_remount(part(), MountFlags::BIND, c""),
        "umount" => rustix::mount::unmount(part(), UnmountFlags::DETACH),
        "chroot" => rustix::process::chroot(part()),
        "chdir" => rustix::process::chdir(part()),
        "below" => {
            // The mount below the root becomes visible, and entering the own mount namespace again leads there.
            let namespace = open_as("/proc/self/ns/mnt", "r")?;
            rustix::mount::unmount("/", UnmountFlags::DETACH)?;
            hilum_sys::enter_mount_namespace(namespace.as_fd())?;
            read(part())
        }
        "setns-mnt" => hilum_sys::enter_mount_namespace(open_as(part(), "r")?.as_fd()),
        "unshare" => hilum_sys::unshare(u32::from_str_radix(part(), 16).map_err(|_| Errno::INVAL)?),
        "ioctl" => {
            let request = usize::from_str_radix(part(), 16).map_err(|_| Errno::INVAL)?;
            hilum_sys::attempt_ioctl(hilum_sys::standard_output(), request)
        }
        "mknod" => {
            let path = part();
            let (major, minor) = (number(part())?, number(part())?);
            let node = rustix::fs::makedev(major, minor);
            rustix::fs::mknodat(CWD, path, rustix::fs::FileType::CharacterDevice, Mode::RWXU, node)
        }
        "fifo" => rustix::fs::mknodat(CWD, part(), rustix::fs::FileType::Fifo, Mode::RWXU, 0),
        "kill" => {
            let pid = Pid::from_raw(number(part())? as i32).ok_or(Errno::INVAL)?;
            rustix::process::kill_process(pid, Signal::CONT)
        }
        "socket" => {
            let family = AddressFamily::from_raw(number(part())? as u16);
            socket(family, SocketType::DGRAM, None).map(|_| ())
        }
        "netlink" => {
            let protocol = core::num::NonZeroU32::new(number(part())?).map(rustix::net::Protocol::from_raw);
            socket(AddressFamily::NETLINK, SocketType::RAW, protocol).map(|_| ())
        }
        "listen" => {
            let stream = socket(AddressFamily::INET, SocketType::STREAM, None)?;
            bind(&stream, &SocketAddrV4::new(core::net::Ipv4Addr::LOCALHOST, number(part())? as u16))?;
            listen(&stream, 128)?;
            // It stays open for later actions.
            core::mem::forget(stream);
            Ok(())
        }
        "connect" => {
            let stream = socket(AddressFamily::INET, SocketType::STREAM, None)?;
            connect(&stream, &SocketAddrV4::new(core::net::Ipv4Addr::LOCALHOST, number(part())? as u16))
        }
        "call" => match hilum_sys::attempt(number(part())?)? {
            hilum_sys::Attempt::Failed(errno) => Err(Errno::from_raw_os_error(errno.into())),
            hilum_sys::Attempt::Killed(signal) => {
                tell(format_args!("{text} killed by signal {signal}"));
                Err(Errno::CANCELED)
            }
            _ => Ok(()),
        },
        "setgroups" => rustix::thread::set_thread_groups(&[]),
        "setuid" => rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(number(part())?)),
        "sethostname" => rustix::system::sethostname(part().as_bytes()),
        "settime" => {
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
            rustix::time::clock_settime(rustix::time::ClockId::Realtime, now)
        }
        "say" => {
            tell(format_args!("{}", part()));
            Ok(())
        }
        "ready-fd" => {
            let mut path: heapless::String<24> = heapless::String::new();
            let fits = path.push_str("/proc/self/fd/").and_then(|()| path.push_str(part())).is_ok();
            rustix::io::write(open_as(if fits { &path } else { "" }, "w")?, b"\n").map(|_| ())
        }
        "folders" => {
            let path = part();
            let folder = open_as(path, "r")?;
            let mut buffer = [core::mem::MaybeUninit::uninit(); 4096];
            let mut entries = rustix::fs::RawDir::new(&folder, &mut buffer);
            while let Some(Ok(entry)) = entries.next() {
                let name = entry.file_name().to_str().unwrap_or_default();
                if entry.file_type() == rustix::fs::FileType::Directory && !name.starts_with('.') {
                    tell(format_args!("folder {path} {name}"));
                }
            }
            Ok(())
        }
        "fill" => {
            let file = open(part(), OFlags::CREATE | OFlags::APPEND | OFlags::WRONLY, Mode::RWXU)?;
            // Until there is no room left, which is the purpose.
            while let Ok(1..) = rustix::io::write(&file, &[b'x'; 4096]) {}
            Ok(())
        }
        "count" => count(part()),
        "jump" => {
            let seconds: i64 = part().parse().map_err(|_| Errno::INVAL)?;
            let mut now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
            now.tv_sec += seconds;
            rustix::time::clock_settime(rustix::time::ClockId::Realtime, now)
        }
        "mute" => {
            let nothing = open_as("/dev/null", "w")?;
            rustix::stdio::dup2_stdout(&nothing)?;
            rustix::stdio::dup2_stderr(&nothing)
        }
        "stay" => {
            crate::ending::exit_on_term();
            Ok(())
        }
        "end-by" => {
            let signal = Signal::from_named_raw(number(part())? as i32).ok_or(Errno::INVAL)?;
            rustix::process::kill_process(rustix::process::getpid(), signal)
        }
        "watchers" => {
            let most = number(part())?;
            let watcher = || rustix::fs::inotify::init(rustix::fs::inotify::CreateFlags::CLOEXEC);
            let opened = (0..most).map(|_| watcher().map(core::mem::forget)).find_map(|made| made.err());
            opened.map_or(Ok(()), Err)
        }
        "terminals" => {
            // They stay open for later actions.
            let mut count = 0;
            let errno = loop {
                match open("/dev/ptmx", OFlags::RDWR | OFlags::NOCTTY, Mode::empty()) {
                    Ok(terminal) => core::mem::forget(terminal),
                    Err(errno) => break errno,
                }
                count += 1;
            };
            tell(format_args!("opened {count} terminals"));
            Err(errno)
        }
        "await" => crate::ending::wait_for(part()),
        "exit" => hilum_sys::exit(number(part())? as i32),
        "sleep" => {
            crate::ending::sleep(number(part())?.into());
            Ok(())
        }
        _ => Err(Errno::NOSYS),
    }
}

/// Sends a line to the socket that NOTIFY_SOCKET names.
pub(crate) fn notify(arguments: Arguments, line: &str) -> Result<(), Errno> {
    let path = variable(arguments, "NOTIFY_SOCKET=").ok_or(Errno::NOENT)?;
    let stream = socket(AddressFamily::UNIX, SocketType::DGRAM, None)?;
    connect(&stream, &SocketAddrUnix::new(path)?)?;
    // Encodes what a word of a configuration cannot contain: `|` is a newline, `~` invalid UTF-8, `^` five thousand
    // bytes.
    let mut datagram = heapless::Vec::<u8, 8192>::new();
    for byte in line.bytes() {
        let fits = match byte {
            b'|' => datagram.push(b'\n').is_ok(),
            b'~' => datagram.push(0xff).is_ok(),
            b'^' => datagram.extend_from_slice(&[b'x'; 5_000]).is_ok(),
            other => datagram.push(other).is_ok(),
        };
        if !fits {
            return Err(Errno::MSGSIZE);
        }
    }
    rustix::net::send(&stream, &datagram, rustix::net::SendFlags::empty()).map(|_| ())
}

/// Sends `BARRIER=1` with `count` copies of the write end of a pipe, and waits until the receiver has closed all, as
/// sd_notify_barrier(3) does with one.
fn barrier(arguments: Arguments, count: &str) -> Result<(), Errno> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    const MOST: usize = 64;
    let path = variable(arguments, "NOTIFY_SOCKET=").ok_or(Errno::NOENT)?;
    let stream = socket(AddressFamily::UNIX, SocketType::DGRAM, None)?;
    connect(&stream, &SocketAddrUnix::new(path)?)?;
    let (reader, writer) = rustix::pipe::pipe()?;
    let copies = [writer.as_fd(); MOST];
    let copies = copies.get(..number(count)? as usize).ok_or(Errno::INVAL)?;
    let mut space = [core::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(copies)) {
        return Err(Errno::INVAL);
    }
    sendmsg(&stream, &[rustix::io::IoSlice::new(b"BARRIER=1")], &mut control, SendFlags::empty())?;
    drop(writer);
    let mut events = [PollFd::new(&reader, PollFlags::empty())];
    let limit = Timespec { tv_sec: 20, tv_nsec: 0 };
    if poll(&mut events, Some(&limit))? == 0 { Err(Errno::TIME) } else { Ok(()) }
}

/// Counts how often `path` is opened until there is a file `end`.
fn watch(path: &str, end: &str) -> Result<(), Errno> {
    use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
    let watcher = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    inotify::add_watch(&watcher, path, WatchFlags::OPEN)?;
    tell(format_args!("watching {path}"));
    while rustix::fs::stat(end).is_err() {
        crate::ending::sleep(5);
    }
    let mut space = [core::mem::MaybeUninit::uninit(); 4096];
    let mut events = inotify::Reader::new(&watcher, &mut space);
    let mut seen = 0;
    // EAGAIN means that there are no more.
    while events.next().is_ok() {
        seen += 1;
    }
    tell(format_args!("seen {path} {}", if seen == 0 { "nothing" } else { "opens" }));
    Ok(())
}

/// Returns the value of an environment variable; `name` ends with `=`.
fn variable(arguments: Arguments, name: &str) -> Option<&'static str> {
    arguments.environment().filter_map(|variable| variable.to_str().ok()).find_map(|text| text.strip_prefix(name))
}

fn number(text: &str) -> Result<u32, Errno> {
    text.parse().map_err(|_| Errno::INVAL)
}

fn open_as(path: &str, how: &str) -> Result<OwnedFd, Errno> {
    let flags = match how {
        "w" => OFlags::WRONLY,
        "rw" => OFlags::RDWR,
        _ => OFlags::RDONLY,
    };
    open(path, flags | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK, Mode::empty())
}

/// Counts up in a file of a folder for ever: each number is synced to disk before it is printed.
fn count(folder: &str) -> Result<(), Errno> {
    let folder = open_as(folder, "r")?;
    let mut text = [0; 8];
    let found = rustix::fs::openat(&folder, "count", OFlags::RDONLY, Mode::empty());
    let length = found.and_then(|file| rustix::io::read(file, &mut text)).unwrap_or(0);
    let text = core::str::from_utf8(&text[..length]).map_err(|_| Errno::INVAL)?;
    let mut value = if text.is_empty() { 0 } else { number(text)? };
    tell(format_args!("found {value}"));
    loop {
        value += 1;
        let mut text: heapless::String<10> = heapless::String::new();
        // A number has at most ten digits.
        let _ = core::fmt::write(&mut text, format_args!("{value}"));
        let file = rustix::fs::openat(&folder, "new", OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY, Mode::RWXU)?;
        rustix::io::write(&file, text.as_bytes())?;
        rustix::fs::fsync(&file)?;
        rustix::fs::renameat(&folder, "new", &folder, "count")?;
        rustix::fs::fsync(&folder)?;
        tell(format_args!("counted {value}"));
    }
}

/// Prints the first line of a file.
fn read(path: &str) -> Result<(), Errno> {
    let mut text = [0; 128];
    let length = rustix::io::read(open_as(path, "r")?, &mut text)?;
    let line = core::str::from_utf8(&text[..length]).unwrap_or("?").lines().next().unwrap_or_default();
    tell(format_args!("content {path} {line}"));
    Ok(())
}

/// Searches a file for a text.
fn find(path: &str, wanted: &str) -> Result<(), Errno> {
    let file = open_as(path, "r")?;
    let mut bytes = [0; 16 * 1024];
    let mut length = 0;
    loop {
        match rustix::io::read(&file, &mut bytes[length..])? {
            0 => break,
            count => length += count,
        }
    }
    let is_there = bytes[..length].windows(wanted.len()).any(|window| window == wanted.as_bytes());
    if is_there { Ok(()) } else { Err(Errno::NOMSG) }
}

fn copy(from: &str, to: &str) -> Result<(), Errno> {
    let source = open_as(from, "r")?;
    let target = open(to, OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC, Mode::RWXU)?;
    let mut bytes = [0; 4096];
    loop {
        let length = rustix::io::read(&source, &mut bytes)?;
        if length == 0 {
            return Ok(());
        }
        rustix::io::write(&target, &bytes[..length])?;
    }
}

/// Executes a program in a new process; returns the errno of a failure.
fn execute(path: &str) -> Result<(), Errno> {
    let mut bytes = [0; 128];
    bytes.get_mut(..path.len()).ok_or(Errno::NAMETOOLONG)?.copy_from_slice(path.as_bytes());
    let path = core::ffi::CStr::from_bytes_until_nul(&bytes).map_err(|_| Errno::NAMETOOLONG)?;
    if let hilum_sys::Cloned::Child = hilum_sys::fork()? {
        let errno = hilum_sys::execute(path, &[Some(path), Some(c"exit"), Some(c"0"), None], &[None]);
        hilum_sys::exit(errno.raw_os_error())
    }
    let status = rustix::process::wait(rustix::process::WaitOptions::empty())?;
    match status.and_then(|(_, status)| status.exit_status()) {
        Some(0) => Ok(()),
        Some(errno) => Err(Errno::from_raw_os_error(errno)),
        None => Err(Errno::CANCELED),
    }
}
