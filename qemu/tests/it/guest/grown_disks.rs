//! The data partition grows to its card while it is in use, and a power cut at any write leaves a disk that can be read.
//!
//! Other systems: cloud-init's growpart and systemd-repart change the table by libfdisk, which writes the header and the entries of a
//! GPT in place, one after the other; systemd-growfs@.service then grows the filesystem, by the same request as hilum.

use super::storage::{board, boot, ext4, section, tool};
use super::updates::cuts::{logged, writes};
use crate::support::{BOOT, USUAL, boot_with, has_line};
use hilum_qemu::Architecture;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

on_both_long!(aarch64: data_partition_grows_to_its_card);

const MIB: u64 = 1 << 20;

/// Returns a disk of `mib` MiB with a table by sfdisk, whose second partition has an ext4 of 32 MiB with this label.
fn card(folder: &Path, label: &str, table: &str, mib: u64) -> PathBuf {
    let (disk, filesystem) = (folder.join(format!("{label}.disk")), ext4(&folder.join(label), label));
    std::fs::File::create(&disk).and_then(|file| file.set_len(64 * MIB)).expect("a file");
    std::fs::write(folder.join("table"), table).expect("a file");
    let words = format!(
        "sfdisk -q {0} < {1} && dd status=none conv=notrunc bs=1M seek=2 of={0} if={2}",
        disk.display(),
        folder.join("table").display(),
        filesystem.display()
    );
    assert_eq!(tool("sh", &["-c", &words]), "");
    resize(&disk, mib * MIB);
    disk
}

/// Another card than the one that the image was for.
fn resize(disk: &Path, bytes: u64) {
    std::fs::File::options().write(true).open(disk).and_then(|file| file.set_len(bytes)).expect("a disk");
}

const GPT: &str = "label: gpt\nstart=2048, size=2048\nstart=4096, size=65536\n";
const DOS: &str = "label: dos\nlabel-id: 0x12345678\nstart=2048, size=2048\nstart=4096, size=65536\n";

/// Copies a partition to a file. Returns the number of blocks of its filesystem, after e2fsck replayed the journal and found nothing
/// to correct.
fn blocks(disk: &Path, start: u64) -> u64 {
    let copy = disk.with_extension("checked");
    let words = format!("dd status=none conv=sparse bs=1M skip={start} if={} of={}", disk.display(), copy.display());
    assert_eq!(tool("sh", &["-c", &words]), "");
    let path = copy.to_str().expect("UTF-8");
    let replayed = tool("e2fsck", &["-p", path]);
    assert!(!replayed.contains("UNEXPECTED"), "{replayed}");
    let said = tool("e2fsck", &["-f", "-n", path]);
    assert!(said.contains("Pass 5") && !said.contains("Fix") && !said.contains("WARNING"), "{replayed}{said}");
    let fields = tool("tune2fs", &["-l", path]);
    std::fs::remove_file(&copy).expect("a file");
    let line = fields.lines().find_map(|line| line.strip_prefix("Block count:")).unwrap_or_else(|| panic!("{fields}"));
    line.trim().parse().expect("a number")
}

/// Returns the size of the second partition in MiB, and whether sfdisk has nothing to say about the table.
fn partition_mib(disk: &Path) -> (u64, bool) {
    let path = disk.to_str().expect("UTF-8");
    let dump = tool("sfdisk", &["--dump", path]);
    let line = dump.lines().find(|line| line.contains("start=        4096")).unwrap_or_else(|| panic!("{dump}"));
    let size = line.split("size=").nth(1).and_then(|rest| rest.split(',').next()?.trim().parse::<u64>().ok());
    (size.expect("a size") / 2048, tool("sfdisk", &["--verify", path]).contains("No errors detected"))
}

