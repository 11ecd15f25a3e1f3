use super::nearest;

#[test]
fn word_with_a_typo_is_recognised() {
    let near = |name| nearest(&mut ["status", "start", "stop"].into_iter(), name);
    assert_eq!(near("statsu"), Some("status"));
    assert_eq!(near("strat"), Some("start"));
    assert_eq!(near("fly"), None);
    assert_eq!(near(""), None);
}
