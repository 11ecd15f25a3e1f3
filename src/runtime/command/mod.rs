//! The command line: what a person runs, on the board or on a host. Commands about files read them and talk; commands
//! about workloads ask process 1 over its control socket.

mod client;
mod doctor;
mod exec;
mod files;
mod keys;
mod net;
mod output;
mod prompt;
mod relay;
mod status;

pub(crate) use doctor::doctor;
pub(crate) use prompt::run as prompt;

use hilum::line_editor::LINE_BYTES;
use hilum_sys::{Arguments, print};
use output::show;

/// Exit statuses: a command that did its work, one that found something wrong or could not, one that was misused
/// (sysexits.h calls the last one 64; shells and most tools use 2), and a workload that does not run (the LSB's).
pub(super) const DONE: i32 = 0;
pub(super) const FAILED: i32 = 1;
pub(super) const MISUSED: i32 = 2;
pub(super) const NOT_RUNNING: i32 = 3;

/// Words of a command line, at most.
pub(super) const WORDS: usize = 40;

/// Every command: its name, its words, and what it does.
const COMMANDS: [(&str, &str, &str); 24] = [
    ("status", "[NAME] [--json]", "what workloads do: state, uptime, restarts, memory, processor, last end"),
    ("top", "[-n TIMES]", "the same, again each second"),
    ("log", "NAME [-f] [-n LINES]", "the last lines of a workload; -f goes on with further ones"),
    ("mute", "[NAME]", "keep lines of a workload, or of all, away from the console; log shows them"),
    ("unmute", "[NAME]", "show them there again"),
    ("start", "NAME [-w]", "start a workload and what it needs; -w waits until it is ready"),
    ("stop", "NAME [-w]", "stop a workload; -w waits until it has ended"),
    ("restart", "NAME [-w]", "stop a workload and start it again"),
    ("signal", "NAME SIGNAL", "send a signal such as HUP to a workload's first process"),
    ("freeze", "NAME", "stop every process of a workload where it is"),
    ("thaw", "NAME", "let them go on"),
    ("exec", "NAME [-t|-T] PROGRAM WORD...", "run a program inside of a workload; -t with a terminal, -T without"),
    ("reload", "", "read the configuration again; only what changed is stopped and started"),
    ("timeline", "", "what happened since the kernel's start, with microseconds"),
    ("poweroff", "", "stop every workload and power off"),
    ("reboot", "", "stop every workload and reboot"),
    ("halt", "", "stop every workload and the processor"),
    ("check", "[--config FILE]", "read a configuration and say what is wrong with it"),
    ("explain", "NAME [--config FILE]", "the steps that start a workload, in order"),
    ("audit", "[--config FILE]", "what workloads are allowed beyond the default, one line each"),
    ("net", "", "the board's links, addresses, routes and rules, with what they count"),
    ("doctor", "", "what this kernel can enforce, and what mends what it cannot"),
    ("version", "", "the version"),
    ("help", "", "this"),
];

/// Runs the command that the arguments name; gives the exit status.
pub(crate) fn run(arguments: Arguments) -> i32 {
    let mut words: heapless::Vec<&str, WORDS> = heapless::Vec::new();
    for argument in arguments.iter().skip(1) {
        let Ok(text) = argument.to_str() else { return misused("an argument is not valid UTF-8") };
        if words.push(text).is_err() {
            return misused("too many arguments");
        }
    }
    let term = arguments.environment().find_map(|variable| variable.to_str().ok()?.strip_prefix("TERM="));
    run_words(&words, term.unwrap_or("vt100"))
}

/// Runs a command by its words.
pub(super) fn run_words(words: &[&str], term: &str) -> i32 {
    let (socket, words) = match words {
        ["--socket", path, rest @ ..] => (*path, rest),
        _ => (crate::init::CONTROL, words),
    };
    let [name, words @ ..] = words else { return misused("a command is missing") };
    if let ["--help" | "-h"] = words {
        return help_for(name);
    }
    match *name {
        "status" => status::status(socket, words),
        "top" => status::top(socket, words),
        "log" | "mute" | "unmute" | "start" | "stop" | "restart" | "signal" | "freeze" | "thaw" | "reload"
        | "timeline" | "poweroff" | "reboot" | "halt" => client::ask(socket, name, words),
        "exec" => exec::exec(socket, words, term),
        "check" | "explain" | "audit" => files::run(name, words),
        "net" if words.is_empty() => net::net(),
        "doctor" if words.is_empty() => files::examine(),
        "version" | "--version" if words.is_empty() => show(format_args!("hilum {}\n", env!("CARGO_PKG_VERSION"))),
        "help" | "--help" | "-h" if words.is_empty() => help(),
        _ => match COMMANDS.iter().find(|(known, ..)| known == name) {
            Some((_, usage, _)) => misused_for(name, usage),
            None => unknown(name),
        },
    }
}

fn help() -> i32 {
    let mut status = show(format_args!("usage: hilum [--socket FILE] COMMAND\n\n"));
    for (name, usage, what) in COMMANDS {
        status |= show(format_args!("  {name:<9} {usage:<29} {what}\n"));
    }
    status
        | show(format_args!(
            "\nThe socket is {}, the configuration /etc/hilum.conf, unless others are named.\n\
             Exit status: 0 done, 1 failed, 2 misused, 3 the workload does not run; of exec, the program's own.\n\
             Started as process 1 it is the init of the machine or the container.\n",
            crate::init::CONTROL
        ))
}

fn help_for(name: &str) -> i32 {
    match COMMANDS.iter().find(|(known, ..)| *known == name) {
        Some((name, usage, what)) => show(format_args!("usage: hilum {name} {usage}\n{what}\n")),
        None => unknown(name),
    }
}

/// Says how a command is used that was used otherwise.
pub(super) fn misused_for(name: &str, usage: &str) -> i32 {
    print(format_args!("hilum: usage: hilum {name} {usage}\n"));
    MISUSED
}

/// The same, by the command's name alone.
pub(super) fn misused_as(name: &str) -> i32 {
    let usage = COMMANDS.iter().find(|(known, ..)| *known == name).map_or("", |(_, usage, _)| usage);
    misused_for(name, usage)
}

/// Says that there is no such command, and which one was probably meant.
fn unknown(name: &str) -> i32 {
    match hilum::suggest::nearest(COMMANDS.iter().map(|(known, ..)| *known), name) {
        Some(near) => print(format_args!("hilum: there is no command \"{name}\"; did you mean \"{near}\"?\n")),
        None => print(format_args!("hilum: there is no command \"{name}\"; see: hilum help\n")),
    }
    MISUSED
}

pub(super) fn misused(what: &str) -> i32 {
    print(format_args!("hilum: {what}; see: hilum help\n"));
    MISUSED
}

/// A typed line as words and their exit status.
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
