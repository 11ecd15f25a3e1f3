//! The console: whole lines, never blocking, to the terminal or the prompt, the kernel's log and the log file.
//!
//! Lines wait in a queue until the event loop has nothing more urgent to do, or until the terminal takes them; when the
//! queue is full, the oldest lines go and their number is printed. Nothing that a workload writes can control the terminal.
//! Processes behind it (the prompt, the log file's writer) are made by `init/`, which hands over their descriptors.

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

/// Bytes that wait for a slow terminal: about one and a half seconds of a serial line at 115,200 baud.
const QUEUE_BYTES: usize = 16 * 1024;
/// Milliseconds until a slow terminal is tried again.
const STEP_MS: u64 = 50;
/// Milliseconds that a slow terminal has for the lines of a helper process.
const HELPER_MS: u64 = 2_000;

static QUEUE: TakeCell<Queue<QUEUE_BYTES>> = TakeCell::new(Queue::EMPTY);

/// Where every line goes.
pub(crate) struct Console {
    environment: Environment,
    /// The terminal opened for itself, so that its non-blocking mode concerns nobody else; standard error where that
    /// is not possible.
    terminal: Option<OwnedFd>,
    queue: Option<&'static mut Queue<QUEUE_BYTES>>,
    mode: ConsoleMode,
    /// The terminal's path below /dev; empty where the configuration names none.
    device: heapless::String<64>,
    /// The prompt's socket: while there is one, lines go to it instead of the terminal.
    prompt: Option<OwnedFd>,
    /// Whether another descriptor is written to than the loop knows of.
    has_changed: bool,
    /// Whether this process is a helper, which has no loop.
    is_helper: bool,
    /// Whether lines go to the kernel's log as well.
    kernel_log: Option<OwnedFd>,
    log_file: Option<LogPipe>,
}

impl Console {
    /// Opens the kernel's console, or, inside of a container, what standard error already is.
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

    /// Returns a console of a test: its terminal is a file in memory.
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

    /// Follows the `console` line of the configuration.
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

    /// Follows `log kmsg`: every line goes to the kernel's log as well.
    pub(crate) fn log_to_kernel(&mut self) {
        match kernel_log::open() {
            Ok(log) => self.kernel_log = Some(log),
            Err(errno) => self.error(format_args!("log kmsg: {}", describe(errno))),
        }
    }

    /// Has every line go to the writer of the log file as well; `None` ends that.
    pub(crate) fn log_to_file(&mut self, pipe: Option<LogPipe>) {
        self.log_file = pipe;
    }

    /// Whether the configuration wants a prompt.
    pub(crate) fn wants_prompt(&self) -> bool {
        self.mode == ConsoleMode::Prompt
    }

    /// Returns the terminal's path; empty where the configuration names none.
    pub(crate) fn device(&self) -> &str {
        &self.device
    }

    /// Sends lines to the prompt's socket from now on; with `None` to the terminal again.
    pub(crate) fn attach_prompt(&mut self, socket: Option<OwnedFd>) {
        self.prompt = socket;
        self.has_changed = true;
    }

    /// PID 1 goes down: lines go to the terminal itself from now on, and the prompt exits.
    pub(crate) fn end_prompt(&mut self) {
        self.flush();
        self.attach_prompt(None);
    }

    /// Whether lines go to a prompt. It is lost when it takes none any more.
    pub(crate) fn has_prompt(&self) -> bool {
        self.prompt.is_some()
    }

    /// Opens the terminal anew; where that is not possible the old one stays.
    fn open_again(&mut self) {
        let path = match (self.device.is_empty(), self.environment) {
            (true, Environment::Machine) => "/dev/console",
            (true, Environment::Container) => "/proc/self/fd/2",
            (false, _) => &self.device.clone(),
        };
        self.has_changed |= self.switch_to(path).is_none();
    }

    /// Whether another descriptor than before is to be waited on; asked once for each change.
    pub(crate) fn has_changed(&mut self) -> bool {
        core::mem::take(&mut self.has_changed)
    }

