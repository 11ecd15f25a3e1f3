//! The command line: what a person runs, on the board or on a host. It reads files and talks; it changes nothing.

mod doctor;

pub(crate) use doctor::doctor;

use crate::init::{read_file, words};
use core::fmt;
use hilum::config::{self, Config, limits};
use hilum::parameters::DEFAULT_CONFIG;
use hilum::plan::{self, plan};
use hilum_sys::{Arguments, Once, print, standard_output};

static FILE: Once<[u8; limits::FILE_BYTES + 1]> = Once::new([0; limits::FILE_BYTES + 1]);
static CONFIG: Once<Config<'static>> = Once::new(Config::EMPTY);

/// Exit statuses: a command that did its work, one that found something wrong, one that was misused (sysexits.h calls
/// the last one 64; shells and most tools use 2).
const DONE: i32 = 0;
const FAILED: i32 = 1;
const MISUSED: i32 = 2;

const HELP: &str = "\
usage: hilum COMMAND

  check [--config FILE]          read the configuration and say what is wrong with it
  explain NAME [--config FILE]   print the steps that start a workload, in order
  audit [--config FILE]          print what workloads are allowed beyond the default, one line each
  doctor                         print what this kernel can enforce, and what mends what it cannot
  version                        print the version
  help                           print this

The configuration is /etc/hilum.conf unless --config names another one.
Started as process 1 it is the init of the machine or the container.
";

/// Runs the command that the arguments name; gives the exit status.
pub(crate) fn run(arguments: Arguments) -> i32 {
    let mut words = [""; 4];
    let mut count = 0;
    for argument in arguments.iter().skip(1) {
        let Ok(text) = argument.to_str() else { return misused("an argument is not valid UTF-8") };
        let Some(place) = words.get_mut(count) else { return misused("too many arguments") };
        *place = text;
        count += 1;
    }
    match words[..count] {
        ["check"] => check(DEFAULT_CONFIG),
        ["check", "--config", path] => check(path),
        ["explain", name] => explain(name, DEFAULT_CONFIG),
        ["explain", name, "--config", path] | ["explain", "--config", path, name] => explain(name, path),
        ["audit"] => audit(DEFAULT_CONFIG),
        ["audit", "--config", path] => audit(path),
        ["doctor"] => examine(),
        ["version" | "--version"] => show(format_args!("hilum {}\n", env!("CARGO_PKG_VERSION"))),
        ["help" | "--help" | "-h"] => show(format_args!("{HELP}")),
        [] => misused("a command is missing"),
        ["explain"] => misused("explain: the name of a workload is missing"),
        _ => misused("unknown command or arguments"),
    }
}

fn misused(what: &str) -> i32 {
    print(format_args!("hilum: {what}; see: hilum help\n"));
    MISUSED
}

fn check(path: &str) -> i32 {
    match read(path) {
        Some(config) => show(format_args!("{path}: good, {} workloads\n", config.workloads.len())),
        None => FAILED,
    }
}

fn explain(name: &str, path: &str) -> i32 {
    let Some(config) = read(path) else { return FAILED };
    match config.workloads.iter().find(|workload| workload.name == name) {
        Some(workload) => show(format_args!("{}", plan(workload))),
        None => {
            print(format_args!("hilum: {path}: there is no workload \"{name}\"\n"));
            FAILED
        }
    }
}

fn examine() -> i32 {
    let mut status = DONE;
    let has_all = doctor(|line| status |= show(format_args!("{line}\n")));
    if has_all { status } else { FAILED }
}

fn audit(path: &str) -> i32 {
    let Some(config) = read(path) else { return FAILED };
    let mut status = DONE;
    for workload in &config.workloads {
        let mut count = 0_u32;
        plan::audit(workload, config, |line| {
            count += 1;
            status |= show(format_args!("workload \"{}\": {line}\n", workload.name));
        });
        if count == 0 {
            status |= show(format_args!("workload \"{}\": nothing beyond the default\n", workload.name));
        }
    }
    status
}

/// Reads and parses a configuration; says what is wrong with it.
fn read(path: &str) -> Option<&'static Config<'static>> {
    let (buffer, config) = (FILE.take()?, CONFIG.take()?);
    match read_file(path, buffer) {
        Ok(length) => match config::parse(&buffer[..length], config) {
            Ok(()) => return Some(config),
            Err(error) => print(format_args!("hilum: {path}:{error}\n")),
        },
        Err(errno) => print(format_args!("hilum: {path}: {}\n", words(errno))),
    }
    None
}

/// Prints an answer on standard output.
fn show(text: fmt::Arguments<'_>) -> i32 {
    if hilum_sys::print_to(standard_output(), text).is_ok() { DONE } else { FAILED }
}
