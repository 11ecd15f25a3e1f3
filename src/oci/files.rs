//! Small files, with three or four system calls each. Those of std take eight or more here.

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use std::path::Path;

/// What files of the kernel have at most (PAGE_SIZE), besides lists.
const USUAL: usize = 4096;

/// Reads a file as a whole.
///
/// # Errors
/// Those of the kernel.
pub fn read(path: &Path) -> Result<Vec<u8>, Errno> {
    let file = rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut bytes = Vec::with_capacity(4 * USUAL);
    loop {
        match rustix::io::read(&file, rustix::buffer::spare_capacity(&mut bytes)) {
            Ok(0) => return Ok(bytes),
            Ok(_) => bytes.reserve(USUAL),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Reads a file of the kernel that has one line or a few: one read returns all of it (fs/seq_file.c, fs/kernfs/file.c).
///
/// # Errors
/// Those of the kernel.
pub fn read_line(path: &Path) -> Result<String, Errno> {
    let file = rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut bytes = Vec::with_capacity(USUAL);
    rustix::io::retry_on_intr(|| rustix::io::read(&file, rustix::buffer::spare_capacity(&mut bytes)))?;
    String::from_utf8(bytes).map_err(|_| Errno::ILSEQ)
}

/// Writes a value into a file of the kernel, which has to be there.
///
/// # Errors
/// Those of the kernel.
pub fn write_line(path: &Path, value: &str) -> Result<(), Errno> {
    let file = rustix::fs::openat(CWD, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    // A part would be another value.
    match rustix::io::retry_on_intr(|| rustix::io::write(&file, value.as_bytes()))? == value.len() {
        true => Ok(()),
        false => Err(Errno::IO),
    }
}
