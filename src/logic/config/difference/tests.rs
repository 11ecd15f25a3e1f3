use super::*;
use crate::config::{keep_ids, keep_slots, parse};

fn read(text: &str) -> Config<'_> {
    let mut config = Config::EMPTY;
    parse(text.as_bytes(), &mut config).expect("a good configuration");
    config
}

fn section(name: &str, lines: &str) -> String {
    format!("[workload {name}]\nroot /r\nexec /b\n{lines}\n")
}

fn places(old: &str, new: &str) -> Vec<Option<usize>> {
    let (old, mut new) = (read(old), read(new));
    keep_ids(&old, &mut new);
    keep_slots(&old, &mut new);
    let kept = unchanged(&old, &new);
    (0..new.workloads.len()).map(|index| Some(new.slots.of(index)).filter(|slot| kept.contains(*slot))).collect()
}

#[test]
fn changed_network_is_a_change_but_moved_line_is_not() {
    let board = "hilum 1\n[system]\nbridge br0 10.0.0.1/24\n";
    let link = "link veth br0 10.0.0.2/24 via 10.0.0.1\n";
    let two = |first: &str, second: &str| format!("{board}{}{}", section("a", first), section("b", second));
    let talks = "link veth br0 10.0.0.3/24\ntalk a";
    let old = two(link, talks);
    assert_eq!(places(&old, &old.replace("[system]", "# a comment\n[system]")), [Some(0), Some(1)]);
    assert_eq!(places(&old, &two(&format!("{link}publish 80:80/tcp"), talks)), [None, Some(1)]);
    // The workload that talks to it has its address in rules and in /etc/hosts.
    assert_eq!(places(&old, &two("link veth br0 10.0.0.4/24 via 10.0.0.1", talks)), [None, None]);
}

#[test]
fn unchanged_workload_keeps_running_when_its_section_moves() {
    let (a, b, c) = (section("a", ""), section("b", "needs a"), section("c", "share net=a"));
    let old = format!("hilum 1\n{a}{b}{c}");
    assert_eq!(places(&old, &old), [Some(0), Some(1), Some(2)]);
    assert_eq!(places(&old, &format!("hilum 1\n\n# moved\n{c}{a}{b}")), [Some(2), Some(0), Some(1)]);
    assert_eq!(places(&old, &format!("hilum 1\n{}{a}{b}{c}", section("new", ""))), [None, Some(0), Some(1), Some(2)]);
}

#[test]
fn order_of_different_keys_does_not_matter() {
    let section = |lines: &str| format!("hilum 1\n{}", section("a", lines));
    let old = section("memory 1M\nenv A 1\nenv B 2\ncritical");
    assert_eq!(places(&old, &section("critical # a word\n\nenv \"A\" 1\nmemory 1M\nenv B 2")), [Some(0)]);
    assert_eq!(places(&old, &section("memory 1M\nenv B 2\nenv A 1\ncritical")), [None]);
    assert_eq!(places(&old, &section("memory 1M\nenv A 1\nenv B 2")), [None]);
    assert_eq!(places(&old, &section("memory 1M\nenv A 1\nenv B 2\ncritical\nsafe")), [None]);
}

#[test]
fn change_of_system_section_is_noticed() {
    let same = |old: &str, new: &str| has_same_system(&read(old), &read(new));
    let (none, set) = ("hilum 1\n", "hilum 1\n[system]\nhostname a\nidle poweroff\n");
    assert!(same(none, none) && same(none, &format!("{none}{}", section("a", ""))) && same(set, set));
    assert!(same(set, "hilum 1\n[workload w]\nroot /r\nexec /b\n[system]\nidle poweroff\nhostname a\n"));
    assert!(!same(none, set) && !same(set, none) && !same(set, &set.replace("poweroff", "reboot")));
    assert!(!same(set, &set.replace("idle", "# idle")) && !same(set, &format!("{set}sysctl a.b 1\n")));
}

#[test]
fn change_of_any_key_is_noticed() {
    for line in [
        "env A 1",
        "directory /x",
        "hostname h",
        "user 5",
        "groups 5",
        "share uts",
        "capability kill",
        "pids 5",
        "needs b",
        "after b",
        "restart never",
        "stop INT",
        "ready after 1s",
        "health file /x",
        "critical",
        "safe",
        "reaper",
        "control status",
        "log quiet",
        "at-stop",
        "landlock off",
        "seccomp strict",
        "sys",
        "tmp 1M",
        "mount /a /b",
        "volume v /b",
        "device /dev/x",
        "tcp none",
        "ids 1000000",
        "share net=b",
        "umask 077",
        "nice 5",
        "memory 1M",
        "io /d rbps=1",
    ] {
        let board = "hilum 1\n[system]\nvolumes /v\n";
        let old = format!("{board}{}{}", section("a", ""), section("b", ""));
        let new = format!("{board}{}{}", section("a", line), section("b", ""));
        assert_eq!(places(&old, &new)[0], None, "{line}");
    }
}

#[test]
fn needs_are_compared_by_name() {
    let old = format!("hilum 1\n{}{}{}", section("a", "needs b"), section("b", ""), section("c", ""));
    let new = format!("hilum 1\n{}{}{}", section("a", "needs c"), section("b", ""), section("c", ""));
    assert_eq!(places(&old, &new), [None, Some(1), Some(2)]);
}
