//! Where the state of each workload is kept, whatever its place in the file.
//!
//! A workload keeps its slot for as long as the configuration has its name: a reload moves no state, it takes over another map
//! from places in the file to slots.

use super::limits::WORKLOADS;
use super::model::Config;
use super::workload_set::WorkloadSet;

impl Config<'_> {
    /// Returns the index of the workload whose state is in this slot; `None` if the slot is free.
    pub fn index_of(&self, slot: usize) -> Option<usize> {
        (0..self.workloads.len()).find(|index| self.slots.of(*index) == slot)
    }
}

/// Gives each workload of the new configuration the slot that its name has in the old one. The others get slots that are free
/// once the workloads that the new configuration lacks have ended.
pub fn keep_slots(old: &Config<'_>, new: &mut Config<'_>) {
    let mut taken = WorkloadSet::EMPTY;
    for (index, workload) in new.workloads.iter().enumerate() {
        if let Some(before) = old.workloads.iter().position(|before| before.name == workload.name) {
            new.slots.set(index, old.slots.of(before));
            taken.insert(old.slots.of(before));
        }
    }
    for index in 0..new.workloads.len() {
        if old.workloads.iter().all(|before| before.name != new.workloads[index].name)
            && let Some(free) = (0..WORKLOADS).find(|slot| !taken.contains(*slot))
        {
            new.slots.set(index, free);
            taken.insert(free);
        }
    }
}

#[cfg(test)]
mod tests;
