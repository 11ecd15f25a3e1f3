//! Bundles: the tree as veritysetup(8) makes it, signatures as openssl(1) verifies them, and what is left out.

#[path = "support/updates.rs"]
mod updates;

use hilum::update::{Bundle, Record, Slot, Source};
use hilum_initramfs::bundle::{self, Order, Summary};
use hilum_initramfs::progress::Progress;
use std::path::PathBuf;
use updates::{Appliance, noise, text, tool};

const UPDATE: &str = "version = 3\nkeys = [\"update.crt\"]\nfloor = 2\n";

impl Appliance {
    fn order(&self) -> Order {
        Order { image: self.at("output"), keys: vec![self.at("update.key")], since: None, output: None }
    }

    /// Makes a bundle. Returns its path.
    fn bundle(&self, order: &Order) -> PathBuf {
        bundle::make(order, &Progress::new(&())).expect("a bundle").0
    }

    /// Returns the error of making a bundle, without the folder's name.
    fn refusal(&self, order: &Order) -> String {
        let error = bundle::make(order, &Progress::new(&())).expect_err("refused");
        format!("{error:#}").replace(&format!("{}/", self.scratch.path().display()), "")
    }

    /// Returns the contents of slot a, as many bytes as the bundle has.
    fn contents(&self, disk: &str, bytes: u64) -> Vec<u8> {
        let disk = std::fs::read(self.at("output").join(disk)).expect("a disk");
        let copies = Record::PLACES.map(|place| disk[place as usize..].first_chunk::<512>().expect("it is inside"));
        let (record, _) = Record::newest(copies).expect("a record");
        disk[record.start(Slot::A) as usize..][..bytes as usize].to_vec()
    }
}

fn read(path: &std::path::Path) -> Summary {
    bundle::read(path, &Progress::new(&()), &mut |_, _, _| {}).expect("a bundle")
}

#[test]
fn bundle_has_the_tree_of_veritysetup_and_a_valid_signature() {
    let one = Appliance::new();
    for (output, disk) in [("direct", "disk.img"), ("uefi-disk", "uefi-disk.img"), ("sd-card", "sd-card.img")] {
        std::fs::remove_dir_all(one.at("output")).unwrap_or_default();
        one.build(output, UPDATE, None).expect("it is built");
        let path = one.bundle(&one.order());
        assert_eq!(path, one.at("output/output-3.bundle"));
        let summary = read(&path);
        assert_eq!((summary.board.as_str(), summary.version, summary.floor), ("board-1", 3, 2));
        assert_eq!(summary.signatures, [256, 0]);
        let contents = one.contents(disk, summary.size);
        one.write("contents", &contents);
        let salt: String = summary.salt.iter().map(|byte| format!("{byte:02x}")).collect();
        let words = ["format", "--no-superblock", "--hash=sha256", "--data-block-size=4096"];
        let salt = format!("--salt={salt}");
        let (data, hashes) = (one.at("contents"), one.at("hashes"));
        let said = tool("veritysetup", &[&words[..], &[&salt, text(&data), text(&hashes)]].concat());
        let root: String = summary.root.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(said.contains(&root), "{output}: {said}");
        // Signed are the first 512 bytes, for whoever has the certificate.
        let bytes = std::fs::read(&path).expect("a bundle");
        let header = Bundle::read(bytes.first_chunk().expect("a block")).expect("a bundle");
        one.write("signed", header.signed());
        one.write("signature", header.signature(0).expect("a signature"));
        one.write("public", tool("openssl", &["x509", "-pubkey", "-noout", "-in", text(&one.at("update.crt"))]));
        let [public, signature, signed] = ["public", "signature", "signed"].map(|name| one.at(name));
        tool("openssl", &["dgst", "-sha256", "-verify", text(&public), "-signature", text(&signature), text(&signed)]);
        // What is sent, and what is zero, is all there is; and no zeros are sent.
        let zeros = contents.chunks(4096).filter(|block| block.iter().all(|byte| *byte == 0)).count() as u64;
        assert_eq!(summary.sources, [summary.size / 4096 - zeros, zeros, 0], "{output}");
        assert!(summary.bytes < summary.sources[0] * 4096 + summary.size / 64 + 8192, "{output}: {}", summary.bytes);
        assert_eq!(summary.parts.kernel.bytes > 0, output != "uefi-disk");
        assert!(bytes == std::fs::read(one.bundle(&one.order())).expect("a bundle"), "the same bytes each time");
    }
}

