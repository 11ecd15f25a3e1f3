//! The power is cut after each write of an update and of its commit.
//!
//! QEMU's driver blklogwrites logs what a guest writes, in the kernel's format of dm-log-writes
//! (Documentation/admin-guide/device-mapper/log-writes.rst). A disk as a cut leaves it is the disk before and the first N writes.

use super::*;

/// A write of the log: where on the disk, and what.
pub(in crate::guest) struct Write {
    pub(in crate::guest) place: u64,
    pub(in crate::guest) bytes: Vec<u8>,
}

/// Returns QEMU's words for a writable disk whose writes are logged to a new file.
pub(in crate::guest) fn logged(disk: &Path, log: &Path) -> [String; 4] {
    std::fs::write(log, "").expect("a file");
    let drive = format!(
        "driver=blklogwrites,node-name=logged,file.driver=file,file.filename={},log.driver=file,log.filename={},log-sector-size=512",
        disk.display(),
        log.display()
    );
    ["-blockdev".into(), drive, "-device".into(), "virtio-blk-pci,drive=logged".into()]
}

/// Reads a log of writes.
pub(in crate::guest) fn writes(log: &Path) -> Vec<Write> {
    let bytes = std::fs::read(log).expect("a log");
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let (count, sector) = (number(16), u64::from(u32::from_le_bytes(bytes[24..28].try_into().expect("four"))));
    assert_eq!(number(0), 0x006a_7366_7773_6872, "the magic of dm-log-writes");
    let (mut at, mut found) = (sector as usize, Vec::new());
    for _ in 0..count {
        let (place, sectors, flags) = (number(at) * sector, number(at + 8), number(at + 16));
        at += sector as usize;
        // LOG_FLUSH_FLAG (1) and LOG_DISCARD_FLAG (4) have no data.
        if sectors > 0 && flags & 4 == 0 {
            let end = at + (sectors * sector) as usize;
            found.push(Write { place, bytes: bytes[at..end].to_vec() });
            at = end;
        }
    }
    found
}

/// Says which slot boots, and whether its contents are those of its version.
fn check(disk: &Path, whole: &[(u64, Vec<u8>)], moment: usize) -> (Slot, u64) {
    let record = firmware::record(disk).unwrap_or_else(|error| panic!("after {moment} writes: {error:#}"));
    let slot = record.committed();
    let version = record.version(slot);
    let (_, expected) = whole.iter().find(|(known, _)| *known == version).expect("a version");
    assert!(*expected == contents(disk, slot), "after {moment} writes slot {} is not version {version}", slot.name());
    if let Some(trial) = record.trial() {
        let (_, expected) = whole.iter().find(|(known, _)| *known == record.version(trial)).expect("a version");
        assert!(*expected == contents(disk, trial), "after {moment} writes a trial of something else");
    }
    (slot, version)
}

#[test]
fn power_cut_after_any_write_of_an_update_leaves_a_slot_that_works_x86_64() {
    let versions = Versions::new("qemu", Architecture::X86_64);
    let (one, two) = (versions.build(1, ""), versions.build(2, ""));
    let bundle = versions.bundle(&two, "own");
    let (disk, log, cut) = (one.join("disk.img"), versions.at("log"), versions.at("cut.img"));
    let whole = [(1, contents(&disk, Slot::A)), (2, contents(&two.join("disk.img"), Slot::A))];
    std::fs::copy(&disk, &cut).expect("a copy");
    let mut command = hilum_qemu::command(Architecture::X86_64, Accelerator::Tcg);
    command.args(["-m", "512"]).args(logged(&disk, &log));
    add_bundles(&mut command, &[&bundle]);
    firmware::direct(&disk, None, versions.folder.path()).expect("a slot").add_to(&mut command, "");
    let mut booted = boot_command(command, "stdio");
    booted.vm.console.expect("version 1 in slot a is running", SLOW).expect("it boots");
    ask(&mut booted, "update /dev/vdb", "hilum: update: version 2 in slot b is committed");
    booted.vm.type_text("poweroff\r").expect("the console");
    booted.vm.wait(SLOW).expect("it powers off");
    let writes = writes(&log);
    let file = std::fs::File::options().write(true).open(&cut).expect("a disk");
    let (mut booted_slots, began) = ([0; 2], std::time::Instant::now());
    // `make cuts` boots each; otherwise one in the middle, one before each change of the record, and the last.
    let is_full = std::env::var_os("HILUM_ALL_CUTS").is_some();
    let mut tried = 0;
    for moment in 0..=writes.len() {
        let (slot, version) = check(&cut, &whole, moment);
        booted_slots[slot as usize] += 1;
        let is_at_record = writes.get(moment).is_none_or(|write| Record::PLACES.contains(&write.place));
        if is_full || is_at_record || moment == writes.len() / 2 {
            let copy = versions.at("boot.img");
            std::fs::copy(&cut, &copy).expect("a copy");
            let mut booted = versions.boot(&copy, &[]);
            let record = firmware::record(&cut).expect("a record");
            let line = match record.trial() {
                None => format!("version {version} in slot {} is running", slot.name()),
                Some(_) if record.has_begun() => Verdict::Interrupted.text().to_string(),
                Some(_) => Verdict::NotStarted.text().to_string(),
            };
            booted.vm.console.expect(&line, SLOW).unwrap_or_else(|error| panic!("after {moment} writes: {error:#}"));
            booted.vm.type_text("poweroff\r").expect("the console");
            booted.vm.wait(SLOW).expect("it powers off");
            tried += 1;
        }
        if let Some(write) = writes.get(moment) {
            file.write_all_at(&write.bytes, write.place).expect("a write");
        }
    }
    eprintln!(
        "{} writes: the committed slot was a after {} of them and b after {}; {tried} booted; {:.0} s",
        writes.len(),
        booted_slots[0],
        booted_slots[1],
        began.elapsed().as_secs_f32()
    );
    assert!(writes.len() > 20 && booted_slots.iter().all(|count| *count > 0), "{booted_slots:?}");
    // The slot is emptied, put on trial, begun and committed.
    assert!(tried >= 6, "{tried} booted");
}
