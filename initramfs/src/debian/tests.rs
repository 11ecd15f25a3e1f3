use super::lock::Lock;
use super::*;
use crate::description::Description;
use crate::tree::{Entry, Kind, Tree};
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
    let mut tree = Tree::new();
    let added = scripts::complete(&mut tree, &["libc6".to_owned(), "mosquitto".to_owned()], &Default::default())
        .expect("it fits");
    assert_eq!(added, ["user mosquitto is 937:937"]);
    assert_eq!(crate::accounts::account(&tree, "mosquitto").expect("it is there").uid, 937);
    assert!(scripts::complete(&mut tree, &["mosquitto".to_owned()], &Default::default()).expect("it fits").is_empty());
}

#[test]
fn users_that_packages_declare_are_added_with_ids_that_stay() {
    let file = |text: &str| Entry::of_root(0o644, Kind::File(text.into()));
    let of = |package: &Tree| {
        let mut declared = scripts::Declared::default();
        declared.extend(package);
        declared
    };
    let mut package = Tree::new();
    let text = "# Debian 13\nu! redis - \"Redis server\" /var/lib/redis\nu app 500\nu web -:www-data\ng render 700\ng _ssh\nm app render\nm app video";
    package.add("usr/lib/sysusers.d/redis.conf", file(text)).expect("good");
    package.add("usr/lib/sysusers.d/notes", file("nonsense")).expect("good");
    let declared = of(&package);
    let mut tree = Tree::new();
    tree.add("etc/passwd", file("root:x:0:0:root:/root:/bin/sh")).expect("good");
    tree.add("etc/group", file("www-data:x:33:\n")).expect("good");
    let added = scripts::complete(&mut tree, &[], &declared).expect("it fits");
    // redis is in the table, so that it has the same number as in Debian 12; the numbers of others depend on their names.
    assert_eq!(added, ["user redis is 943:943", "user app is 500:500", "user web is 895:33"]);
    let text = |path: &str| match &tree.at(path).expect("it is there").kind {
        Kind::File(contents) => contents.text(),
        _ => panic!("{path} is no file"),
    };
    assert_eq!(
        text("etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\nredis:x:943:943::/var/lib/redis:/usr/sbin/nologin\n\
         app:x:500:500::/:/usr/sbin/nologin\nweb:x:895:33::/:/usr/sbin/nologin\n"
    );
    assert_eq!(
        text("etc/group"),
        "www-data:x:33:\nrender:x:700:app\n_ssh:x:760:\nredis:x:943:\napp:x:500:\nvideo:x:844:app\n"
    );
    assert!(scripts::complete(&mut tree, &[], &declared).expect("it fits").is_empty());
    for wrong in ["u", "m app", "u a:b", "u a b", "u app2 600 - home", "u web2 -:none"] {
        let mut package = Tree::new();
        package.add("usr/lib/sysusers.d/a.conf", file(wrong)).expect("good");
        assert!(scripts::complete(&mut Tree::new(), &[], &of(&package)).is_err(), "{wrong}");
    }
}

#[test]
fn folders_that_packages_declare_and_links_of_merged_usr_are_made() {
    let mut package = Tree::new();
    let text = "# Comment\nd /run/app 2775 app app - -\nD! /var/lib/app - - app\nd /var/cache/%m\nf /run/file\nd /run/none - none\n";
    package.add("usr/lib/tmpfiles.d/app.conf", Entry::of_root(0o644, Kind::File(text.into()))).expect("good");
    package.add("usr/lib/sysusers.d/app.conf", Entry::of_root(0o644, Kind::File("u app 500".into()))).expect("good");
    let mut declared = scripts::Declared::default();
    declared.extend(&package);
    let mut tree = Tree::new();
    for folder in ["usr/bin", "usr/lib64", "sbin", "usr/sbin", "var/lib/app/data", "etc"] {
        tree.add_folder(folder).expect("good");
    }
    let told = scripts::complete(&mut tree, &[], &declared).expect("it fits");
    assert_eq!(told, ["user app is 500:500", "/run/none is not made: user none is not in the image's /etc/passwd"]);
    let owner = |path: &str| tree.at(path).map(|entry| (entry.mode, entry.uid, entry.gid));
    assert_eq!(owner("run/app"), Some((0o2775, 500, 500)));
    assert_eq!(owner("var/run/app"), owner("run/app"));
    assert_eq!(owner("var/lib/app"), Some((0o755, 0, 500)));
    assert!(tree.get("var/lib/app/data").is_some() && tree.get("run/file").is_none());
    let link = |path: &str| match tree.get(path).map(|entry| &entry.kind) {
        Some(Kind::Link(target)) => Some(target.as_str()),
        _ => None,
    };
    assert_eq!(
        [link("bin"), link("lib64"), link("lib"), link("sbin")],
        [Some("usr/bin"), Some("usr/lib64"), None, None]
    );
}
