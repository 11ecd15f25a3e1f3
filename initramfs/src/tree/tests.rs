//! Well-formed and malformed archives.

use super::*;

/// Returns a tar archive of (path, type, contents or target).
fn archive(entries: &[(&str, u8, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, kind, text) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o640);
        header.set_uid(5);
        header.set_gid(6);
        header.set_entry_type(tar::EntryType::new(*kind));
        // As bytes, because the crate would refuse these names.
        let name = &mut header.as_old_mut().name;
        name[..path.len()].copy_from_slice(path.as_bytes());
        let contents = if matches!(kind, b'1' | b'2') {
            header.as_old_mut().linkname[..text.len()].copy_from_slice(text.as_bytes());
            ""
        } else {
            *text
        };
        header.set_size(contents.len() as u64);
        header.set_cksum();
        builder.append(&header, contents.as_bytes()).expect("it fits");
    }
    builder.into_inner().expect("it fits")
}

fn applied(layers: &[&[(&str, u8, &str)]]) -> Result<Tree> {
    let mut tree = Tree::new();
    for layer in layers {
        tree.apply(archive(layer).as_slice(), true)?;
    }
    Ok(tree)
}

fn paths(tree: &Tree) -> Vec<&str> {
    tree.iter().map(|(path, _)| path).filter(|path| !path.is_empty()).collect()
}

fn refusal(entries: &[(&str, u8, &str)]) -> String {
    format!("{:#}", applied(&[entries]).expect_err("it is refused"))
}

#[test]
fn files_links_and_owners_are_read() {
    let tree =
        applied(&[&[("bin/", b'5', ""), ("bin/a", b'0', "text"), ("bin/b", b'1', "bin/a"), ("l", b'2', "bin/a")]])
            .expect("good");
    assert_eq!(paths(&tree), ["bin", "bin/a", "bin/b", "l"]);
    let a = tree.get("/bin/a").expect("it is there");
    assert_eq!((a.mode, a.uid, a.gid), (0o640, 5, 6));
    let (Kind::File(a), Kind::File(b)) = (&a.kind, &tree.get("bin/b").expect("a link").kind) else { panic!("files") };
    assert!(a.is_same(b) && *a.read().expect("in memory") == *b"text");
}

#[test]
fn names_with_parent_references_are_refused() {
    assert_eq!(refusal(&[("../x", b'0', "")]), "../x: ../x: a path with ..");
    assert_eq!(refusal(&[("a/../../x", b'0', "")]), "a/../../x: a/../../x: a path with ..");
    assert_eq!(refusal(&[("/../etc/passwd", b'0', "")]), "/../etc/passwd: /../etc/passwd: a path with ..");
    assert_eq!(refusal(&[("x", b'1', "../../etc/passwd")]), "x: ../../etc/passwd: a path with ..");
    assert_eq!(refusal(&[("x", b'1', "etc/passwd")]), "x: a hard link to etc/passwd, which does not exist");
    assert_eq!(refusal(&[("a", b'0', ""), ("a/b", b'0', "")]), "a/b: a/b: /a is not a folder");
    assert_eq!(refusal(&[("a", b'2', "a"), ("a/b", b'0', "")]), "a/b: a: too many symbolic links");
    assert_eq!(refusal(&[(".", b'0', "x")]), ".: the root must be a folder");
    assert_eq!(refusal(&[("s", b'M', "")]), "s: unsupported entry type 'M'");
}

#[test]
fn root_entry_and_leading_slashes_are_handled_as_in_tar() {
    let tree = applied(&[&[("/", b'5', ""), ("/etc/a", b'0', "x"), ("//b", b'1', "/etc/a")]]).expect("good");
    assert_eq!(paths(&tree), ["b", "etc", "etc/a"]);
    assert_eq!(tree.get("/").map(|root| (root.mode, root.uid)), Some((0o640, 5)));
    let tree = applied(&[&[("/a/x", b'0', ""), ("b", b'0', "")], &[("/a/.wh.x", b'0', ""), ("/.wh.b", b'0', "")]]);
    assert_eq!(paths(&tree.expect("good")), ["a"]);
}

