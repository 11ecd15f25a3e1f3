//! Errors of a configuration: place, problem and remedy in one line, `LINE:COLUMN: ...` after the file's name.

use super::keys::{self, Section};
use super::limits;
use crate::split::Split;
use crate::text;
use crate::text::Text;
use core::fmt;

/// A place in the file and the problem there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Error<'a> {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// The problem.
    pub problem: Problem<'a>,
}

/// How many names of a cycle are shown; a longer cycle is cut.
pub(super) const CYCLE_NAMES: usize = 6;

/// Each problem that the parser reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem<'a> {
    /// More bytes than [`limits::FILE_BYTES`].
    FileTooLarge,
    /// A UTF-8 byte order mark at the start.
    ByteOrderMark,
    /// This byte is not valid UTF-8.
    NotUtf8(u8),
    /// A control character.
    Control(char),
    /// The line ends in CR LF.
    CarriageReturn,
    /// More bytes than [`limits::LINE_BYTES`].
    LineTooLong,
    /// A quoted word has no closing quote on its line.
    Unclosed(char),
    /// Text directly after a closing quote.
    BehindQuote,
    /// A quote inside of an unquoted word.
    QuoteInside,
    /// The file is empty, or its first directive is not the version.
    NoVersion,
    /// A version that this parser does not support.
    Version(&'a str),
    /// A directive before the first section.
    NoSection(&'a str),
    /// A section with an unknown name, or without a closing bracket.
    UnknownSection(&'a str),
    /// A second `[system]`.
    SystemTwice,
    /// A key that this section does not have, and the most similar one.
    UnknownKey(&'a str, Section, Option<&'static str>),
    /// A key that may appear only once, and the line of its first use.
    Twice(&'static str, u32),
    /// A missing word: the key, and what is expected.
    Missing(&'static str, Text),
    /// An extra word.
    Extra(&'a str),
    /// A word with an unexpected value, and what is expected.
    Value(&'a str, Text),
    /// Too many of something, and the limit.
    TooMany(Text, u32),
    /// A workload's name that is already in use, and its line.
    SameName(&'a str, u32),
    /// `ids` lines of two workloads whose ranges overlap.
    SameIds(&'a str, &'a str),
    /// A variable that is already set.
    SameVariable(&'a str),
    /// A workload without a required key.
    Incomplete(&'a str, &'static str),
    /// Keys of a workload that contradict each other: the workload, and the reason with the remedy.
    Rule(&'a str, Text),
    /// A `volume` in a configuration without a `volumes` line.
    NoVolumes,
    /// A name after `needs`, `after` or `share net=` that no workload has.
    NoWorkload(&'a str),
    /// A workload that names itself.
    Itself(&'a str),
    /// Workloads that wait for each other; unused elements are empty.
    Cycle([&'a str; CYCLE_NAMES]),
    /// `max=` is below `delay=`.
    MaxBelowDelay,
    /// `else=` without `limit=`.
    ElseWithoutLimit,
    /// A `limit=` that can never be reached: its restarts take this many milliseconds.
    LimitNeverReached(u64),
}

/// Formats a word of the file for an error: shortened, and without terminal control characters.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const BYTES: usize = 40;
        let cut = self.0.floor_char_boundary(BYTES);
        let (shown, dots) = if cut < self.0.len() { (&self.0[..cut], "...") } else { (self.0, "") };
        formatter.write_str("\"")?;
        // A quoted word may contain tabs. The lexer refuses all other control characters.
        for (index, part) in shown.parts(b'\t').enumerate() {
            formatter.write_str(if index > 0 { " " } else { "" })?;
            formatter.write_str(part)?;
        }
        formatter.write_str(dots)?;
        formatter.write_str("\"")
    }
}

impl fmt::Display for Error<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.line, self.column, self.problem)
    }
}

impl fmt::Display for Problem<'_> {
    #[expect(clippy::too_many_lines, reason = "a table: one problem, one sentence")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::FileTooLarge => write!(f, "the file is larger than {} bytes; shorten it", limits::FILE_BYTES),
            Self::ByteOrderMark => text!("the file starts with a byte order mark; save it as plain UTF-8").fmt(f),
            Self::NotUtf8(byte) => write!(f, "byte {byte:#04x} is not UTF-8 text; save the file as UTF-8"),
            Self::Control(found) => {
                write!(f, "control character {:#04x}; only spaces and tabs separate words", found as u32)
            }
            Self::CarriageReturn => text!("the line ends with CR LF; use LF alone").fmt(f),
            Self::LineTooLong => write!(f, "the line is longer than {} bytes; shorten it", limits::LINE_BYTES),
            Self::Unclosed(quote) => write!(f, "unclosed quote; add {quote} after the word"),
            Self::BehindQuote => text!("missing space after the closing quote").fmt(f),
            Self::QuoteInside => text!("quotes enclose whole words; use the other kind around the word").fmt(f),
            Self::NoVersion => text!("the first line must be: hilum 1").fmt(f),
            Self::Version(found) => write!(f, "unknown version {}; write: hilum 1", Shown(found)),
            Self::NoSection(found) => {
                write!(f, "{} precedes the first section; put it below [system] or [workload NAME]", Shown(found))
            }
            Self::UnknownSection(found) => {
                write!(f, "unknown section {}; expected [system] or [workload NAME]", Shown(found))
            }
            Self::SystemTwice => text!("duplicate [system]; move its lines below the first one").fmt(f),
            Self::UnknownKey(found, section, near) => {
                write!(f, "unknown key {} in [{}]", Shown(found), section.name())?;
                match near {
                    _ if keys::is_key(section.other(), found) => {
                        write!(f, "; it belongs in [{}]", section.other().name())
                    }
                    Some(near) => write!(f, "; did you mean {}?", Shown(near)),
                    None => f.write_str("; see docs/config.md"),
                }
            }
            Self::Twice(key, line) => {
                write!(f, "duplicate {}, first on line {line}; remove one of them", Shown(key))
            }
            Self::Missing(key, expected) => write!(f, "{} needs {expected}", Shown(key)),
            Self::Extra(found) => {
                write!(f, "unexpected word {}; remove it, or quote words that belong together", Shown(found))
            }
            Self::Value(found, expected) => write!(f, "found {}, expected {expected}", Shown(found)),
            Self::TooMany(what, limit) => write!(f, "too many {what}; the limit is {limit}"),
            Self::SameName(name, line) => {
                write!(f, "workload {} is already on line {line}; choose another name", Shown(name))
            }
            Self::SameIds(name, other) => write!(
                f,
                "workload {}: its ids overlap those of {}; keep them 65536 apart, or use the same",
                Shown(name),
                Shown(other)
            ),
            Self::SameVariable(name) => write!(f, "variable {} is set twice; remove one of the lines", Shown(name)),
            Self::Incomplete(name, key) => {
                write!(f, "workload {} has no {}, which is required", Shown(name), Shown(key))
            }
            Self::Rule(name, rule) => write!(f, "workload {}: {rule}", Shown(name)),
            Self::NoVolumes => text!("volume needs a line in [system]: volumes FOLDER").fmt(f),
            Self::NoWorkload("time") => text!("needs time needs a line in [system] such as: time dhcp").fmt(f),
            Self::NoWorkload(name) => {
                write!(f, "unknown workload {}; correct the name, or add its section", Shown(name))
            }
            Self::Itself(name) => write!(f, "workload {} cannot refer to itself; remove the name", Shown(name)),
            Self::Cycle(names) => {
                f.write_str("dependency cycle: ")?;
                for (index, name) in names.iter().take_while(|name| !name.is_empty()).enumerate() {
                    f.write_str(if index > 0 { " waits for " } else { "" })?;
                    write!(f, "{}", Shown(name))?;
                }
                // The list of a cycle ends with its first name again, unless it was cut.
                let is_cut = names.last().is_some_and(|last| !last.is_empty() && *last != names[0]);
                f.write_str(if is_cut { " ...; remove one of these lines" } else { "; remove one of these lines" })
            }
            Self::MaxBelowDelay => text!("max= is shorter than delay=; raise or remove it").fmt(f),
            Self::ElseWithoutLimit => text!("else= needs limit=, such as limit=5/60s").fmt(f),
            Self::LimitNeverReached(needed_ms) => {
                write!(
                    f,
                    "the limit cannot be reached: back-off alone takes {needed_ms} ms; lower max= or lengthen the period"
                )
            }
        }
    }
}
