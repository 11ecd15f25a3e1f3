//! Archives that GNU tar and bsdtar write, read by the builder: whatever form a program chooses, the tree is the same.

use hilum::Architecture;
use hilum_initramfs::oci;
use hilum_initramfs::tree::{Entry, Kind, Tree};
use std::os::unix::fs::{FileExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

const HOLE: u64 = 1 << 20;

fn tool(folder: &Path, program: &str, words: &[&str]) {
    let output = Command::new(program).current_dir(folder).args(words).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The attribute of `cap_dac_override,cap_fowner+ep`: its sixth byte is a newline.
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// A folder with what archives hold in more than one way.
fn files(folder: &Path) {
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).expect("a file");
    std::fs::create_dir_all(folder.join("etc")).expect("a folder");
    put("etc/plain", b"text");
    put("etc/empty", b"");
    chown(folder.join("etc/plain"), Some(3_000_000), Some(42)).expect("root runs the tests");
    std::fs::set_permissions(folder.join("etc/plain"), PermissionsExt::from_mode(0o4750)).expect("its mode");
    std::fs::hard_link(folder.join("etc/plain"), folder.join("etc/plain2")).expect("a link");
    let long = "long".repeat(40);
    put(&format!("etc/{long}"), b"x");
    std::os::unix::fs::symlink(&long, folder.join("etc/link")).expect("a link");
    put("etc/tool", b"x");
    for (name, value) in [("security.capability", &CAPABILITY[..]), ("user.note", b"a\nb\0=c\n")] {
        rustix::fs::setxattr(folder.join("etc/tool"), name, value, rustix::fs::XattrFlags::empty())
            .expect("attributes");
    }
    // Like a database: data, a hole, data, a hole at the end; with more pieces than a header has room for.
    let db = std::fs::File::create(folder.join("etc/db")).expect("a file");
    for piece in 0..40 {
        db.write_all_at(format!("page {piece}").as_bytes(), piece * HOLE / 8).expect("it fits");
    }
    db.set_len(6 * HOLE).expect("it fits");
    std::fs::File::create(folder.join("etc/hole")).expect("a file").set_len(HOLE).expect("it fits");
}

fn db() -> Vec<u8> {
    let mut bytes = vec![0; 6 * HOLE as usize];
    for piece in 0..40 {
        let text = format!("page {piece}");
        bytes[piece * HOLE as usize / 8..][..text.len()].copy_from_slice(text.as_bytes());
    }
    bytes
}

fn entry<'a>(tree: &'a Tree, path: &str) -> &'a Entry {
    tree.get(path).unwrap_or_else(|| panic!("{path} is missing"))
}

fn contents(tree: &Tree, path: &str) -> Vec<u8> {
    match &entry(tree, path).kind {
        Kind::File(contents) => contents.read().expect("it can be read").into_owned(),
        other => panic!("{path}: {other:?}"),
    }
}

fn read(archive: &Path) -> anyhow::Result<Tree> {
    let mut tree = Tree::new();
    tree.apply(std::fs::File::open(archive)?, false)?;
    Ok(tree)
}

#[test]
fn archives_of_gnu_tar_and_bsdtar_are_read_alike() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let (folder, archive) = (scratch.path().join("files"), scratch.path().join("archive"));
    files(&folder);
    let forms: [(&str, &[&str]); 13] = [
        ("tar", &["-S", "--format=gnu"]),
        ("tar", &["--format=gnu"]),
        ("tar", &["-S", "--format=posix", "--sparse-version=0.0"]),
        ("tar", &["-S", "--format=posix", "--sparse-version=0.1"]),
        ("tar", &["-S", "--format=posix", "--sparse-version=1.0"]),
        ("tar", &["-S", "--format=posix", "--sparse-version=1.0", "--hole-detection=raw"]),
        ("tar", &["-S", "--format=posix", "-P", "--transform=s,^\\./,//,"]),
        ("tar", &["--format=posix", "--pax-option=comment=hello,globexthdr.name=g", "--numeric-owner"]),
        // A label stands where a member would.
        ("tar", &["-S", "--format=posix", "-V", "a label"]),
        ("tar", &["-S", "--format=gnu", "-V", "a label"]),
        ("bsdtar", &["--format=pax"]),
        ("bsdtar", &["--format=gnutar"]),
        ("bsdtar", &["--format=pax", "--no-read-sparse", "--numeric-owner"]),
    ];
    for (program, words) in forms {
        let words = [&["-c", "-f", archive.to_str().expect("UTF-8")], words, &["./etc"]].concat();
        tool(&folder, program, &words);
        let tree = read(&archive);
        let tree = tree.unwrap_or_else(|error| panic!("{program} {words:?}: {error:#}"));
        assert!(contents(&tree, "etc/db") == db(), "{program} {words:?}: other contents");
        assert!(contents(&tree, "etc/hole") == vec![0; HOLE as usize], "{program} {words:?}: other contents");
        assert_eq!(contents(&tree, "etc/empty"), b"");
        let plain = entry(&tree, "etc/plain");
        assert_eq!((plain.mode, plain.uid, plain.gid), (0o4750, 3_000_000, 42), "{program} {words:?}");
        assert_eq!(contents(&tree, "etc/plain2"), b"text");
        assert_eq!(entry(&tree, "etc/link").kind, Kind::Link("long".repeat(40)));
        assert_eq!(
            tree.iter().count(),
            10,
            "{program} {words:?}: {:?}",
            tree.iter().map(|one| one.0).collect::<Vec<_>>()
        );
    }
}

