use super::*;

#[test]
fn untrusted_text_becomes_one_line_without_hidden_characters() {
    assert_eq!(
        escaped("a\nb\r\t\u{1b}[2J\0\u{9b}\u{202e}\u{2028}"),
        "a\\nb\\r\\t\\u{1b}[2J\\u{0}\\u{9b}\\u{202e}\\u{2028}"
    );
    assert_eq!(escaped("Gr\u{fc}\u{df}e \\ \"x\""), "Gr\u{fc}\u{df}e \\ \"x\"");
    assert_eq!(joined_lines(b"one\r\n\n two\x1b[m\xff\n"), "one; two\\u{1b}[m\u{fffd}");
}
