//! Error numbers for people.

use rustix::io::Errno;

/// Returns what the library prints for an error number: its name and its meaning.
pub(crate) fn describe(errno: Errno) -> hilum::errno::Errno {
    hilum::errno::Errno(u16::try_from(errno.raw_os_error()).unwrap_or_default())
}
