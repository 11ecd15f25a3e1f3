//! `hilum exec NAME PROGRAM...`: runs a program inside of a workload, with a terminal or with pipes.
//!
//! The program gets none of this process's descriptors. It gets pipes, or a terminal of the workload's own devpts. The
//! reply has the other ends, and this process copies bytes between them and its own descriptors. A process that is left
//! behind can therefore neither write to the board's terminal nor read from it (CVE-2017-5226), and has no file or
//! folder of the board.

use super::client::{Connection, Descriptors};
use super::relay::{Flow, Way, carry};
use super::usage::{NOT_ENTERED, misused_as};
use crate::os::errno::describe;
use crate::os::files::fill_standard_descriptors;
use hilum::wire::{Command, MESSAGE_BYTES, Reply, Request};
use hilum_sys::{TerminalModes, print, standard_error, standard_input, standard_output};
use rustix::fd::AsFd;
use rustix::fs::fstat;
use rustix::io::Errno;
use rustix::termios::{isatty, tcgetwinsize};

/// Runs it. Returns the program's exit status.
pub(super) fn exec(socket: &str, words: &[&str], term: &str) -> i32 {
    // A closed standard descriptor would be reused by the next open.
    fill_standard_descriptors();
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
    let mut request = Request { is_waiting: has_terminal, is_split: !is_one_place(), ..Request::new(Command::Exec) };
    let fits = request.words.extend_from_slice(&[name, term]).and_then(|()| request.words.extend_from_slice(program));
    if fits.is_err() {
        return misused_as("exec");
    }
    if has_terminal {
        let (rows, columns) = size();
        request.number = u32::from(rows) << 16 | u32::from(columns);
    }
    let Some(connection) = Connection::ask(socket, &request) else { return NOT_ENTERED };
    let mut buffer = [0; MESSAGE_BYTES];
    match connection.next(&mut buffer) {
        Some((Reply::Streams, ends)) => match flows(ends, &request) {
            Ok(mut flows) => {
                let raw = has_terminal.then(Raw::enter);
                let ended = carry(&connection, &mut flows, has_terminal);
                drop(raw);
                ended
            }
            Err(errno) => {
                print(format_args!("hilum: exec: {}\n", describe(errno)));
                NOT_ENTERED
            }
        },
        Some((Reply::Done(status, text), _)) => {
            print(format_args!("hilum: {text}\n"));
            status.into()
        }
        _ => {
            print(format_args!("hilum: PID 1 closed the connection\n"));
            NOT_ENTERED
        }
    }
}

/// Returns whether standard output and error are the same file. Then the order of the output is preserved.
fn is_one_place() -> bool {
    let (output, error) = (standard_output(), standard_error());
    match (isatty(output), isatty(error)) {
        (false, false) => {
            let place = |found: rustix::fs::Stat| (found.st_dev, found.st_ino);
            fstat(output).map(place).ok() == fstat(error).map(place).ok()
        }
        (output, error) => output == error,
    }
}

/// Returns rows and columns of the terminal; a serial line has no size.
fn size() -> (u16, u16) {
    [standard_output(), standard_input(), standard_error()]
        .iter()
        .filter_map(|fd| tcgetwinsize(fd).ok())
        .map(|size| (size.ws_row, size.ws_col))
        .find(|size| size.0 > 0 && size.1 > 0)
        .unwrap_or((24, 80))
}

/// Returns the streams to copy: input, output, and errors if they are separate.
fn flows(ends: Descriptors, request: &Request<'_>) -> Result<[Flow; 3], Errno> {
    for end in &ends {
        rustix::io::ioctl_fionbio(end, true)?;
    }
    let mut ends = ends.into_iter();
    let first = ends.next().ok_or(Errno::PROTO)?;
    let second = match request.is_waiting {
        // A terminal is both input and output.
        true => rustix::io::fcntl_dupfd_cloexec(first.as_fd(), 3)?,
        false => ends.next().ok_or(Errno::PROTO)?,
    };
    let way = if request.is_waiting { Way::ToTerminal } else { Way::ToPipe };
    Ok([
        Flow::new(way, standard_input(), Some(first)),
        Flow::new(Way::Out, standard_output(), Some(second)),
        Flow::new(Way::Out, standard_error(), ends.next()),
    ])
}

/// Sets the terminal to raw mode until this is dropped.
struct Raw(Option<TerminalModes>);

impl Raw {
    fn enter() -> Self {
        let before = TerminalModes::of(standard_input()).ok();
        if let Some(modes) = before.clone() {
            modes.raw().set(standard_input(), false);
        }
        Self(before)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            before.set(standard_input(), true);
        }
    }
}
