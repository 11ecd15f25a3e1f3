//! The console's prompt: a helper with a session and the terminal of its own, made again when it exits.

use super::context::Context;
use crate::os::environment::Environment;
use crate::os::errno::describe;
use crate::os::files::read_file;
use crate::os::helper::{Kept, Role, spawn};
use crate::os::path::open;
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::Pid;

/// Milliseconds until a prompt that exited is made again.
const RESTART_MS: u64 = 1_000;

/// A person runs commands from it: the kernel may kill it, unlike PID 1.
const ROLE: Role = Role { is_killable: true, ..Role::new(c"hilum-prompt") };

/// What the prompt does: it reads commands from standard input, sends them to the control socket at the path, and prints the
/// console's lines, which come over the socket. The flag says whether the terminal is its session's own.
pub(crate) type Run = fn(&OwnedFd, &str, bool) -> !;

/// The prompt of one console.
pub(super) struct Prompt {
    run: Run,
    state: State,
}

enum State {
    Off,
    Running(Pid),
    /// It is made again at this millisecond.
    RestartAt(u64),
}

impl Prompt {
    /// None yet.
    pub(super) const fn new(run: Run) -> Self {
        Self { run, state: State::Off }
    }

    /// Makes the prompt if the configuration wants one.
    pub(super) fn start(&mut self, cx: &mut Context) {
        self.state = State::Off;
        if !cx.console.wants_prompt() {
            return;
        }
        cx.console.flush();
        let Some(socket) = cx.control_socket() else {
            return cx.console.error(format_args!("console prompt: needs the control socket"));
        };
        match start(cx.environment, cx.console.device(), socket, self.run) {
            Ok((pid, lines)) => {
                self.state = State::Running(pid);
                cx.console.attach_prompt(Some(lines));
            }
            Err(errno) => cx.console.error(format_args!("console prompt: {}", describe(errno))),
        }
    }

    /// Makes it again when it is time.
    pub(super) fn tick(&mut self, cx: &mut Context) {
        match self.state {
            State::RestartAt(at) if at <= cx.now() => self.start(cx),
            // It takes no lines any more.
            State::Running(_) if !cx.console.has_prompt() => self.state = State::RestartAt(cx.now() + RESTART_MS),
            _ => {}
        }
    }

    /// Returns when [`Self::tick`] has something to do.
    pub(super) fn deadline(&self) -> Option<u64> {
        if let State::RestartAt(at) = self.state { Some(at) } else { None }
    }

    /// Takes note of the exit of a process. Returns whether it was the prompt.
    pub(super) fn exited(&mut self, cx: &mut Context, pid: Pid) -> bool {
        let is_prompt = matches!(self.state, State::Running(known) if known == pid);
        if is_prompt {
            self.state = State::RestartAt(cx.now() + RESTART_MS);
            cx.console.attach_prompt(None);
        }
        is_prompt
    }
}

/// Makes it on the terminal at `device`; if that is empty on the kernel's console, or in a container on standard input. Returns
/// its pid and where lines for it go.
///
/// # Errors
/// ENOTTY if that is no terminal; the kernel's.
fn start(environment: Environment, device: &str, socket: &str, run: Run) -> Result<(Pid, OwnedFd), Errno> {
    let terminal = terminal(environment, device)?;
    let (own, other) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::io::ioctl_fionbio(&own, true)?;
    let keep = Kept::of([Some(terminal.as_fd()), Some(other.as_fd())]);
    let mut work = || {
        // A session of its own, so that Ctrl-C is about what runs in it. On a container's terminal that belongs to another
        // session it stays without one.
        let _ = rustix::process::setsid();
        let is_own = rustix::process::ioctl_tiocsctty(&terminal).is_ok();
        let streams = [
            rustix::stdio::dup2_stdin(&terminal),
            rustix::stdio::dup2_stdout(&terminal),
            rustix::stdio::dup2_stderr(&terminal),
        ];
        if streams.iter().any(Result::is_err) {
            return 1;
        }
        let _ = hilum_sys::close_all_but(&mut [other.as_raw_fd().unsigned_abs()]);
        run(&other, socket, is_own)
    };
    let helper = spawn(&ROLE, keep, &mut work)?;
    Ok((helper.pid, own))
}

fn terminal(environment: Environment, device: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let mut path: heapless::String<64> = heapless::String::new();
    let terminal = if device.is_empty() {
        // /dev/console itself can be nobody's controlling terminal; the kernel says which one it is.
        let mut bytes = [0; 64];
        let length = read_file("/sys/class/tty/console/active", &mut bytes).unwrap_or(0);
        let text = core::str::from_utf8(&bytes[..length]).unwrap_or_default();
        let name = text.split_ascii_whitespace().next_back();
        match name.filter(|_| environment == Environment::Machine) {
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
