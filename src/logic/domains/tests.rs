use super::*;

fn domains(list: &[u8]) -> String {
    let mut search = Search::EMPTY;
    read(list, &mut |domain| search.push(domain));
    search.text().to_owned()
}

#[test]
fn names_are_read_with_pointers_and_padding() {
    assert_eq!(domains(b"\x03eng\x05apple\x03com\x00\x09marketing\xc0\x04"), "eng.apple.com marketing.apple.com");
    assert_eq!(domains(b"\x04corp\x04test\x00\x00\x00\x00"), "corp.test");
    assert_eq!(domains(b"\x01a\x00\x01a\x00\x01b\x00"), "a b", "once each");
    assert_eq!(domains(b""), "");
}

#[test]
fn malformed_names_are_skipped() {
    // A pointer to itself, forwards, in a circle, and out of the list.
    for list in
        [&b"\xc0\x00"[..], b"\x01a\xc0\x00", b"\xc0\x02\x01a\x00", b"\x01a\xc0\x04\xc0\x02", b"\x05ab", b"\x40a\x00"]
    {
        assert_eq!(domains(list), "", "{list:?}");
    }
    // No characters that would begin a new line or word, or an escape sequence.
    assert_eq!(domains(b"\x09a\nb c\x1bd\xffe\x00\x02ok\x00"), "ok");
    let long = [&[63][..], &[b'x'; 63], &[63], &[b'y'; 63], b"\x00\x02ok\x00"].concat();
    assert_eq!(domains(&long), "ok", "longer than is kept");
}

#[test]
fn domains_that_do_not_fit_are_dropped_as_a_whole() {
    let mut search = Search::EMPTY;
    let long = "x".repeat(60);
    search.push(&long);
    search.push(&long.replace('x', "y"));
    search.push("not.this");
    search.push("a.b.c");
    assert_eq!(search.text(), format!("{long} {} a.b.c", long.replace('x', "y")));
    search.push("..");
    search.push("a b");
    search.push("");
    assert_eq!(search.iter().count(), 3);
}

proptest::proptest! {
    #[test]
    fn any_list_is_read(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        assert!(domains(&bytes).bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '));
    }
}
