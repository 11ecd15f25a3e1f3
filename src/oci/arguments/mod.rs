//! The command line, with the flags of runc.

mod further;

use crate::cgroup::resources::Resources;
use crate::error::{Error, Result};
use lexopt::prelude::*;
use std::ffi::OsString;
use std::path::PathBuf;

/// Who makes control groups.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// This program, by path.
    #[default]
    Path,
    /// systemd
    Systemd,
    /// Nobody: a container stays in the group of who creates it, and has no limits.
    Disabled,
}

/// Flags before the command.
#[derive(Debug, Default)]
pub struct Global {
    /// `--root`
    pub root: Option<PathBuf>,
    /// `--log`
    pub log: Option<PathBuf>,
    /// `--log-format json`
    pub is_json: bool,
    /// `--systemd-cgroup`, `--cgroup-manager`
    pub manager: Manager,
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

/// What `exec` starts.
#[derive(Debug)]
pub enum Further {
    /// `--process`
    File(PathBuf),
    /// A program and its arguments.
    Words(Vec<String>),
}

impl Default for Further {
    fn default() -> Self {
        Self::Words(Vec::new())
    }
}

/// Flags of `exec`.
#[derive(Debug, Default)]
pub struct Executing {
    /// The container's name.
    pub id: String,
    /// What is started.
    pub further: Further,
    /// `--detach`
    pub detaches: bool,
    /// `--tty`
    pub has_terminal: bool,
    /// `--console-socket`
    pub console: Option<PathBuf>,
    /// `--pid-file`
    pub pid_file: Option<PathBuf>,
    /// `--preserve-fds`
    pub preserved: u32,
    /// `--cap`
    pub capabilities: Vec<String>,
    /// `--env`
    pub env: Vec<String>,
    /// `--user`
    pub user: Option<String>,
    /// `--additional-gids`
    pub groups: Vec<u32>,
    /// `--cwd`
    pub cwd: Option<String>,
    /// `--no-new-privs`
    pub no_new_privileges: bool,
    /// `--ignore-paused`
    pub ignores_pause: bool,
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
    /// `exec`
    Exec(Box<Executing>),
    /// `pause` and `resume`: whether it is paused
    Freeze(String, bool),
    /// `update`
    Update(String, Box<Resources>),
    /// `events`: whether once, and the seconds between two events
    Events(String, bool, u64),
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

pub(crate) fn wrong(error: lexopt::Error) -> Error {
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
            Some(Long("systemd-cgroup")) => global.manager = Manager::Systemd,
            Some(Long("cgroup-manager")) => match parser.value().map_err(wrong)?.to_str() {
                Some("disabled") => global.manager = Manager::Disabled,
                Some("systemd") => global.manager = Manager::Systemd,
                Some("cgroupfs") => global.manager = Manager::Path,
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
    let command = match &*command.to_string_lossy() {
        "exec" => further::exec(&mut parser)?,
        "update" => further::update(&mut parser)?,
        "events" => further::events(&mut parser)?,
        command => rest(command, &mut parser)?,
    };
    Ok((global, command))
}

/// Reads the number of `--preserve-fds`.
fn preserved(parser: &mut lexopt::Parser) -> Result<u32> {
    let count: u32 = parser.value().and_then(|value| value.parse()).map_err(wrong)?;
    // More than any program has; so many flags of a range are wrong.
    if count > 1024 { Err("--preserve-fds is above 1024".into()) } else { Ok(count) }
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
                creating.preserved = preserved(parser)?;
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
        "pause" => Command::Freeze(word()?, true),
        "resume" => Command::Freeze(word()?, false),
        "checkpoint" | "restore" => {
            return Err(Error(format!("{name} is not done by hilum-oci")));
        }
        _ => return Err(Error(format!("no command {name:?}"))),
    };
    match words.next() {
        Some(word) if name != "ps" => Err(Error(format!("{name}: unexpected {word:?}"))),
        _ => Ok(command),
    }
}
