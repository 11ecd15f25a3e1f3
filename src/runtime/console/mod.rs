//! The console: writes whole lines, without blocking, to the terminal or the prompt, to the kernel's log and to the log
//! file.
//!
//! Lines are queued until the event loop has nothing more urgent to do, or until the terminal accepts them. If the
//! queue is full, the oldest lines are dropped and their number is printed. Output of workloads cannot control the
//! terminal. `init/` starts the processes behind it (the prompt, the writer of the log file) and passes their
//! descriptors.

mod kernel_log;
mod line;
mod log_pipe;

pub(crate) use line::plural;
pub(crate) use log_pipe::LogPipe;

use crate::os::clock::monotonic_ms;
use crate::os::environment::Environment;
use crate::os::errno::describe;
use crate::os::path::open;
use crate::os::wait::{pause, poll_fd};
use core::fmt::{self, Write};
use hilum::config::{self, ConsoleMode};
use hilum::log::{Printable, Queue};
use hilum_sys::{TakeCell, standard_error};
use line::Line;
use rustix::event::PollFlags;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::SendFlags;

/// Bytes of the queue for a slow terminal: about one and a half seconds of a serial line at 115,200 baud.
const QUEUE_BYTES: usize = 16 * 1024;
/// Milliseconds between attempts on a slow terminal.
const STEP_MS: u64 = 50;
/// Milliseconds that a helper process waits for a slow terminal.
const HELPER_MS: u64 = 2_000;

static QUEUE: TakeCell<Queue<QUEUE_BYTES>> = TakeCell::new(Queue::EMPTY);

/// The destinations of lines.
pub(crate) struct Console {
    environment: Environment,
    /// The terminal, opened again so that its non-blocking mode affects no other process; standard error if that is not
    /// possible.
    terminal: Option<OwnedFd>,
    queue: Option<&'static mut Queue<QUEUE_BYTES>>,
    mode: ConsoleMode,
    /// The terminal's path below /dev; empty for the default.
    device: heapless::String<64>,
    /// The prompt's socket. If there is one, lines are sent to it instead of the terminal.
    prompt: Option<OwnedFd>,
    /// Whether the descriptor in use has changed since the loop asked.
    has_changed: bool,
    /// Whether this process is a helper, which has no event loop.
    is_helper: bool,
    /// The kernel's log, if lines are written to it.
    kernel_log: Option<OwnedFd>,
    log_file: Option<LogPipe>,
}

impl Console {
    /// Opens the kernel's console; in a container, uses standard error.
    pub(crate) fn open(environment: Environment) -> Self {
        let path = match environment {
            Environment::Machine => "/dev/console",
            Environment::Container => "/proc/self/fd/2",
        };
        let mut console = Self {
            environment,
            terminal: None,
            queue: QUEUE.take(),
            mode: ConsoleMode::Log,
            device: heapless::String::new(),
            prompt: None,
            has_changed: false,
            is_helper: false,
            kernel_log: None,
            log_file: None,
        };
        console.switch_to(path);
        console
    }

    /// Creates a console for tests, with a file in memory as terminal.
    #[cfg(test)]
    pub(crate) fn kept() -> Self {
        let terminal = rustix::fs::memfd_create(c"console", rustix::fs::MemfdFlags::CLOEXEC).expect("a file in memory");
        Self {
            environment: Environment::Container,
            terminal: Some(terminal),
            queue: Some(std::boxed::Box::leak(std::boxed::Box::new(Queue::EMPTY))),
            mode: ConsoleMode::Log,
            device: heapless::String::new(),
            prompt: None,
            has_changed: false,
            is_helper: false,
            kernel_log: None,
            log_file: None,
        }
    }

