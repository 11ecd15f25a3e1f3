//! Typed bytes and the resulting lines.

use super::*;
use proptest::prelude::*;

fn typed(bytes: &[u8]) -> (Editor, Vec<String<LINE_BYTES>>) {
    let (mut editor, mut lines) = (Editor::new("> "), Vec::new());
    for byte in bytes {
        if let Typed::Line(line) = editor.type_byte(*byte) {
            lines.push(line);
        }
    }
    (editor, lines)
}

fn lines(bytes: &[u8]) -> Vec<std::string::String> {
    typed(bytes).1.iter().map(|line| line.as_str().to_owned()).collect()
}

#[test]
fn line_is_edited_at_the_cursor() {
    assert_eq!(lines(b"stats\x1b[Du\x1b[C\x7fs\r"), ["status"]);
    assert_eq!(lines(b"lgo\x02\x02\x04\x05g\x1b[D\x1b[D\x1b[D\r"), ["log"]);
    assert_eq!(lines(b"web\x01log \x05!\r"), ["log web!"]);
    assert_eq!(lines(b"log web\x17db\r"), ["log db"]);
    assert_eq!(lines(b"nonsense\x15status\r"), ["status"]);
    assert_eq!(lines(b"abc\x1b[H\x1b[3~\r"), ["bc"]);
    assert_eq!(lines("grün\x7f\x7fün\r".as_bytes()), ["grün"]);
}

#[test]
fn history_goes_back_and_forth() {
    assert_eq!(lines(b"one\rtwo\r\x1b[A\x1b[A\r"), ["one", "two", "one"]);
    assert_eq!(lines(b"one\rtwo\r\x10\x10\x0e\r"), ["one", "two", "two"]);
    assert_eq!(lines(b"one\r\x1b[A\x1b[Bnew\r"), ["one", "new"]);
    assert_eq!(lines(b"\x1b[A\r"), [""]);
}

#[test]
fn ctrl_c_discards_line_and_ctrl_d_ends_on_empty_line() {
    let mut editor = Editor::new("> ");
    for byte in b"half a li" {
        editor.type_byte(*byte);
    }
    assert_eq!(editor.type_byte(3), Typed::GivenUp);
    assert_eq!(format!("{editor}"), "\r\x1b[K> ");
    assert_eq!(editor.type_byte(4), Typed::End);
}

#[test]
fn cursor_is_drawn_at_its_position() {
    assert_eq!(format!("{}", typed(b"status\x1b[D\x1b[D").0), "\r\x1b[K> status\x1b[2D");
}

#[test]
fn line_wider_than_the_terminal_is_drawn_around_the_cursor() {
    let drawn = |keys: &[u8]| {
        let mut editor = Editor::new("> ");
        editor.set_columns(14);
        for byte in keys {
            editor.type_byte(*byte);
        }
        format!("{editor}")
    };
    // Eleven columns are left.
    assert_eq!(drawn(b"0123456789a"), "\r\x1b[K> 0123456789a");
    assert_eq!(drawn(b"0123456789ab"), "\r\x1b[K> <6789ab");
    assert_eq!(drawn(b"0123456789abcdefghijklmnop\x01"), "\r\x1b[K> 0123456789>\x1b[11D");
    assert_eq!(drawn(b"0123456789abcdefghijklmnop\x01\x1b[C\x1b[C"), "\r\x1b[K> 0123456789>\x1b[9D");
    let left = b"\x1b[D".repeat(13);
    let keys = [&b"0123456789abcdefghijklmnop"[..], &left].concat();
    assert_eq!(drawn(&keys), "\r\x1b[K> <6789abcde>\x1b[3D");
}

#[test]
fn key_in_a_long_line_redraws_at_most_one_row() {
    for columns in [0, 1, 20, 80, 200] {
        let (mut editor, _) = typed(&[b'x'; 900]);
        editor.set_columns(columns);
        let row = if columns == 0 { 80 } else { usize::from(columns).max(20) };
        let keys = [&b"\x01"[..], &b"y\x1b[C\x04\x08".repeat(200), b"\x05", &b"\x1b[D\x7fz".repeat(200)].concat();
        for key in keys {
            editor.type_byte(key);
            // A row, and two escape sequences.
            let bytes = format!("{editor}").len();
            assert!(bytes <= row + 16, "{bytes} bytes for {columns} columns");
        }
    }
}

