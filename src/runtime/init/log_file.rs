//! The console's lines in a file, which a process of its own writes: a disk that does not answer holds nobody up.
//!
//! Lines go to it through a pipe that is never waited for; what does not fit is counted, and told in the file.

use super::wait::await_end;
use crate::path::{Path, open_plain};
use crate::storage;
use heapless::String;
use hilum::config;
use hilum::text::append;
use hilum_sys::{Cloned, exit, monotonic_ms};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags, fstat, rename};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;

/// Milliseconds that the process has for the last lines, and until it is looked for again.
const FINISH_MS: u64 = 1_000;
const FINISH_STEP_MS: u64 = 2;

/// The process and the way to it.
pub(super) struct LogFile {
    pub(super) pid: Pid,
    pipe: OwnedFd,
    dropped: u32,
}

impl LogFile {
    /// Makes the process. The file may lie on a disk that is mounted later: until then lines wait in the pipe.
    pub(super) fn start(file: config::LogFile<'_>, disk: Option<&config::SystemMount<'_>>) -> Result<Self, Errno> {
        let (reader, pipe) = pipe_with(PipeFlags::CLOEXEC)?;
        match hilum_sys::clone(0, None)? {
            Cloned::Parent { pid, .. } => {
                rustix::io::ioctl_fionbio(&pipe, true)?;
                Ok(Self { pid, pipe, dropped: 0 })
            }
            Cloned::Child => {
                drop(pipe);
                let _ = hilum_sys::close_all_but(&mut [reader.as_raw_fd().unsigned_abs()]);
                if let Some(disk) = disk {
                    let _ = storage::await_mount(disk);
                }
                let _ = write_all(&reader, file);
                exit(1)
            }
        }
    }

    /// Where lines go to the process.
    pub(super) fn pipe(&self) -> &OwnedFd {
        &self.pipe
    }

    /// Lets the process write what it has been handed, and waits for its end, but not for ever.
    pub(super) fn finish(self) {
        drop(self.pipe);
        await_end(self.pid, FINISH_MS, FINISH_STEP_MS);
    }

    /// Hands a line over, with its time in seconds since the boot.
    pub(super) fn write(&mut self, line: &[u8]) {
        let now_ms = monotonic_ms();
        let mut head: String<80> = String::new();
        // Two numbers and some words fit.
        if self.dropped > 0 {
            let _ = append(&mut head, format_args!("({} lines did not get here)\n", self.dropped));
        }
        let _ = append(&mut head, format_args!("{}.{:03} ", now_ms / 1_000, now_ms % 1_000));
        let mut whole: heapless::Vec<u8, 1400> = heapless::Vec::new();
        let fits = [head.as_bytes(), line, b"\n"].iter().try_for_each(|part| whole.extend_from_slice(part)).is_ok();
        // A line is shorter than PIPE_BUF, so it is taken whole or not at all (pipe(7)).
        match fits && rustix::io::write(&self.pipe, &whole).is_ok() {
            true => self.dropped = 0,
            false => self.dropped = self.dropped.saturating_add(1),
        }
    }
}

/// Writes what comes, until PID 1 is gone. When the file is large enough it becomes `PATH.1`, and a new one begins.
fn write_all(reader: &OwnedFd, file: config::LogFile<'_>) -> Result<(), Errno> {
    let mut old: String<260> = String::new();
    append(&mut old, format_args!("{}.1", file.path)).map_err(|_| Errno::NAMETOOLONG)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::CLOEXEC;
    let mut log = open_plain(file.path, flags, Mode::from_raw_mode(0o600))?;
    let mut size = fstat(&log)?.st_size as u64;
    let mut bytes = [0; 4096];
    loop {
        let count = match rustix::io::read(reader, &mut bytes) {
            Err(Errno::INTR) => continue,
            Ok(0) => return Ok(()),
            result => result?,
        };
        if size + count as u64 > file.bytes && size > 0 {
            rename(Path(file.path), Path(&old))?;
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
