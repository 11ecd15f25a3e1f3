//! Helpers for console output: lines of PID 1, facts of the probe, the prompt.

use super::BOOT;
use hilum_qemu::Transcript;
use std::time::Duration;

/// Returns the values of one kind of fact that workload `name` printed, in order.
pub(crate) fn facts(console: &str, name: &str, key: &str) -> Vec<String> {
    let prefix = format!("{name} | fact {key} ");
    console.lines().filter_map(|line| line.strip_prefix(&prefix)).map(str::to_owned).collect()
}

/// Returns the only value of a fact.
pub(crate) fn fact(console: &str, name: &str, key: &str) -> String {
    let values = facts(console, name, key);
    assert_eq!(values.len(), 1, "{name} told {key} so often: {values:?}\n{console}");
    values[0].clone()
}

/// Waits until only the prompt is shown: earlier input would go to the running program.
pub(crate) fn at_prompt(screen: &Transcript) {
    let until = std::time::Instant::now() + BOOT;
    while !screen.text().ends_with("hilum> ") {
        assert!(std::time::Instant::now() < until, "no prompt\n{}", screen.tail());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Returns a console without the drawing of its prompt.
pub(crate) fn without_prompt(console: &str) -> String {
    console.replace("\x1b[K", "").replace("hilum> ", "")
}

/// Asserts that the console has a line.
#[track_caller]
pub(crate) fn has_line(console: &str, line: &str) {
    assert!(console.lines().any(|found| found == line), "no line {line:?} in\n{console}");
}

/// Asserts that the console has these lines in this order, possibly with others in between.
#[track_caller]
pub(crate) fn has_in_order(console: &str, wanted: &[&str]) {
    let mut rest = console.lines();
    for line in wanted {
        assert!(rest.any(|found| found.starts_with(line)), "no line {line:?} in its place in\n{console}");
    }
}
