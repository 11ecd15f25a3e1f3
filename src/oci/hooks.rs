//! Hooks: programs that get the container's state on their standard input (config.md, "POSIX-platform Hooks").

use crate::config::Hook;
use crate::error::{At, Error, Result};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Runs hooks of one kind, one after the other.
///
/// # Errors
/// The first one that cannot be run, fails, or takes longer than its timeout, and is killed then.
pub fn run(hooks: &[Hook], kind: &str, state: &serde_json::Value) -> Result<()> {
    for (number, hook) in hooks.iter().enumerate() {
        let what = format!("error running {kind} hook #{number}");
        let mut command = Command::new(&hook.path);
        if let Some((name, arguments)) = hook.args.split_first() {
            command.arg0(name).args(arguments);
        }
        command.env_clear().envs(hook.env.iter().filter_map(|variable| variable.split_once('=')));
        let mut child = command.stdin(Stdio::piped()).spawn().at(&what)?;
        if let Some(mut input) = child.stdin.take() {
            // A hook that does not read its input may have closed it.
            let _ = input.write_all(state.to_string().as_bytes());
        }
        let deadline = hook.timeout.map(|seconds| Instant::now() + Duration::from_secs(seconds));
        let status = loop {
            match deadline {
                None => break child.wait().at(&what)?,
                Some(deadline) => match child.try_wait().at(&what)? {
                    Some(status) => break status,
                    None if Instant::now() >= deadline => {
                        let _ = child.kill();
                        let _ = child.wait();
                        return Err(Error(format!("{what}: timeout")));
                    }
                    None => std::thread::sleep(Duration::from_millis(5)),
                },
            }
        };
        if !status.success() {
            return Err(Error(format!("{what}: {status}")));
        }
    }
    Ok(())
}
