//! Signals that the kernel sends because of the program's own faults.
//!
//! A failed check (a bound, an overflow, an `unwrap`) is one instruction that traps: the board's ELF file is built with
//! `-Cpanic=immediate-abort`. An invalid access to memory and an overflow of the stack end the same way, and process 1, which the kernel
//! would panic for, gets to its way out.

use crate::arch::{FRAME_WORD, INSTRUCTION_WORD, restorer};
use crate::call::call;
use crate::panic::end;
use core::fmt;
use linux_raw_sys::general::{
    __NR_rt_sigaction, __NR_sigaltstack, SA_NODEFER, SA_ONSTACK, SA_RESTART, SA_RESTORER, SA_SIGINFO, SIGBUS, SIGILL,
    SIGSEGV, SIGTRAP, kernel_sigset_t,
};

/// The signals: of an instruction that traps (SIGILL on x86_64, SIGTRAP on aarch64), of a page that is not there or not to be accessed
/// like that, and of one whose file is shorter or cannot be read.
const SIGNALS: [u32; 4] = [SIGILL, SIGTRAP, SIGSEGV, SIGBUS];

/// Bytes of the handler's stack: the frame with the registers of the largest x86_64 processors takes up to 11 KiB, and the way out
/// writes a line, waits and asks the kernel to restart.
const STACK: usize = 64 << 10;

/// The handler's stack: on an overflow of the usual one there is no room there. Only the kernel has its address.
static mut HANDLER_STACK: [u8; STACK] = [0; STACK];

/// Has the kernel call [`fault`] for this process's faults. Its children inherit that until they execute another program.
pub(crate) fn handle() {
    // stack_t of sigaltstack(2): address, flags with padding, size.
    let stack = [&raw mut HANDLER_STACK as usize, 0, STACK];
    // SAFETY: the kernel reads one stack_t; the memory behind it is for the handler alone, which runs once at a time.
    let _ = unsafe { call(__NR_sigaltstack, [&raw const stack as usize, 0, 0, 0, 0, 0]) };
    let flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART | SA_RESTORER;
    // struct kernel_sigaction: handler, flags, restorer, mask.
    let action = [fault as *const () as usize, flags as usize, restorer as *const () as usize, 0];
    for signal in SIGNALS {
        let arguments = [signal as usize, &raw const action as usize, 0, size_of::<kernel_sigset_t>(), 0, 0];
        // SAFETY: the kernel reads one kernel_sigaction. The handler takes what SA_SIGINFO says, and the restorer returns from it.
        let _ = unsafe { call(__NR_rt_sigaction, arguments) };
    }
}

/// Handles one of [`SIGNALS`]: if it is of a fault, prints the addresses of code and ends the process. One that was sent by a process is
/// ignored, as process 1 has to.
///
/// # Safety
/// The kernel calls it, with what sigaction(2) says of SA_SIGINFO.
unsafe extern "C" fn fault(signal: i32, info: *const i32, context: *const usize) {
    // SAFETY: the third word of siginfo_t is si_code on both architectures.
    if unsafe { info.wrapping_add(2).read() } <= 0 {
        return;
    }
    // SAFETY: the kernel wrote a whole struct ucontext there.
    let word = |at: usize| unsafe { context.wrapping_add(at).read() };
    let callers = Callers::of(word(INSTRUCTION_WORD), word(FRAME_WORD));
    end(format_args!("hilum: panic at {callers}: internal error, signal {signal}\n"))
}

/// Addresses of code that a panic's line shows.
const CALLERS: usize = 8;
/// Bytes of the usual stack that frames are looked for in.
const FRAMES: usize = 1 << 20;

/// Addresses of code, the innermost first; zero is none.
struct Callers([usize; CALLERS]);

impl Callers {
    /// Follows the chain of frames: each begins with the address of the next outer one, and behind that is where its function returns
    /// to (System V AMD64 psABI 3.2.2; AAPCS64 6.4.6). The first address is `instruction`.
    fn of(instruction: usize, mut frame: usize) -> Self {
        let mut found = Self([instruction, 0, 0, 0, 0, 0, 0, 0]);
        let end = frame.saturating_add(FRAMES);
        for place in &mut found.0[1..] {
            if frame == 0 || !frame.is_multiple_of(size_of::<usize>()) {
                break;
            }
            let here = core::ptr::with_exposed_provenance::<usize>(frame);
            // SAFETY: every function keeps the frame pointer (linker/build), so this is a frame. If it is overwritten, the access may
            // be a fault in its turn, which goes straight to the way out.
            let (outer, back) = unsafe { (here.read_volatile(), here.wrapping_add(1).read_volatile()) };
            if !crate::memory::code().contains(&back) {
                break;
            }
            *place = back;
            if outer <= frame || outer >= end {
                break;
            }
            frame = outer;
        }
        found
    }
}

impl fmt::Display for Callers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, outer @ ..] = &self.0;
        write!(formatter, "{first:#x}")?;
        outer.iter().filter(|address| **address != 0).try_for_each(|address| write!(formatter, " {address:#x}"))
    }
}