    /// Returns the lines since the last call.
    #[cfg(test)]
    pub(crate) fn take_lines(&mut self) -> std::string::String {
        use rustix::fs::SeekFrom;
        self.flush();
        let terminal = self.terminal.as_ref().expect("a test's console has one");
        let mut bytes = [0; 64 * 1024];
        let length = rustix::io::pread(terminal, &mut bytes[..], 0).expect("it can be read");
        rustix::fs::ftruncate(terminal, 0).expect("it can be emptied");
        rustix::fs::seek(terminal, SeekFrom::Start(0)).expect("it can be written again");
        std::string::String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    /// Applies the `console` line of the configuration.
    pub(crate) fn configure(&mut self, wanted: &config::Console<'_>) {
        self.mode = wanted.mode;
        let Some(device) = wanted.device else { return };
        let mut path = heapless::String::<64>::new();
        let fits = path.push_str("/dev/").and_then(|()| path.push_str(device)).is_ok();
        let opened = if fits { self.switch_to(&path) } else { Some(Errno::NAMETOOLONG) };
        match opened {
            None => self.device = path,
            Some(errno) => {
                self.error(format_args!("console {device}: {}; staying on the kernel's console", describe(errno)));
            }
        }
    }

    /// Applies `log kmsg`: lines are also written to the kernel's log.
    pub(crate) fn log_to_kernel(&mut self) {
        match kernel_log::open() {
            Ok(log) => self.kernel_log = Some(log),
            Err(errno) => self.error(format_args!("log kmsg: {}", describe(errno))),
        }
    }

    /// Sends lines also to the writer of the log file; `None` ends that.
    pub(crate) fn log_to_file(&mut self, pipe: Option<LogPipe>) {
        self.log_file = pipe;
    }

    /// Returns whether the configuration wants a prompt.
    pub(crate) fn wants_prompt(&self) -> bool {
        self.mode == ConsoleMode::Prompt
    }

    /// Returns the terminal's path; empty for the default.
    pub(crate) fn device(&self) -> &str {
        &self.device
    }

    /// Sends lines to the prompt's socket from now on; with `None`, to the terminal again.
    pub(crate) fn attach_prompt(&mut self, socket: Option<OwnedFd>) {
        self.prompt = socket;
        self.has_changed = true;
    }

    /// Detaches the prompt at shutdown: lines go to the terminal from now on, and the prompt exits.
    pub(crate) fn end_prompt(&mut self) {
        self.flush();
        self.attach_prompt(None);
    }

    /// Returns whether lines go to a prompt. It is detached if it no longer accepts lines.
    pub(crate) fn has_prompt(&self) -> bool {
        self.prompt.is_some()
    }

    /// Opens the terminal again; if that fails, the old descriptor stays in use.
    fn open_again(&mut self) {
        let path = match (self.device.is_empty(), self.environment) {
            (true, Environment::Machine) => "/dev/console",
            (true, Environment::Container) => "/proc/self/fd/2",
            (false, _) => &self.device.clone(),
        };
        self.has_changed |= self.switch_to(path).is_none();
    }

    /// Returns whether the descriptor to poll has changed since the last call.
    pub(crate) fn has_changed(&mut self) -> bool {
        core::mem::take(&mut self.has_changed)
    }

    /// Makes the terminal at `path` the console and this process's standard output. Returns the errno of a failure.
    fn switch_to(&mut self, path: &str) -> Option<Errno> {
        // NOCTTY: a controlling terminal would turn Ctrl-C into a signal to PID 1.
        let flags = OFlags::WRONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match open(path, flags, Mode::empty()) {
            Ok(terminal) => {
                // A panic is printed to standard error, which must be the same terminal.
                for result in [rustix::stdio::dup2_stdout(&terminal), rustix::stdio::dup2_stderr(&terminal)] {
                    if let Err(errno) = result {
                        return Some(errno);
                    }
                }
                self.terminal = Some(terminal);
                None
            }
            Err(errno) => Some(errno),
        }
    }

    /// Returns the descriptor to poll until it is writable.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.prompt.as_ref().or(self.terminal.as_ref()).map_or(standard_error(), AsFd::as_fd)
    }

