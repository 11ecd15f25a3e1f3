use super::*;

#[test]
fn text_is_cut_between_characters() {
    assert_eq!(text::<8>(format_args!("{}-{}", 123, "abcdefgh")), "123-abcd");
    assert_eq!(text::<6>(format_args!("{}{}", "123", "a\u{e4}\u{e4}")), "123a\u{e4}");
    assert_eq!(text::<5>(format_args!("{}{}", "123", "a\u{e4}b")), "123a");
}

#[test]
fn control_and_bidi_characters_are_hidden() {
    let hidden = "\0\t\n\r\u{1b}\u{7f}\u{80}\u{9b}\u{9f}\u{ad}\u{61c}\u{200b}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\
                      \u{2060}\u{2066}\u{2069}\u{feff}\u{fffb}\u{e0001}\u{e007f}";
    assert_eq!(hidden.chars().find(|c| !is_hidden(*c)), None);
    // All control characters, as defined by the standard library.
    assert_eq!((0..=0x10_ffff).filter_map(char::from_u32).find(|c| c.is_control() && !is_hidden(*c)), None);
    let shown = " a~\u{a0}\u{e4}\u{2010}\u{2027}\u{202f}\u{205f}\u{20ac}\u{5d0}\u{627}\u{fffd}\u{1f600}";
    assert_eq!(shown.chars().find(|c| is_hidden(*c)), None);
}

#[test]
fn appending_to_full_text_fails() {
    let mut full: String<4> = String::new();
    assert!(append(&mut full, format_args!("{}", 1234)).is_ok());
    assert!(append(&mut full, format_args!("{}", 5)).is_err());
    assert_eq!(full, "1234");
}
