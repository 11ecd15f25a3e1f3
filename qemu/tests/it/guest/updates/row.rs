//! Many updates in a row, and how long one takes beside dd(1).

use super::*;
use crate::support::{built, hilum};
use hilum::update::{Parts, Range};
use std::time::Instant;

/// The bytes that the first bundle of `make updates` has; the slots of these tests have no more.
const LARGE: u64 = 64 << 20;
/// What the only workload needs to make an update, and to write to the other slot by itself.
const FEEDER: &str = "control update\ndevice /dev/vda2\ndevice /dev/vdb r\n";

/// Makes a version larger: its command line moves to the end, and no block between is like another one.
fn enlarge(image: &Path) {
    let disk = image.join("disk.img");
    let mut record = firmware::record(&disk).expect("a record");
    let parts = record.parts(Slot::A);
    let end = parts.ranges().iter().map(|part| part.start + part.bytes).max().expect("its end");
    let file = std::fs::File::options().read(true).write(true).open(&disk).expect("a disk");
    let mut words = vec![0; parts.command_line.bytes as usize];
    let start = record.start(Slot::A);
    file.read_exact_at(&mut words, start + parts.command_line.start).expect("its words");
    let moved = Range { start: LARGE - BLOCK_BYTES as u64, ..parts.command_line };
    for block in end.div_ceil(BLOCK_BYTES as u64)..moved.start / BLOCK_BYTES as u64 {
        let bytes = block.to_le_bytes().repeat(BLOCK_BYTES / 8);
        file.write_all_at(&bytes, start + block * BLOCK_BYTES as u64).expect("a block");
    }
    file.write_all_at(&words, start + moved.start).expect("its words");
    let version = record.version(Slot::A);
    record.set_contents(Slot::A, version, &Parts { command_line: moved, ..parts });
    Record::PLACES.iter().for_each(|place| file.write_all_at(record.to_write(), *place).expect("a record"));
}

/// Returns the seconds that the shell's `time` says, as in `real 0m 1.50s`.
fn seconds_of_dd(console: &str) -> f64 {
    let words: Vec<&str> = console.rsplit_once("real").expect("a time").1.split_whitespace().take(2).collect();
    let number = |word: &str, unit| word.trim_end_matches(unit).parse::<f64>().expect("a number");
    number(words[0], 'm') * 60.0 + number(words[1], 's')
}

/// `make updates` makes 200, of which the first one has 64 MiB; otherwise two. The first comes through a pipe, from a workload.
#[test]
fn updates_in_a_row_go_from_slot_to_slot_x86_64() {
    let full = std::env::var("HILUM_UPDATES").ok();
    let count: usize = full.as_ref().map_or(2, |count| count.parse().expect("a number"));
    let versions = Versions::new("qemu", Architecture::X86_64);
    for (name, from) in [("hilum", hilum(versions.arch)), ("busybox", built("image/x86_64/busybox/bin/busybox"))] {
        std::fs::copy(from, versions.at(&format!("root/bin/{name}"))).expect("a program");
    }
    for (name, line) in [
        ("feed", "/bin/busybox cat /dev/vdb | /bin/hilum update"),
        ("fill", "time /bin/busybox dd if=/dev/vdb of=/dev/vda2 bs=512k oflag=direct conv=fsync"),
    ] {
        let script = versions.at(&format!("root/bin/{name}"));
        std::fs::write(&script, format!("#!/bin/busybox sh\n{line}\n")).expect("a script");
        std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("its mode");
    }
    std::fs::create_dir_all(versions.at("root/run")).expect("a folder");
    let one = versions.build(1, FEEDER);
    let built = |name: &str| {
        // The same version again is no older one.
        let image = versions.at(name);
        std::fs::rename(versions.build(2, &format!("{FEEDER}env NAME {name}\n")), &image).expect("a folder");
        if full.is_some() && name == "first" {
            enlarge(&image);
        }
        let bundle = versions.bundle(&image, "own");
        let header = std::fs::read(&bundle).expect("a bundle");
        let bytes = header.first_chunk().and_then(Bundle::read).expect("a bundle").size() as usize;
        // What dd or a larger version has left behind them stays.
        let mut whole = contents(&image.join("disk.img"), Slot::A);
        whole.truncate(bytes);
        (bundle, whole)
    };
    // The first one is large, and the others take turns.
    let names = ["first", "second", "third"];
    let bundles: Vec<(PathBuf, Vec<u8>)> = names.iter().take(count.clamp(2, 3)).map(|name| built(name)).collect();
    let disk = one.join("disk.img");
    let paths: Vec<&Path> = bundles.iter().map(|(path, _)| path.as_path()).collect();
    let mut booted = versions.boot(&disk, &paths);
    booted.vm.console.expect("hilum: update: version 1 in slot a is running", SLOW).expect("it boots");
    booted.vm.console.expect("app | ready", SLOW).expect("it starts once the devices are there");
    let mib = std::fs::metadata(&bundles[0].0).expect("a bundle").len() as f64 / f64::from(1 << 20);
    ask(&mut booted, "exec app /bin/fill", "sys");
    let by_dd = mib / seconds_of_dd(&booted.vm.console.text());
    let (began, mut first_s) = (Instant::now(), 0.0);
    for number in 0..count {
        let which = if number == 0 { 0 } else { 2 - number % 2 };
        let command = ["exec app /bin/feed", "update /dev/vdc", "update /dev/vdd"][which];
        let (start, before) = (Instant::now(), booted.vm.console.text().len());
        ask(&mut booted, command, "100 %");
        if number == 0 {
            first_s = start.elapsed().as_secs_f64();
        }
        let slot = Slot::ALL[1 - number % 2];
        let line = format!("hilum: update: version 2 in slot {} is committed", slot.name());
        await_text(&booted, before, &line);
        assert!(contents(&disk, slot).starts_with(&bundles[which].1), "update {number}");
    }
    eprintln!(
        "{count} updates in a row in {:.0} s; {mib:.0} MiB: {:.1} MiB/s, dd of the same to the same partition {by_dd:.1} MiB/s",
        began.elapsed().as_secs_f64(),
        mib / first_s,
    );
    booted.vm.type_text("poweroff\r").expect("the console");
    booted.vm.wait(SLOW).expect("it powers off");
}
