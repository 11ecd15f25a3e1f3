//! `hilum exec NAME PROGRAM...`: a program inside of a workload, with this terminal or with these pipes.
//!
//! With a terminal the program has one of its own, of the workload's devpts; bytes are carried between the two, so
//! nothing of the board's terminal is ever inside (CVE-2017-5226), and Ctrl-C is the program's.

use super::client::Connection;
use super::{FAILED, misused_as};
use hilum::wire::{Command, MESSAGE_BYTES, Reply, Request};
use hilum_sys::{SignalSet, Signals, print, standard_error, standard_input, standard_output};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

/// Runs it; gives the program's exit status.
pub(super) fn exec(socket: &str, words: &[&str], term: &str) -> i32 {
    let both = isatty(standard_input()) && isatty(standard_output());
    let (name, has_terminal, program) = match words {
        [name, "-t", program @ ..] => (name, true, program),
        [name, "-T", program @ ..] => (name, false, program),
        [name, program @ ..] => (name, both, program),
        [] => return misused_as("exec"),
    };
    if program.is_empty() || name.starts_with('-') {
        return misused_as("exec");
    }
    let mut request = Request { is_waiting: has_terminal, ..Request::new(Command::Exec) };
    let fits = request.words.extend_from_slice(&[name, term]).and_then(|()| request.words.extend_from_slice(program));
    if fits.is_err() {
        return misused_as("exec");
    }
    if !has_terminal {
        let three = [standard_input(), standard_output(), standard_error()];
        let Some(connection) = Connection::ask(socket, &request, &three) else { return FAILED };
        return connection.finish(&mut |_| {});
    }
    // A serial line has no size of its own.
    let size = tcgetwinsize(standard_output()).map_or((0, 0), |size| (size.ws_row, size.ws_col));
    let size = if size.0 > 0 && size.1 > 0 { size } else { (24, 80) };
    request.number = u32::from(size.0) << 16 | u32::from(size.1);
    let Some(connection) = Connection::ask(socket, &request, &[]) else { return FAILED };
    let mut buffer = [0; MESSAGE_BYTES];
    match connection.next(&mut buffer) {
        Some((Reply::Terminal, Some(terminal))) => {
            let raw = Raw::enter();
            carry(&connection, &terminal);
            drop(raw);
            connection.finish(&mut |_| {})
        }
        Some((Reply::Done(status, text), _)) => {
            print(format_args!("hilum: {text}\n"));
            status.into()
        }
        _ => {
            print(format_args!("hilum: process 1 ended the connection\n"));
            FAILED
        }
    }
}

/// The terminal gives bytes as they are typed, until this is dropped.
struct Raw(Option<Termios>);

impl Raw {
    fn enter() -> Self {
        let before = tcgetattr(standard_input()).ok();
        if let Some(mut raw) = before.clone() {
            raw.make_raw();
            let _ = tcsetattr(standard_input(), OptionalActions::Now, &raw);
        }
        Self(before)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(standard_input(), OptionalActions::Drain, before);
        }
    }
}

/// Carries bytes between this terminal and the program's, and the window's size, until the program has ended.
fn carry(connection: &Connection, terminal: &OwnedFd) {
    const WINDOW_CHANGED: u32 = 28;
    // A signal that asks this process to end ends it by the connection: the program hears of it then.
    hilum_sys::mask(SignalSet::of(WINDOW_CHANGED));
    let signals = Signals::open(SignalSet::of(WINDOW_CHANGED));
    let mut has_input = true;
    loop {
        let input = standard_input();
        let signal_fd = signals.as_ref().map_or(terminal.as_fd(), |signals| signals.fd());
        let wanted = if has_input { PollFlags::IN } else { PollFlags::empty() };
        let mut events = [
            PollFd::new(terminal, PollFlags::IN),
            PollFd::from_borrowed_fd(connection.fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(signal_fd, PollFlags::IN),
            PollFd::from_borrowed_fd(input, wanted),
        ];
        match poll(&mut events, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => return,
        }
        let is_there = |at: usize| !events[at].revents().is_empty();
        if is_there(0) && !copy(terminal.as_fd(), standard_output()) {
            return;
        }
        if is_there(3) && has_input && !copy(input, terminal.as_fd()) {
            // The end of input, as a person tells it to a terminal.
            has_input = false;
            let _ = rustix::io::write(terminal, b"\x04");
        }
        if is_there(2)
            && let Ok(signals) = &signals
            && signals.next().is_some()
            && let Ok(size) = tcgetwinsize(standard_output())
        {
            let _ = tcsetwinsize(terminal, size);
        }
        if is_there(1) {
            // The program has ended; what it wrote last is still to come.
            let nothing_waits = rustix::io::ioctl_fionbio(terminal, true).is_err();
            while !nothing_waits && copy(terminal.as_fd(), standard_output()) {}
            return;
        }
    }
}

/// Carries what is there; false where it has ended.
fn copy(from: rustix::fd::BorrowedFd<'_>, to: rustix::fd::BorrowedFd<'_>) -> bool {
    let mut bytes = [0; 1024];
    let count = match rustix::io::read(from, &mut bytes) {
        Err(Errno::INTR) => return true,
        Ok(0) | Err(_) => return false,
        Ok(count) => count,
    };
    let mut rest = &bytes[..count];
    while !rest.is_empty() {
        match rustix::io::write(to, rest) {
            Ok(written) => rest = &rest[written.min(rest.len())..],
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => return false,
        }
    }
    true
}
