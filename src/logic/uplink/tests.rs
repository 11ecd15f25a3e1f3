use super::*;

const GOOD: Uplink =
    Uplink { is_there: true, has_carrier: true, has_router: true, is_silent: false, is_unconfirmed: false };

#[test]
fn first_usable_link_is_used_and_others_have_a_reason() {
    let standings = |all: &[Uplink]| (0..all.len()).map(|place| standing(all, place)).collect::<Vec<_>>();
    assert_eq!(standings(&[GOOD, GOOD]), [Standing::Used, Standing::After(0)]);
    let unplugged = Uplink { has_carrier: false, ..GOOD };
    assert_eq!(standings(&[unplugged, GOOD, GOOD]), [Standing::NoCarrier, Standing::Used, Standing::After(1)]);
    let silent = Uplink { is_silent: true, ..GOOD };
    let unconfirmed = Uplink { is_unconfirmed: true, ..GOOD };
    assert_eq!(standings(&[silent, unconfirmed, GOOD]), [Standing::Silent, Standing::Unconfirmed, Standing::Used]);
    // Better than nothing.
    let without = Uplink { has_router: false, ..GOOD };
    assert_eq!(standings(&[Uplink::default(), without, silent]), [Standing::Gone, Standing::NoRouter, Standing::Used]);
}

#[test]
fn metrics_follow_line_order_with_low_preference_links_last() {
    let last = crate::config::limits::HOST_LINKS - 1;
    assert_eq!((metric(0, true, false), metric(0, false, true)), (Some(100), None));
    assert!(metric(last, true, false) < metric(0, true, true));
    assert!(metric(0, true, true) < metric(1, true, true));
}
