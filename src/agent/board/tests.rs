use super::*;

fn read(lines: &[&str]) -> Slots {
    let mut slots = Slots::default();
    lines.iter().for_each(|line| slots.take(line));
    slots
}

#[test]
fn slots_are_read_from_what_the_command_prints() {
    let slots = read(&["slot a: version 1, committed", "slot b: version 2, running, on trial"]);
    let [a, b] = &slots.slots[..] else { panic!("{slots:?}") };
    assert_eq!((&*a.name, a.version, a.is_committed, a.is_running, a.is_on_trial), ("a", 1, true, false, false));
    assert_eq!((&*b.name, b.version, b.is_committed, b.is_running, b.is_on_trial), ("b", 2, false, true, true));
    assert!(!slots.is_rolled_back());
    assert_eq!(read(&["no disk with slots"]), Slots::default());
}

#[test]
fn trial_that_was_not_committed_is_rolled_back() {
    let lines = ["slot a: version 1, committed, running", "slot b: empty"];
    let failed =
        read(&[&lines[..], &["version 2 was not healthy in time: web", "no version below 1 is taken"]].concat());
    assert_eq!(failed.verdict, Some((2, "was not healthy in time: web".to_owned())));
    assert_eq!((failed.is_rolled_back(), failed.floor, failed.slots[1].version), (true, 1, 0));
    assert!(!read(&["version 2 is committed"]).is_rolled_back());
}
