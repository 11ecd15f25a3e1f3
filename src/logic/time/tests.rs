//! Answers and decisions, with the attacks that a client has to withstand; and any bytes.

use super::*;
use proptest::prelude::*;

const BUILT_S: i64 = 1_795_000_000;
const NOW_US: i64 = 1_795_824_000_000_000;
const NONCE: u64 = 0x0123_4567_89ab_cdef;

/// Returns a time as the protocol has it.
fn stamp(unix_us: i64) -> u64 {
    let seconds = (unix_us.div_euclid(1_000_000) + 2_208_988_800) as u64 & 0xffff_ffff;
    (seconds << 32) | (((unix_us.rem_euclid(1_000_000) as u64) << 32) / 1_000_000 + 1)
}

/// Returns the answer of a server of stratum 2, which got the request at one time and answered at another.
fn reply(came_us: i64, left_us: i64) -> [u8; PACKET_BYTES] {
    let mut packet = [0; PACKET_BYTES];
    (packet[0], packet[1]) = (0x24, 2);
    packet[24..32].copy_from_slice(&NONCE.to_be_bytes());
    packet[32..40].copy_from_slice(&stamp(came_us).to_be_bytes());
    packet[40..].copy_from_slice(&stamp(left_us).to_be_bytes());
    packet
}

fn read(packet: &[u8]) -> Option<Sample> {
    answer(packet, NONCE, NOW_US, NOW_US + 20_000, BUILT_S * 1_000_000)
}

#[test]
fn request_is_a_clients_and_has_the_number_as_its_time() {
    let packet = request(NONCE);
    assert_eq!((packet[0], packet[1..40].iter().all(|byte| *byte == 0)), (0x23, true));
    assert_eq!(packet[40..], NONCE.to_be_bytes());
}

#[test]
fn offset_is_the_mean_of_both_ways() {
    // The clock is 5 s late; 10 ms for each way, and nothing in between.
    let late = 5_000_000;
    assert_eq!(read(&reply(NOW_US + late + 10_000, NOW_US + late + 10_000)), Some(late));
    // It works for 4 ms, and the ways take 8 ms each.
    assert_eq!(read(&reply(NOW_US + late + 8_000, NOW_US + late + 12_000)), Some(late));
    // An answer from another era, of 1970 or of 2040, is the same moment.
    let sent = 1_000_000;
    let far = answer(&reply(NOW_US, NOW_US), NONCE, sent, sent, BUILT_S * 1_000_000);
    assert_eq!(far, Some(NOW_US - sent));
    let in_2040 = 2_208_988_800_000_000;
    assert_eq!(answer(&reply(in_2040, in_2040), NONCE, NOW_US, NOW_US, NOW_US), Some(in_2040 - NOW_US));
}

#[test]
fn foreign_answers_are_ignored_so_that_the_right_one_may_follow() {
    let good = reply(NOW_US, NOW_US);
    for (what, at, byte) in
        [("a server's broadcast", 0, 0x25), ("a client's request", 0, 0x23), ("another origin", 31, 0), ("none", 24, 9)]
    {
        let mut packet = good;
        packet[at] = byte;
        assert_eq!(read(&packet), None, "{what}");
    }
    assert_eq!(read(&good[..47]), None);
    assert_eq!(read(&[]), None);
    assert!(read(&good).is_some());
    // Extensions and authentication behind it are not read.
    assert!(read(&[&good[..], &[7; 20]].concat()).is_some());
}

#[test]
fn servers_that_do_not_know_the_time_are_not_believed() {
    let good = reply(NOW_US, NOW_US);
    for (what, at, bytes) in [
        ("leap 3", 0, &[0xe4][..]),
        ("stratum 16", 1, &[16]),
        ("stratum 0 without a code", 1, &[0]),
        ("a root delay of 64 s", 4, &[0, 64, 0, 0]),
        ("a root dispersion of 16 s", 8, &[0, 16, 0, 0]),
        ("no transmit time", 40, &[0; 8]),
        ("negative work", 32, &stamp(NOW_US + 5_000_000).to_be_bytes()),
        ("a minute of work", 32, &stamp(NOW_US - 60_000_000).to_be_bytes()),
    ] {
        let mut packet = good;
        packet[at..at + bytes.len()].copy_from_slice(bytes);
        assert_eq!(read(&packet), Some(SILENT), "{what}");
    }
    for (code, wanted) in [(b"RATE", RATE), (b"DENY", DENIED), (b"RSTR", DENIED), (b"INIT", SILENT)] {
        let mut packet = good;
        packet[1] = 0;
        packet[12..16].copy_from_slice(code);
        assert_eq!(read(&packet), Some(wanted));
        packet[24] ^= 1;
        assert_eq!(read(&packet), None, "a kiss has to repeat the number as well");
    }
}

/// Does a round with these samples; returns the correction and what has to be told.
fn take(clock: &mut Clock, samples: &[Sample], clock_us: i64, now: u64) -> (Option<Correction>, Vec<(usize, Verdict)>) {
    let mut told = Vec::new();
    for (server, sample) in samples.iter().enumerate().filter(|(server, _)| clock.may_ask(*server)).collect::<Vec<_>>()
    {
        if clock.hear(server, *sample, clock_us) {
            told.push((server, clock.verdicts[server]));
        }
    }
    (clock.decide(samples.len(), now), told)
}

