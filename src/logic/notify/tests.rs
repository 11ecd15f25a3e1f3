use super::*;
use proptest::prelude::*;

#[test]
fn known_lines_are_found_among_others() {
    let notice = read(b"MAINPID=4711\nREADY=1\nSTATUS=up \x1b[2J and well\nWATCHDOG=1", false);
    assert!(notice.is_ready && notice.is_alive);
    assert_eq!(notice.status.as_deref(), Some("up [2J and well"));
    assert_eq!(read(b"READY=0\nREADY\n", false), Notification::default());
}

/// It is shown as it is by `hilum status`, in JSON, and on the pages of others.
#[test]
fn status_has_no_characters_that_hide_or_reorder_text() {
    let notice = read("STATUS=up\u{202e}nwod\u{200b} \u{2066}x\u{85}y\u{2028}".as_bytes(), false);
    assert_eq!(notice.status.as_deref(), Some("upnwod xy"));
}

#[test]
fn empty_and_unknown_datagrams_are_ignored() {
    assert_eq!(read(b"", false), Notification::default());
    assert_eq!(read(b"\xff\xfeREADY=1", false), Notification::default());
}

#[test]
fn only_the_line_that_is_not_utf_8_is_skipped() {
    for datagram in [&b"READY=1\nSTATUS=\xff"[..], b"STATUS=\xff\nREADY=1", b"X\xffY\r\nREADY=1\r\n\xfe=\n"] {
        assert_eq!(read(datagram, false), Notification { is_ready: true, ..Notification::default() });
    }
    let notice = read(b"STATUS=good\nSTATUS=\xff\nWATCHDOG=1\n\0\nREADY=1", false);
    assert!(notice.is_ready && notice.is_alive);
    assert_eq!(notice.status.as_deref(), Some("good"));
}

#[test]
fn last_line_of_truncated_datagram_is_ignored() {
    assert_eq!(read(b"READY=1\nSTATUS=half", true), Notification { is_ready: true, ..Notification::default() });
    assert_eq!(read(b"READY=1", true), Notification::default());
}

proptest! {
    #[test]
    fn any_datagram_is_read(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = read(&bytes, false);
        let _ = read(&bytes, true);
    }

    #[test]
    fn status_is_cut_between_characters(text in "STATUS=[ä€𝄞]{0,200}") {
        let status = read(text.as_bytes(), false).status.expect("a status");
        prop_assert!(text[7..].starts_with(status.as_str()));
    }
}
