use super::*;

fn lines(pieces: &[&[u8]]) -> Vec<String> {
    let mut buffer = LineBuffer::EMPTY;
    let mut seen = Vec::new();
    for piece in pieces {
        buffer.feed(piece, |line| seen.push(format!("{}", Printable(line))));
    }
    buffer.finish(|line| seen.push(format!("{}", Printable(line))));
    seen
}

#[test]
fn lines_are_cut_across_reads() {
    assert_eq!(lines(&[b"one\ntw", b"o\n\nthree\r\n"]), ["one", "two", "", "three"]);
}

#[test]
fn last_line_without_newline_is_kept() {
    assert_eq!(lines(&[b"one\ntwo"]), ["one", "two"]);
    assert_eq!(lines(&[b"one\n"]), ["one"]);
}

#[test]
fn line_of_4096_bytes_stays_whole_however_split() {
    let line = "x".repeat(LINE_BYTES);
    let whole = format!("{line}\n");
    assert_eq!(lines(&[whole.as_bytes()]), [&*line]);
    assert_eq!(lines(&whole.as_bytes().chunks(1_000).collect::<Vec<_>>()), [&*line]);
}

#[test]
fn longer_line_is_shown_in_marked_pieces_without_losing_a_byte() {
    let long = vec![b'x'; 3 * LINE_BYTES + 5];
    let seen = lines(&[&long]);
    assert_eq!(seen.concat().replace("...", "").len(), long.len());
    let last = seen.len() - 1;
    for (at, piece) in seen.iter().enumerate() {
        assert_eq!((piece.starts_with("..."), piece.ends_with("...")), (at > 0, at < last));
    }
}

#[test]
fn unfinished_line_is_shown_and_continued() {
    let (mut buffer, mut seen) = (LineBuffer::EMPTY, Vec::new());
    let mut show = |line: &[u8]| seen.push(String::from_utf8_lossy(line).into_owned());
    buffer.show_unfinished(&mut show);
    buffer.feed(b"one\nUnlock key: ", &mut show);
    assert!(buffer.is_waiting());
    buffer.show_unfinished(&mut show);
    buffer.show_unfinished(&mut show);
    assert!(!buffer.is_waiting());
    buffer.feed(b"good\nPassword: ", &mut show);
    buffer.show_unfinished(&mut show);
    buffer.feed(b"\r\nlast\n", &mut show);
    assert_eq!(seen, ["one", "Unlock key: ...", "...good", "Password: ...", "last"]);
}

#[test]
fn long_line_is_not_cut_inside_a_character() {
    for lead in 0..4 {
        let text = format!("{}{}", "x".repeat(lead), "ä€𝄞".repeat(2_000));
        assert_eq!(lines(&[text.as_bytes()]).concat().replace("...", ""), text);
    }
}

#[test]
fn control_bytes_and_escape_sequences_are_neutralised() {
    assert_eq!(lines(&[b"a\x1b[2Jb\x07\x00\x7f\tc"]), ["a?[2Jb???\tc"]);
    assert_eq!(lines(&["csi \u{9b}31m".as_bytes()]), ["csi ?31m"]);
    assert_eq!(lines(&[b"\xff\xfe ok"]), ["?? ok"]);
}

#[test]
fn bidi_characters_are_neutralised() {
    assert_eq!(lines(&["ok\u{202e}evil\u{2066}x\u{2028}y\u{200f}\u{feff}\u{e0041}".as_bytes()]), ["ok?evil?x?y???"]);
    assert_eq!(lines(&["\u{5d0}\u{627} a\u{300}".as_bytes()]), ["\u{5d0}\u{627} a\u{300}"]);
}
