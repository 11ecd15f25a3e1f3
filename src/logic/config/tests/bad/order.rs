//! Unknown names of workloads, and workloads that wait for each other.

use super::super::super::limits;
use super::super::refusal;
use super::in_workload;

#[test]
fn unknown_workload_name_is_refused() {
    assert_eq!(in_workload("needs b"), "5:7: unknown workload \"b\"; correct the name, or add its section");
    assert_eq!(in_workload("after"), "5:6: \"after\" needs the name of a workload");
    assert_eq!(in_workload("needs a"), "5:7: workload \"a\" cannot refer to itself; remove the name");
}

#[test]
fn overlapping_ids_are_refused() {
    let section = |name: &str, line: &str| format!("[workload {name}]\nroot /r\nexec /x\n{line}\n");
    for second in ["ids 200001", "ids 134465", "ids 265535"] {
        let two = format!("hilum 1\n{}{}", section("a", "ids 200000"), section("b", second));
        assert_eq!(
            refusal(two.as_bytes()),
            "6:1: workload \"b\": its ids overlap those of \"a\"; keep them 65536 apart, or use the same"
        );
    }
}

#[test]
fn cycle_is_refused_with_its_path() {
    let section = |name: &str, line: &str| format!("[workload {name}]\nroot /r\nexec /x\n{line}\n");
    let two = format!("hilum 1\n{}{}", section("a", "needs b"), section("b", "after a"));
    assert_eq!(
        refusal(two.as_bytes()),
        "2:1: dependency cycle: \"a\" waits for \"b\" waits for \"a\"; remove one of these lines"
    );
    // A workload that only waits for a cycle is not part of it.
    let three = format!("hilum 1\n{}{}{}", section("out", "needs b"), section("b", "needs c"), section("c", "needs b"));
    assert_eq!(
        refusal(three.as_bytes()),
        "6:1: dependency cycle: \"b\" waits for \"c\" waits for \"b\"; remove one of these lines"
    );
}

#[test]
fn error_for_longest_cycle_fits_one_line() {
    let mut text = String::from("hilum 1\n");
    for index in 0..limits::WORKLOADS {
        let next = (index + 1) % limits::WORKLOADS;
        text.push_str(&format!("[workload w{index}]\nroot /r\nexec /x\nneeds w{next}\n"));
    }
    let found = refusal(text.as_bytes());
    assert!(found.starts_with("2:1: dependency cycle: \"w0\" waits for \"w1\""), "{found}");
    assert!(found.ends_with("\"w4\" waits for \"w5\" ...; remove one of these lines"), "{found}");
}
