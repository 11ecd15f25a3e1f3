//! The console's lines in a file, which a process of its own writes: a disk that does not answer holds nobody up.
//!
//! Lines go to it through a pipe that is never waited for; what does not fit is counted, and told in the file.

use super::wait::await_end;
use crate::path::{Path, open_plain};
use crate::storage;
use heapless::String;
use hilum::config;
use hilum::fixed_string::append;
use hilum_sys::{Cloned, exit, monotonic_ms};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags, fstat, rename};
use rustix::io::{Errno, IoSlice};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;

/// Milliseconds that the process has for the last lines, and until it is looked for again.
const FINISH_MS: u64 = 1_000;
const FINISH_STEP_MS: u64 = 2;

/// Bytes that a pipe takes whole: PIPE_BUF, less what closes a line that was torn.
const PIPE_BUF: usize = 4096 - 4;

/// The process and the way to it.
pub(super) struct LogFile {
    pub(super) pid: Pid,
    pipe: OwnedFd,
    dropped: u32,
    /// Whether the last line is there without its end.
    is_torn: bool,
}

impl LogFile {
    /// Makes the process. The file may lie on a disk that is mounted later: until then lines wait in the pipe.
    pub(super) fn start(file: config::LogFile<'_>, disk: Option<&config::SystemMount<'_>>) -> Result<Self, Errno> {
        let (reader, pipe) = pipe_with(PipeFlags::CLOEXEC)?;
        match hilum_sys::clone(0, None)? {
            Cloned::Parent { pid, .. } => {
                rustix::io::ioctl_fionbio(&pipe, true)?;
                Ok(Self { pid, pipe, dropped: 0, is_torn: false })
            }
            Cloned::Child => {
                drop(pipe);
                let _ = hilum_sys::close_all_but(&mut [reader.as_raw_fd().unsigned_abs()]);
                let _ = crate::helper::become_ordinary();
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
        let whole = head.len() + line.len() + 1;
        // What is not longer than PIPE_BUF is taken whole or not at all (pipe(7)); the rest of a longer line may get lost, and
        // the next one begins a line of its own.
        let (first, rest) = line.split_at(line.len() - whole.saturating_sub(PIPE_BUF));
        let newline: &[u8] = if rest.is_empty() { b"\n" } else { b"" };
        let torn: &[u8] = if self.is_torn { b"...\n" } else { b"" };
        let is_taken = self.put(&[torn, head.as_bytes(), first, newline]);
        match is_taken {
            true => (self.dropped, self.is_torn) = (0, !rest.is_empty() && !self.put(&[rest, b"\n"])),
            false => self.dropped = self.dropped.saturating_add(1),
        }
    }

    fn put(&self, parts: &[&[u8]]) -> bool {
        let mut slices: heapless::Vec<IoSlice<'_>, 4> = heapless::Vec::new();
        slices.extend(parts.iter().map(|part| IoSlice::new(part)));
        rustix::io::writev(&self.pipe, &slices).is_ok()
    }
}

/// Writes what comes, until PID 1 is gone. When the file is large enough it becomes `PATH.1`, and a new one begins.
fn write_all(reader: &OwnedFd, file: config::LogFile<'_>) -> Result<(), Errno> {
    let mut old: String<260> = String::new();
    append(&mut old, format_args!("{}.1", file.path)).map_err(|_| Errno::NAMETOOLONG)?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::APPEND | OFlags::CLOEXEC;
    let mut log = open_plain(file.path, flags, Mode::from_raw_mode(0o600))?;
    let mut size = fstat(&log)?.st_size as u64;
    // The power was cut while the last line was written: mark it, and begin a line of our own.
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
