use super::lock::Lock;
use super::*;
use crate::description::Description;
use std::cmp::Ordering;
use std::process::Command;

#[test]
fn versions_are_ordered_as_dpkg_does() {
    let versions = [
        "1.0",
        "1.0-1",
        "1.0-1~bpo1",
        "1.0~rc1-1",
        "1:0.1",
        "0:1.0",
        "1.0a",
        "1.0+b1",
        "1.00",
        "1.0.0",
        "2.36-9+deb12u14",
        "2.36-9+deb12u9",
        "10",
        "9",
        "1.2.3-4-5",
        "1.0-0",
        "1~~",
        "1~",
        "1~~a",
        "0",
        "00",
        "1.0.",
        "1.0-1+b1",
    ];
    for one in &versions {
        for other in &versions {
            let is = |operator: &str| {
                let status = Command::new("dpkg")
                    .args(["--force-bad-version", "--compare-versions", one, operator, other])
                    .output();
                status.expect("dpkg").status.success()
            };
            let expected = match () {
                () if is("lt") => Ordering::Less,
                () if is("gt") => Ordering::Greater,
                () => Ordering::Equal,
            };
            assert_eq!(version::compare(one, other), expected, "{one} {other}");
        }
    }
}

const INDEX: &str = "\
Package: a
Version: 1.0-1
Filename: pool/a.deb
SHA256: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
Depends: b (>= 2), c | d, mail, f:any
Pre-Depends: libc (>= 1)
Recommends: never
Description: a
 Depends: no

Package: b
Version: 2
Filename: pool/b.deb
SHA256: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
Depends: a

Package: b
Version: 1
Filename: pool/old.deb

Package: d
Version: 1
Filename: pool/d.deb
SHA256: dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd

Package: f
Version: 1

Package: libc
Version: 1

Package: zmail
Version: 1
Provides: mail, versioned (= 3)

Package: nmail
Version: 1
Provides: mail

Package: old
Version: 1
Depends: libc (<< 1)

Package: virtual
Version: 1
Depends: versioned (>= 3), mail (>= 1)

Package: never
Version: 1
";

fn index(text: &str) -> Index {
    let mut index = Index::default();
    index.add(text);
    index
}

fn names(index: &Index, wanted: &[&str], without: &[&str]) -> Vec<String> {
    index.closure(wanted, without).expect("it can be satisfied").into_keys().collect()
}

#[test]
fn packages_bring_what_they_need_and_nothing_that_is_recommended() {
    let index = index(INDEX);
    assert_eq!(names(&index, &["a"], &[]), ["a", "b", "d", "f", "libc", "nmail"]);
    assert_eq!(index.package("b").expect("the newest").file, "pool/b.deb");
    // What is there anyway satisfies an alternative, and stands for what it provides.
    assert_eq!(names(&index, &["a", "zmail"], &[]), ["a", "b", "d", "f", "libc", "zmail"]);
    assert_eq!(names(&index, &["a"], &["d", "mail"]), ["a", "b", "f", "libc"]);
    assert_eq!(names(&index, &["a"], &["libc", "b", "c", "mail"]), ["a", "f"]);
}

#[test]
fn need_that_nothing_satisfies_is_named() {
    let index = index(INDEX);
    let error = |wanted: &str| index.closure(&[wanted], &[]).expect_err("refused").to_string();
    assert_eq!(error("old"), "package old depends on libc, which the release does not have in that version");
    // Only a version that is provided satisfies one.
    assert_eq!(error("virtual"), "package virtual depends on mail, which the release does not have in that version");
    assert_eq!(error("gone"), "the release has no package gone");
}

#[test]
fn lock_file_gives_each_root_what_it_needs_until_it_asks_for_something_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let description = folder.path().join("appliance.toml");
    let read = |lines: &str| {
        let text = format!("architecture = \"x86_64\"\n{lines}[[root]]\npath = \"/images/d\"\npackages = [\"d\"]\n");
        std::fs::write(&description, text).expect("a file");
        (
            Description::read(std::slice::from_ref(&description)).expect("good"),
            Description::read_locked(std::slice::from_ref(&description)),
        )
    };
    let a = "[[root]]\npath = \"/images/a\"\npackages = [\"a\"]\nwithout = [\"mail\", \"libc\", \"f\"]\n";
    let (asked, refused) = read(a);
    let refused = format!("{:#}", refused.expect_err("there is none"));
    assert!(
        refused.ends_with("appliance.lock: nothing for x86_64 bookworm; write it with: make update-lock"),
        "{refused}"
    );
    let mut lock = Lock::read(&asked.lock).expect("none is empty");
    let mut index = index(INDEX);
    lock.renew("x86_64", "bookworm", &asked.requests(), &index, "20261127T000000Z").expect("it can be satisfied");
    std::fs::write(&asked.lock, lock.text()).expect("a file");
    let (_, locked) = read(a);
    let packages = |locked: &Description| locked.roots.iter().map(|root| root.packages.join(" ")).collect::<Vec<_>>();
    assert_eq!(packages(&locked.expect("it is there")), ["a b d", "d"]);
    let (_, refused) = read(&a.replace("\"f\"", "\"g\""));
    let refused = format!("{:#}", refused.expect_err("it is for other packages"));
    assert!(
        refused.ends_with("it is for other packages: -f -libc -mail a d; renew it with: make update-lock"),
        "{refused}"
    );
    // A newer version has another date, and what stays the same keeps its own.
    index.add("Package: b\nVersion: 3\nFilename: pool/b3.deb\nSHA256: cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc\n");
    lock.renew("x86_64", "bookworm", &asked.requests(), &index, "20270101T000000Z").expect("it can be satisfied");
    let text = lock.text();
    assert!(text.contains("bookworm d 1 dddd") && text.contains(" 20261127T000000Z pool/d.deb -\n"), "{text}");
    assert!(
        text.contains("bookworm b 3 cccc") && text.contains(" 20270101T000000Z pool/b3.deb a\n")
            || text.contains("pool/b3.deb -\n"),
        "{text}"
    );
}

#[test]
fn scripts_are_told_by_what_they_would_do_and_users_come_of_the_table() {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, text) in
        [("./postinst", "adduser --system mosquitto\nupdate-alternatives --install x\n"), ("./prerm", "chown x\n")]
    {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        builder.append_data(&mut header, name, text.as_bytes()).expect("it fits");
    }
    let control = builder.into_inner().expect("an archive");
    assert_eq!(
        scripts::told("mosquitto", control.as_slice()).expect("an archive").expect("a line"),
        "package mosquitto: not run: postinst, which would add users, make links in /etc/alternatives"
    );
    let mut tree = crate::tree::Tree::new();
    let added = scripts::add_users(&mut tree, &["libc6".to_owned(), "mosquitto".to_owned()]).expect("it fits");
    assert_eq!(added, ["user mosquitto is 937:937"]);
    assert_eq!(crate::accounts::account(&tree, "mosquitto").expect("it is there").uid, 937);
    assert!(scripts::add_users(&mut tree, &["mosquitto".to_owned()]).expect("it fits").is_empty());
}
