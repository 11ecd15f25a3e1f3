//! A static table that is handed out once: long-lived writable memory without a heap.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

#[cfg(test)]
mod tests;

/// Static memory that exactly one caller may take for the rest of the process's life.
///
/// The flag comes before the value, because a flag after a large table would occupy a page of its own.
#[repr(C)]
pub struct TakeCell<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: `take` succeeds once; there is no other access to the value, so it is never shared.
unsafe impl<T: Send> Sync for TakeCell<T> {}

impl<T> TakeCell<T> {
    /// Creates a table with its initial contents; all-zero contents take no bytes in the file.
    pub const fn new(value: T) -> Self {
        Self { taken: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// Returns the table, writable for ever; `None` at the second call.
    #[expect(clippy::mut_from_ref, reason = "the swap makes sure that this happens once")]
    pub fn take(&'static self) -> Option<&'static mut T> {
        if self.taken.swap(true, Ordering::AcqRel) {
            return None;
        }
        let value = self.value.get();
        // SAFETY: only one caller passes the swap above, so this is the only reference there will ever be.
        Some(unsafe { &mut *value })
    }
}
