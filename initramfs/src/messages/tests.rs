//! Entries of a small page, and the built-in one.

use super::*;

const SMALL: &str = "# Messages\n\nWords.\n\n## Disks\n\n### disk-missing\n\n    mount {}: not mounted\n    no such device\n\nIt is not there.\nPlug it in.\n\n\
    ### disk\n\n    mount {}: {}\n    a: {}\n\nA disk.\n\n## Examples\n\n### none\n";

fn id(line: &str) -> Option<&str> {
    find(SMALL, line).map(|entry| entry.id)
}

#[test]
fn line_is_found_by_its_best_matching_text() {
    assert_eq!(id("hilum: mount /data: not mounted"), Some("disk-missing"));
    assert_eq!(id("hilum: mount /data: EIO (input/output error)"), Some("disk"));
    assert_eq!(id("hilum: mount /data: no such device"), Some("disk-missing"));
    assert_eq!(id("disk"), Some("disk"), "an id");
    assert_eq!(id("hilum: a: b"), None, "three bytes are in too many lines");
    assert_eq!(id("none"), None, "an example is no entry");
}

#[test]
fn entry_is_printed_with_its_texts_and_explanation() {
    let entry = find(SMALL, "disk-missing").expect("an id");
    assert_eq!(
        entry.to_string(),
        "disk-missing\n    mount {}: not mounted\n    no such device\nIt is not there.\nPlug it in.\n"
    );
}

#[test]
fn every_entry_has_a_unique_id_a_text_and_an_explanation() {
    let entries = entries(PAGE);
    let mut ids: Vec<&str> = entries.iter().map(|entry| entry.id).collect();
    for entry in &entries {
        let is_good = entry.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        assert!(is_good && !entry.texts.is_empty() && !entry.explanation.is_empty(), "{entry:?}");
    }
    let mut texts: Vec<&str> = entries.iter().flat_map(|entry| entry.texts.clone()).collect();
    let count = texts.len();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), count, "a text is in two entries, or twice in one");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), entries.len());
    assert!(ids.len() > 100, "{}", ids.len());
}
