//! Output of a workload: no printed line controls a terminal, and the ring returns what was put in.
#![no_main]
use hilum::log::{LineBuffer, Printable, Ring};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (mut lines, mut ring) = (Box::new(LineBuffer::EMPTY), Box::new(Ring::<8192>::EMPTY));
    let mut last = Vec::new();
    for part in data.chunks(97) {
        lines.feed(part, |line| {
            assert!(!Printable(line).to_string().chars().any(|c| c.is_control() && c != '\t'));
            ring.push(1, line);
            last = line.to_vec();
        });
    }
    let (mut cursor, mut room, mut seen) = (ring.last(1), vec![0; 8192], None);
    while let Some(entry) = ring.read(&mut cursor, &mut room) {
        seen = Some(room[..entry.length].to_vec());
    }
    assert!(seen.is_none_or(|seen| seen == last));
});