/// Returns the interval in seconds.
fn interval_s(clock: &Clock) -> u64 {
    1 << clock.exponent()
}

const fn step(by_us: i64) -> Correction {
    Correction { by_us, is_step: true }
}

const fn slew(by_us: i64) -> Correction {
    Correction { by_us, is_step: false }
}

const DAY_US: i64 = 86_400 * 1_000_000;

#[test]
fn first_step_is_between_floor_and_limit() {
    let floor = BUILT_S * 1_000_000;
    for (time, wanted) in [
        (floor - 1, Verdict::Early),
        (3, Verdict::Early),
        (floor, Verdict::Good),
        (floor + 20 * 365 * DAY_US, Verdict::Good),
        (floor + 20 * 365 * DAY_US + 1, Verdict::Late),
        (4_070_908_800_000_000, Verdict::Late),
    ] {
        let mut clock = Clock::new(BUILT_S);
        let (correction, told) = take(&mut clock, &[time], 0, 0);
        assert_eq!(clock.verdicts[0], wanted, "{time}");
        let is_good = wanted == Verdict::Good;
        assert_eq!((correction, clock.is_right()), (is_good.then_some(step(time)), is_good));
        assert_eq!(told.len(), usize::from(!is_good));
        // The same again is not told again.
        assert_eq!(take(&mut clock, &[time], 0, 0).1, []);
    }
    // A clock that is too late, because its battery is worth nothing, is set back.
    let late = 4_070_908_800_000_000;
    assert_eq!(take(&mut Clock::new(BUILT_S), &[NOW_US - late], late, 0).0, Some(step(NOW_US - late)));
}

#[test]
fn kept_time_raises_the_floor_within_the_limit() {
    let mut clock = Clock::new(BUILT_S);
    assert!(!clock.raise_floor(BUILT_S * 1_000_000));
    assert!(!clock.raise_floor(4_070_908_800_000_000), "a kept time cannot lock the right one out");
    assert!(clock.raise_floor(NOW_US));
    assert_eq!(take(&mut clock, &[NOW_US - DAY_US], 0, 0).0, None);
    // Without a build time, the program's own age is the floor.
    assert_eq!(Clock::new(0).floor_us(), EARLIEST_S * 1_000_000);
}

#[test]
fn one_of_three_servers_cannot_set_the_clock() {
    let lie = NOW_US + 3 * 365 * DAY_US;
    for place in 0..3 {
        let mut samples = [NOW_US, NOW_US + 900, 0];
        samples[2] = lie;
        samples.swap(place, 2);
        assert!(take(&mut Clock::new(BUILT_S), &samples, 0, 0).0.is_some_and(|done| done.by_us <= NOW_US + 900));
    }
    // Alone it is not believed at first, because a majority is missing; later it is better than nothing.
    let mut clock = Clock::new(BUILT_S);
    for _ in 0..4 {
        assert_eq!(take(&mut clock, &[SILENT, lie, SILENT], 0, 0).0, None);
    }
    assert_eq!(take(&mut clock, &[SILENT, lie, SILENT], 0, 0).0, Some(step(lie)));
    // One that refuses to serve counts as one that was asked.
    let mut clock = Clock::new(BUILT_S);
    assert_eq!(take(&mut clock, &[DENIED, lie], 0, 0), (None, vec![(0, Verdict::Denied)]));
}

#[test]
fn small_offsets_are_slewed_and_large_ones_step() {
    let mut clock = Clock::new(BUILT_S);
    assert_eq!(take(&mut clock, &[399_999], NOW_US, 0).0, Some(slew(399_999)));
    assert!(clock.is_right());
    assert_eq!(take(&mut clock, &[-399_999], NOW_US, 0).0, Some(slew(-399_999)));
    assert_eq!(take(&mut clock, &[-400_000], NOW_US, 0).0, Some(step(-400_000)));
    assert_eq!(take(&mut clock, &[-NOW_US], NOW_US, 0).0, None, "never before the floor");
    assert_eq!(take(&mut clock, &[i64::MAX], NOW_US, 0).0, None);
}

#[test]
fn interval_grows_from_half_a_minute_to_half_an_hour() {
    let mut clock = Clock::new(BUILT_S);
    let mut intervals = Vec::new();
    for _ in 0..8 {
        assert!(take(&mut clock, &[100], NOW_US, 1_000).0.is_some());
        assert_eq!(clock.next_at, 1_000 + interval_s(&clock) * 1_000);
        intervals.push(interval_s(&clock));
    }
    assert_eq!(intervals, [32, 64, 128, 256, 512, 1024, 2048, 2048]);
    let _ = take(&mut clock, &[100_000], NOW_US, 1_000);
    assert_eq!(interval_s(&clock), 1024, "a clock that runs badly is asked for more often");
}

