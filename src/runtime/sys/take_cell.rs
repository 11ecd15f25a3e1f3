//! A table in `.bss` that is handed out once: how a program without a heap gets long-lived writable memory.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

#[cfg(test)]
mod tests;

/// Static memory that exactly one caller may take for the rest of the process's life.
///
/// The mark lies before the value: one behind a large table would be alone in a page.
#[repr(C)]
pub struct TakeCell<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: `take` lets one caller through, ever; no other path reaches the value, so it is never shared.
unsafe impl<T: Send> Sync for TakeCell<T> {}

impl<T> TakeCell<T> {
    /// Returns a table with its first contents; all-zero contents cost no bytes in the file.
    pub const fn new(value: T) -> Self {
        Self { taken: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// Returns the table, writable for ever. None at the second call.
    #[expect(clippy::mut_from_ref, reason = "the swap makes sure that this happens once")]
    pub fn take(&'static self) -> Option<&'static mut T> {
        if self.taken.swap(true, Ordering::AcqRel) {
            return None;
        }
        let value = self.value.get();
        // SAFETY: the swap above let this caller alone pass, so this is the only reference there will ever be.
        Some(unsafe { &mut *value })
    }
}
