//! Commands about a configuration file and about the kernel, which work without PID 1.

use super::output::show;
use super::usage::{DONE, FAILED, misused_as};
use crate::doctor::doctor;
use crate::os::errno::describe;
use crate::os::files::read_file;
use core::fmt;
use hilum::cmdline::DEFAULT_CONFIG;
use hilum::config::{self, Config, limits};
use hilum::plan::{self, plan};
use hilum_sys::{TakeCell, print};

static FILE: TakeCell<[u8; limits::FILE_BYTES + 1]> = TakeCell::new([0; limits::FILE_BYTES + 1]);
static CONFIG: TakeCell<Config<'static>> = TakeCell::new(Config::EMPTY);

/// `check`, `explain` and `audit`
pub(super) fn run(name: &str, words: &[&str]) -> i32 {
    match (name, words) {
        ("check", []) => check(DEFAULT_CONFIG),
        ("check", ["--config", path]) => check(path),
        ("explain", [name]) => explain(name, DEFAULT_CONFIG),
        ("explain", [name, "--config", path] | ["--config", path, name]) => explain(name, path),
        ("audit", []) => audit(DEFAULT_CONFIG),
        ("audit", ["--config", path]) => audit(path),
        _ => misused_as(name),
    }
}

fn check(path: &str) -> i32 {
    match read(path) {
        Some(config) => show(format_args!("{path}: ok, {} workloads\n", config.workloads.len())),
        None => FAILED,
    }
}

fn explain(name: &str, path: &str) -> i32 {
    let Some(config) = read(path) else { return FAILED };
    match config.find(name).map(|index| &config.workloads[index]) {
        Some(workload) => show(format_args!("{}", plan(workload, &config.pools))),
        None => {
            print(format_args!("hilum: {path}: unknown workload \"{name}\"; expected one of:{}\n", Names(config)));
            FAILED
        }
    }
}

/// The names of workloads, each after a blank.
struct Names<'a>(&'a Config<'a>);

impl fmt::Display for Names<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.workloads.iter().try_for_each(|workload| write!(formatter, " {}", workload.name))
    }
}

/// `doctor`
pub(super) fn examine() -> i32 {
    let mut status = DONE;
    let has_all = doctor(&mut |line| status |= show(format_args!("{line}\n")));
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

/// Reads and parses a configuration, and prints errors.
pub(super) fn read(path: &str) -> Option<&'static Config<'static>> {
    let (buffer, config) = (FILE.take()?, CONFIG.take()?);
    match read_file(path, buffer) {
        Ok(length) => match config::parse(&buffer[..length], config) {
            Ok(()) => return Some(config),
            Err(error) => print(format_args!("hilum: {path}:{error}\n")),
        },
        Err(errno) => print(format_args!("hilum: {path}: {}; use --config FILE\n", describe(errno))),
    }
    None
}
