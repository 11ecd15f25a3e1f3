use super::*;
use crate::config::parse;

fn read(text: &str) -> Config<'_> {
    let mut config = Config::EMPTY;
    parse(text.as_bytes(), &mut config).expect("a good configuration");
    config
}

fn text(sections: &[(&str, &str)]) -> String {
    let section = |(name, lines): &(&str, &str)| format!("[workload {name}]\nroot /r\nexec /b\n{lines}\n");
    format!("hilum 1\n{}", sections.iter().map(section).collect::<String>())
}

fn ids(config: &Config<'_>) -> Vec<u32> {
    config.workloads.iter().map(|workload| workload.isolation.first_id).collect()
}

fn overlap(ids: &[u32]) -> bool {
    ids.iter().enumerate().any(|(index, id)| ids.iter().skip(index + 1).any(|other| other.abs_diff(*id) < IDS))
}

#[test]
fn no_two_workloads_get_the_same_ids() {
    let (old, text) = (text(&[("a", ""), ("b", "")]), text(&[("x", ""), ("b", ""), ("y", "ids 200000")]));
    let (old, mut new) = (read(&old), read(&text));
    keep_ids(&old, &mut new);
    assert_eq!(ids(&new)[1], ids(&old)[1]);
    assert!(!overlap(&ids(&new)), "{:?}", ids(&new));
}

#[test]
fn equal_ids_lines_share_a_range() {
    let text = text(&[("a", "ids 200000"), ("b", "ids 200000"), ("c", "")]);
    assert_eq!(ids(&read(&text))[..2], [200_000, 200_000]);
}

#[test]
fn ids_line_moves_automatic_ranges() {
    let text = text(&[("a", "ids 131072"), ("b", ""), ("c", "ids 250000"), ("d", "")]);
    let config = read(&text);
    assert_eq!(ids(&config)[..3], [131_072, 327_680, 250_000]);
    assert!(!overlap(&ids(&config)), "{:?}", ids(&config));
}

#[test]
fn ids_of_removed_workload_are_not_reused() {
    let texts = [text(&[("a", ""), ("b", "")]), text(&[("b", "")]), text(&[("b", ""), ("c", "")])];
    let mut all = vec![read(&texts[0])];
    for next in &texts[1..] {
        let mut next = read(next);
        keep_ids(all.last().expect("one"), &mut next);
        all.push(next);
    }
    // Two reloads later "a" is not in any configuration, and its ids are still not reused.
    assert_eq!(ids(&all[2])[0], ids(&all[0])[1]);
    assert!(!ids(&all[0]).contains(&ids(&all[2])[1]), "{:?}", ids(&all[2]));
}

#[test]
fn new_ids_line_displaces_automatic_range() {
    let (old, text) = (text(&[("a", "")]), text(&[("a", ""), ("b", "ids 70000")]));
    let (old, mut new) = (read(&old), read(&text));
    keep_ids(&old, &mut new);
    assert!(!overlap(&ids(&new)), "{:?}", ids(&new));
}
