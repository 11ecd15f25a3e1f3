//! What a program says of itself in a datagram to its NOTIFY_SOCKET (`sd_notify(3)`): lines of `NAME=VALUE`.

use crate::config::limits::STATUS_BYTES;
use heapless::String;

/// What one datagram says, as far as it means something here; other lines are passed over, as the manual asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Notice {
    /// READY=1
    pub is_ready: bool,
    /// WATCHDOG=1
    pub is_alive: bool,
    /// STOPPING=1
    pub is_stopping: bool,
    /// STATUS=TEXT, cut at [`STATUS_BYTES`], without control characters.
    pub status: Option<String<STATUS_BYTES>>,
}

/// Reads a datagram; what is not UTF-8 says nothing.
pub fn read(datagram: &[u8]) -> Notice {
    let mut notice = Notice::default();
    for line in core::str::from_utf8(datagram).unwrap_or_default().split('\n') {
        match line.split_once('=') {
            Some(("READY", "1")) => notice.is_ready = true,
            Some(("WATCHDOG", "1")) => notice.is_alive = true,
            Some(("STOPPING", "1")) => notice.is_stopping = true,
            Some(("STATUS", text)) => {
                let mut status = String::new();
                // The first character that does not fit ends it.
                let _ = text.chars().filter(|c| !crate::text::is_hidden(*c)).try_for_each(|c| status.push(c));
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
        let notice = read(b"MAINPID=4711\nREADY=1\nSTATUS=up \x1b[2J and well\nWATCHDOG=1");
        assert!(notice.is_ready && notice.is_alive && !notice.is_stopping);
        assert_eq!(notice.status.as_deref(), Some("up [2J and well"));
        assert_eq!(read(b"READY=0\nREADY\n"), Notice::default());
        assert_eq!(read(b"STOPPING=1"), Notice { is_stopping: true, ..Notice::default() });
    }

    #[test]
    fn empty_and_foreign_datagrams_say_nothing() {
        assert_eq!(read(b""), Notice::default());
        assert_eq!(read(b"\xff\xfeREADY=1"), Notice::default());
    }

    proptest! {
        #[test]
        fn any_datagram_is_read(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = read(&bytes);
        }

        #[test]
        fn status_is_cut_between_characters(text in "STATUS=[ä€𝄞]{0,200}") {
            let status = read(text.as_bytes()).status.expect("a status");
            prop_assert!(text[7..].starts_with(status.as_str()));
        }
    }
}
