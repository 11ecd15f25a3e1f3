//! Two buffers for a value and the bytes that it borrows from: one is in use while the other is filled.
//!
//! A program without a heap cannot drop a table and allocate a new one. Here a buffer is filled only while it has no
//! readers, which are counted: a [`ReadGuard`] is a reader, and no reference outlives its guard.

use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicU32, Ordering};

#[cfg(test)]
mod tests;

/// A type with a lifetime, and how to reset a value for reuse.
pub trait Covariant {
    /// The type.
    type Of<'a>;

    /// Resets a value; the bytes that it borrowed are no longer valid.
    fn clear(value: &mut Self::Of<'_>);

    /// Returns the same value with a shorter lifetime. For a covariant type the body is just the value, and other types
    /// do not compile.
    fn shorten<'short, 'long: 'short>(value: &'short Self::Of<'long>) -> &'short Self::Of<'short>;
}

/// The two buffers.
pub struct DoubleBuffer<F: Covariant, const BYTES: usize> {
    places: [Half<F, BYTES>; 2],
}

#[repr(C)]
struct Half<F: Covariant, const BYTES: usize> {
    /// The number of guards plus `UNUSED`, or a special value for a buffer without guards.
    readers: AtomicU32,
    value: UnsafeCell<F::Of<'static>>,
    bytes: UnsafeCell<[u8; BYTES]>,
}

// SAFETY: a buffer is written only by the one caller that changed `readers` from `FRESH` or `UNUSED` to `FILLING`; it
// is read only through guards, which exist only while `readers` counts them.
unsafe impl<F: Covariant, const BYTES: usize> Sync for DoubleBuffer<F, BYTES> where F::Of<'static>: Send + Sync {}

/// The count of a buffer that was never filled.
const FRESH: u32 = 0;
/// The count of a buffer that was filled and has no readers.
const UNUSED: u32 = 1;
/// The count of a buffer that is being filled.
const FILLING: u32 = u32::MAX;

impl<F: Covariant, const BYTES: usize> DoubleBuffer<F, BYTES> {
    /// Creates two buffers with their initial contents; all-zero contents take no bytes in the file.
    pub const fn new(first: F::Of<'static>, second: F::Of<'static>) -> Self {
        Self {
            places: [
                Half {
                    readers: AtomicU32::new(FRESH),
                    value: UnsafeCell::new(first),
                    bytes: UnsafeCell::new([0; BYTES]),
                },
                Half {
                    readers: AtomicU32::new(FRESH),
                    value: UnsafeCell::new(second),
                    bytes: UnsafeCell::new([0; BYTES]),
                },
            ],
        }
    }

    /// Fills a buffer without readers: `read` writes bytes there and returns their number, `parse` creates the value
    /// from them.
    ///
    /// # Errors
    /// Those of `read` and `parse`. `None` if both buffers have readers.
    pub fn fill<E>(
        &'static self,
        read: impl FnOnce(&mut [u8; BYTES]) -> Result<usize, E>,
        parse: impl for<'a> FnOnce(&'a [u8], &mut F::Of<'a>) -> Result<(), E>,
    ) -> Result<ReadGuard<F, BYTES>, Option<E>> {
        let takes = |place: &Half<F, BYTES>, from| {
            place.readers.compare_exchange(from, FILLING, Ordering::AcqRel, Ordering::Acquire).is_ok()
        };
        let found = |from| self.places.iter().find(|place| takes(place, from));
        let used = found(UNUSED);
        let place = used.or_else(|| found(FRESH)).ok_or(None)?;
        let (bytes, value) = (place.bytes.get(), place.value.get());
        // SAFETY: only one caller passes the exchange above, and no guard of this buffer exists.
        let value = unsafe { &mut *value };
        // A buffer that was never filled is empty; resetting it would only touch its memory.
        if used.is_some() {
            F::clear(value);
        }
        // SAFETY: as above; the value that borrowed from here was just reset.
        let bytes = unsafe { &mut *bytes };
        let filled = read(bytes).and_then(|length| parse(&bytes[..length.min(BYTES)], value));
        match filled {
            Ok(()) => {
                place.readers.store(UNUSED + 1, Ordering::Release);
                Ok(ReadGuard { place, family: PhantomData })
            }
            Err(error) => {
                place.readers.store(UNUSED, Ordering::Release);
                Err(Some(error))
            }
        }
    }
}

/// The right to read a buffer. A copy counts as another reader.
pub struct ReadGuard<F: Covariant + 'static, const BYTES: usize> {
    place: &'static Half<F, BYTES>,
    family: PhantomData<F>,
}

impl<F: Covariant, const BYTES: usize> ReadGuard<F, BYTES> {
    /// Returns the value.
    pub fn get(&self) -> &F::Of<'_> {
        let value = self.place.value.get();
        // SAFETY: while this guard exists nobody writes to the buffer, and the reference ends with the borrow of the
        // guard.
        let value: &F::Of<'static> = unsafe { &*value };
        F::shorten(value)
    }
}

impl<F: Covariant, const BYTES: usize> Clone for ReadGuard<F, BYTES> {
    fn clone(&self) -> Self {
        let before = self.place.readers.fetch_add(1, Ordering::AcqRel);
        assert!(before < FILLING - 1, "there are never so many leases");
        Self { place: self.place, family: PhantomData }
    }
}

impl<F: Covariant, const BYTES: usize> Drop for ReadGuard<F, BYTES> {
    fn drop(&mut self) {
        self.place.readers.fetch_sub(1, Ordering::AcqRel);
    }
}
