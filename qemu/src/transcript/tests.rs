use super::*;

const SHORT: Duration = Duration::from_millis(200);

#[test]
fn expected_text_is_found() {
    let transcript = Transcript::read(&b"one\r\ntwo\xc3\xa4\n"[..]);
    assert_eq!(transcript.expect("two\u{e4}", SHORT).expect("it is there"), "one\ntwo\u{e4}\n");
    assert!(transcript.end(SHORT).is_ok());
}

#[test]
fn text_between_two_others_is_whole_and_after_the_first() {
    let transcript = Transcript::read(&b"1. time 23. 4."[..]);
    assert_eq!(transcript.between("time ", ".", SHORT).expect("it is there"), "23");
    assert!(transcript.between("4. ", ".", SHORT).is_err());
}

#[test]
fn missing_text_is_an_error_with_the_last_lines() {
    let error = Transcript::read(&b"one\n"[..]).expect("two", SHORT).expect_err("it is not there").to_string();
    assert!(error.contains("no \"two\" within") && error.contains("\none"), "{error}");
}

#[test]
fn source_that_never_ends_is_an_error() {
    let (reader, _writer) = std::io::pipe().expect("a pipe");
    assert!(Transcript::read(reader).end(SHORT).is_err());
}
