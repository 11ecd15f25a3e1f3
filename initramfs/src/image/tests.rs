use super::*;

fn small() -> Image {
    let mut image = Image::new();
    image.file("/init", 0o755, *b"program");
    image.link("images/a/bin/sh", "busybox");
    image.folder("images/a/tmp", 0o1777);
    image
}

#[test]
fn archive_survives_a_round_trip() {
    let bytes = small().write(Compression::None).expect("it fits");
    let mut rest = bytes.as_slice();
    let mut seen = Vec::new();
    loop {
        let reader = cpio::newc::Reader::new(rest).expect("an entry");
        let entry = reader.entry();
        if entry.is_trailer() {
            break;
        }
        seen.push((entry.name().to_owned(), entry.mode(), entry.rdev_major(), entry.rdev_minor()));
        assert_eq!((entry.uid(), entry.gid(), entry.mtime()), (0, 0, 0), "{}", entry.name());
        let mut contents = Vec::new();
        rest = reader.to_writer(&mut contents).expect("its contents");
        if seen.last().is_some_and(|(name, ..)| name == "init") {
            assert_eq!(contents, b"program");
        }
    }
    let expected = [
        ("init", 0o100_755, 0, 0),
        ("dev", 0o040_755, 0, 0),
        ("dev/console", 0o020_600, 5, 1),
        ("dev/null", 0o020_666, 1, 3),
        ("images", 0o040_755, 0, 0),
        ("images/a", 0o040_755, 0, 0),
        ("images/a/bin", 0o040_755, 0, 0),
        ("images/a/bin/sh", 0o120_777, 0, 0),
        ("images/a/tmp", 0o041_777, 0, 0),
    ];
    assert_eq!(seen, expected.map(|(name, mode, major, minor)| (name.to_owned(), mode, major, minor)));
}

#[test]
fn newline_in_a_name_adds_no_line_to_the_manifest() {
    let mut image = small();
    image.file("images/a/b\n7 /etc/passwd", 0o644, *b"x");
    image.seal();
    let Some((_, Node::File(list))) = image.get(MANIFEST) else { panic!("no list") };
    assert_eq!(String::from_utf8_lossy(list), "7 /init\n");
}

#[test]
fn bytes_do_not_depend_on_order_of_adding() {
    let mut other = Image::new();
    other.folder("images/a/tmp", 0o1777);
    other.link("images/a/bin/sh", "busybox");
    other.file("init", 0o755, *b"program");
    for compression in [Compression::None, Compression::Zstd] {
        assert_eq!(small().write(compression).expect("it fits"), other.write(compression).expect("it fits"));
    }
}

#[test]
fn bytes_do_not_depend_on_times_and_owners_of_the_host() {
    let folder = std::env::temp_dir().join(format!("hilum-image-{}", std::process::id()));
    let bytes = || {
        std::fs::create_dir_all(folder.join("bin")).expect("a folder");
        std::fs::write(folder.join("bin/a"), "a").expect("a file");
        let mut image = Image::new();
        image.add_host_folder(&folder, "images/a").expect("it can be read");
        let bytes = image.write(Compression::Zstd).expect("it fits");
        std::fs::remove_dir_all(&folder).expect("it is ours");
        bytes
    };
    let first = bytes();
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    assert_eq!(first, bytes());
}

#[test]
fn compressed_archive_has_the_same_contents() {
    let plain = small().write(Compression::None).expect("it fits");
    let packed = small().write(Compression::Zstd).expect("it fits");
    assert_eq!(zstd::decode_all(packed.as_slice()).expect("it is zstd"), plain);
}
