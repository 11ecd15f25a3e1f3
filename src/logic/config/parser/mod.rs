//! Directives in order: sections, keys, and what each key's words have to be.
//!
//! The file is read twice: `needs` and `after` may name a workload that comes later, so they are looked at when every
//! section is known.

mod isolation;
mod network;
mod resources;
mod supervision;

pub(crate) use isolation::may_set_groups;

use super::error::{Error, Problem};
use super::isolation::Overlay;
use super::lines::{Line, Lines, Word};
use super::lists::{Lists, Part};
use super::model::{Config, ConsoleMode, Idle, Module, Variable, Workload};
use super::vocabulary::{self, Key, Meaning, Section, VOCABULARY};
use super::{limits, order, restart, values};

/// Reads a configuration into `config`, which holds none yet.
///
/// # Errors
/// The first thing that is wrong; `config` is then of no use.
pub fn parse<'a>(bytes: &'a [u8], config: &mut Config<'a>) -> Result<(), Error<'a>> {
    let mut lines = Lines::of(bytes)?;
    read_version(&mut lines)?;
    let (directives, mut parser) = (lines.clone(), Parser { place: Place::Start, first_lines: [0; _] });
    config.lines = lines.clone();
    let mut line = Line::NONE;
    while lines.next_line(&mut line)? {
        parser.read(&line, config)?;
    }
    parser.finish_section(config)?;
    read_order(directives, config)?;
    order::refuse_cycles(config)?;
    config.slots = super::slots::Slots::in_order();
    super::ids::arrange(config)
}

fn read_version<'a>(lines: &mut Lines<'a>) -> Result<(), Error<'a>> {
    let no_version = |line, column| Error { line, column, problem: Problem::NoVersion };
    let mut line = Line::NONE;
    if !lines.next_line(&mut line)? {
        return Err(no_version(1, 1));
    }
    match line.words.as_slice() {
        [Word { text: "hilum", .. }, Word { text: "1", .. }] => Ok(()),
        [Word { text: "hilum", .. }, version] => {
            Err(Error { line: line.number, column: version.column, problem: Problem::Version(version.text) })
        }
        _ => Err(no_version(line.number, line.words[0].column)),
    }
}

/// The second reading: which workload waits for which.
fn read_order<'a>(mut lines: Lines<'a>, config: &mut Config<'a>) -> Result<(), Error<'a>> {
    let (mut section, mut line) = (None, Line::NONE);
    while lines.next_line(&mut line)? {
        let key = line.words[0].text;
        if line.begins_section() {
            section = config.workloads.iter().position(|workload| workload.line == line.number);
        } else if let (Some(index), "needs" | "after") = (section, key) {
            order::read(&line, config, index, key == "needs")?;
        } else if let (Some(index), "share") = (section, key) {
            isolation::read_net(&line, config, index)?;
        } else if let (Some(index), "volume") = (section, key) {
            isolation::place_volume(&line, config, index)?;
        } else if let Some(index) = section {
            network::check_workload(&line, config, index)?;
        } else {
            network::check_system(&line, config)?;
        }
    }
    Ok(())
}

/// Where the next directive belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    System,
    /// The workload that was begun last.
    Workload,
}

struct Parser {
    place: Place,
    /// The line in which each key of the vocabulary was first used in this section; 0 for not yet.
    first_lines: [u32; VOCABULARY.len()],
}

impl Parser {
    fn read<'a>(&mut self, line: &Line<'a>, config: &mut Config<'a>) -> Result<(), Error<'a>> {
        let first = line.words[0];
        if line.begins_section() {
            self.finish_section(config)?;
            self.first_lines.fill(0);
            return self.begin_section(line, config);
        }
        let error = |problem| Err(Error { line: line.number, column: first.column, problem });
        let section = match self.place {
            Place::Start => return error(Problem::NoSection(first.text)),
            Place::System => Section::System,
            Place::Workload => Section::Workload,
        };
        let Some((index, key)) = vocabulary::find(section, first.text) else {
            let near = vocabulary::nearest(section, first.text);
            return error(Problem::UnknownKey(first.text, section, near));
        };
        let first_line = &mut self.first_lines[index];
        if *first_line != 0 && !key.repeats {
            return error(Problem::Twice(key.name, *first_line));
        }
        *first_line = line.number;
        Values { line, key, next: 1, problem: None }.read(config)
    }

    /// `[system]`, or `[workload NAME]`.
    fn begin_section<'a>(&mut self, line: &Line<'a>, config: &mut Config<'a>) -> Result<(), Error<'a>> {
        let error = |column, problem| Err(Error { line: line.number, column, problem });
        let first = line.words[0];
        match (first.text, line.words.get(1), line.words.get(2)) {
            ("[system]", None, _) => {
                self.place = Place::System;
                if core::mem::replace(&mut config.system.line, line.number) != 0 {
                    return error(first.column, Problem::SystemTwice);
                }
                Ok(())
            }
            ("[system]", Some(extra), _) | ("[workload", _, Some(extra)) => {
                error(extra.column, Problem::Extra(extra.text))
            }
            ("[workload", Some(word), None) if word.text.ends_with(']') => {
                let text = &word.text[..word.text.len() - 1];
                let Some(name) = values::name(text) else {
                    return error(word.column, Problem::Value(text, values::NAME));
                };
                if let Some(other) = config.workloads.iter().find(|workload| workload.name == name) {
                    return error(word.column, Problem::SameName(name, other.line));
                }
                self.place = Place::Workload;
                let first_id = limits::IDS * (config.workloads.len() as u32 + 1);
                if config.workloads.push(Workload::new(name, line.number, first_id)).is_err() {
                    return error(word.column, Problem::TooMany("workloads", limits::WORKLOADS as u32));
                }
                Ok(())
            }
            _ => error(first.column, Problem::UnknownSection(first.text)),
        }
    }

