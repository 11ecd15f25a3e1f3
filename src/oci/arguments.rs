//! The command line, with the flags of runc.

use crate::error::{Error, Result};
use lexopt::prelude::*;
use std::ffi::OsString;
use std::path::PathBuf;

/// Flags before the command.
#[derive(Debug, Default)]
pub struct Global {
    /// `--root`
    pub root: Option<PathBuf>,
    /// `--log`
    pub log: Option<PathBuf>,
    /// `--log-format json`
    pub is_json: bool,
    /// `--cgroup-manager disabled`
    pub no_groups: bool,
}

/// Flags of `create` and `run`.
#[derive(Debug, Default)]
pub struct Creating {
    /// The container's name.
    pub id: String,
    /// `--bundle`
    pub bundle: PathBuf,
    /// `--pid-file`
    pub pid_file: Option<PathBuf>,
    /// `--console-socket`
    pub console: Option<PathBuf>,
    /// `--preserve-fds`
    pub preserved: u32,
    /// `--no-new-keyring`
    pub no_keyring: bool,
    /// `--detach`, of `run`
    pub detaches: bool,
    /// `--keep`, of `run`
    pub keeps: bool,
}

/// A command.
#[derive(Debug)]
pub enum Command {
    /// `create`
    Create(Creating),
    /// `run`
    Run(Creating),
    /// `start`
    Start(String),
    /// `state`
    State(String),
    /// `kill`: name, signal, whether all processes get it
    Kill(String, String, bool),
    /// `delete`: name, whether it is killed first
    Delete(String, bool),
    /// `list`: whether as JSON, whether names alone
    List(bool, bool),
    /// `ps`: whether as JSON
    Ps(String, bool),
    /// `spec`: the bundle
    Spec(PathBuf),
    /// `features`
    Features,
    /// `--version`
    Version,
    /// `--help`
    Help,
}

fn wrong(error: lexopt::Error) -> Error {
    Error(error.to_string())
}

/// Reads the command line.
///
/// # Errors
/// Unknown commands and flags, and those that are not done.
pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<(Global, Command)> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut global = Global::default();
    let command = loop {
        match parser.next().map_err(wrong)? {
            Some(Long("root")) => global.root = Some(parser.value().map_err(wrong)?.into()),
            Some(Long("log")) => global.log = Some(parser.value().map_err(wrong)?.into()),
            Some(Long("log-format")) => global.is_json = parser.value().map_err(wrong)? == "json",
            Some(Long("debug")) => {}
            Some(Long("systemd-cgroup")) => return Err("--systemd-cgroup is not done by hilum-oci".into()),
            Some(Long("cgroup-manager")) => match parser.value().map_err(wrong)?.to_str() {
                Some("disabled") => global.no_groups = true,
                Some("cgroupfs") => {}
                other => {
                    return Err(Error(format!("--cgroup-manager {} is not done by hilum-oci", other.unwrap_or("?"))));
                }
            },
            Some(Short('v') | Long("version")) => return Ok((global, Command::Version)),
            Some(Short('h') | Long("help")) => return Ok((global, Command::Help)),
            Some(Value(command)) => break command,
            Some(other) => return Err(wrong(other.unexpected())),
            None => return Ok((global, Command::Help)),
        }
    };
    let command = rest(&command.to_string_lossy(), &mut parser)?;
    Ok((global, command))
}

/// Reads the flags and words after the command.
fn rest(name: &str, parser: &mut lexopt::Parser) -> Result<Command> {
    let mut creating = Creating { bundle: ".".into(), ..Creating::default() };
    let (mut words, mut forces, mut is_all, mut is_json, mut is_quiet) = (Vec::new(), false, false, false, false);
    let is_new = matches!(name, "create" | "run");
    while let Some(argument) = parser.next().map_err(wrong)? {
        match argument {
            Short('b') | Long("bundle") if is_new || name == "spec" => {
                creating.bundle = parser.value().map_err(wrong)?.into()
            }
            Long("pid-file") if is_new => creating.pid_file = Some(parser.value().map_err(wrong)?.into()),
            Long("console-socket") if is_new => creating.console = Some(parser.value().map_err(wrong)?.into()),
            Long("preserve-fds") if is_new => {
                creating.preserved = parser.value().and_then(|value| value.parse()).map_err(wrong)?;
                // More than any program has; so many flags of a range are wrong.
                if creating.preserved > 1024 {
                    return Err("--preserve-fds is above 1024".into());
                }
            }
            Long("no-new-keyring") if is_new => creating.no_keyring = true,
            Long("no-pivot") if is_new => return Err("--no-pivot is not done by hilum-oci".into()),
            Long("no-subreaper") if name == "run" => {}
            Short('d') | Long("detach") if name == "run" => creating.detaches = true,
            Long("keep") if name == "run" => creating.keeps = true,
            Short('f') | Long("force") if name == "delete" => forces = true,
            Short('a') | Long("all") if name == "kill" => is_all = true,
            Short('f') | Long("format") if matches!(name, "list" | "ps") => {
                is_json = parser.value().map_err(wrong)? == "json"
            }
            Short('q') | Long("quiet") if name == "list" => is_quiet = true,
            Value(word) => words.push(word.to_string_lossy().into_owned()),
            other => return Err(wrong(other.unexpected())),
        }
    }
    let mut words = words.into_iter();
    let mut word = || words.next().ok_or_else(|| Error(format!("{name}: the container's name is missing")));
    let command = match name {
        "create" => Command::Create(Creating { id: word()?, ..creating }),
        "run" => Command::Run(Creating { id: word()?, ..creating }),
        "start" => Command::Start(word()?),
        "state" => Command::State(word()?),
        "kill" => Command::Kill(word()?, word().unwrap_or_else(|_| "TERM".into()), is_all),
        "delete" => Command::Delete(word()?, forces),
        "list" => Command::List(is_json, is_quiet),
        "ps" => Command::Ps(word()?, is_json),
        "spec" => Command::Spec(creating.bundle),
        "features" => Command::Features,
        "exec" | "pause" | "resume" | "update" | "events" | "checkpoint" | "restore" => {
            return Err(Error(format!("{name} is not done by hilum-oci")));
        }
        _ => return Err(Error(format!("no command {name:?}"))),
    };
    match words.next() {
        Some(word) if name != "ps" => Err(Error(format!("{name}: unexpected {word:?}"))),
        _ => Ok(command),
    }
}
