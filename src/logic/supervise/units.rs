//! The records of all workloads, stored by slot and accessed by index.

use super::Unit;
use crate::config::{Config, Slots, WorkloadSet, limits::WORKLOADS};
use core::ops::{Index, IndexMut};

/// One record for each slot. Initially all zero bytes.
#[derive(Debug)]
// Often used members first: a distance of at most 127 bytes is one byte of an instruction.
#[repr(C)]
pub(super) struct Units {
    slots: Slots,
    units: [Unit; WORKLOADS],
}

impl Units {
    pub(super) const NEW: Self = Self { units: [Unit::NEW; WORKLOADS], slots: Slots::NONE };

    /// Changes to the slots of another configuration. Records that are not in `kept` are reset at `now`.
    pub(super) fn adopt(&mut self, config: &Config<'_>, kept: WorkloadSet, now: u64) {
        self.slots = config.slots;
        for (slot, unit) in self.units.iter_mut().enumerate() {
            if !kept.contains(slot) {
                *unit = Unit::NEW;
                unit.away_since = now;
            } else if unit.failed_need().is_some_and(|need| !kept.contains(need)) {
                unit.failed_need = 0;
            }
        }
    }

    /// Returns the slot of the workload at `index`.
    pub(super) fn slot(&self, index: usize) -> usize {
        self.slots.of(index)
    }

    /// Iterates over all records in the order of slots, including unused ones.
    pub(super) fn all(&self) -> impl Iterator<Item = &Unit> {
        self.units.iter()
    }
}

impl Index<usize> for Units {
    type Output = Unit;

    fn index(&self, index: usize) -> &Unit {
        &self.units[self.slots.of(index)]
    }
}

impl IndexMut<usize> for Units {
    fn index_mut(&mut self, index: usize) -> &mut Unit {
        &mut self.units[self.slots.of(index)]
    }
}
