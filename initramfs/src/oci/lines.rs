//! Translates an image's settings into lines of a `[workload]`.
//!
//! An image is untrusted: no value may become a line or a word of its own. Every value is one word, quoted if
//! necessary, and a line is only emitted if the board's parser accepts it after the previous ones. A setting that
//! cannot be expressed becomes a comment that names the field.

use super::{Container, Healthcheck};
use crate::accounts::{account, groups_of};
use crate::tree::Kind;
use crate::untrusted::escaped;
use hilum::config::{self, Config, Signal};
use hilum::fixed_string::is_hidden;

/// PATH of a workload without an `env PATH` line (src/runtime/workload/child/program.rs).
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What precedes and follows the lines in a complete configuration.
const HEAD: &str = "hilum 1\n[workload a]\nroot /r\n";
const PROGRAM: &str = "exec /x\n";

/// Accepted lines, and comments.
#[derive(Default)]
struct Lines {
    text: String,
    has_program: bool,
}

impl Lines {
    /// Adds a line with these words, or a comment that says why not; `field` is their place in the image.
    fn add(&mut self, field: &str, key: &str, words: &[&str]) {
        match self.line(key, words) {
            Ok(line) => {
                self.text += &line;
                self.has_program |= key == "exec";
            }
            Err(why) => self.leave_out(field, words, &why),
        }
    }

    /// Returns the line, if the parser accepts it.
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
        /// Maximum bytes to show, because a comment is also limited in length.
        const BYTES: usize = 300;
        let value = escaped(&format!("{words:?}"));
        let cut = &value[..value.floor_char_boundary(BYTES)];
        let dots = if cut.len() < value.len() { "..." } else { "" };
        self.text += &format!("# left out: {field} {cut}{dots}: {}\n", escaped(why));
    }
}

/// Returns a value as one word of the configuration, quoted if necessary.
///
/// # Errors
/// Why that is not possible.
fn quoted(word: &str) -> Result<String, String> {
    if let Some(found) = word.chars().find(|found| is_hidden(*found) && *found != '\t') {
        return Err(format!("a line cannot contain {found:?}"));
    }
    let is_plain = !word.is_empty() && !word.starts_with('#') && !word.contains([' ', '\t', '"', '\'']);
    if is_plain {
        return Ok(word.to_owned());
    }
    let quote = ['"', '\''].into_iter().find(|quote| !word.contains(*quote));
    let quote = quote.ok_or("a word cannot contain both kinds of quotes")?;
    Ok(format!("{quote}{word}{quote}"))
}

impl Container {
    /// Returns the image's settings as lines of a `[workload]`. The board's parser accepts each of them; settings that
    /// cannot be expressed are comments.
    pub fn lines(&self) -> String {
        let mut lines = Lines::default();
        let Some(config) = self.configuration.config() else { return String::new() };
        let list = |words: &Option<Vec<String>>| words.clone().unwrap_or_default();
        let env = list(config.env());
        let path = env.iter().find_map(|variable| variable.strip_prefix("PATH=")).unwrap_or(PATH);
        let directory = config.working_dir().as_deref().unwrap_or_default();
        let directory = if directory.is_empty() { "/".to_owned() } else { absolute(directory) };
        let mut words = [list(config.entrypoint()), list(config.cmd())].concat();
        if let Some(program) = words.first_mut() {
            *program = self.program(program, path, &directory);
            lines.add("Entrypoint and Cmd", "exec", &words.iter().map(String::as_str).collect::<Vec<_>>());
        }
        for (number, variable) in env.iter().enumerate() {
            let field = format!("Env[{number}]");
            match variable.split_once('=') {
                // The default of a workload.
                Some(("PATH", PATH)) => {}
                Some((name, value)) => lines.add(&field, "env", &[name, value]),
                None => lines.leave_out(&field, &[variable], "no ="),
            }
        }
        if let Some(user) = config.user().as_ref().filter(|user| !user.is_empty()) {
            self.add_user(user, &mut lines);
        }
        if directory != "/" {
            lines.add("WorkingDir", "directory", &[&directory]);
        }
        if let Some(signal) = config.stop_signal() {
            let name = signal.parse().ok().filter(|number| (1..32).contains(number));
            let name = name.map_or_else(|| signal.clone(), |number| Signal(number).to_string());
            lines.add("StopSignal", "stop", &[&name, "5s"]);
        }
        if let Some(check) = &self.healthcheck {
            self.add_health(check, path, &directory, &mut lines);
        }
        self.add_hints(&list(config.exposed_ports()), &list(config.volumes()), &mut lines);
        lines.text
    }

