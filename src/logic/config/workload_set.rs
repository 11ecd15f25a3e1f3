//! Sets of workloads by their index in the configuration.

use super::limits;
use core::fmt;

/// A set of workloads, by index.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct WorkloadSet(u32);

impl WorkloadSet {
    /// No workload.
    pub const EMPTY: Self = Self(0);

    /// Adds the workload at `index`, which must be below [`limits::WORKLOADS`].
    pub fn insert(&mut self, index: usize) {
        self.0 |= 1 << index;
    }

    /// Returns whether the workload at `index` is in the set.
    pub fn contains(self, index: usize) -> bool {
        index < limits::WORKLOADS && self.0 & (1 << index) != 0
    }

    /// Removes the workload at `index`.
    pub fn remove(&mut self, index: usize) {
        self.0 &= !(1 << index);
    }

    /// Returns the workloads that are in one of the two sets.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the workloads that are in both sets.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Iterates over the indexes in the set, lowest first.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..limits::WORKLOADS).filter(move |index| self.contains(*index))
    }
}

impl fmt::Debug for WorkloadSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.iter()).finish()
    }
}