#[test]
fn links_are_resolved_inside_of_the_tree() {
    // The same attack through a link: what is written stays in the tree.
    for target in ["/etc", "../../../etc", "../etc"] {
        let tree = applied(&[&[("out", b'2', target), ("out/passwd", b'0', "x")]]).expect("it stays inside");
        assert_eq!(paths(&tree), ["etc", "etc/passwd", "out"], "{target}");
    }
    let tree = applied(&[&[("bin", b'2', "usr/bin"), ("usr/bin/a", b'0', "")], &[("bin/b", b'0', "")]]).expect("good");
    assert_eq!(paths(&tree), ["bin", "usr", "usr/bin", "usr/bin/a", "usr/bin/b"]);
}

#[test]
fn damaged_and_huge_archives_are_refused() {
    let whole = archive(&[("a", b'0', &"x".repeat(2000))]);
    for length in [100, 512, 700, 1500] {
        assert!(Tree::new().apply(&whole[..length], true).is_err(), "{length}");
    }
    let mut header = tar::Header::new_gnu();
    header.set_path("huge").expect("a name");
    header.set_size(u64::MAX >> 1);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    let error = format!("{:#}", Tree::new().apply(header.as_bytes().as_slice(), true).expect_err("too large"));
    assert!(error.contains("huge: ") && error.contains("exceed the limit"), "{error}");
    // A long name whose header claims gigabytes.
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_path("././@LongLink").expect("a name");
    header.set_size(1 << 40);
    header.set_cksum();
    assert!(Tree::new().apply(header.as_bytes().as_slice(), true).is_err());
}

#[test]
fn layers_delete_by_whiteouts() {
    let below: &[(&str, u8, &str)] =
        &[("a/x", b'0', "1"), ("a/y/z", b'0', "1"), ("b/x", b'0', "1"), ("c", b'0', "1"), ("d/e", b'0', "1")];
    // Names of the same layer stay, in either order.
    let above: &[(&str, u8, &str)] = &[
        ("a/new", b'0', "2"),
        ("a/.wh..wh..opq", b'0', ""),
        ("b/.wh.x", b'0', ""),
        (".wh.c", b'0', ""),
        ("c/inside", b'0', "2"),
        ("d", b'0', "2"),
    ];
    let tree = applied(&[below, above]).expect("good");
    assert_eq!(paths(&tree), ["a", "a/new", "b", "c", "c/inside", "d"]);
    // In a plain archive such a name has no special meaning.
    let mut plain = Tree::new();
    plain.apply(archive(&[("x", b'0', ""), (".wh.x", b'0', "")]).as_slice(), false).expect("good");
    assert_eq!(paths(&plain), [".wh.x", "x"]);
}

#[test]
fn whiteout_keeps_folders_of_its_own_layer() {
    // Found by proptest, and stored in proptest-regressions/tree/tests.txt.
    let tree = applied(&[&[("a/a", b'2', "/"), (".wh.a", b'0', "")]]).expect("good");
    assert_eq!(paths(&tree), ["a", "a/a"]);
    assert_sound(&tree);
}

#[test]
fn regression_files_are_where_proptest_looks() {
    // For tests in src/X.rs proptest reads proptest-regressions/X.txt; files elsewhere are never replayed.
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = package.join("proptest-regressions");
    let mut saved = 0;
    for entry in walkdir::WalkDir::new(&folder) {
        let entry = entry.expect("it can be read");
        if entry.file_type().is_file() {
            let below = entry.path().strip_prefix(&folder).expect("it is below");
            let tests = package.join("src").join(below).with_extension("rs");
            let text = std::fs::read_to_string(&tests).unwrap_or_default();
            assert!(text.contains("proptest!"), "{} has cases of {}", entry.path().display(), tests.display());
            saved += 1;
        }
    }
    assert_eq!(saved, 1);
}

