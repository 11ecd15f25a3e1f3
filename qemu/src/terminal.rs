//! A program on a terminal of its own, which a test types on and reads from.

use crate::Transcript;
use anyhow::{Context, Result, bail};
use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::Write;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// The program and its terminal; it is killed when this is dropped.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    keyboard: File,
    /// What is shown.
    pub screen: Transcript,
}

impl Terminal {
    /// Starts `command` on a new terminal with so many rows and columns.
    ///
    /// # Errors
    /// There is no such program, or no terminal left.
    pub fn start(mut command: Command, rows: u16, columns: u16) -> Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let path = ptsname(&master, Vec::new())?;
        let slave = open(&path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        tcsetwinsize(&slave, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })?;
        let slave = File::from(slave);
        command.stdin(slave.try_clone()?).stdout(slave.try_clone()?).stderr(slave);
        let child = command.spawn().with_context(|| format!("{:?}", command.get_program()))?;
        // Dropping the command closes this process's copies of the terminal's other side.
        drop(command);
        let keyboard = File::from(master);
        let screen = Transcript::read(keyboard.try_clone()?);
        Ok(Self { child, keyboard, screen })
    }

    /// Types.
    ///
    /// # Errors
    /// The terminal has ended.
    pub fn type_text(&mut self, text: &str) -> Result<()> {
        Ok(self.keyboard.write_all(text.as_bytes())?)
    }

    /// Waits until the program has ended; gives its status and everything that was shown.
    ///
    /// # Errors
    /// It runs beyond `deadline`.
    pub fn wait(&mut self, deadline: Duration) -> Result<(ExitStatus, String)> {
        let until = Instant::now() + deadline;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                // The reader sees an error as the end, once everything is read.
                let _ = self.screen.end(Duration::from_secs(1));
                return Ok((status, self.screen.text()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("it did not end in time; the screen's end:\n{}", self.screen.tail())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
