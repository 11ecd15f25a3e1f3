//! The kernel's log (/dev/kmsg, Documentation/ABI/testing/dev-kmsg).

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, IoSlice};

/// Bytes of a part of a line in the kernel's log: LOG_LINE_MAX of kernel/printk, minus what is added around it.
const PIECE_BYTES: usize = 880;

/// Opens it.
///
/// # Errors
/// Those of open(2).
pub(super) fn open() -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    crate::os::path::open("/dev/kmsg", flags, Mode::empty())
}

/// Writes a line to the kernel's log. One write is one record of about 1,000 bytes; a longer line is split, and each
/// part repeats the prefix. A record that the kernel does not accept at once is lost there.
pub(super) fn write(log: &OwnedFd, line: &[u8]) {
    let Ok(mut rest) = core::str::from_utf8(line) else { return };
    let whose = &rest[..rest.as_bytes().windows(3).position(|three| three == b" | ").map_or(0, |at| at + 3).min(64)];
    let mut is_first = true;
    while is_first || !rest.is_empty() {
        let cut = rest.floor_char_boundary(PIECE_BYTES);
        let (piece, behind) = rest.split_at(cut);
        let before = if is_first { ["", ""] } else { [whose, "..."] };
        let after = if behind.is_empty() { "" } else { "..." };
        let parts = [before[0], before[1], piece, after].map(|part| IoSlice::new(part.as_bytes()));
        let _ = rustix::io::writev(log, &parts);
        (rest, is_first) = (behind, false);
    }
}
