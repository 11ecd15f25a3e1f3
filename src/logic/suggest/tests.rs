use super::nearest;

#[test]
fn word_with_a_slip_is_recognised_and_another_one_is_not() {
    let near = |name| nearest(["status", "start", "stop"].into_iter(), name);
    assert_eq!(near("statsu"), Some("status"));
    assert_eq!(near("strat"), Some("start"));
    assert_eq!(near("fly"), None);
    assert_eq!(near(""), None);
}
