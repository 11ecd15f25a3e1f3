use super::*;
use proptest::prelude::*;

fn drain<const N: usize>(queue: &mut Queue<N>) -> String {
    let mut text = Vec::new();
    while !queue.front().is_empty() {
        let front = queue.front().to_vec();
        queue.advance(front.len());
        text.extend(front);
    }
    String::from_utf8(text).expect("whole lines of text went in")
}

#[test]
fn lines_come_out_in_order() {
    let mut queue = Queue::<16>::EMPTY;
    queue.push(b"one");
    queue.push(b"two");
    assert_eq!(drain(&mut queue), "one\ntwo\n");
    assert_eq!(queue.take_dropped(), 0);
}

#[test]
fn repeatedly_emptied_queue_uses_only_its_first_bytes() {
    let mut queue = Queue::<16>::EMPTY;
    for _ in 0..10 {
        queue.push(b"one");
        queue.push(b"two");
        // In two parts, as with a slow console.
        queue.advance(5);
        queue.advance(3);
    }
    assert_eq!(queue.bytes, *b"one\ntwo\n\0\0\0\0\0\0\0\0");
}

#[test]
fn full_queue_keeps_latest_lines_and_counts_dropped_ones() {
    let mut queue = Queue::<16>::EMPTY;
    for line in [b"one", b"two", b"six", b"ten", b"end"] {
        queue.push(line);
    }
    assert_eq!(drain(&mut queue), "two\nsix\nten\nend\n");
    assert_eq!(queue.take_dropped(), 1);
    assert_eq!(queue.take_dropped(), 0);
}

#[test]
fn partly_written_line_is_not_dropped() {
    let mut queue = Queue::<16>::EMPTY;
    queue.push(b"begun-line");
    queue.advance(5);
    queue.push(b"two");
    queue.push(b"three");
    queue.push(b"end");
    assert_eq!(drain(&mut queue), "-line\nthree\nend\n");
}

#[test]
fn line_longer_than_the_queue_is_dropped_alone() {
    let mut queue = Queue::<8>::EMPTY;
    queue.push(b"far too long");
    assert_eq!((drain(&mut queue).as_str(), queue.take_dropped()), ("", 1));
}

proptest! {
    #[test]
    fn every_line_comes_out_whole_or_is_counted(
        steps in prop::collection::vec((prop::collection::vec(b'a'..=b'z', 0..12), 0_usize..24), 0..200)
    ) {
        let mut queue = Queue::<32>::EMPTY;
        let (mut written, mut pushed, mut lost) = (Vec::new(), Vec::new(), 0);
        for (line, count) in steps {
            queue.push(&line);
            pushed.push(line);
            let front = queue.front();
            let count = count.min(front.len());
            written.extend_from_slice(&front[..count]);
            queue.advance(count);
            lost += queue.take_dropped();
        }
        written.extend(drain(&mut queue).into_bytes());
        let seen: Vec<&[u8]> = written.split(|byte| *byte == b'\n').collect();
        prop_assert_eq!(seen.len() - 1 + lost as usize, pushed.len());
        let mut rest = pushed.iter();
        for line in &seen[..seen.len() - 1] {
            prop_assert!(rest.any(|pushed| pushed == line), "a line came out that is not in order");
        }
    }
}
