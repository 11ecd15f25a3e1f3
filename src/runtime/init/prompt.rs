//! The console's prompt: a helper process with its own session and terminal, which is restarted when it exits.

use super::context::Context;
use crate::os::environment::Environment;
use crate::os::errno::describe;
use crate::os::files::read_text;
use crate::os::helper::{Kept, Role, spawn};
use crate::os::path::open;
use hilum::split::Split;
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::Pid;

/// Milliseconds until a prompt that exited is restarted.
const RESTART_MS: u64 = 1_000;

/// People run commands from it: unlike PID 1, it may be killed by the OOM killer.
const ROLE: Role = Role { is_killable: true, ..Role::new(c"hilum-prompt") };

/// The function of the prompt: reads commands from standard input, sends them to the control socket at the path, and
/// prints console lines that arrive over the socket. The flag says whether the terminal belongs to its session.
pub(crate) type Run = fn(&OwnedFd, &str, bool) -> !;

/// The prompt of a console.
pub(super) struct Prompt {
    run: Run,
    state: State,
}

enum State {
    Off,
    Running(Pid),
    /// It is restarted at this time in milliseconds.
    RestartAt(u64),
}

impl Prompt {
    /// Creates the service without a prompt.
    pub(super) const fn new(run: Run) -> Self {
        Self { run, state: State::Off }
    }

    /// Starts the prompt if it is configured.
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

    /// Restarts it when due.
    pub(super) fn tick(&mut self, cx: &mut Context) {
        match self.state {
            State::RestartAt(at) if at <= cx.now() => self.start(cx),
            // It no longer accepts lines.
            State::Running(_) if !cx.console.has_prompt() => self.state = State::RestartAt(cx.now() + RESTART_MS),
            _ => {}
        }
    }

    /// Returns when [`Self::tick`] must be called.
    pub(super) fn deadline(&self) -> Option<u64> {
        if let State::RestartAt(at) = self.state { Some(at) } else { None }
    }

    /// Handles the exit of a process. Returns whether it was the prompt.
    pub(super) fn exited(&mut self, cx: &mut Context, pid: Pid) -> bool {
        let is_prompt = matches!(self.state, State::Running(known) if known == pid);
        if is_prompt {
            self.state = State::RestartAt(cx.now() + RESTART_MS);
            cx.console.attach_prompt(None);
        }
        is_prompt
    }
}

/// Starts it on the terminal at `device`. If that is empty, uses the kernel's console, or in a container standard
/// input. Returns its PID, and the socket for lines.
///
/// # Errors
/// ENOTTY if that is not a terminal; those of the kernel.
fn start(environment: Environment, device: &str, socket: &str, run: Run) -> Result<(Pid, OwnedFd), Errno> {
    let terminal = terminal(environment, device)?;
    let (own, other) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::io::ioctl_fionbio(&own, true)?;
    let keep = Kept::of(&[Some(terminal.as_fd()), Some(other.as_fd())]);
    let mut work = || {
        // A session of its own, so that Ctrl-C affects only its commands. On a container's terminal that belongs to
        // another session it has no controlling terminal.
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
        let _ = hilum_sys::close_all_but(&[other.as_raw_fd().unsigned_abs()]);
        run(&other, socket, is_own)
    };
    let helper = spawn(&ROLE, keep, &mut work)?;
    Ok((helper.pid, own))
}

fn terminal(environment: Environment, device: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let mut path: heapless::String<64> = heapless::String::new();
    let terminal = if device.is_empty() {
        // /dev/console cannot be a controlling terminal; the kernel names the device behind it.
        let mut bytes = [0; 64];
        let name = read_text("/sys/class/tty/console/active", &mut bytes).parts(b' ').last();
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
