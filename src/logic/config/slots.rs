//! Assigns the slot of each workload's state, whatever its place in the file.
//!
//! A workload keeps its slot as long as the configuration contains its name. A reload therefore moves no state; it
//! replaces the map from indexes to slots.

use super::limits::WORKLOADS;
use super::model::Config;
use super::workload_set::WorkloadSet;

impl Config<'_> {
    /// Returns the index of the workload whose state is in this slot; `None` if the slot is free.
    pub fn index_of(&self, slot: usize) -> Option<usize> {
        (0..self.workloads.len()).find(|index| self.slots.of(*index) == slot)
    }
}

/// Assigns to each workload of the new configuration the slot of the same name in the old one. New workloads get slots
/// that are free once the removed ones have exited.
pub fn keep_slots(old: &Config<'_>, new: &mut Config<'_>) {
    let mut taken = WorkloadSet::EMPTY;
    for (index, workload) in new.workloads.iter().enumerate() {
        if let Some(before) = old.find(workload.name) {
            new.slots.set(index, old.slots.of(before));
            taken.insert(old.slots.of(before));
        }
    }
    for index in 0..new.workloads.len() {
        if old.find(new.workloads[index].name).is_none()
            && let Some(free) = (0..WORKLOADS).find(|slot| !taken.contains(*slot))
        {
            new.slots.set(index, free);
            taken.insert(free);
        }
    }
}

#[cfg(test)]
mod tests;