#[test]
fn attribute_with_a_newline_is_read_and_packed() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let (folder, archive) = (scratch.path().join("files"), scratch.path().join("archive"));
    files(&folder);
    let forms: [(&str, &[&str]); 2] =
        [("tar", &["--format=posix", "--xattrs", "--xattrs-include=*"]), ("bsdtar", &["--format=pax", "--xattrs"])];
    for (program, words) in forms {
        tool(&folder, program, &[&["-c", "-f", archive.to_str().expect("UTF-8")], words, &["etc"]].concat());
        let tree = read(&archive).unwrap_or_else(|error| panic!("{program}: {error:#}"));
        let xattrs = &entry(&tree, "etc/tool").xattrs;
        assert_eq!(xattrs["security.capability"], CAPABILITY, "{program}");
        assert_eq!(xattrs["user.note"], b"a\nb\0=c\n", "{program}");
        // And so is what the builder writes itself for the programs that pack it.
        let mut again = Tree::new();
        again.apply(tree.to_tar().expect("it fits").as_slice(), false).expect("its own archive");
        assert_eq!(entry(&again, "etc/tool"), entry(&tree, "etc/tool"), "{program}");
    }
}

#[test]
fn access_control_lists_match_the_kernels() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let (folder, archive) = (scratch.path().join("files"), scratch.path().join("archive"));
    files(&folder);
    tool(&folder, "setfacl", &["-m", "u:1234:rwx,g:4321:r", "etc/tool"]);
    tool(&folder, "setfacl", &["-d", "-m", "u:1234:rwx", "etc"]);
    let attribute = |path: &str, name: &str| {
        let mut value = [0; 256];
        let length = rustix::fs::getxattr(folder.join(path), name, &mut value[..]).expect("a list");
        value[..length].to_vec()
    };
    let forms: [(&str, &[&str]); 2] =
        [("tar", &["--format=posix", "--acls", "--numeric-owner"]), ("bsdtar", &["--format=pax", "--acls"])];
    for (program, words) in forms {
        tool(&folder, program, &[&["-c", "-f", archive.to_str().expect("UTF-8")], words, &["etc"]].concat());
        let tree = read(&archive).unwrap_or_else(|error| panic!("{program}: {error:#}"));
        for (path, name) in [("etc/tool", "system.posix_acl_access"), ("etc", "system.posix_acl_default")] {
            assert_eq!(entry(&tree, path).xattrs[name], attribute(path, name), "{program}: {path}");
        }
    }
}

#[test]
fn unsupported_archive_is_refused_with_a_remedy() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let folder = scratch.path().join("files");
    files(&folder);
    let refused = |name: &str| {
        let error = oci::read(&scratch.path().join(name), Architecture::X86_64, None).expect_err(name);
        let line = format!("{error:#}");
        line.split_once(": ").expect("the file's name").1.to_owned()
    };
    // As docker export writes it.
    tool(&folder, "tar", &["-c", "-f", "../exported", "etc"]);
    let exported =
        "a root filesystem, as docker export writes it, and no image: name it by the key tar instead of image";
    assert_eq!(refused("exported"), exported);
    for (option, name) in [("-z", "exported.gz"), ("--zstd", "exported.zst"), ("-J", "exported.xz")] {
        tool(&folder, "tar", &["-c", option, "-f", &format!("../{name}"), "etc"]);
        assert_eq!(refused(name), exported, "{name}");
        let bytes = std::fs::read(scratch.path().join(name)).expect("a file");
        std::fs::write(scratch.path().join("cut"), &bytes[..bytes.len() / 2]).expect("a file");
        assert!(refused("cut").starts_with("it cannot be unpacked: "), "{name}: {}", refused("cut"));
    }
    let bytes = std::fs::read(scratch.path().join("exported")).expect("a file");
    std::fs::write(scratch.path().join("cut"), &bytes[..bytes.len() / 2]).expect("a file");
    assert!(refused("cut").ends_with("it was cut short"), "{}", refused("cut"));
    std::fs::write(scratch.path().join("bz2"), b"BZh91AY").expect("a file");
    assert_eq!(refused("bz2"), "packed by bzip2, which is not read: unpack it with bunzip2");
    std::fs::write(scratch.path().join("text"), "no archive at all").expect("a file");
    assert_eq!(refused("text"), "not a tar archive");
}
