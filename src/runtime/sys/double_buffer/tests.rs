use super::{Covariant, DoubleBuffer, ReadGuard};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Words that borrow from the bytes of their buffer. They are on the heap, so that a sanitizer detects a use after
/// `clear`.
struct Words;

impl Covariant for Words {
    type Of<'a> = Vec<&'a [u8]>;

    fn clear(value: &mut Self::Of<'_>) {
        *value = Vec::new();
    }

    fn shorten<'short, 'long: 'short>(value: &'short Self::Of<'long>) -> &'short Self::Of<'short> {
        value
    }
}

type WordBuffer = DoubleBuffer<Words, 32>;

const fn buffer() -> WordBuffer {
    DoubleBuffer::new(Vec::new(), Vec::new())
}

/// Fills a buffer with a text, split at blanks. The parser refuses an empty text.
fn fill(buffer: &'static WordBuffer, text: &str) -> Result<ReadGuard<Words, 32>, Option<&'static str>> {
    buffer.fill(
        |bytes| {
            bytes[..text.len()].copy_from_slice(text.as_bytes());
            Ok(text.len())
        },
        |bytes, words| {
            assert!(words.is_empty(), "the place was not emptied: {words:?}");
            words.extend(bytes.split(|byte| *byte == b' '));
            if bytes.is_empty() { Err("empty") } else { Ok(()) }
        },
    )
}

/// Returns the words of a guard, separated by blanks.
fn text(guard: &ReadGuard<Words, 32>) -> String {
    let words: Vec<_> = guard.get().iter().map(|word| std::str::from_utf8(word).expect("UTF-8")).collect();
    words.join(" ")
}

#[test]
fn value_borrows_from_its_buffer() {
    static BUFFER: WordBuffer = buffer();
    let guard = fill(&BUFFER, "one two three").expect("a free place");
    assert_eq!(guard.get().len(), 3);
    assert_eq!(text(&guard), "one two three");
}

#[test]
fn second_buffer_is_filled_while_the_first_is_read() {
    static BUFFER: WordBuffer = buffer();
    let old = fill(&BUFFER, "old words").expect("a free place");
    let new = fill(&BUFFER, "new words").expect("the other place");
    assert_eq!((text(&old), text(&new)), ("old words".to_owned(), "new words".to_owned()));
}

#[test]
fn third_value_is_refused_until_a_guard_ends() {
    static BUFFER: WordBuffer = buffer();
    let first = fill(&BUFFER, "first").expect("a free place");
    let second = fill(&BUFFER, "second").expect("the other place");
    assert!(matches!(fill(&BUFFER, "third"), Err(None)));
    drop(first);
    let third = fill(&BUFFER, "third").expect("the place of the first");
    assert_eq!((text(&second), text(&third)), ("second".to_owned(), "third".to_owned()));
}

#[test]
fn copy_of_a_guard_keeps_its_buffer() {
    static BUFFER: WordBuffer = buffer();
    let first = fill(&BUFFER, "first").expect("a free place");
    let copy = first.clone();
    let _second = fill(&BUFFER, "second").expect("the other place");
    drop(first);
    assert!(matches!(fill(&BUFFER, "third"), Err(None)));
    assert_eq!(text(&copy), "first");
    drop(copy);
    assert!(fill(&BUFFER, "third").is_ok());
}

#[test]
fn buffer_is_free_again_when_reading_or_parsing_fails() {
    static BUFFER: WordBuffer = buffer();
    let kept = fill(&BUFFER, "kept").expect("a free place");
    for _ in 0..3 {
        assert!(matches!(fill(&BUFFER, ""), Err(Some("empty"))));
        assert!(matches!(BUFFER.fill(|_| Err("unread"), |_, _| Ok(())), Err(Some("unread"))));
    }
    let next = fill(&BUFFER, "next").expect("the other place");
    assert_eq!((text(&kept), text(&next)), ("kept".to_owned(), "next".to_owned()));
}

#[test]
fn length_beyond_the_buffer_is_cut() {
    static BUFFER: WordBuffer = buffer();
    let guard = BUFFER.fill(
        |bytes| {
            bytes.fill(b'x');
            Ok::<_, ()>(1000)
        },
        |bytes, words| {
            words.push(bytes);
            Ok(())
        },
    );
    assert_eq!(guard.expect("a free place").get(), &[&[b'x'; 32][..]]);
}

/// A writer that overtakes a reader would show a word of another text.
#[test]
fn concurrent_readers_and_writers_never_see_half_a_text() {
    static BUFFER: WordBuffer = buffer();
    static FILLED: AtomicUsize = AtomicUsize::new(0);
    let rounds = if cfg!(miri) { 30 } else { 3000 };
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            thread::spawn(move || {
                for round in 0..rounds {
                    let word = format!("{worker}-{round}");
                    let Ok(guard) = fill(&BUFFER, &format!("{word} {word}")) else { continue };
                    FILLED.fetch_add(1, Ordering::Relaxed);
                    let reader = guard.clone();
                    drop(guard);
                    let seen = text(&reader);
                    assert_eq!(seen, format!("{word} {word}"));
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().expect("no thread saw half a text");
    }
    assert!(FILLED.load(Ordering::Relaxed) > 0);
}