#[test]
fn blocks_that_the_old_version_has_are_left_out() {
    let one = Appliance::new();
    one.build("direct", UPDATE, None).expect("it is built");
    let first = one.bundle(&Order { output: Some(one.at("first.bundle")), ..one.order() });
    let old = one.contents("disk.img", read(&first).size);
    // A kernel with one block more in front: all blocks of it are elsewhere, and are found.
    let kernel = std::fs::read(one.at("vmlinuz")).expect("a kernel");
    one.write("vmlinuz", [&kernel[..4096], &noise(4096, 9), &kernel[4096..]].concat());
    one.build("direct", UPDATE, Some(4)).expect("it is built");
    let order = Order { since: Some(first.clone()), output: Some(one.at("second.bundle")), ..one.order() };
    let second = one.bundle(&order);
    let summary = read(&second);
    let [here, _, copied] = summary.sources;
    let contents = one.contents("disk.img", summary.size);
    assert!(here <= 2 && copied * 4096 > 4_000_000, "{summary}");
    assert!(summary.bytes < 200_000, "{summary}");
    // Each copy is right.
    let check = |bundle: &std::path::Path, old: &[u8], new: &[u8]| {
        let mut blocks = 0;
        bundle::read(bundle, &Progress::new(&()), &mut |block, _, source| {
            if let Source::Copy(from) = source {
                let at = |block: u64| block as usize * 4096..(block as usize + 1) * 4096;
                assert!(old[at(from.into())] == new[at(block)], "block {block}");
                blocks += 1;
            }
        })
        .expect("a bundle");
        assert!(blocks > 0);
    };
    check(&second, &old, &contents);
    // A bundle with blocks left out serves as the old one as well.
    one.write("first", noise(8192, 10));
    one.build("direct", UPDATE, Some(5)).expect("it is built");
    let third = one.bundle(&Order { since: Some(second), output: Some(one.at("third.bundle")), ..one.order() });
    check(&third, &contents, &one.contents("disk.img", read(&third).size));
    // It is not for itself.
    let error = one.refusal(&Order { since: Some(third), ..one.order() });
    assert_eq!(error, "third.bundle: version 5 is not older than 5; build the image with a higher one");
    std::fs::rename(one.at("board-1.toml"), one.at("board-2.toml")).expect("a file");
    one.build_of("board-2.toml", "x86_64", Some(9)).expect("it is built");
    let error = one.refusal(&Order { since: Some(first), ..one.order() });
    assert_eq!(error, "first.bundle: for board-1, not for board-2");
}

#[test]
fn two_keys_sign_and_wrong_ones_are_refused() {
    let one = Appliance::new();
    one.build("direct", UPDATE, None).expect("it is built");
    one.key("next");
    let both = Order { keys: vec![one.at("update.key"), one.at("next.key")], ..one.order() };
    assert_eq!(read(&one.bundle(&both)).signatures, [256, 256]);
    assert_eq!(one.refusal(&Order { keys: Vec::new(), ..one.order() }), "0 keys; sign with one or two");
    let gone = Order { keys: vec![one.at("gone.key")], ..one.order() };
    assert_eq!(one.refusal(&gone), "gone.key: no such key; openssl req -x509 -newkey rsa:3072 makes one");
    std::fs::create_dir(one.at("empty")).expect("a folder");
    let error = one.refusal(&Order { image: one.at("empty"), ..one.order() });
    assert_eq!(error, "empty: no disk with slots; build one for a description with [update]");
    let error = one.refusal(&Order { image: one.at("vmlinuz"), ..one.order() });
    assert_eq!(error, "vmlinuz: no slots on this disk; build it for a description with [update]");
}

#[test]
fn damage_is_noticed_wherever_it_is() {
    let one = Appliance::new();
    one.build("direct", UPDATE, None).expect("it is built");
    let bytes = std::fs::read(one.bundle(&one.order())).expect("a bundle");
    let error = |bytes: &[u8]| {
        one.write("damaged", bytes);
        let builder = env!("CARGO_BIN_EXE_hilum-initramfs");
        let shown = std::process::Command::new(builder).args(["bundle", "--show", text(&one.at("damaged"))]).output();
        let shown = shown.expect("the builder");
        assert!(!shown.status.success());
        let line = String::from_utf8(shown.stderr).expect("UTF-8");
        line.rsplit_once("damaged: ").expect("the file's name").1.trim_end().to_owned()
    };
    // The header has 4,096 bytes; then come two levels of the tree, the map, and the first block.
    for (at, expected) in [
        (0, "no bundle: it begins with other bytes"),
        (120, "a damaged bundle: its hash tree before block 0"),
        (4096, "a damaged bundle: its hash tree before block 0"),
        (8192, "a damaged bundle: its hash tree before block 0"),
        (12288 + 512, "a damaged bundle: block 0"),
        (bytes.len() - 1, "a damaged bundle: block "),
    ] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(error(&changed).starts_with(expected), "{at}: {}", error(&changed));
    }
    assert_eq!(error(&bytes[..100]), "no bundle: it is too short");
    assert_eq!(error(&bytes[..bytes.len() - 1]), "a damaged bundle: it ends early");
    assert_eq!(error(&[&bytes[..], &[0]].concat()), "a damaged bundle: it goes on behind its last block");
}

