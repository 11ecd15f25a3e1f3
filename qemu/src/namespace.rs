//! hilum as PID 1 of a PID namespace on the host: a boot in milliseconds.

use crate::Transcript;
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A running PID namespace; all its processes are killed when this is dropped.
#[derive(Debug)]
pub struct Namespace {
    child: Child,
    /// The file that PID 1 runs.
    program: PathBuf,
    /// The console of PID 1.
    pub console: Transcript,
}

impl Namespace {
    /// Returns whether this process may create namespaces: root, outside of a confined container.
    pub fn is_possible() -> bool {
        let unshare = Command::new("unshare").args(["--pid", "--fork", "--mount", "true"]).status();
        rustix::process::geteuid().is_root() && unshare.is_ok_and(|status| status.success())
    }

    /// Starts `hilum` with a configuration. `wrap` is a command prefix, or empty.
    ///
    /// # Errors
    /// unshare(1) is missing.
    pub fn start(hilum: &Path, config: &Path, wrap: &[&str]) -> Result<Self> {
        let (reader, writer) = std::io::pipe()?;
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount", "--kill-child=KILL", "--"]).args(wrap);
        command.arg(hilum).arg("--config").arg(config);
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
        let child = command.spawn().context("unshare")?;
        // Dropping the command closes this process's copies of the pipe's write end.
        drop(command);
        Ok(Self { child, program: hilum.canonicalize().context("hilum's file")?, console: Transcript::read(reader) })
    }

    /// Returns the host's PID of PID 1: the only child of unshare(1), once a wrapper has executed it. Before that it
    /// does not have the namespaces that a wrapper creates.
    ///
    /// # Errors
    /// It does not exist within twenty seconds.
    pub fn process_one(&self) -> Result<Pid> {
        let own = self.child.id();
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children"))?;
            if let Some(pid) = children.split_whitespace().next().and_then(|pid| pid.parse().ok())
                && std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|program| program == self.program)
            {
                return Pid::from_raw(pid).context("a pid");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        bail!("unshare did not exec hilum; last lines of the console:\n{}", self.console.tail())
    }

    /// Sends a signal to PID 1.
    ///
    /// # Errors
    /// It has exited.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(self.process_one()?, signal)?)
    }

    /// Waits until PID 1 has exited. Returns its status, and the whole console. unshare(1) exits like its child.
    ///
    /// # Errors
    /// It does not exit before `deadline`.
    pub fn wait(&mut self, deadline: Duration) -> Result<(ExitStatus, String)> {
        let until = Instant::now() + deadline;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok((status, self.console.end(Duration::from_secs(5))?));
            }
            if Instant::now() > until {
                bail!("PID 1 did not exit within {deadline:?}; last lines of the console:\n{}", self.console.tail());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // unshare kills its child (--kill-child), and PID 1's death kills the namespace.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
