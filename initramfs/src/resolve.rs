//! Resolves what only the root filesystem of a workload says: `user NAME[:GROUP]` becomes numbers, and `exec image` the lines of the
//! container image that it is made of. Everything else stays unchanged, line by line.

use anyhow::Result;
use std::ops::Range;

/// A `user` line, and its context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserLine<'a> {
    /// Its line, from 1.
    pub line: usize,
    /// The workload.
    pub workload: &'a str,
    /// The path after `root`; empty if there is none.
    pub root: &'a str,
    /// The value: `NAME[:GROUP]` or numbers.
    pub user: &'a str,
    /// Its offset in the text.
    at: usize,
}

impl UserLine<'_> {
    /// Returns whether the board accepts it unchanged: one or two numbers.
    pub fn is_resolved(&self) -> bool {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (user, group) = self.user.split_once(':').unwrap_or((self.user, "0"));
        is_number(user) && is_number(group)
    }
}

/// A `[workload]` section: its name, the path after `root`, and its lines, each with its number from 1 and its offset in the text.
struct Section<'a> {
    workload: &'a str,
    root: &'a str,
    lines: Vec<(usize, usize, &'a str)>,
}

/// Returns the sections of workloads. Errors are left to the board's parser.
fn sections(text: &str) -> Vec<Section<'_>> {
    let mut at = 0;
    let lines = (1..).zip(text.split('\n')).map(|(number, line)| {
        let start = at;
        at += line.len() + 1;
        (number, start, line)
    });
    let lines: Vec<(usize, usize, &str)> = lines.collect();
    let mut found = Vec::new();
    for lines in lines.chunk_by(|_, (_, _, next)| !next.trim_start().starts_with('[')) {
        let head = lines[0].2.trim().strip_prefix("[workload ").and_then(|rest| rest.split_once(']'));
        let Some((workload, _)) = head else { continue };
        let root = lines.iter().find_map(|(_, _, line)| match words(line)[..] {
            ["root", path, ..] => Some(path),
            _ => None,
        });
        found.push(Section { workload: workload.trim(), root: root.unwrap_or_default(), lines: lines.to_vec() });
    }
    found
}

/// Returns the `user` lines of a configuration.
pub fn user_lines(text: &str) -> Vec<UserLine<'_>> {
    let mut all = Vec::new();
    for Section { workload, root, lines } in sections(text) {
        for (number, at, line) in lines {
            if let ["user", user] = words(line)[..] {
                // Every word is a part of the line.
                let at = at + (user.as_ptr() as usize - line.as_ptr() as usize);
                all.push(UserLine { line: number, workload, root, user, at });
            }
        }
    }
    all
}

/// Returns the configuration with the result of `number` for each `user` line with names.
///
/// # Errors
/// Those of `number`.
pub fn resolved(text: &str, number: &mut dyn FnMut(&UserLine<'_>) -> Result<String>) -> Result<String> {
    let (mut new, mut copied) = (String::new(), 0);
    for user in user_lines(text).iter().filter(|user| !user.is_resolved()) {
        new += &text[copied..user.at];
        new += &number(user)?;
        copied = user.at + user.user.len();
    }
    new += &text[copied..];
    Ok(new)
}

/// An `exec image` line, and its context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageLine<'a> {
    /// Its line, from 1.
    pub line: usize,
    /// The workload.
    pub workload: &'a str,
    /// The path after `root`; empty if there is none.
    pub root: &'a str,
    /// Its place in the text.
    place: Range<usize>,
    /// The key and the first word of each other line of the section.
    others: Vec<(&'a str, &'a str)>,
}

impl ImageLine<'_> {
    /// Returns which of an image's lines take its place: those that the section does not have itself, without comments.
    ///
    /// A variable is overridden by its name. `groups` belong to the image's user.
    pub fn replacement(&self, lines: &str) -> String {
        let has = |key: &str, word: &str| {
            let same = |other: &(&str, &str)| other.0 == key && (key != "env" || other.1 == word);
            self.others.iter().any(|other| same(other) || (key, other.0) == ("groups", "user"))
        };
        let kept = lines.lines().filter(|line| match words(line)[..] {
            [key, word, ..] => !has(key, word),
            _ => false,
        });
        kept.collect::<Vec<_>>().join("\n")
    }
}

/// Returns the `exec image` lines of a configuration.
pub fn image_lines(text: &str) -> Vec<ImageLine<'_>> {
    let mut found = Vec::new();
    for Section { workload, root, lines } in sections(text) {
        let is_image = |line: &str| words(line) == ["exec", "image"];
        let others = lines.iter().filter(|(_, _, line)| !is_image(line));
        let others = others.filter_map(|(_, _, line)| Some((*words(line).first()?, *words(line).get(1)?)));
        let others: Vec<(&str, &str)> = others.collect();
        for (line, at, contents) in lines.iter().filter(|(_, _, line)| is_image(line)) {
            let place = *at..at + contents.len();
            found.push(ImageLine { line: *line, workload, root, place, others: others.clone() });
        }
    }
    found
}

/// Returns the configuration with the result of `lines_of` in place of each `exec image` line.
///
/// # Errors
/// Those of `lines_of`.
pub fn with_programs(text: &str, lines_of: &mut dyn FnMut(&ImageLine<'_>) -> Result<String>) -> Result<String> {
    let (mut new, mut copied) = (String::new(), 0);
    for line in image_lines(text) {
        new += &text[copied..line.place.start];
        new += &lines_of(&line)?;
        copied = line.place.end;
    }
    new += &text[copied..];
    Ok(new)
}

/// Returns the words of a line, as far as it is valid (src/logic/config/lexer.rs).
fn words(line: &str) -> Vec<&str> {
    let (mut words, mut rest) = (Vec::new(), line.trim_start_matches([' ', '\t']));
    while !rest.is_empty() && !rest.starts_with('#') {
        let quote = rest.chars().next().filter(|first| ['"', '\''].contains(first));
        let (word, behind) = match quote {
            Some(quote) => rest[1..].split_once(quote).unwrap_or((&rest[1..], "")),
            None => rest.split_at(rest.find([' ', '\t']).unwrap_or(rest.len())),
        };
        words.push(word);
        rest = behind.trim_start_matches([' ', '\t']);
    }
    words
}

#[cfg(test)]
mod tests;
