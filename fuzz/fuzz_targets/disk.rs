//! The first bytes of a disk: superblocks and partition tables.
#![no_main]
use hilum::config::Source;
use hilum::storage::{Superblock, entries, table};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some(found) = Superblock::read(data) {
        let _ = format!("{found:?}");
        let _ = Source::of("LABEL=data").is_some_and(|source| found.is(source));
    }
    for entry in entries(&String::from_utf8_lossy(data)) {
        let _ = entry.is_at("/data");
    }
    if let Some(table) = table(data) {
        for number in [0, 1, 128, u32::MAX] {
            let _ = (table.entry(number), table.is(number, &[7; 32], "07070707-0707-0707-0707-070707070707"));
        }
    }
});
