//! Boot partitions, checked by fsck.vfat(8) and mtools(1).

use super::*;
use std::process::Command;

fn tool(program: &str, words: &[&str]) -> Vec<u8> {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = Command::new(program)
        .args(words)
        .env("PATH", path)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{program} {words:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn files() -> Files {
    let bytes = |length: usize| Contents::from((0..length).map(|at| (at / 512 + at) as u8).collect::<Vec<u8>>());
    let mut files = Files::from([
        ("EFI/BOOT/BOOTX64.EFI".to_owned(), bytes(3_000_001)),
        ("EFI/BOOT/second.efi".to_owned(), bytes(512)),
        ("bcm2837-rpi-3-b.dtb".to_owned(), bytes(17)),
        ("cmdline.txt".to_owned(), bytes(0)),
    ]);
    // More entries than fit into a cluster of the root, before and after a folder.
    let more = (0..40).map(|number| (format!("Z{}a longer name {number}", number % 2), bytes(number)));
    files.extend(more);
    files.insert("overlays/a.dtbo".to_owned(), bytes(1));
    files
}

#[test]
fn fsck_and_mtools_accept_the_filesystem() {
    let folder = tempfile::tempdir().expect("a folder");
    let image = folder.path().join("fat");
    fat(&files(), "HILUM", Room::Half)
        .expect("it fits")
        .contents
        .copy(&std::fs::File::create(&image).expect("a file"), 0)
        .expect("written");
    let image = image.to_str().expect("UTF-8");
    let checked = String::from_utf8_lossy(&tool("fsck.vfat", &["-n", image])).into_owned();
    assert_eq!(checked.lines().count(), 2, "its version and the number of files: {checked}");
    for (path, bytes) in files() {
        assert!(tool("mtype", &["-i", image, &format!("::{path}")]) == *bytes.read().expect("in memory"), "{path}");
    }
    let listing = String::from_utf8(tool("mdir", &["-/", "-i", image, "::"])).expect("UTF-8");
    assert!(listing.starts_with(" Volume in drive : is HILUM"), "{listing}");
    let dated = listing.lines().filter(|line| line.contains("1980-01-01")).count();
    // The files, three folders, and "." and ".." in each of these.
    assert_eq!(dated, files().len() + 3 + 6, "{listing}");
}

#[test]
fn same_files_give_the_same_bytes() {
    let first = fat(&files(), "ESP", Room::Half).expect("it fits").contents;
    assert!(first == fat(&files(), "ESP", Room::Half).expect("it fits").contents);
    assert!(first != fat(&files(), "HILUM", Room::Half).expect("it fits").contents);
}

#[test]
fn contents_of_files_are_not_held_in_memory() {
    const BYTES: u64 = 64 << 20;
    let file = tempfile::tempfile().expect("a file");
    file.set_len(BYTES).expect("its size");
    let large = Contents::of_file(file, [0; 32]).expect("it is there");
    let volume = fat(&Files::from([("initramfs".to_owned(), large)]), "HILUM", Room::Half).expect("it fits").contents;
    // Two allocation tables with four bytes for each cluster.
    let tables = BYTES / SECTOR as u64 * 4 * 2;
    assert!(volume.len() > BYTES && volume.held() < tables + tables / 8, "{} bytes", volume.held());
}

#[test]
fn names_that_fat_cannot_store_are_refused() {
    let error = fat(&files(), "TWELVE-BYTES", Room::Half).map(|_| ()).expect_err("too long").to_string();
    assert_eq!(error, "label TWELVE-BYTES is longer than the 11 bytes of FAT");
    let error = format!(
        "{:#}",
        fat(&Files::from([("a/b?".to_owned(), Contents::default())]), "A", Room::Half)
            .map(|_| ())
            .expect_err("refused")
    );
    assert!(error.starts_with("a/b?: "), "{error}");
}

#[test]
fn files_begin_at_blocks_and_are_in_one_piece() {
    let filesystem = fat(&files(), "HILUM", Room::None).expect("it fits");
    let image = filesystem.contents.read().expect("it is there");
    for (path, contents) in files().iter().filter(|(_, contents)| !contents.is_empty()) {
        let (start, len) = (filesystem.places[path], contents.len());
        assert_eq!(start % BLOCK, 0, "{path}");
        assert!(image[start as usize..][..len as usize] == *contents.read().expect("in memory"), "{path}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("fat");
    std::fs::write(&file, &image).expect("a file");
    tool("fsck.vfat", &["-n", file.to_str().expect("UTF-8")]);
}
