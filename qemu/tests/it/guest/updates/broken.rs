//! Versions that are signed and whole, and do not get as far as their workloads.

use super::*;
use crate::support::image;
use hilum::update::{Parts, Range};
use hilum_initramfs::Compression;

/// Changes slot a of a disk, and makes a bundle of it.
fn bundle_of(versions: &Versions, from: &Path, name: &str, change: &dyn Fn(&std::fs::File, &mut Record)) -> PathBuf {
    let disk = from.join("disk.img");
    let mut record = firmware::record(&disk).expect("a record");
    let file = std::fs::File::options().write(true).open(&disk).expect("a disk");
    change(&file, &mut record);
    Record::PLACES.iter().for_each(|place| file.write_all_at(record.to_write(), *place).expect("a record"));
    let bundle = versions.at(name);
    std::fs::rename(versions.bundle(from, "own"), &bundle).expect("a bundle");
    bundle
}

/// The first one is found out before the restart. The second one says what is wrong, and restarts by itself. The third one lacks the
/// driver of its disk, so it cannot know from the record that it is on trial.
#[test]
fn version_without_a_kernel_its_disk_or_a_good_configuration_is_given_up_x86_64() {
    let versions = Versions::new("qemu", Architecture::X86_64);
    let (one, two) = (versions.build(1, ""), versions.build(2, ""));
    let bad = image(versions.arch, "hilum 1\n[system]\nhostnam x\n").write(Compression::Zstd).expect("an initramfs");
    let bad = bundle_of(&versions, &two, "bad", &|file, record| {
        let parts = record.parts(Slot::A);
        let initramfs = Range { bytes: bad.len() as u64, ..parts.initramfs };
        file.write_all_at(&bad, record.start(Slot::A) + initramfs.start).expect("an initramfs");
        record.set_contents(Slot::A, 2, &Parts { initramfs, ..parts });
    });
    let zeroed = bundle_of(&versions, &two, "zeroed", &|file, record| {
        file.write_all_at(&vec![0; 1 << 20], record.start(Slot::A)).expect("zeros");
    });
    let lost = versions.build(3, "");
    let lost = bundle_of(&versions, &lost, "lost", &|file, record| {
        let parts = record.parts(Slot::A);
        let place = record.start(Slot::A) + parts.command_line.start + parts.command_line.bytes;
        file.write_all_at(NO_DISK.as_bytes(), place).expect("words");
        let bytes = parts.command_line.bytes + NO_DISK.len() as u64;
        record.set_contents(Slot::A, 3, &Parts { command_line: Range { bytes, ..parts.command_line }, ..parts });
    });
    let disk = one.join("disk.img");
    let mut booted = versions.boot(&disk, &[&zeroed, &bad]);
    booted.vm.console.expect("version 1 in slot a is running", SLOW).expect("it boots");
    ask(&mut booted, "update /dev/vdb", "hilum: its kernel command line is malformed");
    ask(&mut booted, "status", "version 2 did not get as far as its workloads: its kernel command line");
    ask(&mut booted, "update /dev/vdc", "version 2 is in the other slot; restarting into it");
    let console = restarts(booted);
    has_line(&console, "hilum: reboot in 10 s");
    let mut booted = versions.boot(&disk, &[&lost]);
    let failed = "hilum: update: version 2 did not get as far as its workloads";
    booted.vm.console.expect(failed, SLOW).expect("it boots the old one, and says why");
    ask(&mut booted, "update /dev/vdb", "version 3 is in the other slot; restarting into it");
    let console = restarts(booted);
    has_line(&console, "hilum: update: no disk with slots; updates are refused");
    has_line(&console, "hilum: update: this is a trial; restarting");
    let record = firmware::record(&disk).expect("a record");
    assert_eq!((record.committed(), record.trial(), record.has_begun()), (Slot::A, Some(Slot::B), false));
}
