//! Sets of workloads.

use crate::config::WorkloadSet;

fn set(indexes: &[usize]) -> WorkloadSet {
    let mut set = WorkloadSet::EMPTY;
    indexes.iter().for_each(|index| set.insert(*index));
    set
}

#[test]
fn workloads_of_a_set_keep_their_places_in_another_configuration() {
    // The first one went, a new one came, the others changed places.
    let moved = set(&[0, 2, 31]).adopt(&[Some(2), None, Some(1), Some(31)]);
    assert_eq!(moved.iter().collect::<Vec<_>>(), [0, 3]);
    assert!(WorkloadSet::EMPTY.adopt(&[Some(0), Some(1)]).is_empty());
}
