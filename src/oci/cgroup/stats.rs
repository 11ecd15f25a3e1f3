//! What a control group has used, in the words of runc's `events --stats`.

use super::Group;
use serde_json::{Value, json};

/// Returns the number of a file, or `max` as the largest one.
fn number(text: &str) -> u64 {
    text.trim().parse().unwrap_or(if text.trim() == "max" { u64::MAX } else { 0 })
}

/// Returns a value of a file with lines of a name and a number.
fn field(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(0, number)
}

/// Returns the names and values of such a file.
fn fields(text: &str) -> Value {
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    pairs.map(|(name, value)| (name.to_owned(), json!(number(value)))).collect::<serde_json::Map<_, _>>().into()
}

/// Returns an event with the figures of a container's group.
pub fn stats(group: &Group, id: &str) -> Value {
    let read = |file: &str| group.read(file).unwrap_or_default();
    let (cpu, memory) = (read("cpu.stat"), read("memory.stat"));
    let nanoseconds = |name: &str| field(&cpu, name).saturating_mul(1000);
    let of = |prefix: &str| {
        json!({ "usage": number(&read(&format!("{prefix}.current"))), "limit": number(&read(&format!("{prefix}.max"))),
            "failcnt": field(&read(&format!("{prefix}.events")), "max") })
    };
    json!({
        "type": "stats",
        "id": id,
        "data": {
            "cpu": {
                "usage": { "total": nanoseconds("usage_usec"), "kernel": nanoseconds("system_usec"), "user": nanoseconds("user_usec") },
                "throttling": { "periods": field(&cpu, "nr_periods"), "throttledPeriods": field(&cpu, "nr_throttled"),
                    "throttledTime": nanoseconds("throttled_usec") },
            },
            "memory": {
                "cache": field(&memory, "file"), "usage": of("memory"), "swap": of("memory.swap"), "raw": fields(&memory),
            },
            "pids": { "current": number(&read("pids.current")), "limit": number(&read("pids.max")) },
        },
    })
}
