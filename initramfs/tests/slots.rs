//! Disks with two slots: partition tables as sfdisk(8) reads them, filesystems as mtools(1) and fsck.vfat(8) do, and the record.

#[path = "support/updates.rs"]
mod updates;

use hilum::update::{Parts, Range, Record, Slot, pointer};
use serde_json::Value;
use std::path::Path;
use updates::{Appliance, built, text, tool};

const UPDATE: &str = "version = 3\nkeys = [\"update.crt\"]\nfloor = 2\n";

/// Returns the partitions of a disk.
fn partitions(disk: &Path) -> Vec<Value> {
    let all: Value = serde_json::from_str(&tool("sfdisk", &["--json", text(disk)])).expect("JSON");
    tool("sfdisk", &["--verify", text(disk)]);
    all["partitiontable"]["partitions"].as_array().expect("partitions").clone()
}

/// Checks both copies of a disk's record against its partition table. Returns the newer one.
fn record(disk: &[u8], partitions: &[Value], slots: [usize; 2]) -> Record {
    let copies = Record::PLACES.map(|place| disk[place as usize..].first_chunk::<512>().expect("it is inside"));
    let [first, second] = copies.map(|copy| Record::read(copy).expect("a whole copy"));
    let (newest, next) = Record::newest(copies).expect("a record");
    assert_eq!((next, &newest), (0, &second), "the second copy is newer");
    assert_eq!(first.version(Slot::A), newest.version(Slot::A));
    for (slot, index) in Slot::ALL.into_iter().zip(slots) {
        let number = |name: &str| partitions[index][name].as_u64().expect("a number") * 512;
        assert_eq!((newest.start(slot), newest.size(slot)), (number("start"), number("size")), "{slot:?}");
        assert_eq!(newest.partition(slot), index as u64 + 1);
        let id = partitions[index]["uuid"].as_str().unwrap_or("00000000-0000-0000-0000-000000000000");
        assert_eq!(uuid::Uuid::from_bytes_le(*newest.guid(slot)).to_string().to_uppercase(), id);
        assert!(newest.start(slot) % (1 << 20) == 0 && newest.size(slot) % (8 << 20) == 0);
    }
    assert_eq!((newest.board(), newest.floor()), ("board-1", 2));
    assert_eq!((newest.committed(), newest.trial()), (Slot::A, None));
    assert_eq!(newest.version(Slot::B), 0);
    assert!(disk[newest.start(Slot::B) as usize..][..newest.size(Slot::B) as usize].iter().all(|byte| *byte == 0));
    newest
}

/// Compares the parts of slot a with the files that they are made of.
fn assert_parts(one: &Appliance, disk: &[u8], record: &Record) {
    let part = |range: Range| {
        assert_eq!(range.start % 4096, 0);
        &disk[(record.start(Slot::A) + range.start) as usize..][..range.bytes as usize]
    };
    let Parts { kernel, initramfs, command_line } = record.parts(Slot::A);
    // By the word, PID 1 of a Raspberry Pi can start the other slot.
    let more = if record.pointer().is_some() { " iomem=relaxed" } else { "" };
    assert_eq!(String::from_utf8_lossy(part(command_line)), format!("console=ttyS0 quiet panic=10{more}"));
    assert!(part(kernel) == std::fs::read(one.at("vmlinuz")).expect("the kernel"));
    assert!(part(initramfs) == std::fs::read(one.at("output/initramfs")).expect("the initramfs"));
}

