//! Updates of the board: its slots on the disk, what starts from them, and the writing of a bundle into one.
//!
//! Everything here may wait for a disk or for a sender, and runs in helpers of PID 1 (`init/updates.rs`).

mod disk;
mod efi;
mod firmware;
mod kexec;
mod signature;
mod stream;

pub(crate) use disk::Disk;
pub(crate) use firmware::Starter;
pub(crate) use stream::receive;

use rustix::io::Errno;

/// Why something was not done, as a sentence without a full stop.
pub(crate) type Reason = heapless::String<200>;

/// Returns a reason.
#[inline(never)]
fn reason(why: core::fmt::Arguments<'_>) -> Reason {
    hilum::fixed_string::text(why)
}

/// Returns the reason that the kernel gave.
#[inline(never)]
pub(crate) fn refused(what: &str, errno: Errno) -> Reason {
    reason(format_args!("{what}: {}", crate::os::errno::describe(errno)))
}
