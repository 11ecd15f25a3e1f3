//! Small files that are read as a whole.

use super::path::open;
use core::mem::MaybeUninit;
use rustix::fd::{AsFd, AsRawFd};
use rustix::fs::{Mode, OFlags, RawDir};
use rustix::io::Errno;

/// Reads a file into `buffer`, as much as fits. Returns the number of bytes.
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

/// Returns a path below /sys or /dev; a longer one is cut, and does not exist.
#[inline(never)]
pub(crate) fn sys_path(arguments: core::fmt::Arguments<'_>) -> heapless::String<512> {
    hilum::fixed_string::text(arguments)
}

/// Returns the text of a file, truncated to the buffer, without the last newline. Empty if it cannot be read or is not UTF-8.
#[inline(never)]
pub(crate) fn read_text<'b>(path: &str, buffer: &'b mut [u8]) -> &'b str {
    let length = read_file(path, buffer).unwrap_or(0);
    let text = text_of(buffer, length);
    text.strip_suffix('\n').unwrap_or(text)
}

/// Returns the number that a file contains. `None` if it cannot be read or contains something else.
#[inline(never)]
pub(crate) fn read_number(path: &str) -> Option<u64> {
    hilum::number::number(read_text(path, &mut [0; 24]))
}

/// Returns the first `length` bytes as text. Empty if they are not UTF-8.
#[inline(never)]
pub(crate) fn text_of(buffer: &[u8], length: usize) -> &str {
    buffer.get(..length).and_then(|text| core::str::from_utf8(text).ok()).unwrap_or_default()
}

/// Returns the target of a symbolic link, truncated to the buffer. Empty if there is no such link.
#[inline(never)]
pub(crate) fn read_link<'b>(path: &str, buffer: &'b mut [u8]) -> &'b str {
    let length = super::path::read_link(path, buffer).unwrap_or(0);
    text_of(buffer, length)
}

/// Calls `work` with the name of each entry of a folder.
///
/// # Errors
/// Those of open(2) and getdents(2), and the first of `work`.
#[inline(never)]
pub(crate) fn each(folder: &str, work: &mut dyn FnMut(&str) -> Result<(), Errno>) -> Result<(), Errno> {
    let folder = open(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut buffer = [MaybeUninit::uninit(); 2048];
    let mut entries = RawDir::new(folder.as_fd(), &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        match entry.file_name().to_str() {
            Ok("." | "..") | Err(_) => {}
            Ok(name) => work(name)?,
        }
    }
    Ok(())
}

/// Makes sure that descriptors 0, 1 and 2 are open.
pub(crate) fn fill_standard_descriptors() {
    // open(2) uses the lowest free number, so this fills the gaps; descriptors above 2 are closed again.
    for _ in 0..3 {
        let opened = open("/dev/null", OFlags::RDWR | OFlags::NOCTTY, Mode::empty());
        // Without /dev, an O_PATH descriptor still occupies the number.
        let Ok(opened) = opened.or_else(|_| open("/", OFlags::PATH, Mode::empty())) else { return };
        if opened.as_raw_fd() > 2 {
            return;
        }
        core::mem::forget(opened);
    }
}