#[test]
fn disk_for_qemu_has_raw_slots() {
    let one = Appliance::new();
    one.build("direct", UPDATE, None).expect("it is built");
    let file = one.at("output/disk.img");
    let (disk, table) = (std::fs::read(&file).expect("a disk"), partitions(&file));
    let names: Vec<&str> = table.iter().map(|one| one["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["slot-a", "slot-b", "data"]);
    let record = record(&disk, &table, [0, 1]);
    assert_eq!((record.version(Slot::A), record.pointer()), (3, None));
    assert_parts(&one, &disk, &record);
    // The data partition is where it was said to be, and nothing else has the data.
    let start = table[2]["start"].as_u64().expect("a number") as usize * 512;
    assert_eq!(disk[start + 1024 + 0x38..][..2], [0x53, 0xef], "ext4's magic number");
    assert!(one.at("output/vmlinuz").exists() && !one.at("output/data.img").exists());
    // Without updates it is as before, and the other disk is gone.
    let board = std::fs::read_to_string(one.at("board-1.toml")).expect("a file");
    one.write("plain.toml", board.replace("[update]\n", "").replace(UPDATE, "").replace("hilum.conf", "plain.conf"));
    one.build_of("plain.toml", "x86_64", None).expect("it is built");
    assert!(one.at("output/data.img").exists() && !one.at("output/disk.img").exists());
}

#[test]
fn uefi_disk_has_a_system_partition_for_each_slot() {
    let one = Appliance::new();
    one.build("uefi-disk", UPDATE, Some(7)).expect("it is built");
    let file = one.at("output/uefi-disk.img");
    let (disk, table) = (std::fs::read(&file).expect("a disk"), partitions(&file));
    let esp = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
    for (index, name) in ["slot-a", "slot-b", "data"].into_iter().enumerate() {
        assert_eq!(table[index]["name"], name);
        assert_eq!(table[index]["type"] == esp, index < 2, "{name}");
    }
    let record = record(&disk, &table, [0, 1]);
    assert_eq!((record.version(Slot::A), record.parts(Slot::A), record.pointer()), (7, Parts::default(), None));
    let slot = format!("{}@@{}", file.display(), record.start(Slot::A));
    let folder = tool("mdir", &["-b", "-i", &slot, "::EFI/BOOT"]);
    assert_eq!(folder.trim(), "::/EFI/BOOT/BOOTX64.EFI");
    assert_filesystem(&one, &disk, &record);
}

/// Checks the filesystem in slot a.
fn assert_filesystem(one: &Appliance, disk: &[u8], record: &Record) {
    one.write("slot", &disk[record.start(Slot::A) as usize..][..record.size(Slot::A) as usize]);
    let checked = tool("fsck.vfat", &["-n", text(&one.at("slot"))]);
    assert_eq!(checked.lines().count(), 2, "its version and the number of files: {checked}");
}

#[test]
fn card_has_the_pointer_in_one_sector_and_a_filesystem_for_each_slot() {
    let one = Appliance::new();
    one.build("sd-card", UPDATE, None).expect("it is built");
    let file = one.at("output/sd-card.img");
    let (disk, table) = (std::fs::read(&file).expect("a disk"), partitions(&file));
    let types: Vec<&str> = table.iter().map(|one| one["type"].as_str().expect("a type")).collect();
    assert_eq!(types, ["c", "c", "c", "83"]);
    let record = record(&disk, &table, [1, 2]);
    let front = format!("{}@@1M", file.display());
    // What the firmware reads is the sector that the record names, whole.
    let read = tool("mtype", &["-i", &front, "::autoboot.txt"]);
    assert_eq!(read.as_bytes(), pointer(Slot::A));
    let sector = record.pointer().expect("a pointer") as usize * 512;
    assert_eq!(disk[sector..sector + 512], pointer(Slot::A));
    let mut changed = disk.clone();
    changed[sector..sector + 512].copy_from_slice(&pointer(Slot::B));
    one.write("changed", changed);
    let read = tool("mtype", &["-i", &format!("{}@@1M", one.at("changed").display()), "::autoboot.txt"]);
    assert!(read.starts_with("[all]\nboot_partition=3\n"), "{read}");
    // The boot ROM of a Raspberry Pi 3 reads the first partition alone.
    let files = tool("mdir", &["-b", "-i", &front, "::"]);
    assert_eq!(files.lines().collect::<Vec<_>>(), ["::/autoboot.txt", "::/bootcode.bin", "::/config.txt"]);
    let slot = format!("{}@@{}", file.display(), record.start(Slot::A));
    let files = tool("mdir", &["-b", "-i", &slot, "::"]);
    assert_eq!(
        files.lines().collect::<Vec<_>>(),
        ["::/cmdline.txt", "::/config.txt", "::/initramfs", "::/start.elf", "::/vmlinuz"]
    );
    assert_parts(&one, &disk, &record);
    assert_filesystem(&one, &disk, &record);
    one.write("front", &disk[1 << 20..record.start(Slot::A) as usize]);
    tool("fsck.vfat", &["-n", text(&one.at("front"))]);
    assert_eq!(disk.len().count_ones(), 1, "QEMU takes cards of a power of two");
}

#[test]
fn files_of_a_site_are_where_people_find_them() {
    let one = Appliance::new();
    std::fs::create_dir(one.at("site")).expect("a folder");
    one.write("site/site.conf", "hostname hall\n");
    one.write("modules/builtin", "efivarfs\nvfat\nnls_cp437\nnls_ascii\nloop\n");
    one.write("site/authorized_keys", "ssh-ed25519 AAAA\n");
    one.write("hilum.conf", "hilum 1\n[system]\nupdate\nmount LABEL=SITE /site vfat ro\nsite /site/site.conf\n");
    let label = |file: &Path, offset: u64| {
        let place = format!("{}@@{offset}", file.display());
        for (name, text) in [("::site.conf", "hostname hall\n"), ("::authorized_keys", "ssh-ed25519 AAAA\n")] {
            assert_eq!(tool("mtype", &["-i", &place, name]), text);
        }
        tool("mlabel", &["-s", "-i", &place, "::"]).trim().to_owned()
    };
    let with_site = |output: &str| {
        one.build_site(output, UPDATE).expect("it is built");
        one.at("output")
    };
    for (output, name, names) in [
        ("direct", "disk.img", ["slot-a", "slot-b", "site", "data"]),
        ("uefi-disk", "uefi-disk.img", ["slot-a", "slot-b", "site", "data"]),
    ] {
        let file = with_site(output).join(name);
        let (disk, table) = (std::fs::read(&file).expect("a disk"), partitions(&file));
        assert_eq!(table.iter().map(|one| one["name"].as_str().expect("a name")).collect::<Vec<_>>(), names);
        assert_eq!(table[2]["type"], "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7", "Windows shows basic data");
        assert_eq!(label(&file, table[2]["start"].as_u64().expect("a number") * 512), "Volume label is SITE");
        record(&disk, &table, [0, 1]);
    }
    let file = with_site("sd-card").join("sd-card.img");
    let (disk, table) = (std::fs::read(&file).expect("a disk"), partitions(&file));
    assert_eq!((table.len(), label(&file, 1 << 20)), (4, "Volume label is SITE".to_owned()));
    let sector = record(&disk, &table, [1, 2]).pointer().expect("a pointer") as usize * 512;
    assert_eq!(disk[sector..sector + 512], pointer(Slot::A));
}

#[test]
fn certificates_are_in_the_initramfs() {
    let one = Appliance::new();
    one.key("next");
    one.build("direct", "version = 1\nkeys = [\"update.crt\", \"next.crt\"]\nslot-size-mib = 40\n", None)
        .expect("it is built");
    let initramfs = std::fs::read(one.at("output/initramfs")).expect("a file");
    let mut all = Vec::new();
    let mut unpacked = Vec::new();
    // The second archive has them, and each one is a frame.
    let mut rest = initramfs.as_slice();
    while rest.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let mut frame = zstd::Decoder::with_buffer(rest).expect("zstd").single_frame();
        std::io::Read::read_to_end(&mut frame, &mut unpacked).expect("a frame");
        rest = frame.finish();
        rest = &rest[rest.iter().position(|byte| *byte != 0).unwrap_or(rest.len())..];
    }
    for (number, name) in [(1, "update"), (2, "next")] {
        let path = format!("etc/hilum/update/{number}.der\0");
        assert!(unpacked.windows(path.len()).any(|window| window == path.as_bytes()), "{path}");
        tool(
            "openssl",
            &["x509", "-in", text(&one.at(&format!("{name}.crt"))), "-outform", "DER", "-out", text(&one.at("der"))],
        );
        let der = std::fs::read(one.at("der")).expect("a file");
        assert!(unpacked.windows(der.len()).any(|window| window == der), "{name}");
        all.push(der);
    }
    assert_ne!(all[0], all[1]);
    let table = partitions(&one.at("output/disk.img"));
    assert_eq!(table[0]["size"], 40 << 11, "the size of a slot is that of the description");
}

#[test]
fn same_inputs_give_the_same_disk() {
    let one = Appliance::new();
    for output in ["direct", "uefi-disk"] {
        let disk = || {
            one.build(output, UPDATE, None).expect("it is built");
            std::fs::read(one.at(&format!("output/{}", if output == "direct" { "disk.img" } else { "uefi-disk.img" })))
                .expect("a disk")
        };
        assert!(disk() == disk(), "{output}");
    }
}

#[test]
fn wrong_updates_are_refused_with_their_line() {
    let one = Appliance::new();
    one.write("other.crt", "text");
    for (update, version, expected) in [
        (
            "version = 0\nkeys = [\"update.crt\"]",
            None,
            "board-1.toml:8: version 0 stands for an empty slot; begin with 1",
        ),
        (
            "version = 4\nkeys = [\"update.crt\"]",
            Some(0),
            "board-1.toml:8: version 0 stands for an empty slot; begin with 1",
        ),
        (
            "version = 4\nkeys = [\"update.crt\"]\nfloor = 5",
            None,
            "board-1.toml:10: floor 5 is above version 4, which no board would take; lower it",
        ),
        ("version = 4\nkeys = []", None, "board-1.toml:9: 0 keys; name one certificate or two"),
        (
            "version = 4\nkeys = [\"update.crt\", \"update.crt\", \"update.crt\"]",
            None,
            "board-1.toml:9: 3 keys; name one certificate or two",
        ),
        (
            "version = 4\nkeys = [\"gone.crt\"]",
            None,
            "board-1.toml:9: gone.crt: No such file or directory (os error 2)",
        ),
        (
            "version = 4\nkeys = [\"other.crt\"]",
            None,
            "board-1.toml:9: other.crt: no certificate in PEM; openssl req -x509 makes one",
        ),
        (
            "version = 4\nkeys = [\"update.key\"]",
            None,
            "board-1.toml:9: update.key: a private key; name the certificate, which may be public",
        ),
        (
            "version = 4\nkeys = [\"update.crt\"]\nslot-size-mib = 3",
            None,
            "board-1.toml:10: a slot of 3 MiB is too small; it needs 5",
        ),
        ("version = \"4\"\nkeys = [\"update.crt\"]", None, "board-1.toml:8: invalid type: string \"4\", expected u64"),
        ("keys = [\"update.crt\"]", None, "board-1.toml:7: missing field `version`"),
    ] {
        let error = one.build("direct", update, version).expect_err("it is refused");
        let error = format!("{error:#}").replace(&format!("{}/", one.scratch.path().display()), "");
        assert_eq!(error, expected);
    }
}

#[test]
fn updates_need_a_disk_and_a_short_name() {
    let one = Appliance::new();
    let long = "a-board-whose-name-is-longer-than-its-place.toml";
    let error = one.build("initramfs", UPDATE, None).expect_err("it is refused").to_string();
    assert!(
        error.ends_with(":8: [update] needs a disk; choose a board with the output direct, sd-card or uefi-disk"),
        "{error}"
    );
    std::fs::copy(one.at("board-1.toml"), one.at(long)).expect("a copy");
    let error = one.build_of(long, "x86_64", None).expect_err("it is refused").to_string();
    assert!(error.ends_with("a board's name has at most 32 bytes; rename its description"), "{error}");
    let plain = "architecture = \"x86_64\"\nkernel = \"./vmlinuz\"\nconfig = \"hilum.conf\"\n";
    one.write("plain.toml", plain.replace("hilum", "plain"));
    let error = one.build_of("plain.toml", "x86_64", Some(2)).expect_err("it is refused").to_string();
    assert_eq!(error, "--version: no description has [update]; add it, or leave the version out");
    // The table and the line of the configuration belong together.
    one.write("plain.toml", plain);
    let error = one.build_of("plain.toml", "x86_64", None).expect_err("it is refused").to_string();
    assert!(
        error.ends_with("hilum.conf:3:1: update: no description has [update]; add it, or remove this line"),
        "{error}"
    );
    one.write("hilum.conf", "hilum 1\n");
    let error = one.build("direct", UPDATE, None).expect_err("it is refused").to_string();
    let folder = format!("{}/", one.scratch.path().display());
    let expected = "board-1.toml:8: [update] needs the line update in [system] of hilum.conf; add it";
    assert_eq!(error.replace(&folder, ""), expected);
}

#[test]
fn updates_need_a_board_that_restarts_when_a_trial_fails() {
    let one = Appliance::new();
    let build = |words: &str| {
        one.build("direct", UPDATE, None).expect("a description, and what its outputs need");
        let text = std::fs::read_to_string(one.at("board-1.toml")).expect("a description");
        let (before, after) = text.split_once("\"panic=10\"").expect("its words");
        one.write("words.toml", format!("{before}{words}{after}"));
        one.build_of("words.toml", "x86_64", None).map_err(|error| error.to_string())
    };
    for words in ["\"panic=-1\"", "\"panic=0\", \"panic=5\"", "\"panic=1\", \"hilum.fail=poweroff\""] {
        assert!(build(words).is_ok(), "{words}");
    }
    for words in ["", "\"panic=0\"", "\"panic=5\", \"panic=0\"", "\"panic=5\", \"hilum.fail=stay\""] {
        let error = build(words).expect_err(words);
        let expected = "[update] needs a board that restarts by itself; add panic=10 to command-line, and leave out hilum.fail=stay";
        assert!(error.ends_with(expected) && error.contains("words.toml:5: "), "{error}");
    }
}

#[test]
fn root_on_a_disk_needs_a_digest_because_no_update_brings_it() {
    let one = Appliance::new();
    std::fs::create_dir_all(one.at("root/bin")).expect("a folder");
    std::fs::copy(built("board/x86_64/probe"), one.at("root/bin/probe")).expect("a program");
    let root = "[[root]]\npath = \"/data/a.erofs\"\nfolder = \"root\"\n";
    let build = |more: &str| {
        let system = "hilum 1\n[system]\nupdate\nmount LABEL=data /data ext4\n";
        one.write("hilum.conf", format!("{system}[workload a]\nroot /data/a.erofs{more}\nexec /bin/probe\n"));
        // `[update]` and its lines are before the root.
        one.build("direct", &format!("{UPDATE}\n{root}"), None).map_err(|error| format!("{error:#}"))
    };
    let error = build("").expect_err("it is refused");
    let expected = "an update does not bring what is on a disk; use a path in the initramfs, or verity=image";
    assert!(error.contains(expected), "{error}");
    assert!(build(" verity=image").err().is_none_or(|error| !error.contains(expected)));
}