#[test]
fn too_long_line_is_refused_not_cut() {
    let mut editor = Editor::new("> ");
    for byte in [b'x'; LINE_BYTES + 1] {
        editor.type_byte(byte);
    }
    assert_eq!(editor.type_byte(b'\r'), Typed::TooLong);
    // It stays refused after it was shortened; the next line is accepted.
    let long = [&[b'x'; LINE_BYTES + 9][..], b"\x7f\x7f\r", b"ok\r"].concat();
    assert_eq!(lines(&long), ["ok"]);
    assert_eq!(lines(&[&[b'x'; LINE_BYTES + 9][..], b"\x15ok\r"].concat()), ["ok"]);
    assert_eq!(lines(&[&[b'x'; LINE_BYTES][..], b"\r"].concat())[0].len(), LINE_BYTES);
}

#[test]
fn character_at_the_end_is_printed_without_redraw() {
    let mut editor = Editor::new("> ");
    assert!((0..900).all(|_| editor.type_byte(b'x') == Typed::Added('x')));
    editor.type_byte(2);
    assert_eq!(editor.type_byte(b'y'), Typed::Changed);
}

#[test]
fn quotes_are_those_of_a_shell() {
    let split = |line: &str| -> Result<Vec<std::string::String>, &'static str> {
        let mut room = String::new();
        Ok(words::<4>(line, &mut room)?.iter().map(|word| (*word).to_owned()).collect())
    };
    for (line, wanted) in [
        (" exec web  \"a b\" c", &["exec", "web", "a b", "c"][..]),
        ("sh -c 'echo \"$HOME\" \\n'", &["sh", "-c", "echo \"$HOME\" \\n"]),
        (r#""a \"b\" \\ \n""#, &[r#"a "b" \ \n"#]),
        (r"a\ b \'c\' d'e'f", &["a b", "'c'", "def"]),
        ("'' \"\" x", &["", "", "x"]),
        ("it''s", &["its"]),
        ("\t ", &[]),
    ] {
        assert_eq!(split(line).expect(line), wanted);
    }
    for unclosed in ["exec \"web", "it's", "\"a\\\""] {
        assert_eq!(split(unclosed), Err("unclosed quote"));
    }
    assert_eq!(split("a \\"), Err("missing character after the last \\"));
    assert_eq!(split("a b c d e"), Err("too many words"));
}

proptest! {
    #[test]
    fn any_bytes_leave_a_drawable_line(bytes in prop::collection::vec(any::<u8>(), 0..1_200)) {
        let (editor, _) = typed(&bytes);
        prop_assert!(editor.line.is_char_boundary(editor.cursor));
        prop_assert!(!editor.line.contains(char::is_control));
    }

    #[test]
    fn cursor_is_always_inside_the_drawn_window(
        text in "[a-zäöü€]{0,200}", left in 0..210_usize, columns in 0..90_u16
    ) {
        let (mut editor, _) = typed(text.as_bytes());
        editor.set_columns(columns);
        for _ in 0..left {
            editor.type_byte(2);
        }
        let drawn = format!("{editor}");
        let row = drawn.strip_prefix("\r\x1b[K> ").expect("the prompt");
        let (row, behind) = row.split_once('\x1b').unwrap_or((row, "[0D"));
        let behind: usize = behind[1..behind.len() - 1].parse().expect("a number");
        let row: std::vec::Vec<char> = row.chars().collect();
        prop_assert!(behind <= row.len(), "{drawn:?}");
        let under = row.get(row.len() - behind);
        prop_assert_eq!(under.copied(), editor.line[editor.cursor..].chars().next(), "{:?}", drawn);
    }

    #[test]
    fn plain_typing_results_in_the_same_line(text in "[a-z0-9 äöü€]{0,60}") {
        prop_assert_eq!(lines(format!("{text}\r").as_bytes()), [text]);
    }
}
