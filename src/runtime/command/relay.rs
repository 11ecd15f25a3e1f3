//! Copies bytes between this process's standard descriptors and those of a program inside of a workload.
//!
//! The three streams are independent: each has its own buffer and waits only for its own two ends. A slow reader blocks
//! only its own stream.

use super::client::Connection;

use super::usage::{DONE, FAILED, NOT_ENTERED};
use crate::os::errno::describe;
use hilum_sys::{SignalFd, SignalSet, print};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::termios::{tcgetwinsize, tcsetwinsize};

/// Buffer size: PIPE_BUF, which a writable pipe always accepts, so that a write after poll(2) does not block.
const ROOM: usize = 4096;
/// The maximum number of unread bytes in a terminal.
const TERMINAL_ROOM: u64 = 128 * 1024;

const HANG_UP: u32 = 1;
const INTERRUPT: u32 = 2;
const QUIT: u32 = 3;
const PIPE: u32 = 13;
const TERMINATE: u32 = 15;
const WINDOW_CHANGED: u32 = 28;

/// The direction of a stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// To the program's input pipe; closing it is the end of input.
    ToPipe,
    /// To the program's terminal, where Ctrl-D is the end of input.
    ToTerminal,
    /// From the program.
    Out,
}

/// A stream and its buffer.
pub(super) struct Flow {
    way: Way,
    /// The descriptor of this process.
    outer: BorrowedFd<'static>,
    /// The program's end, which is non-blocking; `None` after the end of the stream.
    inner: Option<OwnedFd>,
    bytes: [u8; ROOM],
    start: usize,
    end: usize,
    /// The last byte that was read.
    last: u8,
    /// Whether the stream ends once the buffer is empty.
    is_ending: bool,
    /// The error of this process's descriptor.
    failed: Option<Errno>,
}

impl Flow {
    pub(super) const fn new(way: Way, outer: BorrowedFd<'static>, inner: Option<OwnedFd>) -> Self {
        Self { way, outer, inner, bytes: [0; ROOM], start: 0, end: 0, last: b'\n', is_ending: false, failed: None }
    }

    /// Returns what to poll for, or `None` after the end of the stream.
    fn wanted(&self) -> Option<PollFd<'_>> {
        let inner = self.inner.as_ref()?.as_fd();
        let (from, to) = if self.way == Way::Out { (inner, self.outer) } else { (self.outer, inner) };
        Some(match self.start == self.end {
            true => PollFd::from_borrowed_fd(from, PollFlags::IN),
            false => PollFd::from_borrowed_fd(to, PollFlags::OUT),
        })
    }

    /// Reads once, or writes once, when the descriptor is ready. Returns the number of bytes that were read.
    fn go_on(&mut self) -> Result<usize, Errno> {
        let Some(inner) = &self.inner else { return Ok(0) };
        let (from, to) = if self.way == Way::Out { (inner.as_fd(), self.outer) } else { (self.outer, inner.as_fd()) };
        let is_reading = self.start == self.end;
        let moved = match is_reading {
            true => rustix::io::read(from, &mut self.bytes),
            false => rustix::io::write(to, &self.bytes[self.start..self.end]),
        };
        match moved {
            Err(Errno::INTR) => Ok(0),
            Err(Errno::AGAIN) => Err(Errno::AGAIN),
            Ok(0) if is_reading => {
                self.end_of_input();
                Ok(0)
            }
            Ok(count) if is_reading => {
                (self.start, self.end, self.last) = (0, count, self.bytes[count - 1]);
                Ok(count)
            }
            Ok(count) => {
                self.start += count;
                if self.start == self.end && self.is_ending {
                    self.inner = None;
                }
                Ok(0)
            }
            Err(errno) => {
                // It is no error if the program does not read its whole input, or if nobody has the terminal open. It
                // is no error either if a reader here has closed its pipe: the program gets a SIGPIPE of its own.
                if is_reading != (self.way == Way::Out) && errno != Errno::PIPE {
                    self.failed = Some(errno);
                }
                match is_reading {
                    true => self.end_of_input(),
                    false => self.inner = None,
                }
                Ok(0)
            }
        }
    }

    /// Handles the end of input.
    fn end_of_input(&mut self) {
        if self.way != Way::ToTerminal {
            self.inner = None;
            return;
        }
        // In the middle of a line the first Ctrl-D only ends the line.
        (self.start, self.end) = (0, if self.last == b'\n' { 1 } else { 2 });
        self.bytes[..2].copy_from_slice(b"\x04\x04");
        self.is_ending = true;
    }

    /// The program has exited: copies its remaining output, but not that of processes that it left behind.
    fn finish(&mut self) {
        let Some(inner) = &self.inner else { return };
        let mut left = rustix::io::ioctl_fionread(inner).unwrap_or(0).max(TERMINAL_ROOM);
        loop {
            let is_writing = self.start != self.end;
            if left == 0 && !is_writing {
                return;
            }
            match self.go_on() {
                Ok(count) => left = left.saturating_sub(count as u64),
                // Reading failed on a descriptor of this process, and must be reported.
                Err(_) if is_writing => {
                    let _ = poll(&mut [PollFd::from_borrowed_fd(self.outer, PollFlags::OUT)], None);
                }
                Err(_) => return,
            }
            if self.inner.is_none() {
                return;
            }
        }
    }
}

