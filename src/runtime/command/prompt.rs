//! `hilum>`: the console's prompt. It is a separate process that uses the control socket like any command, so input
//! cannot block PID 1.
//!
//! PID 1 sends it the lines of the console over a socket; they are printed above the line that is being typed.

use super::run::run_line;
use super::usage::FAILED;
use hilum::line_editor::{Editor, LINE_BYTES, PrefixFilter, Typed};
use hilum_sys::{Cloned, SignalSet, TerminalModes, exit, print_to, standard_input, standard_output};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, WaitOptions, WaitStatus, waitpid};
use rustix::termios::tcgetwinsize;

/// The request that gives up the controlling terminal (`ioctl_tty(2)`).
const TIOCNOTTY: usize = 0x5422;
/// The terminal type of boards.
const TERM: &str = "vt100";

/// Reads commands from the terminal of a login until it ends, or Ctrl-D or `exit` is typed. There are no lines of the
/// console. Returns only an exit status for an error.
pub(super) fn session(socket: &str) -> i32 {
    // As for the prompt of PID 1: what is stopped or ended by the terminal is the command that runs.
    hilum_sys::mask(SignalSet::ALL);
    match socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None) {
        Ok((lines, end)) => serve(&lines, Some(end), socket, true),
        Err(_) => FAILED,
    }
}

/// Reads commands from the terminal on standard input and output until the terminal or PID 1 is gone.
///
/// `is_own` means that it is the controlling terminal of this session. Otherwise Ctrl-C would signal another session's
/// processes, so it remains a character.
pub(crate) fn run(lines: &OwnedFd, socket: &str, is_own: bool) -> ! {
    serve(lines, None, socket, is_own)
}

