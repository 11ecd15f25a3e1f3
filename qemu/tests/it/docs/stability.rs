//! Compares the promises of docs/stability.md with the actual output.

use super::documentation::project;
use crate::support::STAY;
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

/// Returns the fields of an object and their types, from the table after this line of docs/stability.md.
fn fields_in_page(page: &str, before: &str) -> Vec<(String, String)> {
    let (_, rest) = page.split_once(before).expect(before);
    let table = rest.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = table.skip(2).map(|row| row.split('|').map(|cell| cell.trim().replace('`', "")).collect::<Vec<_>>());
    cells.map(|cells| (cells[1].clone(), cells[2].clone())).collect()
}

/// Returns the tables of the page: for the whole object, and for a workload.
fn tables() -> [Vec<(String, String)>; 2] {
    let page = include_str!("../../../../docs/stability.md");
    let tables = ["## status --json", "An object for a workload:"].map(|before| fields_in_page(page, before));
    assert!(tables[0].len() >= 5 && tables[1].len() >= 18, "{tables:?}");
    tables
}

/// Returns a configuration with a workload that runs and one that exited with a status.
fn two_workloads() -> String {
    let ended = "[workload b]\nroot ROOT\nexec /bin/probe exit 7\nrestart never\n";
    STAY.replace("[workload a]", &format!("[system]\ncontrol SOCKET\n{ended}[workload a]"))
}

fn expect_fields(object: &Value, fields: &[(String, String)]) {
    let printed: BTreeSet<&String> = object.as_object().expect("an object").keys().collect();
    assert_eq!(printed, fields.iter().map(|(name, _)| name).collect(), "docs/stability.md, status --json");
    for (name, types) in fields {
        let found = match &object[name] {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        assert!(types.split(" or ").any(|one| one == found), "{name}: {found}, and the page says {types}");
    }
}

#[test]
fn json_status_has_exactly_the_documented_fields() {
    let host_root = host_or_return!();
    let [outer, inner] = tables();
    let running = host_root.start(&two_workloads());
    host_root.expect_state("a", "ready");
    host_root.expect_state("b", "failed");
    let (_, text) = host_root.ask(&["status", "--json"]);
    let all: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    expect_fields(&all, &outer);
    let workloads = all["workloads"].as_array().expect("workloads");
    assert_eq!(workloads.len(), 2, "{text}");
    for workload in workloads {
        expect_fields(workload, &inner);
    }
    let page = include_str!("../../../../docs/stability.md");
    for name in hilum::supervise::State::NAMES.split(' ') {
        assert!(page.contains(&format!("`{name}`")), "docs/stability.md does not name the state {name}");
    }
    drop(running);
}

/// Returns the validator's complaints about an instance, according to docs/status.schema.json.
fn faults(instance: &str) -> String {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), instance).expect("the instance");
    // By its path, because a developer's machine may have another one first.
    let mut command = Command::new("/usr/bin/jsonschema");
    let output = command.arg("-i").arg(file.path()).arg(project().join("docs/status.schema.json")).output();
    let output = output.expect("jsonschema; run: make test");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.success(), said.is_empty(), "{said}");
    said
}

#[test]
fn json_status_is_valid_by_its_schema() {
    let host_root = host_or_return!();
    let running = host_root.start(&two_workloads());
    host_root.expect_state("a", "ready");
    host_root.expect_state("b", "failed");
    for words in [&["status", "--json"][..], &["status", "b", "--json"]] {
        let (_, text) = host_root.ask(words);
        assert_eq!(faults(&text), "", "{text}");
        // The schema must check each field: another type and a missing field are refused.
        let all: Value = serde_json::from_str(&text).expect("JSON");
        for (path, fields) in ["", "/workloads/0"].into_iter().zip(tables()) {
            for (name, _) in fields {
                let mut other = all.clone();
                let object = other.pointer_mut(path).and_then(Value::as_object_mut).expect("an object");
                let found = object.insert(name.clone(), serde_json::json!(-1.5)).expect(&name);
                if !found.is_null() {
                    assert!(faults(&other.to_string()).contains("-1.5"), "{path} {name} may be of any type");
                }
            }
        }
    }
    drop(running);
}

#[test]
fn schema_matches_the_documented_fields() {
    let text = std::fs::read_to_string(project().join("docs/status.schema.json")).expect("the schema");
    let schema: Value = serde_json::from_str(&text).expect("JSON");
    for (path, fields) in ["", "/$defs/workload"].into_iter().zip(tables()) {
        let object = schema.pointer(path).expect(path);
        let names: BTreeSet<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        let required = object["required"].as_array().expect("required").iter().filter_map(Value::as_str);
        assert_eq!(required.collect::<BTreeSet<_>>(), names, "a release does not remove a field");
        let properties = object["properties"].as_object().expect("properties");
        assert_eq!(properties.keys().map(String::as_str).collect::<BTreeSet<_>>(), names);
        for (name, types) in fields {
            let types: Vec<&str> =
                types.split(" or ").map(|one| if one == "number" { "integer" } else { one }).collect();
            let found = match &properties[&name]["type"] {
                Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
                one => vec![one.as_str().unwrap_or_default()],
            };
            assert_eq!(found, types, "{path} {name}");
        }
    }
}
