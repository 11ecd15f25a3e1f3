//! The panic handler: prints one line, then calls the exit function that the program has set.
//!
//! The file contains no source locations, because these took 16 KB. The line has addresses instead, which a build with
//! symbols maps to functions (CONTRIBUTING.md).
//!
//! A panic inside the panic handler (a message that panics while it is formatted) calls the exit function at once.

use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use rustix::fd::BorrowedFd;

/// The exit function: a function pointer stored as a data pointer, null if none was set.
static WAY_OUT: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());
static PANICKING: AtomicBool = AtomicBool::new(false);

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

/// Addresses in the line of a panic. Functions of core that led here come first.
const CALLERS: usize = 6;

/// Addresses of code.
struct Callers([usize; CALLERS]);

impl fmt::Display for Callers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().filter(|address| **address != 0).try_for_each(|address| write!(formatter, " {address:#x}"))
    }
}

/// Finds addresses of code on the stack, innermost first: the callers, and sometimes remains of earlier calls. The file
/// has no unwind tables.
#[inline(never)]
fn callers() -> Callers {
    /// Words of the stack to inspect.
    const WORDS: usize = 96;
    let mut found = Callers([0; CALLERS]);
    let mut room = found.0.iter_mut();
    let here = 0_usize;
    // As an integer that the compiler knows nothing about: the words above are not part of the variable.
    let stack = core::hint::black_box((&raw const here).expose_provenance());
    let stack = core::ptr::with_exposed_provenance::<usize>(stack);
    for at in 0..WORDS {
        // SAFETY: above this frame are the frames of its callers up to `_start`, and above them the arguments, the
        // environment and the auxiliary vector of the process: more words than these. A word there is initialised, or
        // only compared by value.
        let word = unsafe { stack.wrapping_add(at).read_volatile() };
        if crate::memory::code().contains(&word) {
            let Some(place) = room.next() else { break };
            *place = word;
        }
    }
    found
}

/// Ends the process because of a panic: prints one line to standard error, then calls the exit function.
/// [`entry!`](macro@crate::entry) makes it the program's panic handler.
pub fn panicked(info: &PanicInfo<'_>) -> ! {
    if !PANICKING.swap(true, Ordering::AcqRel) {
        print(format_args!("hilum: panic at{}: {}\n", callers(), info.message()));
    }
    let way_out = WAY_OUT.load(Ordering::Acquire);
    if way_out.is_null() {
        crate::process::exit(101)
    }
    // SAFETY: the only value ever stored besides null is a `fn() -> !` in `on_panic`.
    let way_out: fn() -> ! = unsafe { core::mem::transmute(way_out) };
    way_out()
}