    /// Looks at a section that ends here: what it has to have.
    fn finish_section<'a>(&mut self, config: &Config<'a>) -> Result<(), Error<'a>> {
        let (Place::Workload, Some(workload)) = (self.place, config.workloads.last()) else { return Ok(()) };
        let missing = if workload.root.is_empty() { "root" } else { "exec" };
        if workload.root.is_empty() || workload.exec.is_empty() {
            let problem = Problem::Incomplete(workload.name, missing);
            return Err(Error { line: workload.line, column: 1, problem });
        }
        if let Some(rule) = isolation::broken_rule(workload).or_else(|| network::broken_rule(workload, &config.lists)) {
            return Err(Error { line: workload.line, column: 1, problem: Problem::Rule(workload.name, rule) });
        }
        Ok(())
    }
}

/// Something is wrong: what, [`Values::problem`] holds. An error by value would be copied at each of the many places
/// that hand it on, and those copies were a tenth of the board's program.
#[derive(Debug)]
struct Wrong;

/// The words behind a key, taken one after the other.
struct Values<'l, 'a> {
    line: &'l Line<'a>,
    key: &'static Key,
    next: usize,
    /// What is wrong, and in which column.
    problem: Option<(u32, Problem<'a>)>,
}

impl<'a> Values<'_, 'a> {
    #[cold]
    #[inline(never)]
    fn wrong(&mut self, column: u32, problem: Problem<'a>) -> Wrong {
        self.problem = Some((column, problem));
        Wrong
    }

    fn error<T>(&mut self, column: u32, problem: Problem<'a>) -> Result<T, Wrong> {
        Err(self.wrong(column, problem))
    }

    /// The next word.
    #[inline(never)]
    fn word(&mut self, expected: &'static str) -> Result<&'a str, Wrong> {
        let Some(word) = self.line.words.get(self.next) else {
            return self.error(self.line.end, Problem::Missing(self.key.name, expected));
        };
        self.next += 1;
        Ok(word.text)
    }

    /// The word that was taken last is not what is expected.
    #[cold]
    #[inline(never)]
    fn unexpected(&mut self, expected: &'static str) -> Wrong {
        let word = self.line.words[self.next - 1];
        self.wrong(word.column, Problem::Value(word.text, expected))
    }

    /// The next word as a value.
    fn take<T>(&mut self, expected: &'static str, read: impl FnOnce(&'a str) -> Option<T>) -> Result<T, Wrong> {
        let word = self.word(expected)?;
        match read(word) {
            Some(value) => Ok(value),
            None => Err(self.unexpected(expected)),
        }
    }

    /// The next word as one of a few; gives which.
    #[inline(never)]
    fn choose(&mut self, expected: &'static str, words: &[&str]) -> Result<usize, Wrong> {
        self.take(expected, |text| words.iter().position(|known| *known == text))
    }

    /// The next word as a number in a range.
    #[inline(never)]
    fn number(&mut self, expected: &'static str, range: core::ops::RangeInclusive<i64>) -> Result<i64, Wrong> {
        self.take(expected, |text| values::signed(text).filter(|value| range.contains(value)))
    }

    /// The next word as an amount.
    #[inline(never)]
    fn amount(&mut self, expected: &'static str) -> Result<u64, Wrong> {
        self.take(expected, values::amount)
    }