/// Copies bytes, and the window size of a terminal, until the program has exited. Returns its exit status.
pub(super) fn carry(connection: &Connection, flows: &mut [Flow; 3], has_terminal: bool) -> i32 {
    // A closed pipe on this side is reported as an errno. Changed terminal modes are restored in any case.
    let ends = SignalSet::of(HANG_UP).and(INTERRUPT).and(QUIT).and(TERMINATE).and(WINDOW_CHANGED);
    let blocked = if has_terminal { ends.and(PIPE) } else { SignalSet::of(PIPE) };
    hilum_sys::mask(blocked);
    let signals = if has_terminal { SignalFd::open(ends).ok() } else { None };
    loop {
        let mut events: heapless::Vec<PollFd<'_>, 5> = heapless::Vec::new();
        // There is room for all.
        let _ = events.push(PollFd::from_borrowed_fd(connection.fd(), PollFlags::IN));
        let _ = signals.as_ref().map(|signals| events.push(PollFd::from_borrowed_fd(signals.fd(), PollFlags::IN)));
        events.extend(flows.iter().filter_map(Flow::wanted));
        match poll(&mut events, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => return FAILED,
        }
        let mut is_there = events.iter().map(|event| !event.revents().is_empty());
        let is_over = is_there.next() == Some(true);
        let is_signalled = signals.is_some() && is_there.next() == Some(true);
        let mut moving = [false; 3];
        for (flow, moves) in flows.iter().zip(&mut moving) {
            *moves = flow.inner.is_some() && is_there.next() == Some(true);
        }
        drop(is_there);
        drop(events);
        if is_over {
            return finish(connection, flows);
        }
        if is_signalled
            && let Some(caught) = signals.as_ref().and_then(SignalFd::next)
            && let Some(status) = heed(caught.signal, &flows[1])
        {
            return status;
        }
        for (flow, _) in flows.iter_mut().zip(moving).filter(|(_, moves)| *moves) {
            let _ = flow.go_on();
        }
    }
}

/// Forwards a new window size to the program's terminal. Any other signal ends this command: returns its exit status.
fn heed(signal: u32, output: &Flow) -> Option<i32> {
    if signal != WINDOW_CHANGED {
        return Some(128 + signal as i32);
    }
    if let (Ok(size), Some(terminal)) = (tcgetwinsize(output.outer), &output.inner) {
        let _ = tcsetwinsize(terminal, size);
    }
    None
}

/// Copies the remaining output, and returns the exit status.
fn finish(connection: &Connection, flows: &mut [Flow; 3]) -> i32 {
    flows.iter_mut().filter(|flow| flow.way == Way::Out).for_each(Flow::finish);
    let status = connection.finish(NOT_ENTERED, &mut |_| {});
    let names = ["input", "output", "error"];
    let failed = flows.iter().zip(names).filter_map(|(flow, name)| Some((name, flow.failed?)));
    let count =
        failed.map(|(name, errno)| print(format_args!("hilum: standard {name}: {}\n", describe(errno)))).count();
    // If its output cannot be written, the program gets a SIGPIPE.
    let is_ours = status == DONE || status == 128 + PIPE as i32;
    if is_ours && count > 0 { FAILED } else { status }
}