    /// Returns whether lines are queued.
    pub(crate) fn has_waiting(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| !queue.front().is_empty())
    }

    /// Prints the first line: version, kernel, memory and configuration.
    pub(crate) fn banner(&mut self, config: &config::Config<'_>, path: &str) {
        let workloads = config.workloads.len();
        let site = config.system.site.filter(|_| config.system.site_line != 0);
        let name = rustix::system::uname();
        self.write(format_args!(
            "hilum {} on Linux {} {}, {workloads} workload{} from {path}{}{}",
            env!("CARGO_PKG_VERSION"),
            name.release().to_str().unwrap_or("?"),
            name.machine().to_str().unwrap_or("?"),
            plural(workloads),
            if site.is_some() { " and " } else { "" },
            site.unwrap_or_default(),
        ));
    }

    /// Prints an event line: `hilum: ...`.
    pub(crate) fn error(&mut self, text: fmt::Arguments<'_>) {
        self.write(format_args!("hilum: {text}"));
    }

    /// Prints an event line that `console off` suppresses.
    pub(crate) fn info(&mut self, text: fmt::Arguments<'_>) {
        if self.mode != ConsoleMode::Off {
            self.error(text);
        }
    }

    /// Prints a line of a workload: `NAME | ...`.
    pub(crate) fn workload_line(&mut self, name: &str, line: &[u8]) {
        if self.mode != ConsoleMode::Off {
            self.write(format_args!("{name} | {}", Printable(line)));
        }
    }

    fn write(&mut self, text: fmt::Arguments<'_>) {
        let mut line = Line(heapless::Vec::new());
        // A line that is too long is cut; there is no other error.
        let _ = line.write_fmt(text);
        let line = &line.0;
        if let Some(log) = &self.kernel_log {
            kernel_log::write(log, line);
        }
        if let Some(file) = &mut self.log_file {
            file.write(line);
        }
        let Some(queue) = &mut self.queue else { return };
        queue.push(line);
    }

    /// Returns the descriptors of its destinations: the terminal, the kernel's log, the writer of the log file.
    pub(crate) fn descriptors(&self) -> [Option<BorrowedFd<'_>>; 3] {
        let terminal = self.fd();
        let kernel_log = self.kernel_log.as_ref().map_or(terminal, AsFd::as_fd);
        let file = self.log_file.as_ref().map_or(terminal, LogPipe::as_fd);
        [Some(terminal), Some(kernel_log), Some(file)]
    }

    /// Leaves queued lines to PID 1, because this process is a helper.
    pub(crate) fn become_helper(&mut self) {
        self.is_helper = true;
        if let Some(queue) = &mut self.queue {
            while !queue.front().is_empty() {
                queue.advance(queue.front().len());
            }
        }
    }

    /// Writes all queued lines, and waits up to `limit_ms` milliseconds for a slow terminal: at shutdown, and in helper
    /// processes.
    pub(crate) fn drain(&mut self, limit_ms: u64) {
        let until = monotonic_ms() + limit_ms;
        self.flush();
        while self.has_waiting() && monotonic_ms() < until {
            let _ = poll_fd(self.fd(), PollFlags::OUT, STEP_MS);
            // While another process writes to the terminal, it polls as writable but accepts nothing (n_tty_write(),
            // O_NONBLOCK).
            pause(1);
            self.flush();
        }
    }

    /// Writes queued lines before a long operation, because a helper has no event loop to do so meanwhile.
    pub(crate) fn flush_blocking(&mut self) {
        self.drain(if self.is_helper { HELPER_MS } else { 0 });
    }

    /// Writes what the terminal accepts now.
    pub(crate) fn flush(&mut self) {
        let mut is_new = false;
        loop {
            let Some(queue) = &mut self.queue else { return };
            let (prompt, own) = (&self.prompt, &self.terminal);
            let is_prompt = prompt.is_some();
            let terminal = prompt.as_ref().or(own.as_ref()).map_or(standard_error(), AsFd::as_fd);
            while !queue.front().is_empty() {
                let written = match is_prompt {
                    // SIGPIPE is blocked here, but would stay pending.
                    true => rustix::net::send(terminal, queue.front(), SendFlags::NOSIGNAL),
                    false => rustix::io::write(terminal, queue.front()),
                };
                match written {
                    Ok(count) if count > 0 => queue.advance(count),
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => return,
                    // The prompt is gone: use the terminal.
                    Err(_) if is_prompt => return self.attach_prompt(None),
                    // A terminal hangs up when the prompt's session ends; open it again, once.
                    Err(_) if !is_new => {
                        is_new = true;
                        break;
                    }
                    // A terminal that hung up for good accepts nothing; discard the lines so that the loop does not
                    // spin.
                    _ => queue.advance(queue.front().len()),
                }
            }
            if is_new && !queue.front().is_empty() {
                self.open_again();
                continue;
            }
            let dropped = queue.take_dropped();
            if dropped == 0 {
                return;
            }
            let mut line = Line(heapless::Vec::new());
            let _ = write!(line, "hilum: console: {dropped} line{} dropped", plural(dropped as usize));
            queue.push(&line.0);
        }
    }
}
