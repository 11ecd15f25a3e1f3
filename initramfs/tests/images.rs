//! Container images that other programs made, unpacked by us and by umoci, and packed by us and unpacked by others.

use hilum::Architecture;
use hilum_initramfs::oci::{self, Container};
use hilum_initramfs::pack::{Format, pack};
use hilum_initramfs::progress::Progress;
use hilum_initramfs::tree::{Entry, Kind, Tree};
use std::collections::BTreeMap;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

fn tool(program: &str, words: &[&str]) {
    let output = Command::new(program).args(words).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// An OCI layout with four layers, made by umoci: files, links, owners, modes, attributes, whiteouts, an opaque folder.
fn layout(folder: &Path) -> String {
    let (layout, files) = (folder.join("layout"), folder.join("files"));
    let image = format!("{}:test", layout.display());
    tool("umoci", &["init", "--layout", text(&layout)]);
    tool("umoci", &["new", "--image", &image]);
    let etc = files.join("etc");
    std::fs::create_dir_all(etc.join("deep/er")).expect("a folder");
    for (name, mode) in [("passwd", 0o644), ("shadow", 0o640), ("deep/er/file", 0o600), ("deep/tool", 0o4755)] {
        std::fs::write(etc.join(name), name.repeat(100)).expect("a file");
        std::os::unix::fs::chown(etc.join(name), Some(7), Some(42)).expect("root runs the tests");
        std::fs::set_permissions(etc.join(name), PermissionsExt::from_mode(mode)).expect("its mode");
    }
    std::fs::hard_link(etc.join("passwd"), etc.join("passwd-")).expect("a link");
    symlink("../etc/passwd", etc.join("link")).expect("a link");
    symlink("/nowhere", etc.join("dangling")).expect("a link");
    rustix::fs::setxattr(etc.join("shadow"), "user.note", b"a\0b", rustix::fs::XattrFlags::empty())
        .expect("attributes");
    tool("mkfifo", &[text(&etc.join("pipe"))]);
    tool("umoci", &["insert", "--image", &image, text(&etc), "/etc"]);
    let bin = files.join("bin");
    std::fs::create_dir_all(&bin).expect("a folder");
    std::fs::write(bin.join("program"), "x").expect("a file");
    tool("umoci", &["insert", "--image", &image, text(&bin), "/usr/bin"]);
    tool("umoci", &["insert", "--image", &image, "--whiteout", "/etc/dangling"]);
    let deep = files.join("deep");
    std::fs::create_dir_all(&deep).expect("a folder");
    std::fs::write(deep.join("new"), "new").expect("a file");
    tool("umoci", &["insert", "--image", &image, "--opaque", text(&deep), "/etc/deep"]);
    let config = ["config", "--image", &image, "--config.user", "7:42", "--config.entrypoint", "/usr/bin/program"];
    tool("umoci", &[&config[..], &["--config.env", "A=b", "--config.exposedports", "80/tcp"]].concat());
    tool("umoci", &["config", "--image", &image, "--architecture", "amd64", "--os", "linux"]);
    text(&layout).to_owned()
}

/// What is at each path of a folder, in the words of [`Tree`], and how often each file is linked.
fn found(folder: &Path) -> BTreeMap<String, (Entry, u64)> {
    let mut all = BTreeMap::new();
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry.expect("it can be read");
        let metadata = entry.path().symlink_metadata().expect("it is there");
        let kind = metadata.file_type();
        let kind = if kind.is_dir() {
            Kind::Folder
        } else if kind.is_symlink() {
            Kind::Link(text(&std::fs::read_link(entry.path()).expect("a link")).to_owned())
        } else if kind.is_fifo() {
            Kind::Pipe
        } else {
            Kind::File(std::fs::read(entry.path()).expect("a file").into())
        };
        let mut xattrs = BTreeMap::new();
        let mut names = [0; 1024];
        let length = rustix::fs::llistxattr(entry.path(), &mut names[..]).unwrap_or(0);
        for name in names[..length].split(|byte| *byte == 0).filter(|name| name.starts_with(b"user.")) {
            let name = String::from_utf8_lossy(name).into_owned();
            let mut value = [0; 256];
            let length = rustix::fs::lgetxattr(entry.path(), name.as_str(), &mut value[..]).expect("its value");
            xattrs.insert(name, value[..length].to_vec());
        }
        let below = entry.path().strip_prefix(folder).expect("it is below");
        let is_link = matches!(kind, Kind::Link(_));
        let mode = if is_link { 0o777 } else { metadata.mode() & 0o7777 };
        let links = if metadata.is_file() { metadata.nlink() } else { 1 };
        all.insert(
            text(below).to_owned(),
            (Entry { mode, uid: metadata.uid(), gid: metadata.gid(), xattrs, kind }, links),
        );
    }
    all
}

