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
mod tests {
    use super::*;
    use crate::config::parse;
    use proptest::prelude::*;

    fn read(text: &str) -> Config<'_> {
        let mut config = Config::EMPTY;
        parse(text.as_bytes(), &mut config).expect("a good configuration");
        config
    }

    fn text(names: &[u8]) -> String {
        let section = |name: &u8| format!("[workload w{name}]\nroot /r\nexec /b\n");
        format!("hilum 1\n{}", names.iter().map(section).collect::<String>())
    }

    #[test]
    fn a_workload_keeps_its_slot_wherever_it_is_in_the_file() {
        let (old, new) = (text(&[1, 2, 3]), text(&[4, 3, 1]));
        let (old, mut new) = (read(&old), read(&new));
        keep_slots(&old, &mut new);
        assert_eq!([0, 1, 2].map(|index| new.slots.of(index)), [1, 2, 0]);
        assert_eq!([0, 1, 2, 3].map(|slot| new.index_of(slot)), [Some(2), Some(0), Some(1), None]);
    }

    proptest! {
        #[test]
        fn names_keep_their_slots_and_share_none(lives in prop::collection::vec(prop::collection::btree_set(0_u8..60, 1..WORKLOADS), 2..6)) {
            let texts: Vec<String> = lives.iter().map(|names| text(&names.iter().copied().collect::<Vec<_>>())).collect();
            let mut old = read(&texts[0]);
            for next in &texts[1..] {
                let mut new = read(next);
                keep_slots(&old, &mut new);
                let mut taken = WorkloadSet::EMPTY;
                for (index, workload) in new.workloads.iter().enumerate() {
                    let slot = new.slots.of(index);
                    prop_assert!(!taken.contains(slot));
                    taken.insert(slot);
                    if let Some(before) = old.workloads.iter().position(|before| before.name == workload.name) {
                        prop_assert_eq!(old.slots.of(before), slot);
                    }
                }
                old = new;
            }
        }
    }
}
