//! Giving memory back that was needed for a moment.

use crate::call::call;
use linux_raw_sys::general::{__NR_madvise, MADV_DONTNEED};

/// The smallest page of both architectures; a larger one makes the kernel refuse, which costs nothing but the gain.
const PAGE: usize = 4096;
/// Bytes that are left alone below this function's variable: the rest of its frame, and the 128 bytes below the stack
/// pointer that x86_64's functions may use.
const MARGIN: usize = 512;
/// How far down the stack is given back. The kernel keeps 128 MiB below the stack free of other mappings, whatever its
/// limit is (MIN_GAP of mm/util.c).
const DEPTH: usize = 1 << 20;

#[cfg(panic = "abort")]
unsafe extern "C" {
    /// The beginning of the program in memory, and its code (linker/board.ld).
    static __ehdr_start: u8;
    static code_start: u8;
    static code_end: u8;
}

/// Returns the addresses of the program's code.
#[cfg(panic = "abort")]
pub(crate) fn code() -> core::ops::Range<usize> {
    &raw const code_start as usize..&raw const code_end as usize
}

/// Returns a program that unwinds, a test on the host, has another layout.
#[cfg(not(panic = "abort"))]
pub(crate) fn code() -> core::ops::Range<usize> {
    0..0
}

/// Gives back what was needed for work that is over: the stack below the caller's frame, and the pages of the program.
#[inline(never)]
pub fn release_memory() {
    release_stack();
    // Last, because what follows brings pages back: an error of the other call is read by code that lies far away. A program that
    // unwinds, a test on the host, has another layout.
    #[cfg(panic = "abort")]
    release_code();
}

/// Lets go of the program's own pages, code and constants. They stay in the kernel's cache of the file, and come back one
/// by one when they are needed; until then they are nobody's.
#[cfg(panic = "abort")]
fn release_code() {
    let start = &raw const __ehdr_start as usize;
    let length = (&raw const code_end as usize - start) & !(PAGE - 1);
    // SAFETY: linker/board.ld puts only what is never written between the two symbols: pages of the file, whose contents
    // the next access finds again.
    let _ = unsafe { call(__NR_madvise, [start, length, MADV_DONTNEED as usize, 0, 0, 0]) };
}

/// Gives the kernel back what the stack needed below the caller's frame for work that is over (madvise(2),
/// MADV_DONTNEED): pages that were written once stay resident otherwise.
#[inline(never)]
fn release_stack() {
    let here = 0_u8;
    let end = (&raw const here as usize).saturating_sub(MARGIN) & !(PAGE - 1);
    // SAFETY: the stack grows down on both architectures, so everything below this frame is dead, and nothing but the
    // stack lies within DEPTH of it. ENOMEM says that the stack is not so deep; what there is of it was given back.
    let _ = unsafe { call(__NR_madvise, [end.saturating_sub(DEPTH), DEPTH, MADV_DONTNEED as usize, 0, 0, 0]) };
}