/// A board and an appliance of real packages: what is sent if one of them changes.
#[test]
fn one_changed_package_is_at_most_15_percent_of_the_bytes() {
    let one = Appliance::new();
    let packages = updates::built("debian/packages/x86_64-bookworm");
    std::fs::create_dir(one.at("packages")).expect("a folder");
    for name in ["linux-image-amd64", "busybox-static", "e2fsck-static", "systemd-boot-efi"] {
        std::os::unix::fs::symlink(packages.join(format!("{name}.tar")), one.at(&format!("packages/{name}.tar")))
            .expect("a link");
    }
    let root = |path: &str, package: &str, rest: &str| {
        format!(
            "[[root]]\npath = \"{path}\"\npackages = [\"{package}\"]\ndependencies = false\nkeep = [\"bin\", \"sbin\"]\n{rest}"
        )
    };
    let roots = [
        root("/images/shell", "busybox-static", "format = \"folder\"\n"),
        root("/images/check.erofs", "e2fsck-static", ""),
    ];
    let lines = format!("config = \"hilum.conf\"\n[update]\n{UPDATE}{}", roots.concat());
    one.write("appliance.toml", lines);
    for board in ["qemu-x86_64", "uefi-x86_64"] {
        if board == "qemu-x86_64" {
            let cloud = "linux-image-cloud-amd64.tar";
            let link = one.at(&format!("packages/{cloud}"));
            std::os::unix::fs::symlink(packages.join(cloud), link).expect("a link");
        }
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("boards/{board}.toml"));
        let bundle = |version: u64, since: Option<PathBuf>| {
            let output = Some(one.at(&format!("{board}-{version}.bundle")));
            one.build_with(&file, version, "packages").expect("it is built");
            let whole = one.bundle(&Order { output: Some(one.at("whole.bundle")), ..one.order() });
            let path = one.bundle(&Order { since, output, ..one.order() });
            (path.clone(), read(&path).bytes, read(&whole).bytes)
        };
        one.write("hilum.conf", "hilum 1\n[system]\nupdate\n");
        let (first, _, whole) = bundle(3, None);
        println!("{board}: whole {whole} bytes");
        one.write("hilum.conf", "hilum 1\n[system]\nupdate\nhostname b\n");
        let (second, sent, whole) = bundle(4, Some(first));
        println!("{board}: one line of the configuration: {sent} of {whole} bytes, {} %", sent * 100 / whole);
        assert!(sent * 100 <= whole * 4, "{sent} of {whole}");
        // Another version of a package: all its bytes are elsewhere. Once in files of the initramfs, once in an image file.
        let mut since = second;
        for (version, package) in [(5, "busybox-static"), (6, "e2fsck-static")] {
            let (name, archive) = (format!("{package}.tar"), one.at(&format!("packages/{package}.tar")));
            std::fs::remove_file(&archive).expect("a link");
            another_version(&packages.join(&name), &archive);
            let (path, sent, whole) = bundle(version, Some(since));
            since = path;
            println!("{board}: {package} changed: {sent} of {whole} bytes, {} %", sent * 100 / whole);
            assert!(sent * 100 <= whole * 15, "{sent} of {whole}");
            std::fs::remove_file(&archive).expect("a file");
            std::os::unix::fs::symlink(packages.join(&name), &archive).expect("a link");
        }
    }
}

/// Copies the archive of a package with other contents of its programs.
fn another_version(from: &std::path::Path, to: &std::path::Path) {
    let mut archive = tar::Archive::new(std::fs::File::open(from).expect("a package"));
    let mut output = tar::Builder::new(std::fs::File::create(to).expect("a file"));
    for entry in archive.entries().expect("entries") {
        let mut entry = entry.expect("an entry");
        let mut header = entry.header().clone();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).expect("its contents");
        if bytes.len() > 1 << 16 {
            // Behind the headers of the ELF file.
            bytes[4096..].rotate_left(12_345);
        }
        header.set_cksum();
        output.append(&header, bytes.as_slice()).expect("it fits");
    }
    output.finish().expect("it fits");
}
