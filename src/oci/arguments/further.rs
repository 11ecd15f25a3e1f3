//! `exec`, `update` and `events`.

use super::{Command, Executing, Further, preserved, wrong};
use crate::cgroup::resources::{BlockIo, Cpu, Memory, Pids, Resources};
use crate::error::{At, Error, Result};
use lexopt::prelude::*;
use std::io::Read;

fn text(parser: &mut lexopt::Parser) -> Result<String> {
    parser.value().and_then(|value| value.string()).map_err(wrong)
}

/// Reads the rest of a command line of `exec`. Flags after the container's name are those of the program.
pub(super) fn exec(parser: &mut lexopt::Parser) -> Result<Command> {
    let mut found = Executing::default();
    let mut file = None;
    while let Some(argument) = parser.next().map_err(wrong)? {
        match argument {
            Short('p') | Long("process") => file = Some(parser.value().map_err(wrong)?.into()),
            Short('d') | Long("detach") => found.detaches = true,
            Short('t') | Long("tty") => found.has_terminal = true,
            Long("console-socket") => found.console = Some(parser.value().map_err(wrong)?.into()),
            Long("pid-file") => found.pid_file = Some(parser.value().map_err(wrong)?.into()),
            Long("preserve-fds") => found.preserved = preserved(parser)?,
            Short('c') | Long("cap") => found.capabilities.push(text(parser)?),
            Short('e') | Long("env") => found.env.push(text(parser)?),
            Short('u') | Long("user") => found.user = Some(text(parser)?),
            Short('g') | Long("additional-gids") => {
                found.groups.push(parser.value().and_then(|value| value.parse()).map_err(wrong)?);
            }
            Long("cwd") => found.cwd = Some(text(parser)?),
            Long("no-new-privs") => found.no_new_privileges = true,
            Long("ignore-paused") => found.ignores_pause = true,
            Long("no-subreaper") => {}
            Long(name @ ("apparmor" | "process-label" | "cgroup")) => {
                return Err(Error(format!("--{name} of exec is not done by hilum-oci")));
            }
            Value(id) => {
                found.id = id.to_string_lossy().into_owned();
                let words = parser.raw_args().map_err(wrong)?.map(|word| word.to_string_lossy().into_owned());
                found.further = Further::Words(words.collect());
                break;
            }
            other => return Err(wrong(other.unexpected())),
        }
    }
    if found.id.is_empty() {
        return Err("exec: the container's name is missing".into());
    }
    if let Some(file) = file {
        found.further = Further::File(file);
    }
    Ok(Command::Exec(Box::new(found)))
}

/// Reads the rest of a command line of `update`: a file of limits, or flags of which each is a limit.
pub(super) fn update(parser: &mut lexopt::Parser) -> Result<Command> {
    let (mut resources, mut id) = (Resources::default(), None);
    let (mut memory, mut cpu, mut pids, mut io) = (Memory::default(), Cpu::default(), None, None);
    while let Some(argument) = parser.next().map_err(wrong)? {
        let name = match argument {
            Long(name) => name.to_owned(),
            Short('r') => "resources".to_owned(),
            Value(word) if id.is_none() => {
                id = Some(word.to_string_lossy().into_owned());
                continue;
            }
            other => return Err(wrong(other.unexpected())),
        };
        let value = text(parser)?;
        let number = || value.parse::<i64>().map_err(|_| Error(format!("--{name} {value:?} is no number")));
        let positive = || value.parse::<u64>().map_err(|_| Error(format!("--{name} {value:?} is no positive number")));
        match name.as_str() {
            "memory" => memory.limit = Some(number()?),
            "memory-reservation" => memory.reservation = Some(number()?),
            "memory-swap" => memory.swap = Some(number()?),
            "cpu-quota" => cpu.quota = Some(number()?),
            "cpu-period" => cpu.period = Some(positive()?),
            "cpu-burst" => cpu.burst = Some(positive()?),
            "cpu-share" | "cpu-shares" => cpu.shares = Some(positive()?),
            "cpu-idle" => cpu.idle = Some(number()?),
            "pids-limit" => pids = Some(number()?),
            "blkio-weight" => io = Some(positive()?),
            "cpuset-cpus" => cpu.cpus = Some(value),
            "cpuset-mems" => cpu.mems = Some(value),
            "resources" => resources = read(&value)?,
            _ => return Err(Error(format!("update: no flag --{name}"))),
        }
    }
    let id = id.ok_or_else(|| Error("update: the container's name is missing".into()))?;
    // What flags say is added to the file.
    resources.memory = resources.memory.or(Some(memory));
    resources.cpu = resources.cpu.or(Some(cpu));
    resources.pids = resources.pids.or(Some(Pids { limit: pids }));
    if let Some(weight) = io {
        let weight = u16::try_from(weight).map_err(|_| Error("--blkio-weight is too large".into()))?;
        resources.block_io = Some(BlockIo { weight: Some(weight), ..BlockIo::default() });
    }
    Ok(Command::Update(id, Box::new(resources)))
}

/// Reads limits from a file, or from standard input for `-`.
fn read(path: &str) -> Result<Resources> {
    let mut bytes = Vec::new();
    match path {
        "-" => std::io::stdin().read_to_end(&mut bytes).map(drop).at("standard input")?,
        path => bytes = std::fs::read(path).at(path)?,
    }
    serde_json::from_slice(&bytes).map_err(|error| Error(format!("{path}: {error}")))
}

/// Reads the rest of a command line of `events`.
pub(super) fn events(parser: &mut lexopt::Parser) -> Result<Command> {
    let (mut id, mut is_once, mut seconds) = (None, false, 5);
    while let Some(argument) = parser.next().map_err(wrong)? {
        match argument {
            Long("stats") => is_once = true,
            Long("interval") => {
                let value = text(parser)?;
                let number = value.strip_suffix('s').unwrap_or(&value).parse().ok().filter(|seconds| *seconds > 0);
                seconds = number.ok_or_else(|| Error(format!("--interval {value:?} is no number of seconds")))?;
            }
            Value(word) if id.is_none() => id = Some(word.to_string_lossy().into_owned()),
            other => return Err(wrong(other.unexpected())),
        }
    }
    let id = id.ok_or_else(|| Error("events: the container's name is missing".into()))?;
    Ok(Command::Events(id, is_once, seconds))
}
