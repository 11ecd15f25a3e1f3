//! Small files, read whole.

use super::path::open;
use rustix::fd::AsRawFd;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Reads a file into `buffer`, as much of it as fits. Returns the number of bytes.
///
/// # Errors
/// Those of open(2) and read(2).
pub(crate) fn read_file(path: &str, buffer: &mut [u8]) -> Result<usize, Errno> {
    let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty())?;
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match rustix::io::read(&file, rest) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(length)
}

/// Makes sure that descriptors 0, 1 and 2 are something.
pub(crate) fn fill_standard_descriptors() {
    // Open takes the lowest free number, so this fills each gap; what comes to lie above 2 is closed again.
    for _ in 0..3 {
        let opened = open("/dev/null", OFlags::RDWR | OFlags::NOCTTY, Mode::empty());
        // Without a /dev yet, a descriptor that can do nothing still keeps the number taken.
        let Ok(opened) = opened.or_else(|_| open("/", OFlags::PATH, Mode::empty())) else { return };
        if opened.as_raw_fd() > 2 {
            return;
        }
        core::mem::forget(opened);
    }
}
