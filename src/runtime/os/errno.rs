//! Error numbers for messages.

use rustix::io::Errno;

/// Returns an error number for printing: its name and its meaning.
#[inline(never)]
pub(crate) fn describe(errno: Errno) -> hilum::errno::Errno {
    hilum::errno::Errno(u16::try_from(errno.raw_os_error()).unwrap_or_default())
}
