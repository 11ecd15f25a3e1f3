//! The commands, how they are used, and their exit statuses.

use hilum_sys::print;

/// Exit statuses: success; an error or a negative result; wrong usage (sysexits.h has 64, shells and most tools use 2);
/// and a workload that is not running (as in the LSB).
pub(super) const DONE: i32 = 0;
pub(super) const FAILED: i32 = 1;
pub(super) const MISUSED: i32 = 2;
pub(super) const NOT_RUNNING: i32 = 3;
/// The exit status of `exec` if the workload could not be entered.
pub(super) const NOT_ENTERED: i32 = 125;

/// All commands: name, words, and description.
pub(super) const COMMANDS: [(&str, &str, &str); 25] = [
    ("status", "[NAME] [--json]", "show state, uptime, restarts, memory, CPU time and last exit"),
    ("top", "[-n TIMES]", "the same, every second"),
    ("log", "NAME [-f] [-n LINES]", "show the last lines of a workload; -f follows"),
    ("mute", "[NAME]", "hide lines of a workload, or of all, on the console"),
    ("unmute", "[NAME]", "show them again"),
    ("start", "NAME [-w]", "start a workload and what it needs; -w waits until it is ready"),
    ("stop", "NAME [-w]", "stop a workload; -w waits until it has exited"),
    ("restart", "NAME [-w]", "stop a workload and start it again"),
    ("signal", "NAME SIGNAL", "send a signal to a workload's first process"),
    ("freeze", "NAME", "suspend all processes of a workload"),
    ("thaw", "NAME", "resume them"),
    ("exec", "NAME [-t|-T] PROGRAM WORD...", "run a program in a workload; -t with a terminal, -T without"),
    ("reload", "", "reload the configuration and restart what changed"),
    ("timeline", "", "show boot events with microseconds"),
    ("poweroff", "", "stop all workloads and power off"),
    ("reboot", "", "stop all workloads and reboot"),
    ("halt", "", "stop all workloads and halt"),
    ("check", "[--config FILE]", "check a configuration for errors"),
    ("explain", "NAME [--config FILE]", "show the steps that start a workload"),
    ("audit", "[--config FILE]", "list what workloads may do beyond the default"),
    ("mounts", "[--json] [--config FILE]", "show what is mounted, how full it is, and what is missing"),
    ("net", "", "show links, addresses, routes and rules with counters"),
    ("doctor", "", "check kernel support for isolation and suggest fixes"),
    ("version", "", "show the version"),
    ("help", "", "this"),
];

/// Prints the usage of a command after wrong usage.
pub(super) fn misused_for(name: &str, usage: &str) -> i32 {
    print(format_args!("hilum: usage: hilum {name} {usage}\n"));
    MISUSED
}

/// The same, by the command's name.
pub(super) fn misused_as(name: &str) -> i32 {
    let usage = COMMANDS.iter().find(|(known, ..)| *known == name).map_or("", |(_, usage, _)| usage);
    misused_for(name, usage)
}

/// Reports an unknown command, and suggests a similar one.
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
