//! Updates of the board: its slots on the disk, what starts from them, and the writing of a bundle into one.
//!
//! Everything here may wait for a disk or for a sender, and runs in helpers of PID 1 (`init/updates.rs`).

mod disk;
mod efi;
mod firmware;
mod kexec;
#[cfg(target_arch = "aarch64")]
mod partition;
#[cfg(target_arch = "aarch64")]
mod segments;
mod signature;
mod stream;

pub(crate) use disk::Disk;
pub(crate) use firmware::Starter;
pub(crate) use stream::receive;

use core::fmt;
use hilum::split::Split;
use hilum::text;
use hilum::text::{LONGEST, Text};
use rustix::io::Errno;

/// What was done, or why something was not, as a sentence without a full stop: a text with a value in place of its `{}`. It is
/// small, because it is passed through many functions.
pub(crate) struct Reason(Text, Value);

/// The reason that the record was not written.
pub(crate) const RECORD: Text = text!("the record of the slots: {}");

enum Value {
    Number(u64),
    Errno(Errno),
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = [0; LONGEST];
        let text = self.0.unpack(&mut buffer);
        let Some(at) = text.place_of(b'{') else { return formatter.write_str(text) };
        formatter.write_str(&text[..at])?;
        match self.1 {
            Value::Number(number) => write!(formatter, "{number}")?,
            Value::Errno(errno) => write!(formatter, "{}", crate::os::errno::describe(errno))?,
        }
        formatter.write_str(&text[at + 2..])
    }
}

/// Returns a reason with a number; the text may be without one.
pub(crate) const fn reason(text: Text, number: u64) -> Reason {
    Reason(text, Value::Number(number))
}

/// Returns a reason with that of the kernel.
pub(crate) const fn refused(text: Text, errno: Errno) -> Reason {
    Reason(text, Value::Errno(errno))
}
