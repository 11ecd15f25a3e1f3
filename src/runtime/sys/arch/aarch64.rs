//! aarch64: entry and system calls (AAPCS64 6.2.3; syscall(2), "Architecture calling conventions").

use core::arch::asm;
#[cfg(all(panic = "abort", not(feature = "hosted")))]
use core::arch::naked_asm;

/// The first instructions of the process. The kernel leaves argc, argv, envp and the auxiliary vector at the stack
/// pointer, 16-byte aligned, and no return address in the link register. Clear the frame pointer and the link register
/// to end backtraces, and pass the vector on.
#[cfg(all(panic = "abort", not(feature = "hosted")))]
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn _start() -> ! {
    naked_asm!("mov x29, xzr", "mov x30, xzr", "mov x0, sp", "b {entry}", entry = sym crate::entry::enter)
}

/// Offsets in `struct ucontext`, in words, of the interrupted program counter and frame pointer (pc and x29 of
/// `struct sigcontext`, arch/arm64/include/uapi/asm/sigcontext.h, at byte 176 of asm/ucontext.h's).
#[cfg(all(panic = "abort", not(feature = "hosted")))]
pub(crate) const INSTRUCTION_WORD: usize = (176 + 8 + 32 * 8) / 8;
#[cfg(all(panic = "abort", not(feature = "hosted")))]
pub(crate) const FRAME_WORD: usize = (176 + 8 + 29 * 8) / 8;

/// Returns from a signal handler (sigreturn(2)).
#[cfg(all(panic = "abort", not(feature = "hosted")))]
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn restorer() -> ! {
    naked_asm!("mov x8, {number}", "svc 0", "udf 0", number = const linux_raw_sys::general::__NR_rt_sigreturn)
}

/// Enters the kernel with up to six arguments; returns what it left in x0 (a negated errno from -4095 to -1).
///
/// # Safety
/// The arguments are valid for system call `number`.
#[inline]
pub(crate) unsafe fn syscall(number: u32, args: [usize; 6]) -> isize {
    let result;
    // SAFETY: the kernel preserves all registers but x0; the caller guarantees the arguments.
    unsafe {
        asm!(
            "svc 0",
            in("x8") number as usize,
            inlateout("x0") args[0] => result,
            in("x1") args[1], in("x2") args[2], in("x3") args[3], in("x4") args[4], in("x5") args[5],
            options(nostack)
        );
    }
    result
}