    /// The next word as a path.
    #[inline(never)]
    fn path(&mut self) -> Result<&'a str, Wrong> {
        self.take(values::PATH, values::path)
    }

    /// Whether there is a further word.
    fn has_more(&self) -> bool {
        self.next < self.line.words.len()
    }

    /// More of this line than there is room for.
    fn too_many<T>(&mut self, what: &'static str, limit: usize) -> Result<T, Wrong> {
        self.error(self.line.words[0].column, Problem::TooMany(what, limit as u32))
    }

    fn read(mut self, config: &mut Config<'a>) -> Result<(), Error<'a>> {
        let line = self.line.number;
        if self.key.meaning == Meaning::Restart {
            if let Some(workload) = config.workloads.last_mut() {
                workload.restart = restart::read(self.line)?;
            }
            return Ok(());
        }
        match (self.read_words(config), self.problem) {
            (Err(Wrong), Some((column, problem))) => Err(Error { line, column, problem }),
            _ => Ok(()),
        }
    }

    fn read_words(&mut self, config: &mut Config<'a>) -> Result<(), Wrong> {
        match self.key.meaning {
            Meaning::Hostname => config.system.hostname = Some(self.take(values::HOSTNAME, values::hostname)?),
            Meaning::Console => self.console(config)?,
            Meaning::Idle => {
                let chosen = self.choose("stay, poweroff or reboot", &["stay", "poweroff", "reboot"])?;
                config.system.idle = [Idle::Stay, Idle::Poweroff, Idle::Reboot][chosen];
            }
            Meaning::Module => self.module(config)?,
            Meaning::Watchdog
            | Meaning::Control
            | Meaning::Boots
            | Meaning::SystemLog
            | Meaning::SystemMount
            | Meaning::Volumes => self.system(&mut config.system)?,
            Meaning::Sysctl
            | Meaning::Link
            | Meaning::Bridge
            | Meaning::Masquerade
            | Meaning::Route
            | Meaning::Nameserver => self.system_network(&mut config.system)?,
            // The names are looked up when every workload is known.
            Meaning::Needs | Meaning::After => return Ok(()),
            _ => {
                if let Some(workload) = config.workloads.last_mut() {
                    self.workload(workload, &mut config.lists)?;
                }
            }
        }
        match self.line.words.get(self.next) {
            Some(extra) => self.error(extra.column, Problem::Extra(extra.text)),
            None => Ok(()),
        }
    }

    fn workload(&mut self, workload: &mut Workload<'a>, lists: &mut Lists<'a>) -> Result<(), Wrong> {
        match self.key.meaning {
            Meaning::Root => {
                workload.root = self.take(values::SOURCE, values::source)?;
                if self.has_more() {
                    workload.overlay =
                        self.take("overlay, or overlay=FOLDER", |text| match text.strip_prefix("overlay") {
                            Some("") => Some(Overlay::Memory),
                            rest => rest?.strip_prefix('=').and_then(values::path).map(Overlay::Folder),
                        })?;
                }
            }
            Meaning::Exec => self.exec(&mut workload.exec, lists)?,
            Meaning::Env => self.env(&mut workload.env, lists)?,
            Meaning::Directory => workload.directory = self.path()?,
            Meaning::WorkloadHostname => workload.hostname = self.take(values::HOSTNAME, values::hostname)?,
            Meaning::User => workload.identity.user = self.take(values::USER, values::user)?,
            Meaning::Stop => {
                workload.stop.signal = self.take(values::SIGNAL, values::signal)?;
                if self.has_more() {
                    workload.stop.grace_ms = self.take(values::DURATION, values::duration_ms)?;
                }
            }
            _ => {
                let _ = self.isolation(workload, lists)?
                    || self.resources(&mut workload.resources, lists)?
                    || self.supervision(&mut workload.supervision, lists)?
                    || self.network(&mut workload.network, lists)?;
            }
        }
        Ok(())
    }

    /// `console [DEVICE] prompt|log|off`
    fn console(&mut self, config: &mut Config<'a>) -> Result<(), Wrong> {
        if self.line.words.len() > 2 {
            config.system.console.device = Some(self.take(values::DEVICE, values::device)?);
        }
        let chosen = self.choose("prompt, log or off", &["prompt", "log", "off"])?;
        config.system.console.mode = [ConsoleMode::Prompt, ConsoleMode::Log, ConsoleMode::Off][chosen];
        Ok(())
    }

    /// `module NAME [PARAMETERS]`
    fn module(&mut self, config: &mut Config<'a>) -> Result<(), Wrong> {
        let name = self.take("a module's name such as virtio_net", values::module)?;
        let parameters = if self.has_more() { self.word("its parameters")? } else { "" };
        match config.system.modules.push(Module { name, parameters }) {
            Ok(()) => Ok(()),
            Err(_) => self.too_many("module lines", limits::MODULES),
        }
    }

    /// `exec PROGRAM ARGUMENT...`
    fn exec(&mut self, exec: &mut Part<&'a str>, lists: &mut Lists<'a>) -> Result<(), Wrong> {
        let program = self.path()?;
        // The first word always fits: the table is empty.
        let _ = lists.push(exec, program, limits::EXEC_WORDS);
        while let Some(word) = self.line.words.get(self.next) {
            self.next += 1;
            if !lists.push(exec, word.text, limits::EXEC_WORDS) {
                return self.error(word.column, Problem::TooMany("words behind exec", limits::EXEC_WORDS as u32));
            }
        }
        Ok(())
    }

    /// `env NAME VALUE`
    fn env(&mut self, env: &mut Part<Variable<'a>>, lists: &mut Lists<'a>) -> Result<(), Wrong> {
        let name = self.take(values::VARIABLE, values::variable)?;
        let value = self.word("a value, \"\" for an empty one")?;
        let column = self.line.words[1].column;
        if lists.of(*env).iter().any(|variable| variable.name == name) {
            return self.error(column, Problem::SameVariable(name));
        }
        if !lists.push(env, Variable { name, value }, limits::VARIABLES) {
            return self.error(column, Problem::TooMany("env lines", limits::VARIABLES as u32));
        }
        Ok(())
    }
}
