//! What an image says about running it, as lines of a `[workload]`.
//!
//! Whoever made the image does not write the board's configuration: no value of the image may become a line, or a word, of
//! its own. So every value is one word in quotes where it needs them, and a line is given only if the board's own parser
//! takes it behind the lines before it. What cannot be said so is a comment that names the field.

use super::Container;
use crate::tree::Kind;
use crate::untrusted::escaped;
use anyhow::{Context, Result, bail, ensure};
use hilum::config::{self, Config};
use hilum::fixed_string::is_hidden;

/// What makes the lines a whole configuration, before and behind them.
const HEAD: &str = "hilum 1\n[workload a]\nroot /r\n";
const PROGRAM: &str = "exec /x\n";

/// Lines that the parser takes, and comments.
#[derive(Default)]
struct Lines {
    text: String,
    has_program: bool,
}

impl Lines {
    /// Adds a line with these words, or a comment that says why there is none; `field` is their place in the image.
    fn add(&mut self, field: &str, key: &str, words: &[&str]) {
        match self.line(key, words) {
            Ok(line) => {
                self.text += &line;
                self.has_program |= key == "exec";
            }
            Err(why) => self.leave_out(field, words, &why),
        }
    }

    /// The line, if it is one.
    fn line(&self, key: &str, words: &[&str]) -> Result<String, String> {
        let words: Vec<String> = words.iter().map(|word| quoted(word)).collect::<Result<_, _>>()?;
        let line = format!("{key} {}\n", words.join(" "));
        let program = if self.has_program || key == "exec" { "" } else { PROGRAM };
        let text = format!("{HEAD}{}{line}{program}", self.text);
        let mut config = Box::new(Config::EMPTY);
        match config::parse(text.as_bytes(), &mut config) {
            Ok(()) => Ok(line),
            Err(error) => Err(error.problem.to_string()),
        }
    }

    fn leave_out(&mut self, field: &str, words: &[&str], why: &str) {
        /// Bytes of what is shown: a comment is a line as well, and has a limit.
        const BYTES: usize = 300;
        let value = escaped(&format!("{words:?}"));
        let cut = &value[..value.floor_char_boundary(BYTES)];
        let dots = if cut.len() < value.len() { "..." } else { "" };
        self.text += &format!("# left out: {field} {cut}{dots}: {}\n", escaped(why));
    }
}

/// A value as one word of the configuration, in quotes where it needs them.
///
/// # Errors
/// Why it cannot be one.
fn quoted(word: &str) -> Result<String, String> {
    if let Some(found) = word.chars().find(|found| is_hidden(*found) && *found != '\t') {
        return Err(format!("a line cannot hold {found:?}"));
    }
    let is_plain = !word.is_empty() && !word.starts_with('#') && !word.contains([' ', '\t', '"', '\'']);
    if is_plain {
        return Ok(word.to_owned());
    }
    let quote = ['"', '\''].into_iter().find(|quote| !word.contains(*quote));
    let quote = quote.ok_or("a word cannot hold both kinds of quotes")?;
    Ok(format!("{quote}{word}{quote}"))
}

impl Container {
    /// What the image says about running it, as lines of a `[workload]`.
    ///
    /// # Errors
    /// A user that is not in the image's own /etc/passwd: without its line the program would run as another one.
    pub fn lines(&self) -> Result<String> {
        let mut lines = Lines::default();
        let Some(config) = self.configuration.config() else { return Ok(String::new()) };
        let list = |words: &Option<Vec<String>>| words.clone().unwrap_or_default();
        let words = [list(config.entrypoint()), list(config.cmd())].concat();
        if !words.is_empty() {
            lines.add("Entrypoint and Cmd", "exec", &words.iter().map(String::as_str).collect::<Vec<_>>());
        }
        for (number, variable) in list(config.env()).iter().enumerate() {
            let field = format!("Env[{number}]");
            match variable.split_once('=') {
                Some(("PATH", _)) => {}
                Some((name, value)) => lines.add(&field, "env", &[name, value]),
                None => lines.leave_out(&field, &[variable], "it has no ="),
            }
        }
        if let Some(user) = config.user().as_ref().filter(|user| !user.is_empty()) {
            let numbers = self.user(user).with_context(|| format!("User {}", escaped(user)))?;
            ensure!(lines.line("user", &[&numbers]).is_ok(), "User {}: the board has no user {numbers}", escaped(user));
            lines.add("User", "user", &[&numbers]);
        }
        if let Some(directory) = config.working_dir().as_ref().filter(|path| !matches!(path.as_str(), "" | "/")) {
            lines.add("WorkingDir", "directory", &[directory]);
        }
        if let Some(signal) = config.stop_signal() {
            lines.add("StopSignal", "stop", &[signal, "5s"]);
        }
        let mut ports = list(config.exposed_ports());
        ports.sort();
        for port in ports {
            let (number, kind) = port.split_once('/').unwrap_or((&port, "tcp"));
            match number.parse::<u16>() {
                Ok(number) if matches!(kind, "tcp" | "udp") => {
                    lines.text += &format!("# publish {number}:{number}/{kind}\n");
                }
                _ => lines.leave_out("ExposedPorts", &[&port], "no port of tcp or udp"),
            }
        }
        Ok(lines.text)
    }

    /// A user by numbers: names are looked up in the image.
    fn user(&self, user: &str) -> Result<String> {
        let (name, group) = user.split_once(':').map_or((user, None), |(name, group)| (name, Some(group)));
        let passwd = self.table("etc/passwd");
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let line = passwd.iter().find(|line| line[0] == name || line.get(2).is_some_and(|id| id == name));
        let (uid, gid) = match line {
            Some(line) => (line.get(2).cloned().unwrap_or_default(), line.get(3).cloned().unwrap_or_default()),
            None if is_number(name) => (name.to_owned(), "0".to_owned()),
            None => bail!("user {} is not in the image's /etc/passwd", escaped(name)),
        };
        let gid = match group {
            None => gid,
            Some(group) if is_number(group) => group.to_owned(),
            Some(group) => {
                let groups = self.table("etc/group");
                let line = groups.iter().find(|line| line[0] == group);
                line.and_then(|line| line.get(2))
                    .cloned()
                    .with_context(|| format!("group {} is not in the image", escaped(group)))?
            }
        };
        ensure!(is_number(&uid) && is_number(&gid), "its ids in the image are no numbers");
        Ok(format!("{uid}:{gid}"))
    }

    /// The fields of each line of a file of the image.
    fn table(&self, path: &str) -> Vec<Vec<String>> {
        let Some(Kind::File(bytes)) = self.tree.get(path).map(|entry| &entry.kind) else { return Vec::new() };
        let text = String::from_utf8_lossy(bytes);
        text.lines().map(|line| line.split(':').map(str::to_owned).collect()).collect()
    }
}
