//! A Raspberry Pi, whose firmware starts the partition of a register, or else the one that autoboot.txt names.

use super::*;
use hilum::update::{PARTITION_BITS, partition_bits, pointer};

/// PM_RSTS of a Raspberry Pi 3.
const REGISTER: u64 = 0x3f10_0020;

/// Boots the slot that the firmware starts, which finds `register` as the last boot left it.
fn boot(versions: &Versions, card: &Path, register: u32) -> (Slot, Booted) {
    let start = firmware::raspberry_pi(card, register, "bcm2837-rpi-3-b.dtb", versions.folder.path()).expect("a slot");
    let mut command = Command::new("qemu-system-aarch64");
    // It stops where it would restart, with the register as it is.
    command.args(["-machine", "raspi3b", "-action", "reboot=shutdown,shutdown=pause"]);
    command.arg("-drive").arg(format!("if=sd,format=raw,file={}", card.display()));
    start.add_to(&mut command, "");
    (start.slot, boot_command(command, "null -serial stdio"))
}

#[test]
fn raspberry_pi_tries_a_slot_once_and_commits_it_by_the_pointer() {
    let mut versions = Versions::new("", Architecture::Aarch64);
    versions.board = "rpi3".to_owned();
    let card = versions.build(1, "").join("sd-card.img");
    // Version 2 is in the other slot, as an update leaves it; it is the first one, because a card has no room for a bundle.
    let mut record = firmware::record(&card).expect("a record");
    let file = std::fs::File::options().write(true).open(&card).expect("a card");
    file.write_all_at(&contents(&card, Slot::A), record.start(Slot::B)).expect("a slot");
    let parts = record.parts(Slot::A);
    record.set_contents(Slot::B, 2, &parts);
    file.write_all_at(record.to_write(), Record::PLACES[0]).expect("a record");
    let points_to = |slot| {
        let mut sector = [0; Record::BYTES];
        std::fs::File::open(&card)
            .and_then(|file| file.read_exact_at(&mut sector, record.pointer().unwrap() * 512))
            .unwrap();
        sector == pointer(slot)
    };

    let (slot, mut booted) = boot(&versions, &card, 0);
    assert_eq!(slot, Slot::A);
    booted.vm.console.expect("hilum: update: version 1 in slot a is running", SLOW).expect("it boots");
    ask(&mut booted, "rollback", "version 2 is in the other slot; restarting into it");
    let register = booted.vm.word_at_restart(REGISTER, SLOW).expect("it restarts");
    assert_eq!(register & PARTITION_BITS, partition_bits(3), "{register:#x}");
    assert!(points_to(Slot::A), "a power cut now ends the trial");
    drop(booted);

    let (slot, mut booted) = boot(&versions, &card, register);
    assert_eq!(slot, Slot::B);
    booted.vm.console.expect("hilum: update: version 2 in slot b is on trial", SLOW).expect("the trial");
    booted.vm.console.expect("hilum: update: version 2 in slot b is committed", SLOW).expect("the commit");
    assert!(points_to(Slot::B));
    ask(&mut booted, "rollback", "version 1 is in the other slot; restarting into it");
    let register = booted.vm.word_at_restart(REGISTER, SLOW).expect("it restarts");
    assert_eq!(register & PARTITION_BITS, partition_bits(2), "{register:#x}");
    drop(booted);

    // Once it is on trial, every restart is one into the committed slot.
    let (slot, mut booted) = boot(&versions, &card, register);
    assert_eq!(slot, Slot::A);
    booted.vm.console.expect("hilum: update: version 1 in slot a is on trial", SLOW).expect("the trial");
    booted.vm.type_text("rollback\r").expect("the console");
    let register = booted.vm.word_at_restart(REGISTER, SLOW).expect("it restarts");
    assert_eq!(register & PARTITION_BITS, 0, "{register:#x}");
    let start = firmware::raspberry_pi(&card, register, "bcm2837-rpi-3-b.dtb", versions.folder.path()).expect("a slot");
    assert_eq!(start.slot, Slot::B);
    let verdict = firmware::record(&card).expect("a record");
    assert_eq!(verdict.verdict(), (Verdict::Unhealthy, 1, "hilum rollback"));
    version_that_does_not_find_its_card_is_given_up(&versions, &card);
}

/// Slot a lacks the driver of the card, and was started by the register.
fn version_that_does_not_find_its_card_is_given_up(versions: &Versions, card: &Path) {
    let file = std::fs::File::options().read(true).write(true).open(card).expect("a card");
    let mut record = firmware::record(card).expect("a record");
    let place = record.start(Slot::A) + record.parts(Slot::A).command_line.start;
    let mut words = vec![0; record.parts(Slot::A).command_line.bytes as usize];
    file.read_exact_at(&mut words, place).expect("its words");
    let words = String::from_utf8(words).expect("UTF-8");
    let changed = words.replace("ttyS1,115200 cgroup_enable=memory", "ttyS1 module_blacklist=bcm2835   ");
    assert!(changed != words && changed.len() == words.len(), "{words}");
    file.write_all_at(changed.as_bytes(), place).expect("its words");
    record.try_next(Slot::A);
    Record::PLACES.iter().for_each(|place| file.write_all_at(record.to_write(), *place).expect("a record"));
    let (slot, mut booted) = boot(versions, card, partition_bits(2));
    assert_eq!(slot, Slot::A);
    let register = booted.vm.word_at_restart(REGISTER, SLOW).expect("it restarts");
    assert_eq!(register & PARTITION_BITS, 0, "{register:#x}");
    has_line(&booted.vm.console.text(), "hilum: update: this is a trial; restarting");
}
