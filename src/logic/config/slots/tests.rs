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
fn workload_keeps_its_slot_when_its_section_moves() {
    let (old, new) = (text(&[1, 2, 3]), text(&[4, 3, 1]));
    let (old, mut new) = (read(&old), read(&new));
    keep_slots(&old, &mut new);
    assert_eq!([0, 1, 2].map(|index| new.slots.of(index)), [1, 2, 0]);
    assert_eq!([0, 1, 2, 3].map(|slot| new.index_of(slot)), [Some(2), Some(0), Some(1), None]);
}

proptest! {
    #[test]
    fn names_keep_distinct_slots_across_reloads(lives in prop::collection::vec(prop::collection::btree_set(0_u8..60, 1..WORKLOADS), 2..6)) {
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
