//! The commands, how they are used, and their exit statuses.

use hilum::split::Split;
use hilum::text;
use hilum::text::Text;
use hilum_sys::print;

/// Exit statuses: success; an error or a negative result; wrong usage (sysexits.h has 64, shells and most tools use 2);
/// and a workload that is not running (as in the LSB).
pub(super) const DONE: i32 = 0;
pub(super) const FAILED: i32 = 1;
pub(super) const MISUSED: i32 = 2;
pub(super) const NOT_RUNNING: i32 = 3;
/// The exit status of `exec` if the workload could not be entered.
pub(super) const NOT_ENTERED: i32 = 125;

/// All commands, one per line: name, words, and description, separated by tabs. A single text takes 1 KB less.
const COMMANDS: Text = text!(
    "\
    status\t[NAME] [--json]\tshow state, uptime, restarts, memory, CPU time and last exit\n\
    top\t[-n TIMES]\tthe same, every second\n\
    log\tNAME [-f] [-n LINES]\tshow the last lines of a workload; -f follows\n\
    mute\t[NAME]\thide lines of a workload, or of all, on the console\n\
    unmute\t[NAME]\tshow them again\n\
    start\tNAME [-w]\tstart a workload and what it needs; -w waits until it is ready\n\
    stop\tNAME [-w]\tstop a workload; -w waits until it has exited\n\
    restart\tNAME [-w]\tstop a workload and start it again\n\
    signal\tNAME SIGNAL\tsend a signal to a workload's first process\n\
    freeze\tNAME\tsuspend all processes of a workload\n\
    thaw\tNAME\tresume them\n\
    exec\tNAME [-t|-T] PROGRAM WORD...\trun a program in a workload; -t with a terminal, -T without\n\
    reload\t\treload the configuration and restart what changed\n\
    timeline\t\tshow boot events with microseconds\n\
    poweroff\t\tstop all workloads and power off\n\
    reboot\t\tstop all workloads and reboot\n\
    halt\t\tstop all workloads and halt\n\
    update\t[FILE|--status]\tinstall a bundle from FILE or standard input and restart; --status shows the slots\n\
    rollback\t\trestart into the other slot\n\
    time\t[--json]\tshow what the clock is worth, and what time servers say\n\
    check\t[--config FILE]\tcheck a configuration for errors\n\
    explain\tNAME [--config FILE]\tshow the steps that start a workload\n\
    audit\t[--config FILE]\tlist what workloads may do beyond the default\n\
    mounts\t[--json] [--config FILE]\tshow what is mounted, how full it is, and what is missing\n\
    net\t\tshow links, addresses, routes and rules with counters\n\
    doctor\t\tcheck kernel support for isolation and suggest fixes\n\
    version\t\tshow the version\n\
    help\t\tthis"
);

/// A buffer for all of them.
pub(super) type Buffer = [u8; 2560];

/// Iterates over the commands: name, words, and description.
pub(super) fn commands(buffer: &mut Buffer) -> impl Iterator<Item = (&str, &str, &str)> {
    COMMANDS.unpack(buffer).parts(b'\n').map(|line| {
        let (name, rest) = line.cut(b'\t').unwrap_or_default();
        let (usage, what) = rest.cut(b'\t').unwrap_or_default();
        (name, usage, what)
    })
}

/// Returns the words and the description of a command. `None` if there is no such command.
#[inline(never)]
pub(super) fn find<'b>(buffer: &'b mut Buffer, name: &str) -> Option<(&'b str, &'b str)> {
    commands(buffer).find(|(known, ..)| *known == name).map(|(_, usage, what)| (usage, what))
}

/// Prints the usage of a command after wrong usage.
pub(super) fn misused_for(name: &str, usage: &str) -> i32 {
    print(format_args!("hilum: usage: hilum {name} {usage}\n"));
    MISUSED
}

/// The same, by the command's name.
pub(super) fn misused_as(name: &str) -> i32 {
    misused_for(name, find(&mut [0; _], name).map_or("", |(usage, _)| usage))
}

/// Reports an unknown command, and suggests a similar one.
pub(super) fn unknown(name: &str) -> i32 {
    match hilum::suggest::nearest(&mut commands(&mut [0; _]).map(|(known, ..)| known), name) {
        Some(near) => print(format_args!("hilum: unknown command \"{name}\"; did you mean \"{near}\"?\n")),
        None => print(format_args!("hilum: unknown command \"{name}\"; see: hilum help\n")),
    }
    MISUSED
}

pub(super) fn misused(what: &str) -> i32 {
    print(format_args!("hilum: {what}; see: hilum help\n"));
    MISUSED
}
