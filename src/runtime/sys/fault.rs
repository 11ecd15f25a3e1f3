//! Signals that the kernel sends because of the program's own faults.
//!
//! A failed check (a bound, an overflow, an `unwrap`) is one trapping instruction, because the board's ELF file is built with
//! `-Cpanic=immediate-abort`. An invalid memory access and a stack overflow are handled in the same way. So process 1 can restart the
//! machine in order; without a handler the kernel would panic.

use crate::arch::{FRAME_WORD, INSTRUCTION_WORD, restorer};
use crate::call::call;
use crate::panic::end;
use core::fmt;
use linux_raw_sys::general::{
    __NR_rt_sigaction, __NR_sigaltstack, SA_NODEFER, SA_ONSTACK, SA_RESTART, SA_RESTORER, SA_SIGINFO, SIGBUS, SIGILL,
    SIGSEGV, SIGTRAP, kernel_sigset_t,
};

/// Signals of a trapping instruction (SIGILL on x86_64, SIGTRAP on aarch64), of an invalid memory access (SIGSEGV), and of a page whose
/// file is truncated or cannot be read (SIGBUS).
const SIGNALS: [u32; 4] = [SIGILL, SIGTRAP, SIGSEGV, SIGBUS];

/// Bytes of the handler's stack. The frame with the registers of the largest x86_64 processors takes up to 11 KiB; the exit function
/// writes a line, waits, and restarts the machine.
const STACK: usize = 64 << 10;

/// The handler's stack, because the usual one has no room after an overflow. Only the kernel has its address.
static mut HANDLER_STACK: [u8; STACK] = [0; STACK];

/// Makes [`fault`] the handler of this process's faults. Its children inherit it until they execute another program.
pub(crate) fn handle() {
    // stack_t of sigaltstack(2): address, flags with padding, size.
    let stack = [&raw mut HANDLER_STACK as usize, 0, STACK];
    // SAFETY: the kernel reads one stack_t. Only the handler uses the memory, and only one handler runs at a time.
    let _ = unsafe { call(__NR_sigaltstack, [&raw const stack as usize, 0, 0, 0, 0, 0]) };
    let flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART | SA_RESTORER;
    // struct kernel_sigaction: handler, flags, restorer, mask.
    let action = [fault as *const () as usize, flags as usize, restorer as *const () as usize, 0];
    for signal in SIGNALS {
        let arguments = [signal as usize, &raw const action as usize, 0, size_of::<kernel_sigset_t>(), 0, 0];
        // SAFETY: the kernel reads one kernel_sigaction. The handler has the arguments of SA_SIGINFO, and the restorer returns from it.
        let _ = unsafe { call(__NR_rt_sigaction, arguments) };
    }
}

/// Handles one of [`SIGNALS`]: prints the addresses of code and ends the process. Ignores a signal that a process has sent, because it
/// must not end process 1.
///
/// # Safety
/// Only the kernel may call it, with the arguments of SA_SIGINFO (sigaction(2)).
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

/// The maximum number of addresses in a panic line.
const CALLERS: usize = 8;
/// Bytes of the usual stack that are searched for frames.
const FRAMES: usize = 1 << 20;

/// Addresses of code, innermost first; zero for none.
struct Callers([usize; CALLERS]);

impl Callers {
    /// Follows the chain of frames. Each begins with the address of the next outer frame, followed by the return address (System V
    /// AMD64 psABI 3.2.2; AAPCS64 6.4.6). The first address is `instruction`.
    fn of(instruction: usize, mut frame: usize) -> Self {
        let mut found = Self([instruction, 0, 0, 0, 0, 0, 0, 0]);
        let end = frame.saturating_add(FRAMES);
        for place in &mut found.0[1..] {
            if frame == 0 || !frame.is_multiple_of(size_of::<usize>()) {
                break;
            }
            let here = core::ptr::with_exposed_provenance::<usize>(frame);
            // SAFETY: no function uses the frame pointer for anything else (linker/build), so this is a frame of two words, that of the
            // caller if the function itself has none. If it is overwritten, the access may be another fault, which calls the exit
            // function directly.
            let [outer, back] = unsafe { here.cast::<[usize; 2]>().read_volatile() };
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
