//! The map from places in the file to slots.

use super::limits::WORKLOADS;

/// The slot of each workload, by its index in the configuration. No two workloads of a configuration share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots([u8; WORKLOADS]);

impl Slots {
    /// All zero bytes: the slots of no configuration.
    pub const NONE: Self = Self([0; WORKLOADS]);

    /// Returns the slots of a board's first configuration: each workload has the slot of its index.
    pub fn in_order() -> Self {
        Self(core::array::from_fn(|index| index as u8))
    }

    /// Returns the slot of the workload at `index`, below [`WORKLOADS`].
    pub fn of(&self, index: usize) -> usize {
        // An index that no workload has wraps around, so that what is looked up by a slot needs no check of its own.
        usize::from(self.0[index % WORKLOADS]) % WORKLOADS
    }

    /// Gives the workload at `index` a slot.
    pub(super) fn set(&mut self, index: usize, slot: usize) {
        self.0[index] = slot as u8;
    }
}
