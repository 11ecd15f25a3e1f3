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
    assert_eq!(list.text(), "7 /init\n");
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

/// A file that begins as an erofs image does, of random bytes that are the same each time.
fn noise(bytes: usize, is_erofs: bool) -> Vec<u8> {
    let mut state = 1_u64;
    let mut all: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    })
    .take(bytes)
    .collect();
    if is_erofs {
        all[1024..1028].copy_from_slice(&0xe0f5_e1e2_u32.to_le_bytes());
    }
    all
}

/// An archive of an initramfs: whether it is compressed, its bytes there, and the names of its files.
type Segment = (bool, Vec<u8>, Vec<String>);

/// Reads archives one behind the other, as the kernel does (init/initramfs.c, unpack_to_rootfs).
fn segments(bytes: &[u8]) -> Vec<Segment> {
    use std::io::Read;
    let (mut all, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let rest = &bytes[at..];
        if rest[0] == 0 {
            at += 1;
            continue;
        }
        let is_packed = rest[0] != b'0';
        assert!(is_packed || at.is_multiple_of(4), "an archive that is not compressed begins at a multiple of four");
        let (mut plain, mut left) = (Vec::new(), rest);
        if is_packed {
            zstd::Decoder::with_buffer(&mut left).expect("zstd").single_frame().read_to_end(&mut plain).expect("zstd");
        }
        let mut unread = if is_packed { plain.as_slice() } else { rest };
        let mut names = Vec::new();
        loop {
            let mut entry = cpio::newc::Reader::new(unread).expect("an entry");
            let name = entry.entry().name().to_owned();
            let is_end = entry.entry().is_trailer();
            let is_file = entry.entry().mode() & 0o170_000 == 0o100_000;
            std::io::copy(&mut entry, &mut std::io::sink()).expect("its contents");
            unread = entry.finish().expect("the next one");
            if is_end {
                break;
            }
            names.extend(is_file.then_some(name));
        }
        let bytes = if is_packed { rest.len() - left.len() } else { rest.len() - unread.len() };
        all.push((is_packed, rest[..bytes].to_vec(), names));
        at += bytes;
    }
    all
}

#[test]
fn archives_and_images_begin_at_blocks_for_updates() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = crate::cache::Cache::open(&folder.path().join("cache"), u64::MAX).expect("a cache");
    let mut image = small();
    let erofs = noise(100_001, true);
    image.file(CONFIG, 0o644, "hilum 1");
    image.file("images/b.erofs", 0o644, erofs.clone());
    image.file("images/web/bin/large", 0o755, vec![7; 300 << 10]);
    image.file("images/web/bin/small", 0o755, noise(1000, false));
    image.file("lib/modules/loop.ko", 0o644, noise(1000, false));
    image.seal();
    let path = folder.path().join("initramfs");
    image.write_to(&path, Layout::Blocks, &cache, &crate::progress::Progress::new(&())).expect("it fits");
    let written = std::fs::read(path).expect("a file");
    let shown: Vec<(bool, Vec<String>)> = segments(&written)
        .into_iter()
        .map(|(is_packed, bytes, names)| {
            let at = written.windows(bytes.len()).position(|window| window == bytes).expect("it is there");
            assert_eq!(at % 4096, 0, "{names:?}");
            (is_packed, names.iter().map(|name| name.trim_end_matches('\0').to_owned()).collect())
        })
        .collect();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    // Archives without files have the folders.
    let with_files: Vec<_> = shown.into_iter().filter(|(_, names)| !names.is_empty()).collect();
    let expected = [
        (true, names(&[CONFIG, MANIFEST])),
        (true, names(&["init"])),
        (true, names(&["images/web/bin/small"])),
        (true, names(&["lib/modules/loop.ko"])),
        (true, names(&["images/web/bin/large"])),
        (false, names(&["images/b.erofs"])),
        (false, names(&[END])),
    ];
    assert_eq!(with_files, expected);
    let at = written.windows(64).position(|window| window == &erofs[1024..][..64]).expect("it is there");
    assert_eq!(at % 4096, 1024, "the image begins at a block");
}

#[test]
fn only_what_gets_smaller_is_compressed_and_only_what_changed_is_compressed_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = crate::cache::Cache::open(&folder.path().join("cache"), u64::MAX).expect("a cache");
    let written = |config: &str| {
        let mut image = small();
        image.file(CONFIG, 0o644, config);
        image.file("images/b.erofs", 0o644, noise(100_001, true));
        image.file("images/large.ext4", 0o644, vec![7; 16 << 20]);
        image.file("images/film", 0o644, noise(16 << 20, false));
        image.file("images/small", 0o644, noise(1000, false));
        image.seal();
        let path = folder.path().join("initramfs");
        let bytes =
            image.write_to(&path, Layout::Small, &cache, &crate::progress::Progress::new(&())).expect("it fits");
        let written = std::fs::read(path).expect("a file");
        assert_eq!(written.len() as u64, bytes);
        segments(&written)
    };
    let first = written("hilum 1");
    let shown: Vec<(bool, Vec<&str>)> =
        first.iter().map(|(is_packed, _, names)| (*is_packed, names.iter().map(String::as_str).collect())).collect();
    let expected = [
        (true, vec!["init", CONFIG, MANIFEST]),
        (true, vec!["images/small"]),
        (true, vec!["images/large.ext4"]),
        (false, vec!["images/b.erofs", "images/film", END]),
    ];
    assert_eq!(shown, expected);
    let made = || {
        let entries = std::fs::read_dir(folder.path().join("cache")).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        names.filter(|name| name.len() == 64).count()
    };
    assert_eq!(made(), 2);
    let second = written("hilum 1\n[system]\n");
    assert!(first[0] != second[0] && first[1..] == second[1..]);
    assert_eq!(made(), 2, "nothing else was compressed");
}

#[test]
fn nothing_is_compressed_in_a_plain_initramfs() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = crate::cache::Cache::open(&folder.path().join("cache"), u64::MAX).expect("a cache");
    let mut image = small();
    image.file("images/large", 0o644, vec![7; 1 << 20]);
    image.file(CONFIG, 0o644, "hilum 1");
    image.seal();
    let path = folder.path().join("initramfs");
    image.write_to(&path, Layout::Plain, &cache, &crate::progress::Progress::new(&())).expect("it fits");
    let all = segments(&std::fs::read(path).expect("a file"));
    let shown: Vec<(bool, Vec<&str>)> =
        all.iter().map(|(is_packed, _, names)| (*is_packed, names.iter().map(String::as_str).collect())).collect();
    let expected = [(false, vec!["init", CONFIG, MANIFEST]), (false, vec!["images/large", END])];
    assert_eq!(shown, expected);
}
