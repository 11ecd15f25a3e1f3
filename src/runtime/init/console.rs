//! The console: whole lines, never blocking.
//!
//! Lines wait in a queue until the event loop has nothing more urgent to do, or until the terminal takes them; when the
//! queue is full, the oldest lines go and their number is told. Nothing that a workload writes can control the terminal.

use super::machine::Kind;
use core::fmt::{self, Write};
use hilum::config::{self, ConsoleMode};
use hilum::log::{Printable, Queue};
use hilum_sys::{Once, standard_error};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

/// Bytes that wait for a slow terminal: about one and a half seconds of a serial line at 115,200 baud.
const QUEUE_BYTES: usize = 16 * 1024;
/// Bytes of one line, its prefix included; the rest of a longer one is cut off.
const LINE_BYTES: usize = 1280;

static QUEUE: Once<Queue<QUEUE_BYTES>> = Once::new(Queue::EMPTY);

/// Where every line goes.
pub(crate) struct Console {
    /// The terminal opened for itself, so that its non-blocking mode concerns nobody else; standard error where that
    /// is not possible.
    terminal: Option<OwnedFd>,
    queue: Option<&'static mut Queue<QUEUE_BYTES>>,
    mode: ConsoleMode,
}

impl Console {
    /// Opens the kernel's console, or, inside of a container, what standard error already is.
    pub(super) fn open(kind: Kind) -> Self {
        let path = match kind {
            Kind::Machine => "/dev/console",
            Kind::Container => "/proc/self/fd/2",
        };
        let mut console = Self { terminal: None, queue: QUEUE.take(), mode: ConsoleMode::Log };
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
        if let Some(errno) = opened {
            self.say(format_args!("console {device}: {}; the kernel's console stays", super::words(errno)));
        }
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
        self.terminal.as_ref().map_or(standard_error(), AsFd::as_fd)
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
        if self.mode == ConsoleMode::Log {
            self.say(text);
        }
    }

    /// A line that a workload wrote: `NAME | ...`.
    pub(crate) fn workload_line(&mut self, name: &str, line: &[u8]) {
        if self.mode == ConsoleMode::Log {
            self.write(format_args!("{name} | {}", Printable(line)));
        }
    }

    fn write(&mut self, text: fmt::Arguments<'_>) {
        let mut line = Line { bytes: [0; LINE_BYTES], length: 0 };
        // A line that is too long is cut, and there is no other way for this to fail.
        let _ = line.write_fmt(text);
        let Some(queue) = &mut self.queue else { return };
        queue.push(&line.bytes[..line.length]);
    }

    /// Writes what the terminal takes now.
    pub(super) fn flush(&mut self) {
        loop {
            let Some(queue) = &mut self.queue else { return };
            let terminal = self.terminal.as_ref().map_or(standard_error(), AsFd::as_fd);
            while !queue.front().is_empty() {
                match rustix::io::write(terminal, queue.front()) {
                    Ok(count) if count > 0 => queue.advance(count),
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => return,
                    // A terminal that hung up takes nothing any more; the loop must not turn for it.
                    _ => queue.advance(queue.front().len()),
                }
            }
            let dropped = queue.take_dropped();
            if dropped == 0 {
                return;
            }
            let mut line = Line { bytes: [0; LINE_BYTES], length: 0 };
            let _ = write!(line, "hilum: console: {dropped} line{} dropped", plural(dropped as usize));
            queue.push(&line.bytes[..line.length]);
        }
    }
}

/// The plural's ending for a count.
pub(super) fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// A line while it is put together.
struct Line {
    bytes: [u8; LINE_BYTES],
    length: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.length..];
        let count = text.len().min(room.len());
        room[..count].copy_from_slice(&text.as_bytes()[..count]);
        self.length += count;
        Ok(())
    }
}
