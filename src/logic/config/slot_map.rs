//! Maps the index of a workload in the file to its slot.

use super::limits::WORKLOADS;

/// The slot of each workload, by its index in the configuration. No two workloads of a configuration share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots([u8; WORKLOADS]);

impl Slots {
    /// All zero bytes; used before there is a configuration.
    pub const NONE: Self = Self([0; WORKLOADS]);

    /// Returns the slots for the first configuration: each workload has the slot of its index.
    pub fn in_order() -> Self {
        Self(core::array::from_fn(|index| index as u8))
    }

    /// Returns the slot of the workload at `index`, below [`WORKLOADS`].
    pub fn of(&self, index: usize) -> usize {
        // An index that no workload has wraps around, so that a lookup by slot needs no check.
        usize::from(self.0[index % WORKLOADS]) % WORKLOADS
    }

    /// Sets the slot of the workload at `index`.
    pub(super) fn set(&mut self, index: usize, slot: usize) {
        self.0[index] = slot as u8;
    }
}
