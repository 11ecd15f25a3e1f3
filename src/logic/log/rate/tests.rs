use super::*;

#[test]
fn lines_above_the_rate_are_counted_and_reported_with_the_next() {
    let (mut rate, limit) = (Rate::NEW, Some((2, 1_000)));
    let seen: Vec<Passes> = [10, 20, 30, 40, 1_010, 1_020].iter().map(|now| rate.pass(limit, *now)).collect();
    assert_eq!(seen, [Passes::Yes, Passes::Yes, Passes::No, Passes::No, Passes::After(2), Passes::Yes]);
    assert_eq!((rate.take_suppressed(), rate.lost(), rate.due(limit)), (0, 2, None));
    (0..3).for_each(|_| assert_eq!(rate.pass(limit, 1_030), Passes::No));
    assert_eq!((rate.due(limit), rate.lost()), (Some(2_010), 5));
    assert_eq!(rate.take_suppressed(), 3);
    rate.keep(1);
    assert_eq!(rate.lost(), 4);
}

#[test]
fn without_a_limit_every_line_passes() {
    let mut rate = Rate::NEW;
    assert!((0..1_000).all(|now| rate.pass(None, now) == Passes::Yes));
}
