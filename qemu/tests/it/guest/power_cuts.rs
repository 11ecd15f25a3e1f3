//! What a cut of the power leaves on a disk. systemd and mount(8) leave that to the filesystem, and so does this.

use super::storage::{board, boot, ext4, section, tool};
use crate::support::{BOOT, USUAL, fetched};
use hilum_qemu::Architecture;

on_both_long!(aarch64: power_cut_loses_no_acknowledged_data);

/// A workload that counts on the disk, and a machine whose power is cut at some moment; 25 times on each architecture by `make cuts`, otherwise 10.
fn power_cut_loses_no_acknowledged_data(arch: Architecture) {
    let cuts: u64 = if std::env::var_os("HILUM_ALL_CUTS").is_some() { 25 } else { 10 };
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let disk = ext4(&scratch.path().join("disk"), "data");
    let system = "mount LABEL=data /data ext4\nvolumes /data/volumes";
    let mut image = board(arch, system, &section("counter", "do count:/data", "volume v /data\nuser 1000"));
    image.file("sbin/e2fsck", 0o755, std::fs::read(fetched(arch, USUAL, "e2fsck")).expect("e2fsck"));
    let (mut acknowledged, mut replayed) = (0, 0);
    for cut in 0..cuts {
        let booted = boot(arch, &image, &[&disk]);
        // The first boot must print a number. In some of the others the power is cut before that.
        let moment = if cut % 5 == 4 { "hilum 0.1.0" } else { "counter | counted " };
        booted.vm.console.expect(moment, BOOT).expect("it boots");
        std::thread::sleep(std::time::Duration::from_millis(cut * 37 % 400));
        let console = booted.vm.console.text();
        booted.vm.cut_power().expect("QEMU");
        // What it found was acknowledged by the previous boot, or is newer.
        let number = |word: &str| {
            let numbers = console.lines().filter_map(|line| line.strip_prefix(word)?.parse::<u32>().ok());
            numbers.max()
        };
        if let Some(found) = number("counter | found ") {
            assert!(found >= acknowledged, "cut {cut}: {acknowledged} was acknowledged\n{console}");
            acknowledged = found;
            // Each boot reports the state of the disk.
            let lines: Vec<&str> = console.lines().filter(|line| line.starts_with("hilum: mount /data: ")).collect();
            let [line] = lines[..] else { panic!("one line about the disk: {console}") };
            let way = line.strip_prefix("hilum: mount /data: ext4 on /dev/vda").unwrap_or_else(|| panic!("{console}"));
            assert!(["", ", its journal replayed"].contains(&way), "{line}");
            replayed += u32::from(!way.is_empty());
        }
        // A truncated line has fewer digits, and is a smaller number.
        acknowledged = acknowledged.max(number("counter | counted ").unwrap_or(0));
    }
    eprintln!("{}: {cuts} cuts, {acknowledged} numbers, {replayed} journals replayed", arch.name());
    assert!(acknowledged > 0 && replayed > 0, "{acknowledged} {replayed}");
    let checked = tool("e2fsck", &["-f", "-y", disk.to_str().expect("UTF-8")]);
    assert!(!checked.contains("Inode") && !checked.contains("UNEXPECTED"), "{checked}");
}
