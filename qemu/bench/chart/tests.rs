use super::*;

#[test]
fn bars_are_proportional() {
    let bar = |value| Bar { label: "a < b".to_owned(), value, text: value.to_string(), is_ours: false };
    let drawn = bars("title", "note", &[bar(50.0), bar(100.0)]);
    let width = WIDTH - LABELS - NUMBERS;
    assert!(drawn.contains(&format!("width=\"{}\"", width / 2.0)), "{drawn}");
    assert!(drawn.contains(&format!("width=\"{width}\"")), "{drawn}");
    assert!(drawn.contains("a &lt; b"), "{drawn}");
}

#[test]
fn marks_are_at_round_numbers() {
    assert_eq!([1, 3, 17, 200, 21_000].map(nice), [1, 5, 20, 200, 50_000]);
}

#[test]
fn kernel_ends_where_the_axis_begins() {
    let span = |label: &str, from, to| Span { label: label.to_owned(), from, to, is_other: false };
    let drawn = gantt("boot", "", 1_000_000, &[span("kernel", 0, 1_000_000), span("a", 1_000_000, 1_010_000)]);
    assert!(drawn.contains("1000.0 ms") && drawn.contains("10.0 ms"), "{drawn}");
}
