//! The end of the program after an internal error: one line, then the exit function of its role.
//!
//! In the board's ELF file a failed check has no message and no source location. Its line has addresses of code, which the same build
//! with symbols maps to functions (`fault.rs`, CONTRIBUTING.md).

use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicPtr, AtomicU8, Ordering};
use rustix::fd::BorrowedFd;

/// The exit function: a function pointer stored as a data pointer, null if none was set.
static WAY_OUT: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());
/// The number of panics of this process.
static PANICS: AtomicU8 = AtomicU8::new(0);

/// Sets the function that ends the process after a panic. Without one it exits with status 101, as Rust's own handler
/// does.
pub fn on_panic(way_out: fn() -> !) {
    WAY_OUT.store(way_out as *mut (), Ordering::Release);
}

/// Writes formatted text to standard error; what does not fit is lost.
pub fn print(text: fmt::Arguments<'_>) {
    // There is no other place to report to if standard error cannot be written.
    let _ = print_to(crate::stdio::standard_error(), text);
}

/// Writes formatted text to a descriptor.
///
/// # Errors
/// The text could not be written as a whole, a full non-blocking pipe included.
pub fn print_to(descriptor: BorrowedFd<'_>, text: fmt::Arguments<'_>) -> fmt::Result {
    Output(descriptor).write_fmt(text)
}

struct Output<'a>(BorrowedFd<'a>);

impl Write for Output<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            match rustix::io::write(self.0, rest) {
                Ok(written) if written > 0 => rest = rest.get(written..).unwrap_or(&[]),
                Err(rustix::io::Errno::INTR) => {}
                _ => return Err(fmt::Error),
            }
        }
        Ok(())
    }
}

/// Ends the process after a panic: one line on standard error, then the exit function. [`entry!`](macro@crate::entry) makes it the
/// program's panic handler. Only builds without `-Cpanic=immediate-abort` call it: the board's ELF file traps instead (`fault.rs`).
pub fn panicked(info: &PanicInfo<'_>) -> ! {
    end(format_args!("hilum: panic: {}\n", info.message()))
}

/// Ends the process: one line on standard error, then the exit function. A second fault calls the exit function directly, a third one
/// ends the process. If that is process 1, the kernel panics, and restarts if `panic=` on its command line says so.
pub(crate) fn end(line: fmt::Arguments<'_>) -> ! {
    let times = PANICS.fetch_add(1, Ordering::AcqRel);
    if times == 0 {
        print(line);
    }
    let way_out = WAY_OUT.load(Ordering::Acquire);
    if way_out.is_null() || times > 1 {
        crate::process::exit(101)
    }
    // SAFETY: the only value ever stored besides null is a `fn() -> !` in `on_panic`.
    let way_out: fn() -> ! = unsafe { core::mem::transmute(way_out) };
    way_out()
}