    /// Returns the path of a program as a container engine's execvp(3) finds it: by PATH, or relative to the working
    /// directory. If it does not exist, it is returned unchanged.
    fn program(&self, program: &str, path: &str, directory: &str) -> String {
        let is_program = |path: &String| {
            let found = self.tree.at(path);
            found.is_some_and(|found| matches!(found.kind, Kind::File(_)) && found.mode & 0o111 != 0)
        };
        if program.starts_with('/') {
            return program.to_owned();
        }
        let candidates: Vec<String> = match program.contains('/') {
            true => vec![absolute(&format!("{directory}/{program}"))],
            false => path.split(':').map(|folder| absolute(&format!("{folder}/{program}"))).collect(),
        };
        candidates.into_iter().find(is_program).unwrap_or_else(|| program.to_owned())
    }

    /// `user` and `groups`: names are looked up in the image.
    fn add_user(&self, user: &str, lines: &mut Lines) {
        match account(&self.tree, user) {
            // A container's user without a passwd line has group 0.
            Ok(found) => {
                lines.add("User", "user", &[&format!("{}:{}", found.uid, found.gid.unwrap_or(0))]);
                let name = found.name.filter(|_| !user.contains(':'));
                let mut groups = name.map_or_else(Vec::new, |name| groups_of(&self.tree, &name));
                groups.retain(|group| Some(*group) != found.gid);
                groups.sort_unstable();
                groups.dedup();
                if !groups.is_empty() {
                    let groups: Vec<String> = groups.iter().map(u32::to_string).collect();
                    lines.add("User", "groups", &groups.iter().map(String::as_str).collect::<Vec<_>>());
                }
            }
            Err(error) => lines.leave_out("User", &[user], &format!("{error:#}; say which with: user UID:GID")),
        }
    }

    /// `health exec`: the command that docker would run.
    fn add_health(&self, check: &Healthcheck, path: &str, directory: &str, lines: &mut Lines) {
        let words: Vec<String> = match check.test.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["CMD", program, ref rest @ ..] => {
                let program = self.program(program, path, directory);
                [&[program], &rest.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()[..]].concat()
            }
            ["CMD-SHELL", script] => ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            // The image has no check, or disables that of its base image.
            [] | ["NONE"] => return,
            _ => {
                let words: Vec<&str> = check.test.iter().map(String::as_str).collect();
                return lines.leave_out("Healthcheck", &words, "neither CMD nor CMD-SHELL");
            }
        };
        let mut words: Vec<&str> = std::iter::once("exec").chain(words.iter().map(String::as_str)).collect();
        if words.iter().any(|word| word.starts_with("interval=") || word.starts_with("failures=")) {
            return lines.leave_out("Healthcheck", &words, "a word would be an option of the line");
        }
        let or = |value: u64, default: u64| if value == 0 { default } else { value };
        let interval = format!("interval={}ms", or(check.interval, 30_000_000_000).div_ceil(1_000_000));
        let failures = format!("failures={}", or(check.retries, 3));
        words.extend([interval.as_str(), failures.as_str()]);
        lines.add("Healthcheck", "health", &words);
    }

    /// Ports and volumes: comments to uncomment, because they depend on the board.
    fn add_hints(&self, ports: &[String], volumes: &[String], lines: &mut Lines) {
        let (mut ports, mut volumes) = (ports.to_vec(), volumes.to_vec());
        ports.sort();
        volumes.sort();
        for port in ports {
            let (number, kind) = port.split_once('/').unwrap_or((&port, "tcp"));
            match number.parse::<u16>() {
                Ok(number) if number > 0 && matches!(kind, "tcp" | "udp") => {
                    lines.text += &format!("# publish {number}:{number}/{kind}\n");
                }
                _ => lines.leave_out("ExposedPorts", &[&port], "not a tcp or udp port"),
            }
        }
        for (number, volume) in (1..).zip(volumes) {
            let volume = absolute(&volume);
            // A volume needs a `volumes` line, so the parser checks a mount of the same form instead.
            match lines.line("mount", &["/x", &volume]) {
                Ok(_) => {
                    let target = quoted(&volume).unwrap_or_default();
                    lines.text += &format!("# volume data{number} {target}\n");
                }
                Err(why) => lines.leave_out("Volumes", &[&volume], &why),
            }
        }
    }
}

/// Returns a normalised path from the root.
fn absolute(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    format!("/{}", parts.join("/"))
}
