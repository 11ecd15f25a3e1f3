//! A request to PID 1 and its replies; and the commands that consist of one request.

use super::output::show;
use super::usage::{FAILED, MISUSED, misused_as};
use crate::os::errno::describe;
use hilum::log::Printable;
use hilum::split::Split;
use hilum::text;
use hilum::wire::{Command, MESSAGE_BYTES, Malformed, Reply, Request};
use hilum_sys::print;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};

/// Descriptors in a reply.
pub(super) type Descriptors = heapless::Vec<OwnedFd, 3>;

/// Why a request was not sent.
pub(super) enum Refused {
    Malformed(Malformed),
    Kernel(Errno),
}

/// A connection to PID 1.
pub(super) struct Connection(OwnedFd);

impl Connection {
    /// Sends a request. If that is not possible, prints why and returns `None`.
    pub(super) fn ask(path: &str, request: &Request<'_>) -> Option<Self> {
        Self::ask_with(path, request, &[])
    }

    /// The same, with descriptors.
    pub(super) fn ask_with(path: &str, request: &Request<'_>, fds: &[OwnedFd]) -> Option<Self> {
        match Self::open_with(path, request, fds) {
            Ok(connection) => Some(connection),
            Err(Refused::Malformed(malformed)) => {
                print(format_args!("hilum: {}\n", malformed.text()));
                None
            }
            Err(Refused::Kernel(errno)) => {
                let hint = match errno {
                    Errno::NOENT | Errno::CONNREFUSED => {
                        text!(": hilum is not running as PID 1 here, or listens elsewhere (--socket FILE)")
                    }
                    Errno::ACCESS => text!(": only root may use it; try sudo"),
                    _ => text!(""),
                };
                print(format_args!("hilum: {path}: {}{hint}\n", describe(errno)));
                None
            }
        }
    }

    /// Connects to PID 1 and sends a request, without printing anything.
    pub(super) fn open(path: &str, request: &Request<'_>) -> Result<Self, Refused> {
        Self::open_with(path, request, &[])
    }

    fn open_with(path: &str, request: &Request<'_>, fds: &[OwnedFd]) -> Result<Self, Refused> {
        let message = request.message().map_err(Refused::Malformed)?;
        let send_to = |socket: OwnedFd| hilum_sys::send_with_fds(socket.as_fd(), &message, fds).map(|()| Self(socket));
        open(path).and_then(send_to).map_err(Refused::Kernel)
    }

    /// Returns the next reply with its descriptors, or `None` if the connection was closed.
    pub(super) fn next<'b>(&self, buffer: &'b mut [u8; MESSAGE_BYTES]) -> Option<(Reply<'b>, Descriptors)> {
        let mut descriptors = Descriptors::new();
        let length = loop {
            // Descriptors that do not fit are closed.
            let keep = &mut |descriptor| drop(descriptors.push(descriptor));
            match hilum_sys::receive_with_fds(self.0.as_fd(), buffer, true, keep) {
                Err(Errno::INTR) => {}
                result => break result.ok()?,
            }
        };
        // An empty message is the end of the connection.
        let reply = Reply::read(buffer.get(..length)?).ok()?;
        Some((reply, descriptors))
    }

    /// Passes every reply to `each`. Returns the exit status of the last one, or `lost` if there is none; prints
    /// errors.
    pub(super) fn finish(&self, lost: i32, each: &mut dyn FnMut(&Reply<'_>)) -> i32 {
        let mut buffer = [0; MESSAGE_BYTES];
        loop {
            match self.next(&mut buffer) {
                Some((Reply::Done(status, text), _)) => {
                    if !text.is_empty() {
                        print(format_args!("hilum: {text}\n"));
                    }
                    return status.into();
                }
                Some((reply, _)) => each(&reply),
                None => {
                    print(format_args!("hilum: PID 1 closed the connection\n"));
                    return lost;
                }
            }
        }
    }

    /// Prints every line of text that is sent. Returns as [`Self::finish`].
    pub(super) fn show_lines(&self) -> i32 {
        self.finish(FAILED, &mut |reply| {
            if let Reply::Event(_, line) = reply {
                show(format_args!("{line}\n"));
            }
        })
    }

    /// Returns the socket for polling.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn open(path: &str) -> Result<OwnedFd, Errno> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    connect(&socket, &crate::os::path::socket_address(path)?)?;
    Ok(socket)
}

/// Prints the lines of text that answer a request without words.
pub(super) fn show_answer(socket: &str, command: Command) -> i32 {
    Connection::ask(socket, &Request::new(command)).map_or(FAILED, |connection| connection.show_lines())
}

