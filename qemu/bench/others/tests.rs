use super::{PACKAGES, Row, SETS, file, table};
use hilum_initramfs::tree::{Entry, Kind, Tree};
use std::collections::BTreeSet;

#[test]
fn every_package_is_named_once_and_locked() {
    let lock = include_str!("../../../initramfs/debian/lock");
    let names: Vec<&str> = PACKAGES.split(' ').collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    for name in names {
        let start = format!("x86_64 bookworm {name} ");
        assert!(lock.lines().any(|line| line.starts_with(&start)), "initramfs/debian/unpack --lock {start}");
    }
}

#[test]
fn library_is_found_behind_the_links_of_its_package() {
    let mut tree = Tree::new();
    let bytes = vec![7];
    let mut add = |path: &str, kind| tree.add(path, Entry::of_root(0o644, kind)).map(|_| ());
    add("usr/lib/a.so.1.2", Kind::File(bytes.clone().into())).expect("a file");
    add("usr/lib/a.so.1", Kind::Link("a.so.1.2".to_owned())).expect("a link");
    add("lib/a.so", Kind::Link("/usr/lib/a.so.1".to_owned())).expect("a link");
    add("lib/b.so", Kind::Link("b.so".to_owned())).expect("a link");
    assert_eq!(file(&tree, "lib/a.so").expect("good links"), Some(bytes));
    assert_eq!(file(&tree, "lib/c.so").expect("nothing is no fault"), None);
    assert!(file(&tree, "lib/b.so").is_err());
}

#[test]
fn table_has_a_row_for_each_set_with_the_sum() {
    let rows = SETS.map(|set| Row { name: set.name, programs: 30 << 10, libraries: 12_000, files: 3, note: set.note });
    let text = table(&rows);
    assert_eq!(text.lines().filter(|line| line.contains(" | 30 | 12 | 42 | 3 | ")).count(), SETS.len(), "{text}");
}
