//! Making the process of the console's prompt: its session, its terminal, and the way that lines take to it.

use super::machine::Kind;
use crate::path::open;
use hilum_sys::{Cloned, exit};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::Pid;

/// Makes it, on the terminal at `device`, or on the kernel's console, or in a container on standard input, where `device`
/// is empty. Gives its pid and where lines for it go.
///
/// # Errors
/// ENOTTY where that is no terminal; what the kernel says.
pub(super) fn start(kind: Kind, device: &str, control: &str) -> Result<(Pid, OwnedFd), Errno> {
    let terminal = terminal(kind, device)?;
    let (own, other) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::io::ioctl_fionbio(&own, true)?;
    match hilum_sys::clone(0, None)? {
        Cloned::Parent { pid, .. } => Ok((pid, own)),
        Cloned::Child => {
            drop(own);
            // A session of its own, so that Ctrl-C is about what runs in it. On a container's terminal that belongs to
            // somebody else's session it stays without one.
            let _ = rustix::process::setsid();
            let is_own = rustix::process::ioctl_tiocsctty(&terminal).is_ok();
            let streams = [
                rustix::stdio::dup2_stdin(&terminal),
                rustix::stdio::dup2_stdout(&terminal),
                rustix::stdio::dup2_stderr(&terminal),
            ];
            if streams.iter().any(Result::is_err) {
                exit(1)
            }
            let _ = hilum_sys::close_all_but(&mut [other.as_raw_fd().unsigned_abs()]);
            // What a person runs from here is not process 1, and not as precious.
            crate::helper::may_be_killed();
            crate::command::prompt(&other, control, is_own)
        }
    }
}

fn terminal(kind: Kind, device: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let mut path: heapless::String<64> = heapless::String::new();
    let terminal = if device.is_empty() {
        // /dev/console itself can be nobody's controlling terminal; the kernel tells which one it is.
        let mut bytes = [0; 64];
        let length = super::read_file("/sys/class/tty/console/active", &mut bytes).unwrap_or(0);
        let text = core::str::from_utf8(&bytes[..length]).unwrap_or_default();
        let name = text.split_ascii_whitespace().next_back();
        match name.filter(|_| kind == Kind::Machine) {
            Some(name) if path.push_str("/dev/").and_then(|()| path.push_str(name)).is_ok() => {
                open(path.as_str(), flags, Mode::empty())?
            }
            _ => open("/proc/self/fd/0", flags, Mode::empty())?,
        }
    } else {
        open(device, flags, Mode::empty())?
    };
    if rustix::termios::isatty(&terminal) { Ok(terminal) } else { Err(Errno::NOTTY) }
}
