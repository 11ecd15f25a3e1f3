use super::{FRESH_FLOOR, Row, table};

#[test]
fn table_is_sorted_with_failures_last() {
    let row = |name: &str, times: Vec<u64>| Row { name: name.to_owned(), times, ..Row::default() };
    let rows = [
        Row { problem: Some("it is not installed".to_owned()), ..row("absent", Vec::new()) },
        row(FRESH_FLOOR, (100..=200).collect()),
        Row { calls: Some(41), ..row("fast", vec![60, 75, 90]) },
    ];
    let text = table(&rows);
    let lines: Vec<&str> = text.lines().skip(2).collect();
    assert_eq!(lines[0], "| fast | 75 | 60 | 75 | 0.50 | 41 |");
    assert_eq!(lines[1], format!("| {FRESH_FLOOR} | 150 | 110 | 190 | 1.00 | - |"));
    assert_eq!(lines[2], "| absent | does not run here: it is not installed | | | | |");
}
