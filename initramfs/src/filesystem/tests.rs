use super::*;

#[test]
fn blueprint_creates_the_filesystem_on_any_device() {
    let file = blueprint("data").expect("mke2fs");
    assert_eq!(file, blueprint("data").expect("mke2fs"), "the same bytes each time");
    assert!(file.len() < 64 * 1024, "a board reads at most 64 KiB: {}", file.len());
    let mut device = vec![0xa5; BLUEPRINT_BYTES as usize];
    for part in Blueprint::read(&file).expect("a blueprint") {
        let place = &mut device[part.at as usize..][..part.length as usize];
        place.fill(0);
        place[..part.bytes.len()].copy_from_slice(part.bytes);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let image = folder.path().join("device");
    std::fs::write(&image, &device).expect("a file");
    let checked = Command::new("e2fsck").args(["-f", "-n"]).arg(&image).output().expect("e2fsck");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    let found = hilum::storage::Superblock::read(&device).expect("a superblock");
    assert_eq!(found.health, hilum::storage::FilesystemHealth::Good, "its checksum by our own reader");
    // Documentation/filesystems/ext4/super.rst: s_feature_incompat and s_feature_ro_compat.
    let word = |at: usize| u32::from_le_bytes(device[1024 + at..][..4].try_into().expect("four bytes"));
    assert_eq!(word(0x60) & 0x2c0, 0x2c0, "extents, 64bit, flex_bg");
    assert_eq!(word(0x64) & 0x400, 0x400, "metadata_csum");
    assert!(found.is(hilum::config::Source::Label("data")));
    assert!(found.is(hilum::config::Source::Uuid(&uuid("ext4 data").to_string())));
}

#[test]
fn too_long_name_is_refused() {
    assert!(blueprint("seventeen-letters").expect_err("too long").to_string().contains("16 bytes"));
}
