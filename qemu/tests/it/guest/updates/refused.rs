//! Bundles that are not right, and the one that is.

use super::*;

on_both_long!(x86_64: bundle_that_is_not_right_is_refused_and_the_right_one_is_committed);

/// Returns bundles for a board that runs version 2, with what it says to each: of three images, which are versions 1 to 3. The last
/// bundle is the only one that it takes.
fn bundles_for_two(versions: &Versions, [one, two, three]: [&Path; 3]) -> Vec<(PathBuf, &'static str)> {
    let good = versions.bundle(three, "own");
    let bytes = std::fs::read(&good).expect("a bundle");
    let since = versions.bundle_since(three, "own", Some(versions.bundle(two, "own")));
    let small = std::fs::read(&since).expect("a bundle");
    eprintln!("{} bytes, and {} without what version 2 has", bytes.len(), small.len());
    assert!(small.len() * 100 < bytes.len() * 15, "one line of the configuration has changed");
    let changed = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut copy = bytes.clone();
        change(&mut copy);
        std::fs::write(versions.at(name), copy).expect("a file");
        versions.at(name)
    };
    let middle = bytes.len() / 2;
    vec![
        (versions.bundle(three, "other"), "hilum: not signed by a key of this image"),
        (versions.bundle(one, "own"), "hilum: its version is below the committed 2"),
        (changed("board", &|copy| copy[40] ^= 1), "hilum: not signed by a key of this image"),
        (changed("cut", &|copy| copy.truncate(middle / 512 * 512)), "hilum: the bundle is cut after "),
        (changed("damaged", &|copy| copy[middle] ^= 1), "hilum: the bundle is damaged before byte "),
        (changed("none", &|copy| copy[0] = b'H'), "hilum: no bundle of format 1"),
        (
            versions.resigned(&bytes, "size", &|header| header.size = 65 << 20),
            "hilum: it does not fit into a slot of 67108864 bytes",
        ),
        (versions.resigned(&bytes, "name", &|header| header.board = "other"), "hilum: it is for another board"),
        (
            versions.resigned(&bytes, "floor", &|header| header.version = 0),
            "hilum: the bundle's numbers are impossible",
        ),
        (shifted(versions, &small), "hilum: it is made since another version than 2; make it without SINCE"),
        (since, "hilum: update: version 3 in slot b is on trial"),
    ]
}

/// A bundle whose blocks of the running slot are other ones than were meant. Their places are not signed.
fn shifted(versions: &Versions, since: &[u8]) -> PathBuf {
    let mut copy = since.to_vec();
    // The header and two hash blocks are before the first map.
    let map = &mut copy[3 * BLOCK_BYTES..][..MAP_BYTES];
    let first = Source::Copy(0).bytes();
    assert!(map.chunks(4).filter(|source| source[3] == 0).count() > 2, "it copies blocks");
    map.chunks_mut(4).filter(|source| source[3] == 0).for_each(|source| source.copy_from_slice(&first));
    std::fs::write(versions.at("shifted"), copy).expect("a file");
    versions.at("shifted")
}

/// Returns all that is neither in a slot nor the record: the table, the gaps, and the data partition, whose filesystem is there.
fn rest(disk: &Path) -> Vec<u8> {
    let record = firmware::record(disk).expect("a record");
    let mut bytes = std::fs::read(disk).expect("a disk");
    let slots = Slot::ALL.map(|slot| (record.start(slot), record.size(slot)));
    let end = slots.iter().map(|(start, size)| start + size).max().expect("two") as usize;
    let superblock = bytes[end..].chunks(512).position(|sector| sector[56..58] == [0x53, 0xef]);
    assert!(superblock.is_some(), "an ext4 filesystem follows the slots");
    let records = Record::PLACES.map(|place| (place, Record::BYTES as u64));
    for (start, size) in slots.into_iter().chain(records) {
        bytes[start as usize..][..size as usize].fill(0);
    }
    bytes
}

/// SWUpdate writes to whatever its description names; here nothing but the other slot and the record is written.
fn bundle_that_is_not_right_is_refused_and_the_right_one_is_committed(arch: Architecture) {
    let mut versions = Versions::new("qemu", arch);
    versions.more[1] = "[data]\nlabel = \"data\"\nsize-mib = 64\n".to_owned();
    let (one, two, three) = (versions.build(1, ""), versions.build(2, WAITING), versions.build(3, ""));
    let bundles = bundles_for_two(&versions, [&one, &two, &three]);
    let disk = two.join("disk.img");
    let (before, others) = (contents(&disk, Slot::A), rest(&disk));
    let paths: Vec<&Path> = bundles.iter().map(|(path, _)| path.as_path()).collect();
    let mut booted = versions.boot(&disk, &paths);
    booted.vm.console.expect("hilum: update: version 2 in slot a is running", SLOW).expect("it boots");
    for (letter, (_, answer)) in ('b'..).zip(&bundles) {
        if answer.ends_with("on trial") {
            let record = firmware::record(&disk).expect("a record");
            assert_eq!((record.version(Slot::A), record.version(Slot::B), record.trial()), (2, 0, None));
        }
        ask(&mut booted, &format!("update /dev/vd{letter}"), answer);
    }
    booted.vm.console.expect("hilum: update: version 3 in slot b is committed", SLOW).expect("a commit");
    assert!(before == contents(&disk, Slot::A), "the slot that ran is as it was");
    assert!(others == rest(&disk), "the data partition, the table and the gaps are as they were");
    assert!(
        contents(&three.join("disk.img"), Slot::A) == contents(&disk, Slot::B),
        "whole, of what was sent and what was there"
    );
    // Back to version 2, and while that is on trial, not.
    ask(&mut booted, "rollback", "hilum: update: version 2 in slot a is on trial");
    booted.vm.type_text("rollback\r").expect("the console");
    let console = restarts(booted);
    let record = firmware::record(&disk).expect("a record");
    assert_eq!(
        (record.committed(), record.verdict()),
        (Slot::B, (Verdict::Unhealthy, 2, "hilum rollback")),
        "{console}"
    );
    let mut booted = versions.boot(&disk, &[]);
    booted.vm.console.expect("hilum: update: version 3 in slot b is running", SLOW).expect("it boots");
    ask(&mut booted, "status", "version 2 was not healthy in time: hilum rollback");
    let slots = "\"slots\":{\"a\":2,\"b\":3,\"running\":\"b\",\"committed\":\"b\",\"trial\":null,\"floor\":0,\"last\":\"version 2 was";
    ask(&mut booted, "status --json", slots);
    second_update_is_refused(&mut booted);
    booted.vm.type_text("poweroff\r").expect("the console");
    booted.vm.wait(SLOW).expect("it powers off");
    assert_eq!(firmware::record(&disk).expect("a record").version(Slot::A), 2, "nothing came, so nothing was written");
}

/// An update from a sender that says nothing keeps others from beginning, and not the board from going down.
fn second_update_is_refused(booted: &mut Booted) {
    let refused = "hilum: another update is running";
    for _ in 0..20 {
        ask(booted, "update /dev/ttyS1", "update /dev/ttyS1");
        std::thread::sleep(Duration::from_secs(1));
        // It ends the command, and not the helper.
        booted.vm.type_text("\x03").expect("the console");
        ask(booted, "update /dev/vda", "\nhilum: ");
        if booted.vm.console.tail().contains(refused) {
            return ask(booted, "rollback", refused);
        }
    }
    panic!("{}", booted.vm.console.tail());
}
