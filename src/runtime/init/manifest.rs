//! Checks whether the initramfs is complete.
//!
//! The kernel unpacks it into memory. If memory is short, it continues with missing or truncated files, and without an
//! error. The image builder puts a list of all files at the start of the archive, and an empty file at its end. If the
//! list exists and that file does not, the list shows what is missing.

use crate::console::Console;
use crate::os::files::read_text;
use crate::os::path::{access, stat};
use heapless::String;
use hilum::fixed_string::append;
use hilum::log::Printable;
use hilum::number::number;
use hilum::split::Split;
use rustix::fs::Access;

/// The list: a line for each file, with its size or `-`, and its path.
const MANIFEST: &str = "/etc/hilum.manifest";
/// The last file.
const END: &str = "/etc/hilum.end";
/// Maximum bytes of the list that are read.
const BYTES: usize = 48 * 1024;

/// Prints what is missing. Returns whether the initramfs is complete, as far as known.
pub(super) fn is_whole(console: &mut Console) -> bool {
    if access(END, Access::EXISTS).is_ok() || access(MANIFEST, Access::EXISTS).is_err() {
        return true;
    }
    print(console);
    false
}

/// A separate stack frame, so that PID 1 keeps no page of this buffer.
#[inline(never)]
fn print(console: &mut Console) {
    let mut bytes = [0; BYTES];
    let text = read_text(MANIFEST, &mut bytes);
    let (mut missing, mut first) = (0_u32, None);
    for line in text.each_line() {
        let Some((size, path)) = line.cut(b' ') else { continue };
        let found = stat(path).ok().map(|found| found.st_size);
        if found.is_none() || number(size).is_some_and(|size: i64| found != Some(size)) {
            missing += 1;
            first = first.or(Some((path, found)));
        }
    }
    let mut what: String<320> = String::new();
    // A path that does not fit is skipped.
    let _ = match first {
        Some((path, None)) => append(&mut what, format_args!(", such as {}", Printable(path.as_bytes()))),
        Some((path, Some(size))) => {
            append(&mut what, format_args!(", such as {} with {size} bytes", Printable(path.as_bytes())))
        }
        None => Ok(()),
    };
    console.error(format_args!(
        "the image is incomplete: {missing} file{} missing or truncated{what}; too little memory, or the image was \
         truncated",
        crate::console::plural(missing as usize)
    ));
}