/// Compares a tree with a folder that somebody else unpacked.
fn assert_same(tree: &Tree, folder: &Path, who: &str) {
    let theirs = found(folder);
    let ours: Vec<&str> = tree.iter().map(|(path, _)| path).collect();
    assert_eq!(ours, theirs.keys().map(String::as_str).collect::<Vec<_>>(), "{who}");
    for (path, entry) in tree.iter().filter(|(path, _)| !path.is_empty()) {
        let (mut their, links) = theirs[path].clone();
        if matches!(entry.kind, Kind::Link(_)) {
            their.mode = entry.mode;
        }
        assert_eq!(*entry, their, "{who}: {path}");
        if let Kind::File(bytes) = &entry.kind {
            let same =
                tree.iter().filter(|(_, other)| matches!(&other.kind, Kind::File(other) if other.is_same(bytes)));
            assert_eq!(same.count() as u64, links, "{who}: links of {path}");
        }
    }
}

fn read(path: &str) -> Container {
    oci::read(Path::new(path), Architecture::X86_64, None).expect("a container image")
}

#[test]
fn image_is_unpacked_as_umoci_does() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let layout = layout(scratch.path());
    let container = read(&layout);
    let bundle = scratch.path().join("bundle");
    tool("umoci", &["unpack", "--image", &format!("{layout}:test"), text(&bundle)]);
    assert_same(&container.tree, &bundle.join("rootfs"), "umoci");
    for path in ["etc/dangling", "etc/deep/er/file", "etc/deep/tool"] {
        assert!(container.tree.get(path).is_none(), "{path} was taken away");
    }
    assert_eq!(container.lines(), "exec /usr/bin/program\nenv A b\nuser 7:42\n# publish 80:80/tcp\n");
    // The same image as docker save and podman save write it, and as an archive of the layout.
    for kind in ["docker-archive", "oci-archive"] {
        let archive = scratch.path().join(kind);
        let target = format!("{kind}:{}:test:latest", archive.display());
        tool("skopeo", &["copy", "--quiet", "--insecure-policy", &format!("oci:{layout}:test"), &target]);
        let other = read(text(&archive));
        assert!(other.tree.iter().eq(container.tree.iter()), "{kind}");
    }
}

#[test]
fn packed_image_is_complete_and_reproducible() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let tree = read(&layout(scratch.path())).tree;
    for (format, unpack) in [(Format::Erofs, "fsck.erofs"), (Format::Squashfs, "unsquashfs")] {
        let packed = || {
            let file = scratch.path().join("packed");
            pack(&tree, format, "test", &file, scratch.path(), &Progress::new(&())).expect("it is packed");
            std::fs::read(file).expect("a file")
        };
        let bytes = packed();
        std::thread::sleep(std::time::Duration::from_millis(1_100));
        assert!(bytes == packed(), "{format:?}: other bytes");
        let (image, folder) = (scratch.path().join(unpack), scratch.path().join(format!("{unpack}.d")));
        std::fs::write(&image, &bytes).expect("a file");
        match format {
            Format::Erofs => tool(unpack, &[&format!("--extract={}", folder.display()), "--preserve", text(&image)]),
            _ => tool(unpack, &["-quiet", "-no-progress", "-dest", text(&folder), text(&image)]),
        }
        if format == Format::Erofs {
            // This version of fsck.erofs makes no links and knows no attributes: what it shows is compared.
            let theirs = found(&folder);
            for (path, entry) in
                tree.iter().filter(|(path, entry)| !path.is_empty() && !matches!(entry.kind, Kind::Pipe))
            {
                let (their, _) = &theirs[path];
                assert_eq!((&entry.kind, entry.uid, entry.gid), (&their.kind, their.uid, their.gid), "{path}");
            }
        } else {
            assert_same(&tree, &folder, unpack);
        }
    }
}
