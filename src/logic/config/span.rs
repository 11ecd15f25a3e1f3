//! The range of a workload's items in a list of all workloads (`pools.rs`).

use core::fmt;
use core::marker::PhantomData;
use core::ops::Range;

/// The range of a workload's items in the list of their kind.
pub struct Span<T> {
    first: u16,
    count: u8,
    of: PhantomData<fn() -> T>,
}

impl<T> Span<T> {
    /// An empty range.
    pub const NONE: Self = Self { first: 0, count: 0, of: PhantomData };

    /// Returns the number of items.
    pub const fn len(self) -> usize {
        self.count as usize
    }

    /// Returns whether there are none.
    pub const fn is_empty(self) -> bool {
        self.count == 0
    }

    /// Extends the range by the next item of a list that has `all` items. Returns false if the range already has
    /// `limit`.
    #[inline(never)]
    pub(super) fn grow(&mut self, all: usize, limit: usize) -> bool {
        if self.is_empty() {
            self.first = all as u16;
        }
        let has_room = self.len() < limit;
        self.count += u8::from(has_room);
        has_room
    }

    /// Returns the range of indexes in the list.
    pub(super) const fn range(self) -> Range<usize> {
        let first = self.first as usize;
        first..first + self.len()
    }
}

impl<T> Clone for Span<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Span<T> {}

impl<T> Default for Span<T> {
    fn default() -> Self {
        Self::NONE
    }
}

/// Compares ranges; this is meaningful only within one configuration.
impl<T> PartialEq for Span<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.first, self.count) == (other.first, other.count)
    }
}

impl<T> Eq for Span<T> {}

impl<T> fmt::Debug for Span<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Span").field("first", &self.first).field("count", &self.count).finish()
    }
}
