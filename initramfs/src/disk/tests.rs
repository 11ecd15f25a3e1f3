//! Partition tables as sfdisk(8) reads them.

use super::*;
use serde_json::Value;
use std::process::Command;

mod grow;

/// Returns sfdisk's output for a disk with a boot partition of 3 MiB and a data partition of slightly more than 2 MiB.
fn dumped(table: Table, size: Option<u64>) -> (Value, Vec<u8>) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("disk");
    let partitions = [
        Partition { role: Role::Boot, contents: vec![0xb0; 3 << 20].into(), bytes: 0 },
        Partition { role: Role::Data, contents: vec![0xda; (2 << 20) + 1].into(), bytes: 0 },
    ];
    let bytes = disk(&file, table, "card", &partitions, size).expect("it fits").bytes;
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = Command::new("sfdisk").arg("--json").arg(&file).env("PATH", &path).output().expect("sfdisk");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    let verified = Command::new("sfdisk").arg("--verify").arg(&file).env("PATH", &path).output().expect("sfdisk");
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    let contents = std::fs::read(&file).expect("a disk");
    assert_eq!(contents.len() as u64, bytes);
    assert!(contents[1 << 20..4 << 20].iter().all(|byte| *byte == 0xb0));
    assert!(contents[4 << 20..=6 << 20].iter().all(|byte| *byte == 0xda));
    let mut all: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut found = all["partitiontable"].take();
    // The name of each partition contains the file's name.
    for partition in found["partitions"].as_array_mut().expect("partitions") {
        partition.as_object_mut().expect("an object").remove("node");
    }
    (found, contents)
}

#[test]
fn guid_table_is_read_by_sfdisk() {
    let (found, contents) = dumped(Table::Gpt, None);
    assert_eq!((found["label"].as_str(), contents.len()), (Some("gpt"), 8 << 20), "{found}");
    assert_eq!(found["id"], uuid("disk card").to_string().to_uppercase());
    let expected = serde_json::json!([
        {
            "start": 2048, "size": 6144, "type": "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "name": "boot",
            "uuid": uuid("card boot").to_string().to_uppercase(),
        },
        {
            "start": 8192, "size": 6144, "type": "0FC63DAF-8483-4772-8E79-3D69D8477DE4", "name": "data",
            "uuid": uuid("card data").to_string().to_uppercase(),
        },
    ]);
    assert_eq!(found["partitions"], expected);
    // The backup at the end is equivalent: sfdisk uses it if the first table is missing.
    assert_eq!(&contents[512..520], b"EFI PART");
    assert_eq!(&contents[contents.len() - 512..][..8], b"EFI PART");
    assert!(contents == dumped(Table::Gpt, None).1, "the same bytes each time");
}

#[test]
fn dos_table_is_read_by_sfdisk() {
    let (found, contents) = dumped(Table::Dos, Some(16 << 20));
    let (id, ..) = uuid("disk card").as_fields();
    assert_eq!((found["label"].as_str(), contents.len()), (Some("dos"), 16 << 20), "{found}");
    assert_eq!(found["id"], format!("{id:#010x}"));
    let expected = serde_json::json!([
        {"start": 2048, "size": 6144, "type": "c"}, {"start": 8192, "size": 6144, "type": "83"},
    ]);
    assert_eq!(found["partitions"], expected);
}

#[test]
fn chs_addresses_match_fdisk() {
    // fdisk(8) writes this for sector 2048, at the first mebibyte: head 32, sector 33, cylinder 0.
    assert_eq!(cylinder_head_sector(2048), [32, 33, 0]);
    assert_eq!(cylinder_head_sector(0), [0, 1, 0]);
    assert_eq!(cylinder_head_sector(1024 * 255 * 63 - 1), [254, 0xff, 0xff]);
    assert_eq!(cylinder_head_sector(1024 * 255 * 63), [0xfe, 0xff, 0xff]);
    assert_eq!(cylinder_head_sector(u64::from(u32::MAX)), [0xfe, 0xff, 0xff]);
}

#[test]
fn partitions_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let partitions = [Partition { role: Role::Boot, contents: vec![0; 3 << 20].into(), bytes: 0 }];
    let error = disk(&folder.path().join("disk"), Table::Gpt, "card", &partitions, Some(4 << 20)).expect_err("refused");
    assert_eq!(error.to_string(), "5242880 bytes do not fit on a disk of 4194304");
}
