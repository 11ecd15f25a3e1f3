//! The console: whole lines, never blocking.
//!
//! Lines wait in a queue until the event loop has nothing more urgent to do, or until the terminal takes them; when the
//! queue is full, the oldest lines go and their number is told. Nothing that a workload writes can control the terminal.

use super::log_file::LogFile;
use super::machine::Kind;
use super::prompt;
use super::wait::{becomes, pause};
use crate::path::open;
use core::fmt::{self, Write};
use hilum::config::{self, Config, ConsoleMode};
use hilum::log::{Printable, Queue};
use hilum_sys::{Once, monotonic_ms, standard_error};
use rustix::event::PollFlags;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, IoSlice};
use rustix::net::SendFlags;
use rustix::process::Pid;

/// Bytes that wait for a slow terminal: about one and a half seconds of a serial line at 115,200 baud.
const QUEUE_BYTES: usize = 16 * 1024;
/// Bytes of one line, its prefix included; the rest of a longer one is cut off.
const LINE_BYTES: usize = hilum::log::LINE_BYTES + 128;
/// Bytes of a piece of a line in the kernel's log: LOG_LINE_MAX of kernel/printk, the rest for what is put around it.
const KERNEL_LINE_BYTES: usize = 880;
/// Milliseconds until a slow terminal is tried again.
const STEP_MS: u64 = 50;
/// Milliseconds that a slow terminal has for the lines of a copy of PID 1.
const COPY_MS: u64 = 2_000;
/// Milliseconds until a prompt that ended is made again.
const PROMPT_MS: u64 = 1_000;

static QUEUE: Once<Queue<QUEUE_BYTES>> = Once::new(Queue::EMPTY);

/// Where every line goes.
pub(crate) struct Console {
    kind: Kind,
    /// The terminal opened for itself, so that its non-blocking mode concerns nobody else; standard error where that
    /// is not possible.
    terminal: Option<OwnedFd>,
    queue: Option<&'static mut Queue<QUEUE_BYTES>>,
    mode: ConsoleMode,
    /// The terminal's path below /dev; empty where the configuration names none.
    device: heapless::String<64>,
    prompt: Prompt,
    /// Whether another descriptor is written to than the loop knows of.
    has_changed: bool,
    /// Whether this process is a copy of PID 1.
    is_copy: bool,
    /// Whether lines go to the kernel's log as well.
    kernel_log: Option<OwnedFd>,
    log_file: Option<LogFile>,
}

/// The process that reads commands, and shows the console's lines meanwhile.
enum Prompt {
    /// There is none.
    Off,
    /// There is one: its pid, and where its lines go.
    On(Pid, OwnedFd),
    /// It is made at this millisecond.
    At(u64),
}

impl Console {
    /// Opens the kernel's console, or, inside of a container, what standard error already is.
    pub(super) fn open(kind: Kind) -> Self {
        let path = match kind {
            Kind::Machine => "/dev/console",
            Kind::Container => "/proc/self/fd/2",
        };
        let mut console = Self {
            kind,
            terminal: None,
            queue: QUEUE.take(),
            mode: ConsoleMode::Log,
            device: heapless::String::new(),
            prompt: Prompt::Off,
            has_changed: false,
            is_copy: false,
            kernel_log: None,
            log_file: None,
        };
        console.switch_to(path);
        console
    }

    /// Follows the `console` line of the configuration.
    pub(super) fn configure(&mut self, wanted: &config::Console<'_>) {
        self.mode = wanted.mode;
        let Some(device) = wanted.device else { return };
        let mut path = heapless::String::<64>::new();
        let fits = path.push_str("/dev/").and_then(|()| path.push_str(device)).is_ok();
        let opened = if fits { self.switch_to(&path) } else { Some(Errno::NAMETOOLONG) };
        match opened {
            None => self.device = path,
            Some(errno) => {
                self.say(format_args!("console {device}: {}; the kernel's console stays", super::words(errno)));
            }
        }
    }

