use super::*;
use proptest::prelude::*;

fn lines<const N: usize>(ring: &Ring<N>, last: u32) -> Vec<(u32, String)> {
    let (mut cursor, mut buffer) = (ring.last(last), [0; 64]);
    core::iter::from_fn(|| ring.read(&mut cursor, &mut buffer).map(|entry| (entry, buffer)))
        .map(|(entry, bytes)| (entry.number, String::from_utf8_lossy(&bytes[..entry.length]).into_owned()))
        .collect()
}

#[test]
fn latest_lines_are_kept_and_dropped_ones_counted() {
    let mut ring = Ring::<64>::EMPTY;
    ["one", "two", "three", "crash"].iter().zip(0..).for_each(|(line, ms)| ring.push(ms, line.as_bytes()));
    assert_eq!(lines(&ring, 9), [(1, "two".into()), (2, "three".into()), (3, "crash".into())]);
    assert_eq!(ring.count(), 3);
    assert_eq!(lines(&ring, 1), [(3, "crash".into())]);
    assert_eq!(lines(&ring, 0), []);
}

#[test]
fn slow_reader_sees_gap_in_line_numbers() {
    let mut ring = Ring::<64>::EMPTY;
    ring.push(0, b"first");
    let (mut cursor, mut buffer) = (ring.last(1), [0; 8]);
    (0..5).for_each(|ms| ring.push(ms, b"flood"));
    assert_eq!(ring.read(&mut cursor, &mut buffer).map(|entry| entry.number), Some(3));
}

#[test]
fn line_longer_than_the_ring_is_cut() {
    let mut ring = Ring::<32>::EMPTY;
    ring.push(7, &[b'x'; 100]);
    let entry = ring.read(&mut ring.last(1), &mut [0; 64]);
    assert_eq!(entry, Some(Entry { number: 0, ms: 7, length: 18 }));
}

proptest! {
    #[test]
    fn last_returns_the_last_lines(lines_in in prop::collection::vec("[a-z]{0,20}", 0..60), wanted in 0_u32..10) {
        let mut ring = Ring::<128>::EMPTY;
        lines_in.iter().for_each(|line| ring.push(1, line.as_bytes()));
        let seen: Vec<String> = lines(&ring, wanted).into_iter().map(|(_, line)| line).collect();
        let kept = ring.count() as usize;
        let count = kept.min(wanted as usize);
        prop_assert_eq!(&seen[..], &lines_in[lines_in.len() - count..]);
        prop_assert!(lines_in.is_empty() || kept > 0, "the last line is always there");
    }
}
