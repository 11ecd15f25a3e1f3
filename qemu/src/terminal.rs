//! A program on a pseudo terminal, for tests that type and read.

use crate::Transcript;
use anyhow::{Context, Result, bail};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};
use std::fs::File;
use std::io::Write;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// The program and its terminal; it is killed when this is dropped.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    keyboard: File,
    /// The program's side, if the terminal must outlive it.
    slave: Option<File>,
    /// The local modes before the program has started, as returned by [`Self::modes`].
    pub first_modes: String,
    /// The output of the terminal.
    pub screen: Transcript,
}

fn modes_of(terminal: impl rustix::fd::AsFd) -> Result<String> {
    Ok(format!("{:?}", tcgetattr(terminal)?.local_modes))
}

impl Terminal {
    /// Starts `command` on a new terminal of this size.
    ///
    /// # Errors
    /// The program does not exist, or there is no free terminal.
    pub fn start(command: Command, rows: u16, columns: u16) -> Result<Self> {
        let mut terminal = Self::start_partly(command, rows, columns, [true; 3])?;
        terminal.slave = None;
        Ok(terminal)
    }

    /// Starts `command` with the terminal only as those standard descriptors for which `is_terminal` is set; the
    /// command defines the others. The terminal outlives the program, as with a shell.
    ///
    /// # Errors
    /// The program does not exist, or there is no free terminal.
    pub fn start_partly(mut command: Command, rows: u16, columns: u16, is_terminal: [bool; 3]) -> Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let path = ptsname(&master, Vec::new())?;
        let slave = open(&path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        tcsetwinsize(&slave, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })?;
        // The program may change them as soon as it runs.
        let first_modes = modes_of(&master)?;
        let slave = File::from(slave);
        if is_terminal[0] {
            command.stdin(slave.try_clone()?);
        }
        if is_terminal[1] {
            command.stdout(slave.try_clone()?);
        }
        if is_terminal[2] {
            command.stderr(slave.try_clone()?);
        }
        let child = command.spawn().with_context(|| format!("{:?}", command.get_program()))?;
        // Dropping the command closes this process's copies of the terminal's other side.
        drop(command);
        let keyboard = File::from(master);
        let screen = Transcript::read(keyboard.try_clone()?);
        Ok(Self { child, keyboard, slave: Some(slave), first_modes, screen })
    }

    /// Types text.
    ///
    /// # Errors
    /// The terminal was closed.
    pub fn type_text(&mut self, text: &str) -> Result<()> {
        Ok(self.keyboard.write_all(text.as_bytes())?)
    }

    /// Returns the names of its local modes (termios(3)).
    ///
    /// # Errors
    /// The terminal was closed.
    pub fn modes(&self) -> Result<String> {
        modes_of(&self.keyboard)
    }

    /// Sends the program a signal.
    ///
    /// # Errors
    /// It has exited.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Waits until the program has exited. Returns its status and the whole output.
    ///
    /// # Errors
    /// It does not exit before `deadline`.
    pub fn wait(&mut self, deadline: Duration) -> Result<(ExitStatus, String)> {
        let until = Instant::now() + deadline;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                // Once everything is read, the reader gets an error at the end.
                if self.slave.is_none() {
                    let _ = self.screen.end(Duration::from_secs(1));
                }
                return Ok((status, self.screen.text()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("no exit in time; last lines of the screen:\n{}", self.screen.tail())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
