//! A terminal in the foreground: `run` and `exec` by hand, without an engine that holds the other side.
//!
//! The program has a terminal of its own in the container, and this process copies between that and its own standard streams, so a program
//! cannot push input into the caller's terminal (CVE-2017-5226).

use crate::error::{At, Error, Result};
use hilum_sys::{SignalFd, SignalSet, TerminalModes, standard_input, standard_output};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::net::UnixStream;

/// SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM, SIGCONT, which the program gets.
const FORWARDED: [u32; 7] = [1, 2, 3, 10, 12, 15, 18];
const CHILD: u32 = 17;
const WINDOW: u32 = 28;
/// How many chunks are copied after the exit; a terminal of Linux holds fewer.
const LAST_CHUNKS: u32 = 64;

/// The caller's terminal, which gets its modes back.
struct Own(TerminalModes);

impl Drop for Own {
    fn drop(&mut self) {
        self.0.set(standard_input(), true);
    }
}

/// Blocks the signals that [`accompany`] reads. Before the process is started, or one of them is lost; the plan unblocks them in it.
pub fn block() {
    hilum_sys::mask(signals());
}

fn signals() -> SignalSet {
    FORWARDED.iter().fold(SignalSet::EMPTY.and(CHILD).and(WINDOW), |set, number| set.and(*number))
}

/// Receives the other side of a terminal.
fn receive(socket: &UnixStream) -> Result<OwnedFd> {
    let mut found = None;
    hilum_sys::receive_with_fds(socket.as_fd(), &mut [0; 64], true, &mut |descriptor| found = Some(descriptor))
        .at("terminal")?;
    found.ok_or_else(|| Error("the new process has sent no terminal".into()))
}

/// Waits for the exit of a process. Meanwhile it forwards signals, and copies between its terminal, if it has sent one, and the standard
/// streams. Returns its exit status.
///
/// # Errors
/// It is no process of this one, or has sent no terminal.
pub fn accompany(pid: Pid, socket: Option<&UnixStream>) -> Result<i32> {
    let arrived = SignalFd::open(signals()).at("signalfd")?;
    let master = socket.map(receive).transpose()?;
    let own = master.as_ref().and_then(|_| TerminalModes::of(standard_input()).ok()).map(Own);
    if let Some(own) = &own {
        own.0.clone().raw().set(standard_input(), false);
    }
    master.iter().for_each(resize);
    let mut reads_input = master.is_some();
    loop {
        let mut polled = vec![PollFd::from_borrowed_fd(arrived.fd(), PollFlags::IN)];
        polled.extend(master.iter().map(|master| PollFd::new(master, PollFlags::IN)));
        if reads_input {
            polled.push(PollFd::from_borrowed_fd(standard_input(), PollFlags::IN));
        }
        match poll(&mut polled, None) {
            Err(Errno::INTR) => continue,
            found => found.at("poll")?,
        };
        let ready: Vec<bool> = polled.iter().map(|one| !one.revents().is_empty()).collect();
        if let Some(master) = &master {
            // EIO: nobody has the terminal open now; a further program may open it again.
            if ready.get(1) == Some(&true) && copy(master.as_fd(), standard_output()) != Ok(true) {
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            if reads_input && ready.get(2) == Some(&true) {
                reads_input = copy(standard_input(), master.as_fd()) == Ok(true);
            }
        }
        while let Some(signal) = arrived.next() {
            match signal.signal {
                CHILD => {
                    if let Some(status) = crate::commands::exited(pid)? {
                        // What the program has written last. What it left behind may hold the terminal open, or go on writing.
                        let more =
                            |master: &OwnedFd| has_more(master) && copy(master.as_fd(), standard_output()) == Ok(true);
                        let _ = (0..LAST_CHUNKS).all(|_| master.as_ref().is_some_and(more));
                        return Ok(status);
                    }
                }
                WINDOW => master.iter().for_each(resize),
                number => {
                    let signal = Signal::from_named_raw(number.cast_signed());
                    let _ = signal.map(|signal| kill_process(pid, signal));
                }
            }
        }
    }
}

/// Returns whether there is something to read now.
fn has_more(master: &OwnedFd) -> bool {
    poll(&mut [PollFd::new(master, PollFlags::IN)], Some(&Timespec::default())) == Ok(1)
}

/// Gives a terminal the size of the caller's one.
fn resize(master: &OwnedFd) {
    if let Ok(size) = rustix::termios::tcgetwinsize(standard_input()) {
        let _ = rustix::termios::tcsetwinsize(master, size);
    }
}

/// Copies what is there. Returns whether there was something.
fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<bool, Errno> {
    let mut bytes = [0; 4096];
    let length = rustix::io::retry_on_intr(|| rustix::io::read(from, &mut bytes))?;
    let mut rest = bytes.get(..length).unwrap_or_default();
    while !rest.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(to, rest))?;
        rest = rest.get(written..).unwrap_or_default();
    }
    Ok(length > 0)
}
