//! Finds files of a kernel filesystem that can be opened for writing.

use crate::tell;
use core::fmt::Write;
use core::mem::MaybeUninit;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, FileType, Mode, OFlags, RawDir, openat};
use rustix::io::Errno;

/// No kernel's /proc or /sys has deeper files.
const DEEPEST: u32 = 24;

/// Prints every file below `top` that can be opened for writing, except folders of processes, and how many were tried.
pub(crate) fn writable(top: &str) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = openat(CWD, top, flags, Mode::empty())?;
    let mut path: heapless::String<1024> = heapless::String::new();
    path.push_str(top).map_err(|_| Errno::NAMETOOLONG)?;
    let mut tried = 0;
    walk(&folder, &mut path, DEEPEST, &mut tried);
    tell(format_args!("tried {top} {tried}"));
    Ok(())
}

fn walk(folder: &OwnedFd, path: &mut heapless::String<1024>, depth: u32, tried: &mut u32) {
    let mut buffer = [MaybeUninit::uninit(); 2048];
    let mut entries = RawDir::new(folder, &mut buffer);
    while let Some(Ok(entry)) = entries.next() {
        let name = entry.file_name();
        let bytes = name.to_bytes();
        let is_process = path.as_str() == "/proc" && bytes.iter().all(u8::is_ascii_digit);
        if bytes == b"." || bytes == b".." || is_process {
            continue;
        }
        let length = path.len();
        // A name that is too long for the buffer is printed truncated.
        let _ = write!(path, "/{}", name.to_str().unwrap_or("?"));
        match entry.file_type() {
            FileType::Directory if depth > 0 => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                if let Ok(inner) = openat(folder, name, flags, Mode::empty()) {
                    walk(&inner, path, depth - 1, tried);
                }
            }
            FileType::Symlink => {}
            _ => {
                *tried += 1;
                let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                if openat(folder, name, flags, Mode::empty()).is_ok() {
                    tell(format_args!("writable {path}"));
                }
            }
        }
        path.truncate(length);
    }
}
