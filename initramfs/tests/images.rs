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

/// Whether an attribute belongs to an image.
fn is_kept(name: &[u8]) -> bool {
    name.starts_with(b"user.") || name == b"security.capability"
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
        for name in names[..length].split(|byte| *byte == 0).filter(|name| is_kept(name)) {
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

/// Images that buildah makes of the folder files in the folder $1 by the storage driver $2: the last container as a folder
/// named tree, and the image several layers high, squashed, compressed by zstd, in an index that also has an attestation and an
/// image for another architecture, and as docker save writes it. Mounts end with the namespace.
const BUILDAH: &str = r#"
cd "$1"
driver=$2
mkdir store
# A directory of overlayfs cannot be the upper one of another.
[ "$driver" = vfs ] || mount -t tmpfs none store
b() { buildah --root "$PWD/store/root" --runroot "$PWD/store/run" --storage-driver "$driver" "$@"; }
base=$(b from --arch amd64 scratch)
at=$(b mount "$base")
cp -a files/. "$at/"
b commit --quiet "$base" base
middle=$(b from --pull-never base)
at=$(b mount "$middle")
rm "$at/etc/gone" "$at/etc/dangling"
rm -r "$at/etc/deep"
mkdir "$at/etc/deep"
echo new >"$at/etc/deep/new"
b commit --quiet "$middle" middle
top=$(b from --pull-never middle)
at=$(b mount "$top")
mv "$at/etc/moved" "$at/etc/to"
echo more >>"$at/etc/shadow"
ln "$at/etc/shadow" "$at/etc/shadow-"
chmod 600 "$at/etc/mode"
rm "$at/etc/link"
mkdir "$at/etc/link"
b config --user 7:42 --entrypoint '["/usr/bin/program"]' --cmd 'one "two words"' --port 80/tcp --env A=b "$top"
cp -a "$at" tree
b commit --quiet "$top" oci:layered:test
b commit --quiet --squash "$top" oci:squashed:test
b commit --quiet --format docker "$top" docker-archive:saved.tar:test:latest
b commit --quiet "$top" top
b push --quiet --compression-format zstd top oci:zstd:test
b manifest create list
b manifest add --os unknown --arch unknown --annotation vnd.docker.reference.type=attestation-manifest list base
b manifest add --os linux --arch arm64 list middle
b manifest add list top
b manifest push --quiet --all list oci:index:test
"#;

/// The folder that buildah makes images of.
fn files(folder: &Path) {
    for below in ["etc/deep/er", "usr/bin"] {
        std::fs::create_dir_all(folder.join(below)).expect("a folder");
    }
    for name in ["passwd", "shadow", "gone", "moved", "mode", "deep/er/file"] {
        std::fs::write(folder.join("etc").join(name), name.repeat(100)).expect("a file");
        std::os::unix::fs::chown(folder.join("etc").join(name), Some(7), Some(42)).expect("root runs the tests");
    }
    std::fs::set_permissions(folder.join("etc/shadow"), PermissionsExt::from_mode(0o4640)).expect("its mode");
    std::fs::hard_link(folder.join("etc/passwd"), folder.join("etc/passwd-")).expect("a link");
    symlink("../etc/passwd", folder.join("etc/link")).expect("a link");
    symlink("/nowhere", folder.join("etc/dangling")).expect("a link");
    tool("mkfifo", &[text(&folder.join("etc/pipe"))]);
    let program = folder.join("usr/bin/program");
    std::fs::write(&program, "x").expect("a file");
    // CAP_NET_BIND_SERVICE, permitted and effective: struct vfs_cap_data of linux/capability.h.
    let capability = [0x0200_0001_u32, 1 << 10, 0, 0, 0].map(u32::to_le_bytes).concat();
    for (name, value) in [("security.capability", &capability[..]), ("user.note", b"a\0b")] {
        rustix::fs::setxattr(&program, name, value, rustix::fs::XattrFlags::empty()).expect("attributes");
    }
}

/// By overlayfs buildah marks a replaced folder as opaque; by copies (vfs) it compares folders, and removes each file by a whiteout.
#[test]
fn images_of_buildah_have_the_tree_that_buildah_umoci_and_skopeo_see() {
    for driver in ["overlay", "vfs"] {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let at = |name: &str| scratch.path().join(name);
        files(&at("files"));
        tool("unshare", &["--mount", "sh", "-euc", BUILDAH, "sh", text(scratch.path()), driver]);
        let layered = read(text(&at("layered")));
        assert_eq!(
            layered.lines(),
            "exec /usr/bin/program one \"two words\"\nenv A b\nuser 7:42\n# publish 80:80/tcp\n"
        );
        let program = &layered.tree.get("usr/bin/program").expect("it is there").xattrs;
        assert!(program.contains_key("security.capability"), "{program:?}");
        for name in ["layered", "squashed", "zstd", "index", "saved.tar"] {
            let container = read(text(&at(name)));
            assert_same(&container.tree, &at("tree"), &format!("{driver}: {name}"));
            assert_eq!(container.lines(), layered.lines(), "{driver}: {name}");
        }
        for name in ["layered", "squashed"] {
            let (image, bundle) = (format!("{}:test", at(name).display()), at("bundle").join(name));
            std::fs::create_dir_all(&bundle).expect("a folder");
            tool("umoci", &["unpack", "--image", &image, text(&bundle)]);
            assert_same(&layered.tree, &bundle.join("rootfs"), &format!("{driver}: {name}: umoci"));
        }
        for (name, kind) in [("layered", "docker-archive"), ("zstd", "oci-archive"), ("index", "docker-archive")] {
            let (from, to) = (format!("oci:{}:test", at(name).display()), at(&format!("{name}.tar")));
            let target = format!("{kind}:{}:test:latest", to.display());
            let words = ["--insecure-policy", "--override-arch", "amd64", "copy", "--quiet", &from, &target];
            tool("skopeo", &words);
            assert_same(&read(text(&to)).tree, &at("tree"), &format!("{driver}: {name}: skopeo"));
        }
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