#[test]
fn tree_survives_a_round_trip_through_tar() {
    let mut tree =
        applied(&[&[("bin/a", b'0', "text"), ("bin/b", b'1', "bin/a"), ("l", b'2', "bin/a"), ("p", b'6', "")]])
            .expect("good");
    let mut special = Entry::of_root(0o4755, Kind::File(b"x".to_vec().into()));
    special.xattrs.insert("user.note".into(), b"a\0b".to_vec());
    tree.add("special", special).expect("good");
    tree.add(&"long/".repeat(60), Entry::of_root(0o700, Kind::Folder)).expect("good");
    tree.add("dev/null", Entry::of_root(0o666, Kind::Character(1, 3))).expect("good");
    let bytes = tree.to_tar().expect("it fits");
    assert_eq!(bytes, tree.to_tar().expect("it fits"));
    let mut again = Tree::new();
    again.apply(bytes.as_slice(), false).expect("good");
    assert_eq!(paths(&tree), paths(&again));
    for (path, entry) in tree.iter().filter(|(path, _)| !path.is_empty()) {
        assert_eq!(Some(entry), again.get(path), "{path}");
    }
}

#[test]
fn folder_of_this_machine_belongs_to_user_0() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a"), "x").expect("a file");
    std::fs::hard_link(folder.path().join("a"), folder.path().join("b")).expect("a link");
    std::os::unix::fs::chown(folder.path().join("a"), Some(1000), Some(1000)).expect("root runs the tests");
    let tree = Tree::read_folder(folder.path()).expect("good");
    assert_eq!(paths(&tree), ["a", "b"]);
    assert_eq!(tree.get("a").map(|entry| entry.uid), Some(0));
}

/// Asserts invariants of a tree, whatever was read.
fn assert_sound(tree: &Tree) {
    for (path, _) in tree.iter().filter(|(path, _)| !path.is_empty()) {
        assert!(!path.starts_with('/') && path.split('/').all(|part| !matches!(part, "" | "." | "..")), "{path:?}");
        if let Some((parent, _)) = path.rsplit_once('/') {
            assert_eq!(tree.get(parent).map(|entry| &entry.kind), Some(&Kind::Folder), "{path:?}");
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(512))]

    #[test]
    fn any_names_and_targets_stay_inside_of_the_tree(
        entries in proptest::collection::vec(
            ("(/|\\.\\./|\\./|a/|b/|\\.wh\\.){0,4}(a|b|c|\\.wh\\.a|\\.wh\\.\\.wh\\.\\.opq|\\.\\.)?", 0_usize..6, "(/|\\.\\./|a/|b/){0,3}(a|b|c)?"),
            0..12,
        ),
    ) {
        let kinds = b"012536";
        let list: Vec<(&str, u8, &str)> =
            entries.iter().map(|(path, kind, target)| (path.as_str(), kinds[*kind], target.as_str())).collect();
        let mut tree = Tree::new();
        // It may be refused.
        let _ = tree.apply(archive(&list).as_slice(), true);
        assert_sound(&tree);
        let bytes = tree.to_tar();
        if let Ok(bytes) = bytes {
            let mut again = Tree::new();
            again.apply(bytes.as_slice(), false).expect("its own archive");
        }
    }

    #[test]
    fn damaged_archives_are_accepted_or_refused(at in 0_usize..4096, byte in proptest::num::u8::ANY, cut in 0_usize..4096) {
        let mut bytes = archive(&[("d", b'5', ""), ("d/a", b'0', "text"), ("l", b'2', "d/a"), ("h", b'1', "d/a")]);
        let place = at % bytes.len();
        bytes[place] = byte;
        bytes.truncate(bytes.len().saturating_sub(cut % 1024));
        let mut tree = Tree::new();
        let _ = tree.apply(bytes.as_slice(), true);
        assert_sound(&tree);
    }
}
