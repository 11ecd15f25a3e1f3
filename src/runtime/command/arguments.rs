//! What the arguments ask for: a command, or a prompt at the terminal.

use super::prompt::session;
use super::run::{WORDS, run_words};
use super::usage::misused;
use crate::os::environment::DEFAULT_SOCKET;
use hilum_sys::{Arguments, standard_input};
use rustix::termios::isatty;

/// Runs the command that the arguments name; without one, as a login shell does, the prompt of a terminal. Returns the
/// exit status.
pub(crate) fn run(arguments: Arguments) -> i32 {
    let mut words: heapless::Vec<&str, WORDS> = heapless::Vec::new();
    for argument in arguments.iter().skip(1) {
        let Ok(text) = argument.to_str() else { return misused("an argument is not valid UTF-8") };
        if words.push(text).is_err() {
            return misused("too many arguments");
        }
    }
    match *words {
        [] if isatty(standard_input()) => return session(DEFAULT_SOCKET),
        ["--socket", socket] if isatty(standard_input()) => return session(socket),
        _ => {}
    }
    let term = arguments.environment().find_map(|variable| variable.to_str().ok()?.strip_prefix("TERM="));
    run_words(&words, term.unwrap_or("vt100"))
}
