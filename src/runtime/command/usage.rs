//! The commands, how they are used, and their exit statuses.

use hilum_sys::print;

/// Exit statuses: a command that did its work, one that found something wrong or could not, one that was misused
/// (sysexits.h calls the last one 64; shells and most tools use 2), and a workload that does not run (the LSB's).
pub(super) const DONE: i32 = 0;
pub(super) const FAILED: i32 = 1;
pub(super) const MISUSED: i32 = 2;
pub(super) const NOT_RUNNING: i32 = 3;
/// The exit status of `exec` if the workload could not be entered.
pub(super) const NOT_ENTERED: i32 = 125;

/// Every command: its name, its words, and what it does.
pub(super) const COMMANDS: [(&str, &str, &str); 24] = [
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
pub(super) fn unknown(name: &str) -> i32 {
    match hilum::suggest::nearest(COMMANDS.iter().map(|(known, ..)| *known), name) {
        Some(near) => print(format_args!("hilum: unknown command \"{name}\"; did you mean \"{near}\"?\n")),
        None => print(format_args!("hilum: unknown command \"{name}\"; see: hilum help\n")),
    }
    MISUSED
}

pub(super) fn misused(what: &str) -> i32 {
    print(format_args!("hilum: {what}; see: hilum help\n"));
    MISUSED
}
