//! Superblocks and partition tables as the real programs write them, and all decisions.

use super::*;
use crate::config::Source;
use crate::config::{Config, parse};

fn mount(options: &str) -> SystemMount<'_> {
    // The text of the options is the caller's; everything else is constant.
    let mut mount = SystemMount {
        source: "/dev/vda",
        target: "/data",
        kind: "ext4",
        is_read_only: false,
        is_executable: false,
        grows: false,
        wait_ms: 5_000,
        check: OnDamage::Repair,
        fallback: crate::config::MountFallback::Stop,
    };
    for option in options.split(' ') {
        match option {
            "vfat" | "btrfs" => mount.kind = option,
            "ro" => mount.is_read_only = true,
            "check=ro" => mount.check = OnDamage::ReadOnly,
            "check=reformat" => mount.check = OnDamage::Reformat,
            _ => assert_eq!(option, ""),
        }
    }
    mount
}

/// Returns an ext4 superblock without a checksum.
fn ext4() -> [u8; START_BYTES] {
    let mut start = [0; START_BYTES];
    start[1024 + 4] = 1;
    start[1024 + 0x38..][..2].copy_from_slice(&[0x53, 0xef]);
    start[1024 + 0x68..][..16].copy_from_slice(&[0x0f, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    start[1024 + 0x78..][..4].copy_from_slice(b"data");
    start
}

fn read(start: &[u8]) -> Superblock {
    Superblock::read(start).expect("a filesystem")
}

#[test]
fn source_is_a_path_or_an_id() {
    assert_eq!(Source::of("/dev/a=b"), Some(Source::Path("/dev/a=b")));
    assert_eq!(Source::of("LABEL=data"), Some(Source::Label("data")));
    assert_eq!(Source::of("UUID=1-2"), Some(Source::Uuid("1-2")));
    assert_eq!(Source::of("PARTUUID=x"), Some(Source::PartUuid("x")));
    for text in ["", "data", "LABEL=", "label=x", "PARTLABEL=x", &format!("UUID={}", "x".repeat(41))] {
        assert_eq!(Source::of(text), None, "{text}");
    }
}

#[test]
fn ext4_is_found_by_label_and_uuid() {
    let found = read(&ext4());
    assert_eq!((found.kind, found.health), (FilesystemKind::Ext4, FilesystemHealth::Good));
    assert!(found.is(Source::Label("data")));
    assert!(found.is(Source::Uuid("0f010203-0405-0607-0809-0a0b0c0d0e0f")));
    assert!(found.is(Source::Uuid("0F010203-0405-0607-0809-0A0B0C0D0E0F")));
    for other in [
        Source::Label("dat"),
        Source::Label("data2"),
        Source::Label(""),
        Source::Path("data"),
        Source::PartUuid("0f010203-0405-0607-0809-0a0b0c0d0e0f"),
        Source::Uuid("0f010203-0405-0607-0809-0a0b0c0d0e0"),
        Source::Uuid("0f010203-0405-0607-0809-0a0b0c0d0e0f0"),
        Source::Uuid("0f01020304050607-0809-0a0b0c0d0e0f"),
        Source::Uuid(""),
    ] {
        assert!(!found.is(other), "{other:?}");
    }
}

#[test]
fn ext4_with_errors_or_wrong_checksum_is_damaged() {
    let mut start = ext4();
    start[1024 + 0x3a] = 2;
    assert_eq!(read(&start).health, FilesystemHealth::Errors);
    let mut start = ext4();
    start[1024 + 0x18] = 7;
    assert_eq!(read(&start).health, FilesystemHealth::Damaged);
    let mut start = ext4();
    start[1024 + 4] = 0;
    assert_eq!(read(&start).health, FilesystemHealth::Damaged);
    // With checksums enabled (s_feature_ro_compat), this one does not match.
    let mut start = ext4();
    start[1024 + 0x65] = 4;
    assert_eq!(read(&start).health, FilesystemHealth::Damaged);
}

#[test]
fn fat_erofs_and_squashfs_are_distinguished() {
    let mut fat = [0; START_BYTES];
    fat[0] = 0xeb;
    fat[510..512].copy_from_slice(&[0x55, 0xaa]);
    assert_eq!(Superblock::read(&fat), None, "a boot sector alone is no filesystem");
    fat[39..43].copy_from_slice(&[0x34, 0x12, 0xcd, 0xab]);
    fat[43..54].copy_from_slice(b"BOOT       ");
    fat[54..59].copy_from_slice(b"FAT16");
    let found = read(&fat);
    assert_eq!(found.kind, FilesystemKind::Vfat);
    assert!(found.is(Source::Label("BOOT")) && !found.is(Source::Label("BOOT ")));
    assert!(found.is(Source::Uuid("ABCD-1234")) && found.is(Source::Uuid("abcd-1234")));
    let mut erofs = [0; START_BYTES];
    erofs[1024..1028].copy_from_slice(&0xe0f5_e1e2_u32.to_le_bytes());
    erofs[1024 + 64..][..3].copy_from_slice(b"web");
    assert!(read(&erofs).kind == FilesystemKind::Erofs && read(&erofs).is(Source::Label("web")));
    assert!(!read(&erofs).is(Source::Uuid("00000000-0000-0000-0000-000000000000")), "no id is no id");
    assert_eq!(read(b"hsqs").kind, FilesystemKind::Squashfs);
    for length in 0..START_BYTES {
        let _ =
            (Superblock::read(&fat[..length]), Superblock::read(&erofs[..length]), Superblock::read(&ext4()[..length]));
    }
}

#[test]
fn partition_is_found_by_its_id() {
    let mut disk = [0; 8192];
    assert_eq!(table(&disk), None);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk[440..444].copy_from_slice(&0x1234_abcd_u32.to_le_bytes());
    let dos = table(&disk).expect("a DOS table");
    assert_eq!(dos.entry(1), None);
    assert!(dos.is(2, &[0; 32], "1234abcd-02") && !dos.is(1, &[0; 32], "1234abcd-02"));
    assert!(!dos.is(300, &[0; 32], "1234abcd-2c"));
    for sector in [512_usize, 4096] {
        let mut disk = [0; 8192];
        disk[sector..sector + 8].copy_from_slice(b"EFI PART");
        disk[sector + 72] = 2;
        disk[sector + 80] = 4;
        disk[sector + 84] = 128;
        let gpt = table(&disk).expect("a GPT");
        assert_eq!(gpt.entry(1), Some(2 * sector as u64));
        assert_eq!(gpt.entry(4), Some(2 * sector as u64 + 3 * 128));
        assert_eq!((gpt.entry(0), gpt.entry(5)), (None, None));
        let mut entry = [0; 32];
        entry[16..].copy_from_slice(&[3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]);
        assert!(gpt.is(1, &entry, "00010203-0405-0607-0809-0a0b0c0d0e0f"));
        assert!(!gpt.is(1, &entry, "03020100-0405-0607-0809-0a0b0c0d0e0f"));
    }
}

#[test]
fn partition_table_with_absurd_numbers_is_ignored() {
    let mut disk = [0xff; 4096];
    disk[512..520].copy_from_slice(b"EFI PART");
    assert_eq!(table(&disk), None, "entries beyond any disk");
    disk[512 + 76..512 + 80].fill(0);
    let gpt = table(&disk).expect("it can be counted");
    assert_eq!(gpt.entry(u32::MAX), None, "beyond 64 bits");
}

#[test]
fn decision_follows_the_configuration() {
    let good = read(&ext4());
    let errors = Superblock { health: FilesystemHealth::Errors, ..good };
    let damaged = Superblock { health: FilesystemHealth::Damaged, ..good };
    let other = Superblock { kind: FilesystemKind::Vfat, ..good };
    use MountDecision::{Mount, MountReadOnly, Reformat, Refuse, Repair};
    for (options, found, expected, afterwards) in [
        ("", Some(&good), Mount, Mount),
        ("check=reformat", Some(&good), Mount, Mount),
        ("", Some(&errors), Repair(Reason::Errors), MountReadOnly(Reason::Errors)),
        ("ro", Some(&errors), Mount, Mount),
        ("", Some(&damaged), Repair(Reason::Damaged), Refuse(Reason::Damaged)),
        ("", None, Repair(Reason::Nothing), Refuse(Reason::Nothing)),
        ("", Some(&other), Refuse(Reason::Other(FilesystemKind::Vfat)), Refuse(Reason::Other(FilesystemKind::Vfat))),
        ("vfat", None, Refuse(Reason::Nothing), Refuse(Reason::Nothing)),
        ("vfat check=reformat", None, Refuse(Reason::Nothing), Refuse(Reason::Nothing)),
        ("btrfs", None, Mount, Mount),
        ("check=ro", Some(&errors), MountReadOnly(Reason::Errors), MountReadOnly(Reason::Errors)),
        ("check=ro", Some(&damaged), Refuse(Reason::Damaged), Refuse(Reason::Damaged)),
        ("check=ro", None, Refuse(Reason::Nothing), Refuse(Reason::Nothing)),
        ("check=reformat", Some(&errors), Reformat(Reason::Errors), MountReadOnly(Reason::Errors)),
        (
            "check=reformat",
            Some(&other),
            Reformat(Reason::Other(FilesystemKind::Vfat)),
            Refuse(Reason::Other(FilesystemKind::Vfat)),
        ),
        ("check=reformat", None, Reformat(Reason::Nothing), Refuse(Reason::Nothing)),
        ("check=reformat ro", None, Refuse(Reason::Nothing), Refuse(Reason::Nothing)),
    ] {
        let mount = mount(options);
        assert_eq!(decide(&mount, found, false), expected, "{options} {found:?}");
        assert_eq!(decide(&mount, found, true), afterwards, "{options} {found:?}, repaired");
    }
    for (options, expected) in [
        ("", Repair(Reason::Refused)),
        ("vfat", Refuse(Reason::Refused)),
        ("check=ro", Refuse(Reason::Refused)),
        ("check=reformat", Reformat(Reason::Refused)),
        ("check=reformat ro", Refuse(Reason::Refused)),
    ] {
        for is_read_only in [false, true] {
            let decide = |has_repaired| decide_refused(&mount(options), Refusal::Damage, is_read_only, has_repaired);
            assert_eq!(decide(false), expected, "{options}");
            assert_eq!(decide(true), Refuse(Reason::Refused), "{options}");
        }
    }
}

/// An ext4 with a feature that the kernel does not know is not damaged: it is mounted read-only if possible, and never
/// reformatted.
#[test]
fn unsupported_but_intact_filesystem_is_never_reformatted() {
    use MountDecision::{MountReadOnly, Refuse, Repair};
    for options in ["", "check=ro", "check=reformat", "check=reformat ro", "vfat"] {
        let mount = mount(options);
        for has_repaired in [false, true] {
            let decide = |refusal, is_read_only| decide_refused(&mount, refusal, is_read_only, has_repaired);
            assert_eq!(decide(Refusal::Unknown, false), MountReadOnly(Reason::Features));
            assert_eq!(decide(Refusal::Protected, false), MountReadOnly(Reason::Protected));
            assert_eq!(decide(Refusal::Protected, true), Refuse(Reason::Protected));
            let mended = if options.is_empty() && !has_repaired { Repair } else { Refuse };
            assert_eq!(decide(Refusal::Unknown, true), mended(Reason::Features), "{options}");
        }
        let mut luks = [0; START_BYTES];
        luks[..6].copy_from_slice(b"LUKS\xba\xbe");
        let expected = Refuse(Reason::Other(FilesystemKind::Luks));
        assert_eq!(decide(&mount, Some(&read(&luks)), false), expected, "{options}");
    }
}

#[test]
fn names_of_f2fs_xfs_and_exfat_are_found() {
    let id = [0x0f, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
    let (label, uuid) = (Source::Label("data"), Source::Uuid("0f010203-0405-0607-0809-0a0b0c0d0e0f"));
    let mut f2fs = [0; START_BYTES];
    f2fs[1024..1028].copy_from_slice(&0xf2f5_2010_u32.to_le_bytes());
    f2fs[1024 + 108..][..16].copy_from_slice(&id);
    f2fs[1024 + 124..][..8].copy_from_slice(b"d\0a\0t\0a\0");
    let mut xfs = [0; START_BYTES];
    xfs[..4].copy_from_slice(b"XFSB");
    xfs[32..48].copy_from_slice(&id);
    xfs[108..112].copy_from_slice(b"data");
    for (start, kind) in [(&f2fs, FilesystemKind::F2fs), (&xfs, FilesystemKind::Xfs)] {
        let found = read(start);
        assert!(found.kind == kind && found.is(label) && found.is(uuid) && !found.is(Source::Label("dat")), "{kind:?}");
    }
    f2fs[1024 + 125] = 1;
    assert!(!read(&f2fs).is(label), "another letter of UTF-16");
    for (at, letter) in (1024 + 124..).step_by(2).zip(b"sixteen letters. and more") {
        (f2fs[at], f2fs[at + 1]) = (*letter, 0);
    }
    assert!(!read(&f2fs).is(Source::Label("sixteen letters.")), "a longer one");
    f2fs[1024 + 124 + 32..][..32].fill(0);
    assert!(read(&f2fs).is(Source::Label("sixteen letters.")));
    let mut exfat = [0; START_BYTES];
    exfat[..11].copy_from_slice(b"\xeb\x76\x90EXFAT   ");
    exfat[100..104].copy_from_slice(&[0x34, 0x12, 0xcd, 0xab]);
    exfat[510..512].copy_from_slice(&[0x55, 0xaa]);
    assert!(read(&exfat).kind == FilesystemKind::Exfat && read(&exfat).is(Source::Uuid("ABCD-1234")));
    for length in 0..START_BYTES {
        let _ = [&f2fs, &xfs, &exfat].map(|start| Superblock::read(&start[..length]));
    }
}

#[test]
fn mount_table_is_parsed() {
    let table = "21 27 0:19 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw\n\
                 36 35 98:0 /mnt1 /mnt/a\\040b rw,noatime master:1 - ext3 /dev/root ro,errors=continue\n\
                 37 35 8:1 / /data ro,nosuid - ext4 /dev/sda1 rw\nnonsense\n38 35 8:x / /data - ext4 a rw\n";
    let found: Vec<MountEntry<'_>> = entries(table).collect();
    assert_eq!(found.iter().map(|entry| entry.device).collect::<Vec<_>>(), [(0, 19), (98, 0), (8, 1)]);
    assert_eq!(found.iter().map(|entry| entry.is_read_only()).collect::<Vec<_>>(), [false, true, true]);
    assert!(found[1].is_at("/mnt/a b") && !found[1].is_at("/mnt/a") && !found[1].is_at("/mnt/a\\040b"));
    assert!(
        found[2].is_at("/data") && found[2].is_at("/data/") && !found[2].is_at("/dat") && !found[2].is_at("/data/x")
    );
    assert_eq!((found[2].kind, found[2].source), ("ext4", "/dev/sda1"));
}

#[test]
fn blueprint_is_read_back_and_truncated_one_is_refused() {
    let mut file = Blueprint::head(8192).to_vec();
    file.extend(Blueprint::part_head(1024, 4096, 3));
    file.extend(b"abc");
    file.extend(Blueprint::part_head(5120, 3072, 0));
    let whole = Blueprint::read(&file).expect("it is whole");
    assert_eq!(whole.bytes, 8192);
    let parts: Vec<Extent<'_>> = whole.collect();
    assert_eq!(
        parts,
        [Extent { at: 1024, length: 4096, bytes: b"abc" }, Extent { at: 5120, length: 3072, bytes: b"" }]
    );
    for length in 0..file.len() {
        let is_whole = Blueprint::read(&file[..length]).is_some();
        assert_eq!(is_whole, length == 16 || length == 16 + 16 + 3, "{length}");
    }
    file.extend(Blueprint::part_head(8000, 193, 0));
    assert!(Blueprint::read(&file).is_none(), "a part outside");
}

#[test]
fn workload_needs_the_disks_that_contain_its_paths() {
    let needs = |lines: &str| {
        let text = format!(
            "hilum 1\n[system]\nmount LABEL=d /data ext4\nvolumes /data/volumes\n[workload a]\nexec /x\n{lines}\n"
        );
        let mut config = Config::EMPTY;
        parse(text.as_bytes(), &mut config).expect("a good configuration");
        config.disks_of(&config.workloads[0]) == 1
    };
    for lines in
        ["root /data", "root /data/x", "root /r overlay=/data/o", "root /r\nmount /data/x /x", "root /r\nvolume v /x"]
    {
        assert!(needs(lines), "{lines}");
    }
    for lines in ["root /r", "root /database", "root /r overlay", "root LABEL=x", "root /r\nmount /dat /data"] {
        assert!(!needs(lines), "{lines}");
    }
}
