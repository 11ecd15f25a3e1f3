//! Parses datagrams that a program sends to its NOTIFY_SOCKET (`sd_notify(3)`): lines of `NAME=VALUE`.

use crate::config::limits::STATUS_BYTES;
use crate::fixed_string::is_hidden;
use crate::split::Split;
use heapless::String;

/// The supported lines of a datagram. Other lines are ignored, as the manual page requires.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// READY=1
    pub is_ready: bool,
    /// WATCHDOG=1
    pub is_alive: bool,
    /// STATUS=TEXT, truncated to [`STATUS_BYTES`], without control characters and those that hide or reorder text.
    pub status: Option<String<STATUS_BYTES>>,
}

/// Parses a datagram. As in systemd, a line that is malformed or not UTF-8 is skipped. If the datagram was truncated
/// (`is_cut`), its last line is ignored.
pub fn read(datagram: &[u8], is_cut: bool) -> Notification {
    let mut notice = Notification::default();
    let end = match datagram.iter().rposition(|byte| *byte == b'\n') {
        Some(end) if is_cut => end,
        None if is_cut => 0,
        _ => datagram.len(),
    };
    for line in datagram[..end].split(|byte| matches!(byte, b'\n' | b'\r')) {
        let Ok(line) = core::str::from_utf8(line) else { continue };
        match line.cut(b'=') {
            Some(("READY", "1")) => notice.is_ready = true,
            Some(("WATCHDOG", "1")) => notice.is_alive = true,
            Some(("STATUS", text)) => {
                let mut status = String::new();
                // The first character that does not fit ends the text.
                let _ = text.chars().filter(|c| !is_hidden(*c)).try_for_each(|c| status.push(c));
                notice.status = Some(status);
            }
            _ => {}
        }
    }
    notice
}

#[cfg(test)]
mod tests;
