//! Runs a command by its words, or by a typed line.

use super::output::show;
use super::usage::{commands, find, misused, misused_for, unknown};
use super::{client, exec, files, mounts, net, status, update};
use crate::os::environment::DEFAULT_SOCKET;
use hilum::line_editor::LINE_BYTES;
use hilum::wire::Command;

/// The maximum number of words.
pub(super) const WORDS: usize = 40;

/// Runs a command by its words.
pub(super) fn run_words(words: &[&str], term: &str) -> i32 {
    let (socket, words) = match words {
        ["--socket", path, rest @ ..] => (*path, rest),
        _ => (DEFAULT_SOCKET, words),
    };
    let (name, words) = match words {
        // As a login shell.
        ["-c", line] => {
            return match heapless::String::try_from(*line) {
                Ok(line) => run_line(&line, socket, term),
                Err(_) => misused("too many arguments"),
            };
        }
        [] => return misused("missing command"),
        [name, words @ ..] => (name, words),
    };
    if let ["--help" | "-h"] = words {
        return help_for(name);
    }
    if let Some(place) = client::place(name) {
        return client::ask(socket, name, place, words);
    }
    match *name {
        "status" => status::status(socket, words),
        "top" => status::top(socket, words),
        "exec" => exec::exec(socket, words, term),
        "check" | "explain" | "audit" => files::run(name, words),
        "mounts" => mounts::run(words),
        "net" if words.is_empty() => net::net(socket),
        "update" => update::update(socket, words),
        "time" if words.is_empty() || words == ["--json"] => client::show_answer(socket, Command::Time),
        "doctor" if words.is_empty() => files::examine(),
        "version" | "--version" if words.is_empty() => show(format_args!("hilum {}\n", env!("CARGO_PKG_VERSION"))),
        "help" | "--help" | "-h" if words.is_empty() => help(),
        _ => match find(&mut [0; _], name) {
            Some((usage, _)) => misused_for(name, usage),
            None => unknown(name),
        },
    }
}

fn help() -> i32 {
    let mut status = show(format_args!("usage: hilum [--socket FILE] COMMAND\n\n"));
    for (name, usage, what) in commands(&mut [0; _]) {
        status |= show(format_args!("  {name:<9} {usage:<29} {what}\n"));
    }
    status
        | show(format_args!(
            "\nDefault socket {}, default configuration /etc/hilum.conf.\n\
             Exit status: 0 done, 1 failed, 2 usage error, 3 workload not running; exec: the program's own.\n\
             Run as PID 1, it is the init of the machine or container.\n",
            DEFAULT_SOCKET
        ))
}

fn help_for(name: &str) -> i32 {
    match find(&mut [0; _], name) {
        Some((usage, what)) => show(format_args!("usage: hilum {name} {usage}\n{what}\n")),
        None => unknown(name),
    }
}

/// Splits a typed line into words, runs it, and returns its exit status.
pub(super) fn run_line(line: &heapless::String<LINE_BYTES>, socket: &str, term: &str) -> i32 {
    let mut room = heapless::String::new();
    match hilum::line_editor::words::<{ WORDS - 2 }>(line, &mut room) {
        Ok(typed) => {
            let mut words: heapless::Vec<&str, WORDS> = heapless::Vec::new();
            // Two words fit.
            let _ = words.extend_from_slice(&["--socket", socket]);
            words.extend(typed.into_iter().skip_while(|word| *word == "hilum"));
            run_words(&words, term)
        }
        Err(what) => misused(what),
    }
}
