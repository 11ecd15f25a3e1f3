//! Two places for a value and the bytes that it borrows from: one is in use while the other is filled.
//!
//! A program without a heap cannot drop a table and make a new one. Here a place is filled only while nobody reads it,
//! which is counted: a [`ReadGuard`] is a reader, and no reference outlives the lease that it was taken from.

use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicU32, Ordering};

#[cfg(test)]
mod tests;

/// A type with a lifetime, and how to make a used value fit to be filled again.
pub trait Covariant {
    /// The type.
    type Of<'a>;

    /// Empties a value; what it borrowed is gone.
    fn clear(value: &mut Self::Of<'_>);

    /// Returns the same value for a shorter time. For a type that is covariant, the value itself is all there is to write, and
    /// no other type can be used here.
    fn shorten<'short, 'long: 'short>(value: &'short Self::Of<'long>) -> &'short Self::Of<'short>;
}

/// The two places.
pub struct DoubleBuffer<F: Covariant, const BYTES: usize> {
    places: [Half<F, BYTES>; 2],
}

#[repr(C)]
struct Half<F: Covariant, const BYTES: usize> {
    /// How many leases there are, beside `UNUSED`; or one of the words for a place without any.
    readers: AtomicU32,
    value: UnsafeCell<F::Of<'static>>,
    bytes: UnsafeCell<[u8; BYTES]>,
}

// SAFETY: a place is written only while `readers` was raised from `FRESH` or `UNUSED` to `FILLING`, which one caller can do;
// it is read only through leases, which exist only while `readers` counts them.
unsafe impl<F: Covariant, const BYTES: usize> Sync for DoubleBuffer<F, BYTES> where F::Of<'static>: Send + Sync {}

/// What the count is of a place that was never filled.
const FRESH: u32 = 0;
/// What it is of one that was filled, and that nobody reads.
const UNUSED: u32 = 1;
/// What it is while a place is filled.
const FILLING: u32 = u32::MAX;

impl<F: Covariant, const BYTES: usize> DoubleBuffer<F, BYTES> {
    /// Two places with their first contents; all-zero contents cost no bytes in the file.
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

    /// Fills a place that nobody reads: `read` gives the number of bytes that it put there, `parse` makes the value of
    /// them.
    ///
    /// # Errors
    /// Those of `read` and `parse`. `None` if both places are read.
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
        // SAFETY: the exchange above let this caller alone pass, and no lease of this place exists.
        let value = unsafe { &mut *value };
        // What was never filled is empty, and emptying it would only make memory of it.
        if used.is_some() {
            F::clear(value);
        }
        // SAFETY: as above; the value, which borrowed from here, has just been emptied.
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

/// The right to read a place, as long as it is kept. A copy of it is a further one.
pub struct ReadGuard<F: Covariant + 'static, const BYTES: usize> {
    place: &'static Half<F, BYTES>,
    family: PhantomData<F>,
}

impl<F: Covariant, const BYTES: usize> ReadGuard<F, BYTES> {
    /// Returns the value.
    pub fn get(&self) -> &F::Of<'_> {
        let value = self.place.value.get();
        // SAFETY: while this lease exists nobody writes the place, and the reference ends with the borrow of the lease.
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