/// Runs a command that consists of one request.
pub(super) fn ask(socket: &str, name: &str, place: usize, words: &[&str]) -> i32 {
    if let ("signal", [_, signal]) = (name, words)
        && hilum::config::Signal::from_name(signal).is_none()
    {
        print(format_args!("hilum: \"{signal}\" is not a signal such as TERM, INT, QUIT, HUP or USR1\n"));
        return MISUSED;
    }
    let Some(request) = request(place, words) else { return misused_as(name) };
    if request.command == Command::Log {
        return log(socket, &request);
    }
    let Some(connection) = Connection::ask(socket, &request) else { return FAILED };
    // The first event is the kernel's start, at 0.
    let mut before_us = 0;
    connection.finish(FAILED, &mut |reply| {
        if let Reply::Event(us, text) = reply {
            let passed_us = us.saturating_sub(before_us);
            show(format_args!("{:>6}.{:06} s  {passed_us:>9} us  {text}\n", us / 1_000_000, us % 1_000_000));
            before_us = *us;
        }
    })
}

/// The words behind a command that is a request.
#[derive(Clone, Copy)]
enum Form {
    /// Those of `log`.
    Lines,
    /// A workload's name, perhaps with `-w`.
    Waiting,
    /// A workload's name and a signal.
    Signal,
    /// A workload's name.
    Name,
    /// A workload's name or nothing.
    Optional,
    /// Nothing.
    Nothing,
}

/// The commands that are requests, and in the same order what they request.
const NAMES: &str =
    "log start stop restart signal freeze thaw mute unmute reload timeline poweroff reboot halt rollback";
static REQUESTS: [(Command, Form); 15] = [
    (Command::Log, Form::Lines),
    (Command::Start, Form::Waiting),
    (Command::Stop, Form::Waiting),
    (Command::Restart, Form::Waiting),
    (Command::Signal, Form::Signal),
    (Command::Freeze, Form::Name),
    (Command::Thaw, Form::Name),
    (Command::Mute, Form::Optional),
    (Command::Unmute, Form::Optional),
    (Command::Reload, Form::Nothing),
    (Command::Timeline, Form::Nothing),
    (Command::Poweroff, Form::Nothing),
    (Command::Reboot, Form::Nothing),
    (Command::Halt, Form::Nothing),
    (Command::Rollback, Form::Nothing),
];

/// Returns the place of a command among the requests. `None` if it is not one.
pub(super) fn place(name: &str) -> Option<usize> {
    NAMES.place_of_word(name)
}

/// Returns the request that the words stand for. `None` if they are not understood.
fn request<'a>(place: usize, words: &[&'a str]) -> Option<Request<'a>> {
    let (command, form) = REQUESTS[place];
    let mut request = Request::new(command);
    let name = match (form, words) {
        (Form::Lines, _) => return log_request(words),
        (Form::Waiting, [name, "-w"] | ["-w", name]) => {
            request.is_waiting = true;
            name
        }
        (Form::Signal, [name, signal]) => {
            request.number = hilum::config::Signal::from_name(signal)?.0.into();
            name
        }
        (Form::Waiting | Form::Name | Form::Optional, [name]) => name,
        (Form::Optional | Form::Nothing, []) => return Some(request),
        _ => return None,
    };
    request.words.push(name).ok()?;
    Some(request)
}

fn log_request<'a>(words: &[&'a str]) -> Option<Request<'a>> {
    let mut request = Request { number: u32::MAX, ..Request::new(Command::Log) };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "-f" => request.is_waiting = true,
            "-n" => request.number = hilum::number::number(words.next()?)?,
            name if request.words.is_empty() && !name.starts_with('-') => request.words.push(name).ok()?,
            _ => return None,
        }
    }
    (!request.words.is_empty()).then_some(request)
}

/// Prints lines with their time, and the number of missing lines between them.
fn log(socket: &str, request: &Request<'_>) -> i32 {
    let Some(connection) = Connection::ask(socket, request) else { return FAILED };
    let (mut expected, mut status) = (None, 0);
    let answer = connection.finish(FAILED, &mut |reply| {
        if let Reply::Line(number, ms, line) = reply {
            let missing = expected.map_or(0, |expected| number.wrapping_sub(expected));
            if missing > 0 {
                status |= show(format_args!("({missing} lines dropped)\n"));
            }
            expected = Some(number.wrapping_add(1));
            status |= show(format_args!("{:>5}.{:03} {}\n", ms / 1_000, ms % 1_000, Printable(line)));
            if status != 0 {
                // The reader of standard output is gone.
                hilum_sys::exit(FAILED)
            }
        }
    });
    if answer == MISUSED { FAILED } else { answer }
}