    /// Makes the terminal at `path` the console and this process's own output. Returns the errno where it cannot.
    fn switch_to(&mut self, path: &str) -> Option<Errno> {
        // NOCTTY: a controlling terminal would turn Ctrl-C into a signal to PID 1.
        let flags = OFlags::WRONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match open(path, flags, Mode::empty()) {
            Ok(terminal) => {
                // A panic's line goes to standard error, which has to be the same place.
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

    /// Returns the descriptor to wait on until it can be written.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.prompt.as_ref().or(self.terminal.as_ref()).map_or(standard_error(), AsFd::as_fd)
    }

    /// Whether lines wait for the terminal.
    pub(crate) fn has_waiting(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| !queue.front().is_empty())
    }

    /// The one line at the start: who this is, on what, with what.
    pub(crate) fn banner(&mut self, workloads: usize, config: &str) {
        let name = rustix::system::uname();
        self.write(format_args!(
            "hilum {} on Linux {} {}, {workloads} workload{} from {config}",
            env!("CARGO_PKG_VERSION"),
            name.release().to_str().unwrap_or("?"),
            name.machine().to_str().unwrap_or("?"),
            plural(workloads),
        ));
    }

    /// An event line: `hilum: ...`.
    pub(crate) fn error(&mut self, text: fmt::Arguments<'_>) {
        self.write(format_args!("hilum: {text}"));
    }

    /// An event line that `console off` keeps to itself.
    pub(crate) fn info(&mut self, text: fmt::Arguments<'_>) {
        if self.mode != ConsoleMode::Off {
            self.error(text);
        }
    }

    /// A line that a workload wrote: `NAME | ...`.
    pub(crate) fn workload_line(&mut self, name: &str, line: &[u8]) {
        if self.mode != ConsoleMode::Off {
            self.write(format_args!("{name} | {}", Printable(line)));
        }
    }

    fn write(&mut self, text: fmt::Arguments<'_>) {
        let mut line = Line(heapless::Vec::new());
        // A line that is too long is cut, and there is no other way for this to fail.
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

    /// Returns the descriptors that its lines go to: the terminal, the kernel's log, the log file's writer.
    pub(crate) fn descriptors(&self) -> [BorrowedFd<'_>; 3] {
        let terminal = self.fd();
        let kernel_log = self.kernel_log.as_ref().map_or(terminal, AsFd::as_fd);
        let file = self.log_file.as_ref().map_or(terminal, LogPipe::as_fd);
        [terminal, kernel_log, file]
    }

    /// Leaves the lines that wait to PID 1: this process is a helper.
    pub(crate) fn become_helper(&mut self) {
        self.is_helper = true;
        if let Some(queue) = &mut self.queue {
            while !queue.front().is_empty() {
                queue.advance(queue.front().len());
            }
        }
    }

    /// Writes everything that waits, and waits up to `limit_ms` milliseconds for a slow terminal: on the way down, and in
    /// helper processes.
    pub(crate) fn drain(&mut self, limit_ms: u64) {
        let until = monotonic_ms() + limit_ms;
        self.flush();
        while self.has_waiting() && monotonic_ms() < until {
            let _ = poll_fd(self.fd(), PollFlags::OUT, STEP_MS);
            // While another process writes, it is ready and takes nothing all the same (n_tty_write(), O_NONBLOCK).
            pause(1);
            self.flush();
        }
    }

    /// Shows what waits before something that takes long: a helper has no loop that would show it meanwhile.
    pub(crate) fn flush_blocking(&mut self) {
        self.drain(if self.is_helper { HELPER_MS } else { 0 });
    }

    /// Writes what the terminal takes now.
    pub(crate) fn flush(&mut self) {
        let mut is_new = false;
        loop {
            let Some(queue) = &mut self.queue else { return };
            let (prompt, own) = (&self.prompt, &self.terminal);
            let is_prompt = prompt.is_some();
            let terminal = prompt.as_ref().or(own.as_ref()).map_or(standard_error(), AsFd::as_fd);
            while !queue.front().is_empty() {
                let written = match is_prompt {
                    // SIGPIPE is blocked here, but it would wait for ever.
                    true => rustix::net::send(terminal, queue.front(), SendFlags::NOSIGNAL),
                    false => rustix::io::write(terminal, queue.front()),
                };
                match written {
                    Ok(count) if count > 0 => queue.advance(count),
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => return,
                    // The prompt is gone, and the terminal takes over.
                    Err(_) if is_prompt => return self.attach_prompt(None),
                    // A terminal hangs up when the session that it belongs to ends, the prompt's: it is opened anew, once.
                    Err(_) if !is_new => {
                        is_new = true;
                        break;
                    }
                    // What hung up for good takes nothing any more; the loop must not turn for it.
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