#[test]
fn silent_servers_are_asked_often_at_first_and_then_each_minute() {
    let mut clock = Clock::new(BUILT_S);
    let mut next = || {
        assert_eq!(take(&mut clock, &[SILENT], 0, 0), (None, vec![]));
        interval_s(&clock)
    };
    assert_eq!([(); 8].map(|()| next()), [4, 8, 16, 32, 64, 64, 64, 64]);
    clock.ask_again(false, 5_000);
    assert_eq!((clock.next_at, interval_s(&clock)), (6_000, 2));
    clock.ask_again(false, 5_500);
    assert_eq!(clock.next_at, 6_000, "events without end do not delay it");
    // A link that returns does not hurry a clock that is right.
    let _ = take(&mut clock, &[5], NOW_US, 0);
    clock.ask_again(false, 99_000);
    assert_eq!(clock.next_at, 32_000);
    let _ = take(&mut clock, &[SILENT], NOW_US, 0);
    assert_eq!((interval_s(&clock), clock.is_right()), (64, true));
    clock.ask_again(true, 99_000);
    assert_eq!((clock.next_at, clock.verdicts[0]), (99_000, Verdict::Unasked));
}

#[test]
fn rate_doubles_the_interval_for_good_and_deny_ends_requests() {
    let mut clock = Clock::new(BUILT_S);
    let _ = take(&mut clock, &[5], NOW_US, 0);
    assert_eq!(take(&mut clock, &[RATE], NOW_US, 0).1, [(0, Verdict::Rate)]);
    assert_eq!(interval_s(&clock), 64);
    let _ = take(&mut clock, &[RATE], NOW_US, 0);
    assert_eq!(interval_s(&clock), 128);
    let _ = take(&mut clock, &[390_000], NOW_US, 0);
    assert_eq!(interval_s(&clock), 128, "also for one that answers again");
    for _ in 0..9 {
        let _ = take(&mut clock, &[RATE], NOW_US, 0);
    }
    assert_eq!(interval_s(&clock), 2048);
    // Also before the first answer.
    let mut clock = Clock::new(BUILT_S);
    let _ = take(&mut clock, &[RATE], 0, 0);
    assert_eq!(interval_s(&clock), 64);
    assert_eq!(take(&mut clock, &[DENIED], 0, 0).1, [(0, Verdict::Denied)]);
    assert!(!clock.may_ask(0));
    let _ = take(&mut clock, &[SILENT], 0, 0);
    assert!(!clock.may_ask(0) && clock.verdicts[0] == Verdict::Denied);
    clock.ask_again(true, 0);
    assert!(clock.may_ask(0));
}

#[test]
fn times_are_written_as_in_rfc_3339() {
    for (seconds, wanted) in [
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1970-01-01T00:00:00Z"),
        (951_782_399, "2000-02-28T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (1_795_824_000, "2026-11-28T00:00:00Z"),
        (EARLIEST_S, "2026-01-01T00:00:00Z"),
        (4_070_908_800, "2099-01-01T00:00:00Z"),
        (4_107_542_399, "2100-02-28T23:59:59Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
        (u32::MAX.into(), "2106-02-07T06:28:15Z"),
        (9_000_000_000, "2106-02-07T06:28:15Z"),
    ] {
        assert_eq!(Utc(seconds * 1_000_000).to_string(), wanted);
    }
}

proptest! {
    #[test]
    fn any_packet_is_handled(bytes in prop::collection::vec(any::<u8>(), 0..70), sent in 0_i64..NOW_US * 4, took in 0_i64..5_000_000) {
        let _ = answer(&bytes, NONCE, sent, sent + took, NOW_US);
    }

    #[test]
    fn any_time_of_a_server_becomes_its_offset(time in -30 * 365 * DAY_US..80 * 365 * DAY_US, way in 0_i64..1_000_000) {
        let server = BUILT_S * 1_000_000 + time;
        let offset = answer(&reply(server + way, server + way), NONCE, NOW_US, NOW_US + 2 * way, BUILT_S * 1_000_000);
        prop_assert!(offset.is_some_and(|offset| (offset - (server - NOW_US)).abs() <= 1));
    }

    #[test]
    fn clock_is_never_set_outside_of_floor_and_limit(
        rounds in prop::collection::vec((prop::collection::vec(prop_oneof![
            any::<i64>(), Just(SILENT), Just(RATE), Just(DENIED), -DAY_US..DAY_US, Just(NOW_US)
        ], 0..=SERVERS), any::<bool>()), 1..20),
        start in prop_oneof![Just(0), Just(NOW_US), Just(i64::MAX)],
    ) {
        let (mut clock, mut shows, mut now) = (Clock::new(BUILT_S), start, 0);
        for (samples, news) in rounds {
            if let (Some(done), _) = take(&mut clock, &samples, shows, now) {
                shows = shows.checked_add(done.by_us).expect("a time");
                prop_assert!((clock.floor_us()..=clock.floor_us() + LIMIT_US).contains(&shows));
            }
            prop_assert!(clock.next_at > now && clock.next_at <= now + 2_048_000);
            now = clock.next_at;
            clock.ask_again(news, now);
        }
    }

    #[test]
    fn any_time_is_written(seconds in any::<i64>()) {
        let _ = Utc(seconds).to_string();
    }
}
