//! Resolves names in a configuration: `user NAME[:GROUP]` becomes numbers, according to the root filesystem of the
//! workload. Everything else stays unchanged, line by line.

use anyhow::Result;

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

/// Returns the `user` lines of a configuration. Errors are left to the board's parser.
pub fn user_lines(text: &str) -> Vec<UserLine<'_>> {
    let (mut all, mut section): (Vec<UserLine<'_>>, Vec<UserLine<'_>>) = (Vec::new(), Vec::new());
    let (mut workload, mut root, mut at) = ("", "", 0);
    for (number, line) in (1..).zip(text.split('\n')) {
        let words = words(line);
        if line.trim_start().starts_with('[') {
            all.extend(section.drain(..).map(|user| UserLine { root, ..user }));
            let name = line.trim().strip_prefix("[workload ").and_then(|rest| rest.split_once(']'));
            (workload, root) = (name.map_or("", |(name, _)| name.trim()), "");
        }
        match words[..] {
            ["root", path, ..] if root.is_empty() => root = path,
            ["user", user] if !workload.is_empty() => {
                // Every word is a part of the line.
                let place = at + (user.as_ptr() as usize - line.as_ptr() as usize);
                section.push(UserLine { line: number, workload, root: "", user, at: place });
            }
            _ => {}
        }
        at += line.len() + 1;
    }
    all.extend(section.into_iter().map(|user| UserLine { root, ..user }));
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
