//! A number in a file or on a device (`hilum::boot_count`).

use super::path::open_plain;
use hilum::boot_count::{self, SECTOR};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Returns the number behind these words; 0 if there is none.
///
/// # Errors
/// Those of open(2) and read(2).
pub(crate) fn read(words: &str, path: &str) -> Result<u32, Errno> {
    let mut bytes = [0; SECTOR];
    let read = open_plain(path, OFlags::RDONLY, Mode::empty()).and_then(|file| rustix::io::read(&file, &mut bytes));
    match read {
        Ok(length) => Ok(boot_count::read(words, &bytes[..length])),
        Err(Errno::NOENT) => Ok(0),
        Err(errno) => Err(errno),
    }
}

/// Writes such a number.
///
/// # Errors
/// Those of open(2), write(2) and fsync(2).
pub(crate) fn write(words: &str, path: &str, number: u32) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::DSYNC | OFlags::CLOEXEC;
    let file = open_plain(path, flags, Mode::from_raw_mode(0o600))?;
    rustix::io::write(&file, &boot_count::sector(words, number))?;
    rustix::fs::fsync(&file)
}
