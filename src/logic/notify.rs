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
mod tests;
