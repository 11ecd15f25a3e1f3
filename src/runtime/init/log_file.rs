//! The log file, written by a helper process so that a hanging disk blocks nothing.
//!
//! Lines are sent through a pipe that never blocks ([`LogPipe`]).

use crate::console::{Console, LogPipe};
use crate::os::errno::describe;
use crate::os::helper::{Kept, Role, spawn};
use crate::os::path::{open_plain, rename};
use crate::os::wait::await_exit;
use crate::storage;
use heapless::String;
use hilum::config::{self, Config};
use hilum::fixed_string::append;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, fstat};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;

/// Milliseconds that the writer has for the last lines, and between two checks for its exit.
const FINISH_MS: u64 = 1_000;
const FINISH_STEP_MS: u64 = 2;

const WRITER: Role = Role::lasting(c"hilum-log");

/// The writer of the log file.
pub(super) struct LogFile {
    writer: Option<Pid>,
}

impl LogFile {
    /// Sends lines where the configuration wants them besides the console: to the kernel log, and to a file by a new
    /// writer. If the file is on a disk that is mounted later, lines wait in the pipe.
    pub(super) fn start(config: &Config<'_>, console: &mut Console) -> Self {
        if config.system.has_kmsg {
            console.log_to_kernel();
        }
        let mut log = Self { writer: None };
        log.open(config, console);
        log
    }

    fn open(&mut self, config: &Config<'_>, console: &mut Console) {
        let Some(file) = config.system.log_file else { return };
        match start(file, config.mount_of(file.path)) {
            Ok((writer, pipe)) => {
                console.log_to_file(Some(pipe));
                self.writer = Some(writer);
            }
            Err(errno) => console.error(format_args!("log {}: {}", file.path, describe(errno))),
        }
    }

    /// Handles disks that disappeared (a bit for each `mount` line). If the file was on one of them, a new writer waits
    /// for its return. Lines wait in its pipe, as many as fit.
    pub(super) fn disk_left(&mut self, config: &Config<'_>, left: u8, console: &mut Console) {
        let file = config.system.log_file.and_then(|file| config.mount_index(file.path));
        if file.is_some_and(|index| left & 1 << index != 0) {
            // The previous writer exits when its pipe is closed, and is reaped as an orphan.
            self.writer = None;
            console.log_to_file(None);
            self.open(config, console);
        }
    }

    /// Handles the exit of a process. Returns whether it was the writer.
    pub(super) fn exited(&mut self, pid: Pid, console: &mut Console) -> bool {
        let is_writer = self.writer.take_if(|writer| *writer == pid).is_some();
        if is_writer {
            console.log_to_file(None);
            console.error(format_args!("log: the writer of the file exited; no longer writing it"));
        }
        is_writer
    }

    /// Waits for the writer, for at most [`FINISH_MS`]. Later lines are only on the terminal.
    pub(super) fn finish(&mut self, console: &mut Console) {
        // The writer exits at the end of its input.
        console.log_to_file(None);
        if let Some(writer) = self.writer.take() {
            await_exit(writer, FINISH_MS, FINISH_STEP_MS);
        }
    }
}

fn start(file: config::LogFile<'_>, disk: Option<&config::SystemMount<'_>>) -> Result<(Pid, LogPipe), Errno> {
    let (reader, pipe) = pipe_with(PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&pipe, true)?;
    let mut work = || {
        if disk.is_none_or(|disk| storage::await_mount(disk, reader.as_fd()).is_ok()) {
            let _ = write_all(&reader, file);
        }
        1
    };
    let writer = spawn(&WRITER, Kept::of(&[Some(reader.as_fd())]), &mut work)?;
    Ok((writer.pid, LogPipe::new(pipe)))
}

/// Writes lines until PID 1 closes the pipe. A full file is renamed to `PATH.1`, and a new one begins.
fn write_all(reader: &OwnedFd, file: config::LogFile<'_>) -> Result<(), Errno> {
    let mut old: String<260> = String::new();
    append(&mut old, format_args!("{}.1", file.path)).map_err(|_| Errno::NAMETOOLONG)?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::APPEND | OFlags::CLOEXEC;
    let mut log = open_plain(file.path, flags, Mode::from_raw_mode(0o600))?;
    let mut size = fstat(&log)?.st_size as u64;
    // If the last line is incomplete after a power loss, mark it and begin a new line.
    let mut last = *b"\n";
    if size > 0 && rustix::io::pread(&log, &mut last, size - 1)? == 1 && last != *b"\n" {
        size += rustix::io::write(&log, b"...\n")? as u64;
    }
    let mut bytes = [0; 4096];
    loop {
        let count = match rustix::io::read(reader, &mut bytes) {
            Err(Errno::INTR) => continue,
            Ok(0) => return Ok(()),
            result => result?,
        };
        if size + count as u64 > file.bytes && size > 0 {
            rename(file.path, &old)?;
            log = open_plain(file.path, flags, Mode::from_raw_mode(0o600))?;
            size = 0;
        }
        let mut rest = &bytes[..count];
        while !rest.is_empty() {
            let written = rustix::io::write(&log, rest)?;
            size += written as u64;
            rest = &rest[written.min(rest.len())..];
        }
    }
}