    /// Has every line go to the kernel's log, and to a file, as well.
    pub(super) fn log_to(&mut self, config: &Config<'_>) {
        if config.system.has_kmsg {
            let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
            match open("/dev/kmsg", flags, Mode::empty()) {
                Ok(log) => self.kernel_log = Some(log),
                Err(errno) => self.say(format_args!("log kmsg: {}", super::words(errno))),
            }
        }
        if let Some(file) = config.system.log_file {
            match LogFile::start(file, config.mount_of(file.path)) {
                Ok(file) => self.log_file = Some(file),
                Err(errno) => self.say(format_args!("log {}: {}", file.path, super::words(errno))),
            }
        }
    }

    /// Makes the prompt where the configuration wants one, now that the board has started.
    pub(super) fn start_prompt(&mut self, control: Option<&str>) {
        if self.mode != ConsoleMode::Prompt {
            return;
        }
        let Some(control) = control else {
            return self.say(format_args!("console prompt: there is no control socket"));
        };
        self.flush();
        match prompt::start(self.kind, &self.device, control) {
            Ok((pid, lines)) => {
                self.prompt = Prompt::On(pid, lines);
                self.has_changed = true;
            }
            Err(errno) => self.say(format_args!("console prompt: {}", super::words(errno))),
        }
    }

    /// Makes a new prompt when it is time.
    pub(super) fn keep_prompt(&mut self, control: Option<&str>, now: u64) {
        if matches!(self.prompt, Prompt::At(at) if at <= now) {
            self.prompt = Prompt::Off;
            self.start_prompt(control);
        }
    }

    /// When [`Self::keep_prompt`] has something to do.
    pub(super) fn resumes_at(&self) -> Option<u64> {
        if let Prompt::At(at) = self.prompt { Some(at) } else { None }
    }

    /// A process ended; gives whether it was the prompt, or the writer of the log file.
    pub(super) fn ended(&mut self, pid: Pid) -> bool {
        if matches!(&self.log_file, Some(file) if file.pid == pid) {
            self.log_file = None;
            self.say(format_args!("log: the file cannot be written any more"));
            return true;
        }
        let is_prompt = matches!(&self.prompt, Prompt::On(known, _) if *known == pid);
        if is_prompt {
            self.lose_prompt();
        }
        is_prompt
    }

    fn lose_prompt(&mut self) {
        self.prompt = Prompt::At(monotonic_ms() + PROMPT_MS);
        self.has_changed = true;
    }

    /// Opens the terminal anew; where that is not possible the old one stays.
    fn open_again(&mut self) {
        let path = match (self.device.is_empty(), self.kind) {
            (true, Kind::Machine) => "/dev/console",
            (true, Kind::Container) => "/proc/self/fd/2",
            (false, _) => &self.device.clone(),
        };
        self.has_changed |= self.switch_to(path).is_none();
    }

    /// The board goes down: lines go to the terminal itself from now on.
    pub(super) fn end_prompt(&mut self) {
        self.flush();
        self.prompt = Prompt::Off;
        self.has_changed = true;
    }

    /// Whether another descriptor than before is to be waited on; asked once for each change.
    pub(super) fn has_changed(&mut self) -> bool {
        core::mem::take(&mut self.has_changed)
    }

    /// Makes the terminal at `path` the console and this process's own output; gives the errno where it cannot.
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

