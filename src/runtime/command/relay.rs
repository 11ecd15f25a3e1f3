//! Bytes between what is open here and the ends of what a program inside of a workload has.
//!
//! The three ways are independent of each other: each has some bytes under way, and waits for its own two sides alone. So
//! a reader who is slow with one of them holds up that one.

use super::client::Connection;

use super::usage::{DONE, FAILED, NOT_ENTERED};
use crate::os::errno::describe;
use hilum_sys::{SignalFd, SignalSet, print};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::termios::{tcgetwinsize, tcsetwinsize};

/// Bytes under way: what a pipe takes at once when it takes anything (PIPE_BUF), so that a write after a poll does not wait.
const ROOM: usize = 4096;
/// The most that a terminal keeps of what was written last.
const TERMINAL_ROOM: u64 = 128 * 1024;

const HANG_UP: u32 = 1;
const INTERRUPT: u32 = 2;
const QUIT: u32 = 3;
const PIPE: u32 = 13;
const TERMINATE: u32 = 15;
const WINDOW_CHANGED: u32 = 28;

/// Where bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// To the program's input, which is a pipe: its end is the end of input.
    ToPipe,
    /// To the program's terminal, which is told the end of input as a person does.
    ToTerminal,
    /// From the program.
    Out,
}

/// One way, and what is on it.
pub(super) struct Flow {
    way: Way,
    /// What is open here.
    outer: BorrowedFd<'static>,
    /// The program's end, which does not wait. `None` if this way has ended.
    inner: Option<OwnedFd>,
    bytes: [u8; ROOM],
    start: usize,
    end: usize,
    /// The byte that was read last.
    last: u8,
    /// Whether it ends when what is under way has arrived.
    is_ending: bool,
    /// What the kernel said of what is open here.
    failed: Option<Errno>,
}

impl Flow {
    pub(super) const fn new(way: Way, outer: BorrowedFd<'static>, inner: Option<OwnedFd>) -> Self {
        Self { way, outer, inner, bytes: [0; ROOM], start: 0, end: 0, last: b'\n', is_ending: false, failed: None }
    }

    /// What to wait for. `None` if it has ended.
    fn wanted(&self) -> Option<PollFd<'_>> {
        let inner = self.inner.as_ref()?.as_fd();
        let (from, to) = if self.way == Way::Out { (inner, self.outer) } else { (self.outer, inner) };
        Some(match self.start == self.end {
            true => PollFd::from_borrowed_fd(from, PollFlags::IN),
            false => PollFd::from_borrowed_fd(to, PollFlags::OUT),
        })
    }

    /// Reads once, or writes once; to be called when what it waited for is there. Gives how many bytes were read.
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
                // A program that does not read to the end, and a terminal that nobody has open any more, are no failures;
                // neither is a reader here who has read enough: the program hears of it by its own pipe.
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

    /// There is nothing more to read.
    fn end_of_input(&mut self) {
        if self.way != Way::ToTerminal {
            self.inner = None;
            return;
        }
        // In the middle of a line the first one only ends the line.
        (self.start, self.end) = (0, if self.last == b'\n' { 1 } else { 2 });
        self.bytes[..2].copy_from_slice(b"\x04\x04");
        self.is_ending = true;
    }

    /// The program has ended: what it wrote last is still to come, and what those write that it has left behind is not.
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
                // Somebody has asked for that of what is open here.
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

/// Carries bytes, and the window's size where there is a terminal, until the program has ended. Returns its exit status.
pub(super) fn carry(connection: &Connection, flows: &mut [Flow; 3], has_terminal: bool) -> i32 {
    // A reader here who has gone is an errno. Where the terminal's modes were changed, they are put back whatever ends this.
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

/// Another size goes to the program's terminal; every other signal ends this command: gives its status.
fn heed(signal: u32, output: &Flow) -> Option<i32> {
    if signal != WINDOW_CHANGED {
        return Some(128 + signal as i32);
    }
    if let (Ok(size), Some(terminal)) = (tcgetwinsize(output.outer), &output.inner) {
        let _ = tcsetwinsize(terminal, size);
    }
    None
}

/// What is still to be shown, and the exit status.
fn finish(connection: &Connection, flows: &mut [Flow; 3]) -> i32 {
    flows.iter_mut().filter(|flow| flow.way == Way::Out).for_each(Flow::finish);
    let status = connection.finish(NOT_ENTERED, &mut |_| {});
    let names = ["input", "output", "error"];
    let failed = flows.iter().zip(names).filter_map(|(flow, name)| Some((name, flow.failed?)));
    let count =
        failed.map(|(name, errno)| print(format_args!("hilum: standard {name}: {}\n", describe(errno)))).count();
    // A program that still writes when its output cannot be passed on gets a SIGPIPE for that.
    let is_ours = status == DONE || status == 128 + PIPE as i32;
    if is_ours && count > 0 { FAILED } else { status }
}
