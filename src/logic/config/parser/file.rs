//! Reads the whole file: version, sections, and the required keys of each section.
//!
//! The file is read twice: names in `needs` and `after` may refer to later workloads, so they are resolved when all
//! sections are known.

use super::super::error::{Error, Problem};
use super::super::keys::{self, KEYS, KeyId, Section};
use super::super::lexer::{Line, Lines, Word};
use super::super::model::{Config, System, Workload};
use super::super::slot_map::Slots;
use super::super::supervision::Time;
use super::super::{ids, limits};
use super::arguments::Arguments;
use super::{isolation, network, order, values};
use crate::text;
use crate::text::Text;

/// Parses a configuration into `config`, which must be empty.
///
/// # Errors
/// The first problem in the file; the contents of `config` are then unspecified.
pub fn parse<'a>(bytes: &'a [u8], config: &mut Config<'a>) -> Result<(), Error<'a>> {
    let mut lines = Lines::of(bytes)?;
    read_version(&mut lines)?;
    let (directives, mut parser) = (lines.clone(), Parser { place: CurrentSection::Start, first_lines: [0; _] });
    config.lines = lines.clone();
    let mut line = Line::none();
    while lines.next_line(&mut line)? {
        parser.read(&line, config)?;
    }
    parser.finish_section(config)?;
    read_order(directives, config)?;
    order::refuse_cycles(config)?;
    config.slots = Slots::in_order();
    ids::arrange(config)
}

fn read_version<'a>(lines: &mut Lines<'a>) -> Result<(), Error<'a>> {
    let no_version = |line, column| Error { line, column, problem: Problem::NoVersion };
    let mut line = Line::none();
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

/// The second pass: resolves the names of other workloads.
fn read_order<'a>(mut lines: Lines<'a>, config: &mut Config<'a>) -> Result<(), Error<'a>> {
    let (mut section, mut line) = (None, Line::none());
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

/// The section of the next directive.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CurrentSection {
    Start,
    System,
    /// The lines of a site, which replace those of `[system]`.
    Site,
    /// The workload that was begun last.
    Workload,
}

/// The keys of a site.
const OF_SITE: Text = text!("hostname, link, nameserver or time; other lines belong into the image");

/// Removes what the line of a site replaces. Returns false if a site may not have this key.
fn replace(key: KeyId, system: &mut System<'_>) -> bool {
    match key {
        KeyId::Hostname | KeyId::Link => {}
        KeyId::Nameserver => system.network.name_servers.clear(),
        KeyId::Time => system.time = Time::NONE,
        _ => return false,
    }
    true
}

struct Parser {
    place: CurrentSection,
    /// The line of the first use of each key in this section; 0 if it was not used.
    first_lines: [u32; KEYS.len()],
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
            CurrentSection::Start => return error(Problem::NoSection(first.text)),
            CurrentSection::System | CurrentSection::Site => Section::System,
            CurrentSection::Workload => Section::Workload,
        };
        let Some((index, key)) = keys::find(section, first.text) else {
            let near = keys::nearest(section, first.text);
            return error(Problem::UnknownKey(first.text, section, near));
        };
        let first_line = &mut self.first_lines[index];
        if *first_line != 0 && !key.repeats {
            return error(Problem::Twice(key.name, *first_line));
        }
        *first_line = line.number;
        if self.place == CurrentSection::Site && !replace(key.id, &mut config.system) {
            return error(Problem::Value(first.text, OF_SITE));
        }
        Arguments { line, key, next: 1, problem: None }.read(config)
    }

    /// `[system]`, or `[workload NAME]`.
    fn begin_section<'a>(&mut self, line: &Line<'a>, config: &mut Config<'a>) -> Result<(), Error<'a>> {
        let error = |column, problem| Err(Error { line: line.number, column, problem });
        let first = line.words[0];
        match (first.text, line.words.get(1), line.words.get(2)) {
            ("[system]", None, _) => {
                self.place = CurrentSection::System;
                if core::mem::replace(&mut config.system.line, line.number) != 0 {
                    return error(first.column, Problem::SystemTwice);
                }
                Ok(())
            }
            ("[site]", None, _) => {
                self.place = CurrentSection::Site;
                config.system.site_line = line.number;
                Ok(())
            }
            ("[system]" | "[site]", Some(extra), _) | ("[workload", _, Some(extra)) => {
                error(extra.column, Problem::Extra(extra.text))
            }
            ("[workload", Some(word), None) if word.text.ends_with(']') => {
                let text = &word.text[..word.text.len() - 1];
                let Some(name) = values::name(text) else {
                    return error(word.column, Problem::Value(text, values::NAME));
                };
                if let Some(other) = config.find(name) {
                    return error(word.column, Problem::SameName(name, config.workloads[other].line));
                }
                self.place = CurrentSection::Workload;
                let first_id = limits::IDS * (config.workloads.len() as u32 + 1);
                if config.workloads.push(Workload::new(name, line.number, first_id)).is_err() {
                    return error(word.column, Problem::TooMany(text!("workloads"), limits::WORKLOADS as u32));
                }
                Ok(())
            }
            _ => error(first.column, Problem::UnknownSection(first.text)),
        }
    }

    /// Checks a section at its end for required keys.
    fn finish_section<'a>(&mut self, config: &Config<'a>) -> Result<(), Error<'a>> {
        let (CurrentSection::Workload, Some(workload)) = (self.place, config.workloads.last()) else { return Ok(()) };
        let missing = if workload.root.is_empty() { "root" } else { "exec" };
        if workload.root.is_empty() || workload.exec.is_empty() {
            let problem = Problem::Incomplete(workload.name, missing);
            return Err(Error { line: workload.line, column: 1, problem });
        }
        if let Some(rule) = isolation::broken_rule(workload).or_else(|| network::broken_rule(workload, &config.pools)) {
            return Err(Error { line: workload.line, column: 1, problem: Problem::Rule(workload.name, rule) });
        }
        Ok(())
    }
}
