//! What docs/stability.md promises against what is printed.

use crate::support::STAY;
use std::collections::BTreeSet;

/// The fields of an object and their types, by the table of docs/stability.md behind this line.
fn fields_in_page(page: &str, before: &str) -> Vec<(String, String)> {
    let (_, rest) = page.split_once(before).expect(before);
    let table = rest.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = table.skip(2).map(|row| row.split('|').map(|cell| cell.trim().replace('`', "")).collect::<Vec<_>>());
    cells.map(|cells| (cells[1].clone(), cells[2].clone())).collect()
}

fn expect_fields(object: &serde_json::Value, fields: &[(String, String)]) {
    let printed: BTreeSet<&String> = object.as_object().expect("an object").keys().collect();
    assert_eq!(printed, fields.iter().map(|(name, _)| name).collect(), "docs/stability.md, status --json");
    for (name, types) in fields {
        let found = match &object[name] {
            serde_json::Value::Null => "null",
            serde_json::Value::Bool(_) => "boolean",
            serde_json::Value::Number(_) => "number",
            serde_json::Value::String(_) => "string",
            serde_json::Value::Array(_) => "array",
            serde_json::Value::Object(_) => "object",
        };
        assert!(types.split(" or ").any(|one| one == found), "{name}: {found}, and the page says {types}");
    }
}

#[test]
fn status_as_json_has_the_fields_of_the_page_and_no_others() {
    let host_root = host_or_return!();
    let page = include_str!("../../../../docs/stability.md");
    let (outer, inner) = (fields_in_page(page, "## status --json"), fields_in_page(page, "An object for a workload:"));
    assert!(outer.len() >= 5 && inner.len() >= 18, "{outer:?} {inner:?}");
    // One that runs, and one that ended by a status.
    let ended = "[workload b]\nroot ROOT\nexec /bin/probe exit 7\nrestart never\n";
    let config = STAY.replace("[workload a]", &format!("[system]\ncontrol SOCKET\n{ended}[workload a]"));
    let running = host_root.start(&config);
    host_root.expect_state("a", "ready");
    host_root.expect_state("b", "failed");
    let (_, text) = host_root.ask(&["status", "--json"]);
    let all: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    expect_fields(&all, &outer);
    let workloads = all["workloads"].as_array().expect("workloads");
    assert_eq!(workloads.len(), 2, "{text}");
    for workload in workloads {
        expect_fields(workload, &inner);
    }
    for name in hilum::supervise::State::NAMES {
        assert!(page.contains(&format!("`{name}`")), "docs/stability.md does not name the state {name}");
    }
    drop(running);
}
