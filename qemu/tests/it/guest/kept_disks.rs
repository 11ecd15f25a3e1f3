//! Damaged disks, and intact disks that this kernel does not support: their contents are kept.
//!
//! Other systems: mount(8) and systemd never format except with `x-systemd.makefs`, which checks with libblkid first
//! and keeps what that recognises; of two disks with one label udev links one, by priority and then arbitrarily;
//! mount(8) mounts a write-protected device read-only with a warning.

use super::storage::{board, debugfs, ext4, section};
use crate::support::{BOOT, Booted, USUAL, boot_with, has_line};
use hilum_qemu::Architecture;
use std::path::{Path, PathBuf};

on_both_long!(
    aarch64:
    reformat_spares_unsupported_and_unreadable_filesystems,
    ambiguous_disks_are_refused_and_write_protected_ones_mounted_read_only
);

/// QEMU's words for disks, each as `file=`.
fn boot(arch: Architecture, system: &str, sections: &str, files: &[String]) -> Booted {
    let mut image = board(arch, system, sections);
    for place in ["a", "b", "c", "d", "e"] {
        let blueprint = hilum_initramfs::filesystem::blueprint("new").expect("mke2fs");
        image.file(&format!("lib/filesystems/{place}"), 0o644, blueprint);
    }
    let mut words = Vec::new();
    for (number, file) in files.iter().enumerate() {
        words.extend(["-drive".into(), format!("file={file},format=raw,if=none,id=disk{number}")]);
        words.extend(["-device".into(), format!("virtio-blk-pci,drive=disk{number}")]);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    boot_with(arch, USUAL, &image, "", None, &words)
}

fn file(disk: &Path) -> String {
    disk.display().to_string()
}

/// Returns a disk with one sector that QEMU cannot read (docs/devel/blkdebug.rst of QEMU).
pub(super) fn unreadable(disk: &Path, sector: u32) -> String {
    let config = disk.with_extension("blkdebug");
    let text = format!("[inject-error]\nevent = \"read_aio\"\nerrno = \"5\"\nsector = \"{sector}\"\n");
    std::fs::write(&config, text).expect("a file");
    format!("blkdebug:{}:{}", config.display(), disk.display())
}

fn reformat_spares_unsupported_and_unreadable_filesystems(arch: Architecture) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let place = |name: &str| scratch.path().join(name);
    std::fs::write(place("name"), "kept").expect("a file");
    // Features that no kernel has yet: one that allows reading, and one that does not.
    let [reads, refuses] = ["FEATURE_R29", "FEATURE_I29"].map(|feature| {
        let disk = ext4(&place(feature), "data");
        debugfs(&disk, &format!("write {} name", place("name").display()));
        debugfs(&disk, &format!("feature {feature}"));
        disk
    });
    let [luks, start, middle] = ["luks", "start", "middle"].map(|name| {
        let mut bytes = vec![0x5a; 32 << 20];
        bytes[..6].copy_from_slice(if name == "luks" { b"LUKS\xba\xbe" } else { b"nobody" });
        std::fs::write(place(name), bytes).expect("a file");
        place(name)
    });
    let disks: Vec<PathBuf> = vec![reads.clone(), refuses.clone(), luks.clone(), start.clone(), middle.clone()];
    let before: Vec<Vec<u8>> = disks.iter().map(|disk| std::fs::read(disk).expect("a file")).collect();
    let system: String = ["a", "b", "c", "d", "e"]
        .iter()
        .map(|name| format!("mount /dev/vd{name} /{name} ext4 check=reformat\n"))
        .collect();
    let files = [file(&reads), file(&refuses), file(&luks), unreadable(&start, 2), unreadable(&middle, 41)];
    // Another workload keeps the board up: its disk never appears.
    let sections = section("a", "do read:/data/name make:/data/new", "mount /a /data rw\nshare user")
        + &section("e", "do say:here", "mount /e /data\nafter a");
    let booted = boot(arch, &system, &sections, &files);
    booted.vm.console.expect("mount /e: not mounted; workloads that use it wait for it", BOOT).expect("all were tried");
    let console = booted.vm.console.text();
    booted.vm.cut_power().expect("QEMU");
    has_line(&console, "hilum: mount /a: /dev/vda read-only: features unknown to this kernel");
    has_line(&console, "a | content /data/name kept");
    has_line(&console, "a | did make:/data/new 30");
    has_line(&console, "hilum: mount /b: /dev/vdb as ext4: features unknown to this kernel");
    has_line(&console, "hilum: mount /c: /dev/vdc as ext4: encrypted (LUKS), no key available");
    has_line(&console, "hilum: mount /d: /dev/vdd: EIO (input/output error)");
    has_line(&console, "hilum: mount /e: /dev/vde: no filesystem; reformatting it as ext4");
    has_line(&console, "hilum: mount /e: /dev/vde: EIO (input/output error)");
    for (disk, before) in disks.iter().zip(before) {
        assert!(std::fs::read(disk).expect("a file") == before, "{} has changed: {console}", disk.display());
    }
}

fn ambiguous_disks_are_refused_and_write_protected_ones_mounted_read_only(arch: Architecture) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let [one, two, protected, other] =
        ["1", "2", "3", "4"].map(|name| ext4(&scratch.path().join(name), if name > "2" { name } else { "twin" }));
    let files = [file(&one), file(&two), format!("{},readonly=on", file(&protected)), file(&other)];
    let system = "mount LABEL=twin /a ext4 else=tmpfs\nmount LABEL=3 /b ext4 check=reformat\nmount LABEL=4 /c ext4";
    let sections = [
        section("b", "do make:/data/new", "mount /b /data rw\nshare user"),
        section("c", "do make:/data/new", "mount /c /data rw\nshare user"),
        // A root filesystem by such a name as well.
        section("root", "do say:here", "").replace("root /images/probe", "root LABEL=twin"),
    ];
    let console = boot(arch, system, &sections.concat(), &files).vm.wait(BOOT).expect("it ends by itself");
    let twins = |first: &str, second: &str| {
        format!("hilum: mount /a: LABEL=twin: both {first} and {second} have it; rename one of them")
    };
    let is_told =
        [twins("/dev/vda", "/dev/vdb"), twins("/dev/vdb", "/dev/vda")].iter().any(|line| console.contains(line));
    assert!(is_told, "{console}");
    has_line(&console, "hilum: mount /a: using tmpfs instead; data will not survive a reboot");
    has_line(&console, "hilum: mount /b: /dev/vdc read-only: write-protected");
    has_line(&console, "b | did make:/data/new 30");
    has_line(&console, "c | did make:/data/new 0");
    let line = "workload \"root\": open root LABEL=twin: ENOTUNIQ (name not unique on network): more than one disk has that name";
    assert!(console.contains(line), "{console}");
}
