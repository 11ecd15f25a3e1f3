//! Untrusted datagrams of time servers, and what the process that reads them reports to PID 1: the clock is never set outside of
//! its bounds.
#![no_main]
use hilum::time::{Clock, DENIED, RATE, SERVERS, SILENT, Sample, answer};

const FLOOR_US: i64 = 1_795_000_000_000_000;
const LIMIT_US: i64 = FLOOR_US + 20 * 365 * 86_400_000_000;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // The origin is what no input guesses.
    let nonce = data.get(24..32).and_then(<[u8]>::first_chunk).map_or(7, |bytes| u64::from_be_bytes(*bytes));
    let sent_us = FLOOR_US + 86_400_000_000;
    if let Some(sample) = answer(data, nonce, sent_us, sent_us + 20_000, FLOOR_US) {
        assert!([SILENT, RATE, DENIED].contains(&sample) || sample.unsigned_abs() < 200 * 365 * 86_400_000_000);
        assert_eq!(answer(data, !nonce, sent_us, sent_us, FLOOR_US), None);
    }
    let (mut clock, mut shows_us, mut now) = (Clock::new(FLOOR_US / 1_000_000), 0_i64, 0);
    for round in data.chunks(1 + 8 * SERVERS) {
        let mut samples = [SILENT; SERVERS];
        for (sample, bytes) in samples.iter_mut().zip(round[1..].chunks_exact(8)) {
            let near = Sample::from_ne_bytes(bytes.try_into().expect("eight bytes"));
            // Most numbers are far outside of everything; with a bit, they are near.
            *sample = if round[0] & 0x80 == 0 { near } else { FLOOR_US - shows_us + near % (LIMIT_US / 4) };
        }
        let count = usize::from(round[0]) % (SERVERS + 1);
        for (server, sample) in samples[..count].iter().enumerate() {
            let _ = clock.may_ask(server) && clock.hear(server, *sample, shows_us);
        }
        if let Some(done) = clock.decide(count, now) {
            shows_us = shows_us.checked_add(done.by_us).expect("a time");
            assert!((FLOOR_US..=LIMIT_US).contains(&shows_us));
        }
        assert!((now + 2_000..=now + 2_048_000).contains(&clock.next_at));
        now = clock.next_at;
        clock.ask_again(round[0] & 0x40 != 0, now);
    }
});