/// Six disks in one boot: those that grow, and those that have no room.
fn data_partition_grows_to_its_card(arch: Architecture) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let folder = scratch.path();
    // An odd size: not a multiple of a group of blocks, nor of a MiB.
    let gpt = card(folder, "gpt", GPT, 700);
    resize(&gpt, 700 * MIB + 5 * 512);
    let dos = card(folder, "dos", DOS, 3000);
    let behind = card(folder, "behind", &format!("{DOS}start=69632, size=2048\n"), 200);
    let small = card(folder, "small", &DOS.replace("65536", "90112"), 40);
    let whole = ext4(&folder.join("whole"), "whole");
    resize(&whole, 300 * MIB);
    let full = ext4(&folder.join("full"), "full");
    let names = ["gpt", "dos", "behind", "small", "whole", "full"];
    let lines = names.map(|name| format!("mount LABEL={name} /{name} ext4 grow\n")).concat();
    // It writes while the filesystem grows, and never exits.
    let image = board(arch, &lines, &section("counter", "do count:/data", "mount /gpt /data rw\nuser 0\nshare user"));
    let disks = [&gpt, &dos, &behind, &small, &whole, &full].map(PathBuf::as_path);
    let run = |texts: &[&str]| {
        let booted = boot(arch, &image, &disks);
        for text in texts {
            booted.vm.console.expect(&format!("hilum: mount /{text}"), BOOT).expect("it boots");
        }
        booted.vm.console.expect("counter | counted ", BOOT).expect("it runs");
        let console = booted.vm.console.text();
        booted.vm.cut_power().expect("QEMU");
        console
    };
    let no_room = [
        "behind: /dev/vdc2: keeps its size: another partition is behind it",
        "small: /dev/vdd2: keeps its size: the disk is smaller than its partition table",
        "full: ext4 on /dev/vdf",
    ];
    let grown = ["gpt: /dev/vda2", "dos: /dev/vdb2", "small: /dev/vdd2", "whole: /dev/vde"];
    let console =
        run(&[&grown.map(|disk| format!("{disk}: grown from ")).each_ref().map(String::as_str)[..], &no_room].concat());
    assert!(!console.contains("mount /full: /dev/vdf"), "{console}");
    eprintln!("{}", console.lines().filter(|line| line.contains(": grown from ")).collect::<Vec<_>>().join("\n"));
    // Behind the partition of a GPT is less than a MiB for the backup.
    assert_eq!((partition_mib(&gpt), partition_mib(&dos)), ((697, true), (2998, true)));
    assert_eq!(partition_mib(&behind).0, 32);
    for (disk, start, mib) in [(&gpt, 2, 697), (&dos, 2, 2998), (&small, 2, 38), (&whole, 0, 300)] {
        assert_eq!(blocks(disk, start), mib * MIB / 4096, "{}", disk.display());
    }
    // The next boot finds nothing to do.
    let console = run(&no_room);
    assert!(!console.contains(": grown from "), "{console}");
    has_line(&console, "hilum: mount /dos: ext4 on /dev/vdb2, its journal replayed");
}

/// Boots with these words for a disk until it has grown, and says so.
fn grow(words: &[String]) {
    let arch = Architecture::X86_64;
    let image = board(arch, "mount LABEL=gpt /data ext4 grow", &section("idle", "sleep 600000", ""));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let booted = boot_with(arch, USUAL, &image, "", None, &words);
    booted.vm.console.expect("mount /data: /dev/vda2: grown from ", BOOT).expect("it grows");
    booted.vm.cut_power().expect("QEMU");
}

#[test]
fn power_cut_after_any_write_of_the_growth_leaves_a_disk_that_can_be_read_x86_64() {
    const OLD: u64 = 32 * MIB / 4096;
    const NEW: u64 = 297 * MIB / 4096;
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let place = |name: &str| scratch.path().join(name);
    let copy = |from: &Path, to: &Path| {
        let [from, to] = [from, to].map(|path| path.to_str().expect("UTF-8"));
        assert_eq!(tool("cp", &["--sparse=always", from, to]), "");
    };
    let (disk, cut, log) = (card(scratch.path(), "gpt", GPT, 300), place("cut.disk"), place("log"));
    copy(&disk, &cut);
    grow(&logged(&disk, &log));
    let writes = writes(&log);
    let file = std::fs::File::options().write(true).open(&cut).expect("a disk");
    let (mut sizes, mut booted) = (Vec::new(), 0);
    for moment in 0..=writes.len() {
        // The table is the old or the new one, and so is the filesystem, after its journal.
        let (partition, filesystem) = (partition_mib(&cut).0, blocks(&cut, 2));
        assert!([32, 297].contains(&partition), "after {moment} writes: {partition} MiB");
        assert!((OLD..=NEW.min(partition * MIB / 4096)).contains(&filesystem), "after {moment} writes: {filesystem}");
        if sizes.last() != Some(&(partition, filesystem)) {
            sizes.push((partition, filesystem));
        }
        // Once while the header names the entries at the end, and once between partition and filesystem.
        let is_between = header_names(&cut) == 2 && (partition, filesystem) == (297, OLD);
        if booted == 0 && header_names(&cut) != 2 || booted == 1 && is_between {
            let copied = place("boot.disk");
            copy(&cut, &copied);
            let drive = format!("if=none,id=disk,format=raw,file={}", copied.display());
            grow(&["-drive".into(), drive, "-device".into(), "virtio-blk-pci,drive=disk".into()]);
            assert_eq!((partition_mib(&copied), header_names(&copied)), ((297, true), 2), "after {moment} writes");
            assert_eq!(blocks(&copied, 2), NEW, "after {moment} writes");
            booted += 1;
        }
        if let Some(write) = writes.get(moment) {
            file.write_all_at(&write.bytes, write.place).expect("a write");
        }
    }
    eprintln!("{} writes, {booted} booted: MiB of the partition, blocks of the filesystem: {sizes:?}", writes.len());
    assert!(sizes.starts_with(&[(32, OLD), (297, OLD)]) && booted == 2, "{sizes:?}");
}

/// Returns the sector of the entries that a GPT's first header names.
fn header_names(disk: &Path) -> u64 {
    let mut place = [0; 8];
    std::fs::File::open(disk).and_then(|disk| disk.read_exact_at(&mut place, 512 + 72)).expect("a header");
    u64::from_le_bytes(place)
}
