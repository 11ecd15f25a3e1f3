use super::{Moment, Timeline};
use hilum::config::WorkloadSet;

/// Returns a timeline with room for `count` events.
fn timeline(count: usize) -> Timeline {
    let events = vec![(0, Moment::Kernel); count].leak();
    Timeline { events, count: 1 }
}

fn times(timeline: &Timeline) -> Vec<u64> {
    timeline.iter().map(|(us, _)| us).collect()
}

#[test]
fn late_event_is_inserted_in_chronological_order() {
    let mut timeline = timeline(8);
    timeline.note_at(Moment::Start(0), 10);
    timeline.note_at(Moment::Ready(0), 30);
    timeline.note_at(Moment::Executed(0), 20);
    assert_eq!(times(&timeline), [0, 10, 20, 30]);
    assert!(matches!(timeline.iter().nth(2), Some((20, Moment::Executed(0)))));
}

#[test]
fn events_beyond_the_capacity_are_dropped() {
    let mut timeline = timeline(3);
    (1..10).for_each(|us| timeline.note_at(Moment::Start(0), us));
    assert_eq!(times(&timeline), [0, 1, 2]);
}

#[test]
fn reload_removes_events_of_reused_slots_only() {
    let mut timeline = timeline(8);
    timeline.note_at(Moment::Entered, 1);
    timeline.note_at(Moment::Start(2), 2);
    timeline.note_at(Moment::Start(5), 3);
    timeline.note_at(Moment::Ready(2), 4);
    let mut kept = WorkloadSet::default();
    kept.insert(5);
    timeline.keep(kept);
    assert_eq!(times(&timeline), [0, 1, 3]);
    assert_eq!(timeline.entered_us(), Some(1));
}
