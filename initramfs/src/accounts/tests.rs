use super::*;

fn tree() -> Tree {
    let mut tree = Tree::new();
    let mut put = |path: &str, kind| tree.add(path, Entry::of_root(0o644, kind)).expect("good");
    let passwd = "root:x:0:0::/:\nweb:x:33:34::/:\n101:x:7:8::/:\nodd:x:no:8::/:";
    put("usr/lib/passwd", Kind::File(passwd.into()));
    put("etc/passwd", Kind::Link("../usr/lib/passwd".into()));
    put("etc/group", Kind::File("staff:x:50:web\nwheel:x:10:other,web\n".into()));
    tree
}

#[test]
fn user_is_found_by_name_and_number_behind_links() {
    let tree = tree();
    let found = |text| account(&tree, text).map(|found| (found.uid, found.gid));
    for (text, expected) in [
        ("web", (33, Some(34))),
        ("33", (33, Some(34))),
        ("web:staff", (33, Some(50))),
        ("5:staff", (5, Some(50))),
        ("5:6", (5, Some(6))),
        ("5", (5, None)),
        // A name takes precedence, even if it looks like a number.
        ("101", (7, Some(8))),
    ] {
        assert_eq!(found(text).expect(text), expected, "{text}");
    }
    for text in ["none", "odd", "web:none", "99999999999", ""] {
        assert!(found(text).is_err(), "{text}");
    }
    assert_eq!(groups_of(&tree, "web"), [50, 10]);
}

#[test]
fn added_user_has_a_line_in_passwd_and_group() {
    let mut tree = tree();
    add(&mut tree, "app", 101).expect("good");
    add(&mut tree, "app", 101).expect("it is there already");
    let text = |path: &str| match &tree.at(path).expect("it is there").kind {
        Kind::File(contents) => contents.text(),
        other => panic!("{other:?}"),
    };
    assert!(
        text("etc/passwd").ends_with("\nodd:x:no:8::/:\napp:x:101:101::/:/sbin/nologin\n"),
        "{}",
        text("etc/passwd")
    );
    assert!(text("etc/group").ends_with("\napp:x:101:\n"));
    assert_eq!(tree.get("etc/passwd").expect("a link").kind, Kind::Link("../usr/lib/passwd".into()));
    let mut tree = tree.clone();
    assert!(add(&mut tree, "web", 5).expect_err("another number").to_string().contains("already"));
    assert!(add(&mut tree, "a:b", 5).is_err() && add(&mut tree, "a\nb", 5).is_err());
    let mut empty = Tree::new();
    add(&mut empty, "app", 5).expect("good");
    assert_eq!(account(&empty, "app").expect("good").uid, 5);
}