/// The same. Closing `end` ends it.
fn serve(lines: &OwnedFd, mut end: Option<OwnedFd>, socket: &str, is_own: bool) -> ! {
    let cooked = TerminalModes::of(standard_input()).ok();
    let cooked = cooked.map(|modes| if is_own { modes } else { modes.without_signals() });
    let mut editor = Editor::new("hilum> ");
    // Discard input from before the prompt was visible.
    enter(cooked.as_ref());
    draw(&editor);
    loop {
        let mut events = [
            PollFd::from_borrowed_fd(lines.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(standard_input(), PollFlags::IN),
        ];
        match poll(&mut events, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => exit(1),
        }
        let (has_lines, has_keys) = (!events[0].revents().is_empty(), !events[1].revents().is_empty());
        if has_lines {
            let _ = print_to(standard_output(), format_args!("\r\x1b[K"));
            if !show(lines.as_fd(), &mut PrefixFilter::new(b"")) {
                leave(cooked.as_ref());
                // When the leader of a session with a terminal exits, the terminal hangs up, for PID 1 too.
                let _ = hilum_sys::attempt_ioctl(standard_input(), TIOCNOTTY);
                exit(0)
            }
            draw(&editor);
        }
        if has_keys {
            let mut bytes = [0; 64];
            let count = match rustix::io::read(standard_input(), &mut bytes) {
                Ok(count) if count > 0 => count,
                Err(Errno::INTR | Errno::AGAIN) => 0,
                // The terminal hung up.
                _ => exit(1),
            };
            editor.set_columns(tcgetwinsize(standard_output()).map_or(0, |size| size.ws_col));
            type_keys(&mut editor, &bytes[..count], &mut end, |line| {
                leave(cooked.as_ref());
                if !line.trim_ascii().is_empty() {
                    command(line, lines, socket);
                }
                enter(cooked.as_ref());
            });
        }
    }
}

/// Handles keys that arrived together; calls `run` for each completed line. Closes `end` if one ends the session.
fn type_keys(editor: &mut Editor, keys: &[u8], end: &mut Option<OwnedFd>, run: impl Fn(&heapless::String<LINE_BYTES>)) {
    // Redraw once, however many keys arrive together.
    let mut has_changed = false;
    for byte in keys {
        if matches!(byte, b'\r' | b'\n') && core::mem::take(&mut has_changed) {
            draw(editor);
        }
        match editor.type_byte(*byte) {
            Typed::Nothing => {}
            Typed::Changed => has_changed = true,
            Typed::Added(_) if has_changed => {}
            Typed::Added(character) => {
                let _ = print_to(standard_output(), format_args!("{character}"));
            }
            Typed::TooLong => {
                let message = format_args!("\nhilum: line longer than {LINE_BYTES} bytes; not run\n");
                let _ = print_to(standard_output(), message);
                draw(editor);
            }
            Typed::Line(line) => {
                let _ = print_to(standard_output(), format_args!("\n"));
                if end.is_some() && line.trim_ascii() == "exit" {
                    *end = None;
                    return;
                }
                run(&line);
                draw(editor);
            }
            Typed::End if end.take().is_some() => return,
            Typed::GivenUp | Typed::End => {
                let _ = print_to(standard_output(), format_args!("^C\n"));
                has_changed = false;
                draw(editor);
            }
        }
    }
    if has_changed {
        draw(editor);
    }
}

fn draw(editor: &Editor) {
    // A line and two escape sequences fit.
    let text = hilum::fixed_string::text::<{ LINE_BYTES + 64 }>(format_args!("{editor}"));
    let _ = print_to(standard_output(), format_args!("{text}"));
}

/// Sets the terminal to return each key at once, without echo. Output processing (carriage returns) stays on.
fn enter(cooked: Option<&TerminalModes>) {
    if let Some(modes) = cooked {
        modes.clone().key_by_key().set(standard_input(), false);
    }
}

fn leave(cooked: Option<&TerminalModes>) {
    if let Some(modes) = cooked {
        modes.set(standard_input(), false);
    }
}

/// Prints what PID 1 sent. Returns false if PID 1 closed the connection.
fn show(lines: BorrowedFd<'_>, without: &mut PrefixFilter<'_>) -> bool {
    let mut bytes = [0; 2048];
    match rustix::io::read(lines, &mut bytes) {
        Ok(0) => false,
        Ok(count) => {
            let mut is_written = true;
            without.feed(&bytes[..count], |shown| is_written = is_written && write_all(shown));
            is_written
        }
        Err(errno) => errno == Errno::INTR || errno == Errno::AGAIN,
    }
}

fn write_all(mut rest: &[u8]) -> bool {
    while !rest.is_empty() {
        match rustix::io::write(standard_output(), rest) {
            Ok(written) => rest = &rest[written.min(rest.len())..],
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
    true
}

/// Returns the prefix of console lines that a command prints itself: those of the workload that `log NAME -f` follows.
fn shown_by(line: &heapless::String<LINE_BYTES>) -> heapless::String<64> {
    let mut room = heapless::String::new();
    let words = hilum::line_editor::words::<8>(line, &mut room).unwrap_or_default();
    match words.as_slice() {
        ["log", rest @ ..] if rest.contains(&"-f") => {
            let is_name = |at: &usize| !rest[*at].starts_with('-') && (*at == 0 || rest[*at - 1] != "-n");
            let name = (0..rest.len()).find(is_name).map_or("", |at| rest[at]);
            hilum::fixed_string::text(format_args!("{name} | "))
        }
        _ => heapless::String::new(),
    }
}

/// Reports how a command failed, with the status that sh(1) uses.
fn print_failure(ended: rustix::io::Result<Option<(Pid, WaitStatus)>>) {
    let Ok(Some((_, status))) = ended else { return };
    let number = status.exit_status().or_else(|| Some(128 + status.terminating_signal()?)).unwrap_or(0);
    if number != 0 {
        let _ = print_to(standard_output(), format_args!("[exit {number}]\n"));
    }
}

/// Runs a command in a child process, which Ctrl-C ends. Console lines are still printed meanwhile.
fn command(line: &heapless::String<LINE_BYTES>, lines: &OwnedFd, socket: &str) {
    // In a workload, the filter refuses clone3(2).
    let Ok(cloned) = hilum_sys::fork() else { return };
    match cloned {
        Cloned::Child => {
            let _ = hilum_sys::close_all_but(&[]);
            let _ = rustix::process::setpgid(None, None);
            let _ = rustix::termios::tcsetpgrp(standard_input(), rustix::process::getpid());
            hilum_sys::mask(SignalSet::EMPTY);
            exit(run_line(line, socket, TERM))
        }
        Cloned::Parent { pid, pidfd } => {
            // Both processes do it, because either may run first.
            let _ = rustix::process::setpgid(Some(pid), Some(pid));
            let _ = rustix::termios::tcsetpgrp(standard_input(), pid);
            let start = shown_by(line);
            let (mut is_listening, mut without) = (true, PrefixFilter::new(start.as_bytes()));
            loop {
                let wanted = if is_listening { PollFlags::IN } else { PollFlags::empty() };
                let mut events = [PollFd::new(&pidfd, PollFlags::IN), PollFd::from_borrowed_fd(lines.as_fd(), wanted)];
                let _ = poll(&mut events, None);
                if is_listening && !events[1].revents().is_empty() {
                    is_listening = show(lines.as_fd(), &mut without);
                }
                if !events[0].revents().is_empty() {
                    break;
                }
            }
            print_failure(waitpid(Some(pid), WaitOptions::empty()));
            let _ = rustix::termios::tcsetpgrp(standard_input(), rustix::process::getpid());
        }
    }
}
