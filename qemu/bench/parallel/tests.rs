use super::{event, span};

const TIMELINE: &str = "hilum>      0.000000 s          0 us  kernel started\n  \
        1.000100 s    1000100 us  a: start\n     1.000200 s        100 us  a: ended\n     1.000350 s        150 us  b: ended\n";

#[test]
fn line_of_a_timeline_is_read_with_the_prompt_before_it() {
    let events: Vec<_> = TIMELINE.lines().filter_map(event).collect();
    assert_eq!(events[..2], [(0, "kernel started"), (1_000_100, "a: start")]);
}

#[test]
fn span_goes_from_the_first_start_to_the_last_end_once_all_have_ended() {
    assert_eq!((span(TIMELINE, 2), span(TIMELINE, 3)), (Some(250), None));
}
