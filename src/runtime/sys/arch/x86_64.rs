//! x86_64: entry and system calls (System V AMD64 psABI 3.4.1; syscall(2), "Architecture calling conventions").

use core::arch::asm;
#[cfg(all(panic = "abort", not(feature = "hosted")))]
use core::arch::naked_asm;

/// The first instructions of the process. The kernel leaves argc, argv, envp and the auxiliary vector at the stack
/// pointer, and no return address. Clear the frame pointer to end backtraces, pass the vector on, and keep the stack
/// 16-byte aligned as for a call.
#[cfg(all(panic = "abort", not(feature = "hosted")))]
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn _start() -> ! {
    naked_asm!("xor ebp, ebp", "mov rdi, rsp", "and rsp, -16", "call {entry}", "ud2", entry = sym crate::entry::enter)
}

/// Offsets in `struct ucontext`, in words, of the interrupted instruction pointer and frame pointer (rip and rbp of
/// `struct sigcontext_64`, arch/x86/include/uapi/asm/sigcontext.h, behind the 40 bytes of asm-generic/ucontext.h).
#[cfg(all(panic = "abort", not(feature = "hosted")))]
pub(crate) const INSTRUCTION_WORD: usize = (40 + 16 * 8) / 8;
#[cfg(all(panic = "abort", not(feature = "hosted")))]
pub(crate) const FRAME_WORD: usize = (40 + 10 * 8) / 8;

/// Returns from a signal handler (sigreturn(2)). On x86_64 the program has to specify where its handlers return to.
#[cfg(all(panic = "abort", not(feature = "hosted")))]
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn restorer() -> ! {
    naked_asm!("mov eax, {number}", "syscall", "ud2", number = const linux_raw_sys::general::__NR_rt_sigreturn)
}

/// Enters the kernel with up to six arguments; returns what it left in rax (a negated errno from -4095 to -1).
///
/// # Safety
/// The arguments are valid for system call `number`.
#[inline]
pub(crate) unsafe fn syscall(number: u32, args: [usize; 6]) -> isize {
    let result;
    // SAFETY: the kernel clobbers only rcx and r11; the caller guarantees the arguments.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as usize => result,
            in("rdi") args[0], in("rsi") args[1], in("rdx") args[2],
            in("r10") args[3], in("r8") args[4], in("r9") args[5],
            lateout("rcx") _, lateout("r11") _,
            options(nostack)
        );
    }
    result
}
