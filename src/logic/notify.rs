//! What a program says of itself in a datagram to its NOTIFY_SOCKET (`sd_notify(3)`): lines of `NAME=VALUE`.

use crate::config::limits::STATUS_BYTES;
use heapless::String;

/// What one datagram says, as far as it means something here; other lines are passed over, as the manual asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// READY=1
    pub is_ready: bool,
    /// WATCHDOG=1
    pub is_alive: bool,
    /// STATUS=TEXT, cut at [`STATUS_BYTES`], without control characters.
    pub status: Option<String<STATUS_BYTES>>,
}

/// Reads a datagram line by line, as systemd does: a line that is not understood, or not UTF-8, costs that line alone. Of
/// one that was cut on its way (`is_cut`) the last line says nothing, because its end is not known.
pub fn read(datagram: &[u8], is_cut: bool) -> Notification {
    let mut notice = Notification::default();
    let end = match datagram.iter().rposition(|byte| *byte == b'\n') {
        Some(end) if is_cut => end,
        None if is_cut => 0,
        _ => datagram.len(),
    };
    for line in datagram[..end].split(|byte| matches!(byte, b'\n' | b'\r')) {
        let Ok(line) = core::str::from_utf8(line) else { continue };
        match line.split_once('=') {
            Some(("READY", "1")) => notice.is_ready = true,
            Some(("WATCHDOG", "1")) => notice.is_alive = true,
            Some(("STATUS", text)) => {
                let mut status = String::new();
                // The first character that does not fit ends it.
                let _ = text.chars().filter(|c| !c.is_control()).try_for_each(|c| status.push(c));
                notice.status = Some(status);
            }
            _ => {}
        }
    }
    notice
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_that_mean_something_are_found_among_others() {
        let notice = read(b"MAINPID=4711\nREADY=1\nSTATUS=up \x1b[2J and well\nWATCHDOG=1", false);
        assert!(notice.is_ready && notice.is_alive);
        assert_eq!(notice.status.as_deref(), Some("up [2J and well"));
        assert_eq!(read(b"READY=0\nREADY\n", false), Notification::default());
    }

    #[test]
    fn empty_and_foreign_datagrams_say_nothing() {
        assert_eq!(read(b"", false), Notification::default());
        assert_eq!(read(b"\xff\xfeREADY=1", false), Notification::default());
    }

    #[test]
    fn line_that_is_not_utf_8_costs_that_line_alone() {
        for datagram in [&b"READY=1\nSTATUS=\xff"[..], b"STATUS=\xff\nREADY=1", b"X\xffY\r\nREADY=1\r\n\xfe=\n"] {
            assert_eq!(read(datagram, false), Notification { is_ready: true, ..Notification::default() });
        }
        let notice = read(b"STATUS=good\nSTATUS=\xff\nWATCHDOG=1\n\0\nREADY=1", false);
        assert!(notice.is_ready && notice.is_alive);
        assert_eq!(notice.status.as_deref(), Some("good"));
    }

    #[test]
    fn last_line_of_a_cut_datagram_says_nothing() {
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
}