    /// The descriptor to wait on until it can be written.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        match &self.prompt {
            Prompt::On(_, lines) => lines.as_fd(),
            _ => self.terminal.as_ref().map_or(standard_error(), AsFd::as_fd),
        }
    }

    /// Whether lines wait for the terminal.
    pub(super) fn has_waiting(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| !queue.front().is_empty())
    }

    /// The one line at the start: who this is, on what, with what.
    pub(super) fn banner(&mut self, workloads: usize, config: &str) {
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
    pub(crate) fn say(&mut self, text: fmt::Arguments<'_>) {
        self.write(format_args!("hilum: {text}"));
    }

    /// An event line that `console off` keeps to itself.
    pub(crate) fn tell(&mut self, text: fmt::Arguments<'_>) {
        if self.mode != ConsoleMode::Off {
            self.say(text);
        }
    }

    /// A line that a workload wrote: `NAME | ...`.
    pub(crate) fn workload_line(&mut self, name: &str, line: &[u8]) {
        if self.mode != ConsoleMode::Off {
            self.write(format_args!("{name} | {}", Printable(line)));
        }
    }

    /// Has the file have every line so far. What comes later is on the terminal alone.
    pub(super) fn finish_log(&mut self) {
        if let Some(file) = self.log_file.take() {
            file.finish();
        }
    }

    fn write(&mut self, text: fmt::Arguments<'_>) {
        let mut line = Line(heapless::Vec::new());
        // A line that is too long is cut, and there is no other way for this to fail.
        let _ = line.write_fmt(text);
        let line = &line.0;
        if let Some(log) = &self.kernel_log {
            to_kernel(log, line);
        }
        if let Some(file) = &mut self.log_file {
            file.write(line);
        }
        let Some(queue) = &mut self.queue else { return };
        queue.push(line);
    }

    /// The descriptors that its lines go to: the terminal, the kernel's log, the file's process.
    pub(super) fn descriptors(&self) -> [u32; 3] {
        let terminal = self.fd().as_raw_fd();
        let kernel_log = self.kernel_log.as_ref().map_or(terminal, AsRawFd::as_raw_fd);
        let file = self.log_file.as_ref().map_or(terminal, |file| file.pipe().as_raw_fd());
        [terminal, kernel_log, file].map(i32::unsigned_abs)
    }

    /// Leaves the lines that wait to the process that this one is a copy of.
    pub(super) fn forget(&mut self) {
        self.is_copy = true;
        if let Some(queue) = &mut self.queue {
            while !queue.front().is_empty() {
                queue.advance(queue.front().len());
            }
        }
    }

    /// Writes everything that waits, and waits up to `limit_ms` milliseconds for a slow terminal: on the way down, and in
    /// copies of PID 1.
    pub(crate) fn drain(&mut self, limit_ms: u64) {
        let until = monotonic_ms() + limit_ms;
        self.flush();
        while self.has_waiting() && monotonic_ms() < until {
            let _ = becomes(self.fd(), PollFlags::OUT, STEP_MS);
            // While another process writes, it is ready and takes nothing all the same (n_tty_write(), O_NONBLOCK).
            pause(1);
            self.flush();
        }
    }

    /// Shows what waits before something that takes long: a copy of PID 1 has no loop that would show it meanwhile.
    pub(crate) fn show(&mut self) {
        self.drain(if self.is_copy { COPY_MS } else { 0 });
    }

    /// Writes what the terminal takes now.
    pub(crate) fn flush(&mut self) {
        let mut is_new = false;
        loop {
            let Some(queue) = &mut self.queue else { return };
            let (prompt, own) = (&self.prompt, &self.terminal);
            let (is_prompt, terminal) = match prompt {
                Prompt::On(_, lines) => (true, lines.as_fd()),
                _ => (false, own.as_ref().map_or(standard_error(), AsFd::as_fd)),
            };
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
                    Err(_) if is_prompt => return self.lose_prompt(),
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

/// Hands a line to the kernel's log, of which one write is one line and takes about 1,000 bytes; a longer line goes there in
/// pieces, each with the beginning that says whose it is. What the kernel does not take now is lost there alone.
fn to_kernel(log: &OwnedFd, line: &[u8]) {
    let Ok(mut rest) = core::str::from_utf8(line) else { return };
    let whose = &rest[..rest.find(" | ").map_or(0, |at| at + 3).min(64)];
    let mut is_first = true;
    while is_first || !rest.is_empty() {
        let cut = rest.floor_char_boundary(KERNEL_LINE_BYTES);
        let (piece, behind) = rest.split_at(cut);
        let before = if is_first { ["", ""] } else { [whose, "..."] };
        let after = if behind.is_empty() { "" } else { "..." };
        let parts = [before[0], before[1], piece, after].map(|part| IoSlice::new(part.as_bytes()));
        let _ = rustix::io::writev(log, &parts);
        (rest, is_first) = (behind, false);
    }
}

/// The plural's ending for a count.
pub(super) fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// A line while it is put together.
struct Line(heapless::Vec<u8, LINE_BYTES>);

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = text.floor_char_boundary(self.0.capacity() - self.0.len());
        self.0.extend_from_slice(&text.as_bytes()[..room]).map_err(|_| fmt::Error)
    }
}
