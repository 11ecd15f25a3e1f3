use super::*;
use std::io::{Seek, SeekFrom};

/// A file of 3 MiB with a hole in its middle.
fn holey() -> (File, Vec<u8>) {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&[7; 1 << 20]).expect("written");
    file.seek(SeekFrom::Start(2 << 20)).expect("a place");
    file.write_all(&[9; 1 << 20]).expect("written");
    let bytes = [vec![7; 1 << 20], vec![0; 1 << 20], vec![9; 1 << 20]].concat();
    (file, bytes)
}

#[test]
fn part_of_a_file_reads_as_its_bytes() {
    let (file, bytes) = holey();
    let source = Source::new(file, [1; 32]);
    for (at, len) in [(0, 3 << 20), (5, 1 << 20), ((1 << 20) - 1, (1 << 20) + 2), (3 << 20, 0)] {
        let part = Contents::part(&source, at, len);
        let expected = &bytes[at as usize..][..len as usize];
        assert!(*part.read().expect("it is there") == *expected && part == Contents::from(expected));
        assert_eq!(part.start(3).expect("it is there"), expected[..expected.len().min(3)]);
        let (mut written, mut told) = (Vec::new(), 0);
        part.write(&mut written, &mut |more| told += more).expect("it is there");
        assert!(written == expected && told == len);
        let copy = tempfile::tempfile().expect("a file");
        part.copy(&copy, 4096).expect("it is there");
        let copied = Contents::of_file(copy, [0; 32]).expect("it is there").read().expect("it is there").into_owned();
        let expected = [&[0; 4096][..if len > 0 { 4096 } else { 0 }], expected].concat();
        assert!(copied == expected, "{at} {len}: {} bytes", copied.len());
    }
    let beyond = Contents::part(&source, 1, 3 << 20);
    assert!(beyond.read().is_err() && beyond.write(&mut Vec::new(), &mut |_| {}).is_err());
}

#[test]
fn file_that_changes_after_it_was_looked_at_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a");
    std::fs::write(&path, "one").expect("a file");
    let stamp = Stamp::of(&path.metadata().expect("it is there"));
    let contents = Contents::part(&Source::at(path.clone(), stamp, [0; 32]), 0, 3);
    assert_eq!(*contents.read().expect("the same"), *b"one");
    std::thread::sleep(std::time::Duration::from_millis(20));
    std::fs::write(&path, "two").expect("a file");
    let error = contents.read().expect_err("another").to_string();
    assert!(error.ends_with("a: changed while the image was built; build it again"), "{error}");
}

#[test]
fn joined_contents_read_as_their_bytes_and_only_those_in_memory_are_held() {
    let (file, bytes) = holey();
    let part = Contents::part(&Source::new(file, [1; 32]), 1, 2 << 20);
    let joined = Contents::joined(vec![(2 << 20, part), (3, vec![1, 2].into())], 5 << 20);
    let mut expected = vec![0; 5 << 20];
    expected[3..5].copy_from_slice(&[1, 2]);
    expected[2 << 20..4 << 20].copy_from_slice(&bytes[1..][..2 << 20]);
    assert!(*joined.read().expect("it is there") == expected);
    assert_eq!((joined.len(), joined.held()), (5 << 20, 2));
    assert_eq!(joined.piece((2 << 20) - 2, 4).expect("it is there"), [0, 0, 7, 7]);
    let copy = tempfile::tempfile().expect("a file");
    joined.copy(&copy, 7).expect("it is there");
    let copied = Contents::of_file(copy, [0; 32]).expect("it is there");
    assert!(copied.piece(7, 5 << 20).expect("it is there") == expected);
    let other = Contents::joined(vec![(4, vec![1, 2].into())], 5 << 20);
    assert_ne!(joined.identity(), other.identity());
}
