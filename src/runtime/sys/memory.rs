//! Returns memory to the kernel that is no longer needed.

use crate::call::call;
use linux_raw_sys::general::{__NR_madvise, MADV_DONTNEED};

/// The smallest page size of both architectures; with a larger one the kernel refuses the call, and only the gain is
/// lost.
const PAGE: usize = 4096;
/// Bytes below this function's variable that are kept: the rest of its frame, and the red zone of x86_64 (128 bytes
/// below the stack pointer).
const MARGIN: usize = 512;
/// The depth of the stack that is returned. The kernel keeps 128 MiB below the stack free of other mappings, whatever
/// its limit is (MIN_GAP of mm/util.c).
const DEPTH: usize = 1 << 20;

#[cfg(all(panic = "abort", not(feature = "hosted")))]
unsafe extern "C" {
    /// The start of the program in memory, and its code (linker/board.ld).
    static __ehdr_start: u8;
    static code_start: u8;
    static code_end: u8;
}

/// Returns the address range of the program's code.
#[cfg(all(panic = "abort", not(feature = "hosted")))]
pub(crate) fn code() -> core::ops::Range<usize> {
    &raw const code_start as usize..&raw const code_end as usize
}

/// Returns memory of completed work: the stack below the caller's frame, and the pages of the program.
#[inline(never)]
pub fn release_memory() {
    release_stack();
    // Last, because the following code brings pages back: the error path of the other call is far away. A program that
    // unwinds (a test on the host) has another layout.
    #[cfg(all(panic = "abort", not(feature = "hosted")))]
    release_code();
}

/// Unmaps the program's own pages, code and constants. They stay in the page cache, and are mapped again one by one
/// when needed.
#[cfg(all(panic = "abort", not(feature = "hosted")))]
fn release_code() {
    let start = &raw const __ehdr_start as usize;
    let length = (&raw const code_end as usize - start) & !(PAGE - 1);
    // SAFETY: between the two symbols linker/board.ld puts only read-only pages of the file, which the next access maps
    // again.
    let _ = unsafe { call(__NR_madvise, [start, length, MADV_DONTNEED as usize, 0, 0, 0]) };
}

/// Returns the stack below the caller's frame to the kernel (madvise(2), MADV_DONTNEED); otherwise pages that were
/// written once would stay resident.
#[inline(never)]
fn release_stack() {
    let here = 0_u8;
    let end = (&raw const here as usize).saturating_sub(MARGIN) & !(PAGE - 1);
    // SAFETY: the stack grows down on both architectures, so everything below this frame is unused, and only the stack
    // is within DEPTH of it. ENOMEM means that the stack is not that deep; the mapped part was returned.
    let _ = unsafe { call(__NR_madvise, [end.saturating_sub(DEPTH), DEPTH, MADV_DONTNEED as usize, 0, 0, 0]) };
}
