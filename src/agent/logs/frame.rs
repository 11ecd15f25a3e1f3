//! Lines as syslog messages (RFC 5424), framed by octet counting (RFC 6587, section 3.4.1).

use hilum::time::Utc;
use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Facility daemon, severity informational: programs do not say how severe a line is.
const INFORMATION: u8 = 3 * 8 + 6;
/// The same with severity warning, for lines that are missing.
const WARNING: u8 = 3 * 8 + 4;
/// The largest sequenceId (RFC 5424, section 7.3.1).
const LAST_ID: u64 = i32::MAX as u64;

/// A message.
#[derive(Debug)]
pub(super) struct Message<'a> {
    /// Its number in the spool, from 0.
    pub(super) sequence: u64,
    /// `None` for an unknown time.
    pub(super) time: Option<SystemTime>,
    pub(super) host: &'a str,
    pub(super) workload: &'a str,
    /// The boot, and the number of the line in it; `None` for a message of the agent's own.
    pub(super) line: Option<(&'a str, u32)>,
    pub(super) text: &'a [u8],
}

impl Message<'_> {
    /// Returns the frame.
    pub(super) fn frame(&self) -> Vec<u8> {
        let mut head = String::new();
        let priority = if self.line.is_some() { INFORMATION } else { WARNING };
        let time = self.time.map_or_else(|| "-".to_owned(), timestamp);
        let (host, workload) = (name(self.host, 255), name(self.workload, 48));
        let id = self.sequence % LAST_ID + 1;
        // A string takes everything.
        let _ = write!(head, "<{priority}>1 {time} {host} {workload} - - [meta sequenceId=\"{id}\"]");
        if let Some((boot, number)) = self.line {
            // 32473 is the enterprise number of documentation (RFC 5612): hilum has none.
            let _ = write!(head, "[hilum@32473 boot=\"{boot}\" line=\"{number}\"]");
        }
        head.push(' ');
        let length = head.len() + self.text.len();
        [format!("{length} {head}").as_bytes(), self.text].concat()
    }
}

/// Returns a name as the header allows it: printable ASCII without blanks, so many characters; `-` for none.
fn name(text: &str, longest: usize) -> String {
    let letter = |letter: char| if letter.is_ascii_graphic() { letter } else { '_' };
    let name: String = text.chars().take(longest).map(letter).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}

/// Returns a time in UTC with milliseconds (RFC 3339).
pub(crate) fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let seconds = Utc(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)).to_string();
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), since.subsec_millis())
}

/// Returns the length of the frame at the start of `bytes`; `None` if it is not complete.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let blank = bytes.iter().take(8).position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..blank]).ok()?.parse().ok()?;
    let whole = blank + 1 + length;
    (whole <= bytes.len()).then_some(whole)
}

/// Returns the workload, boot and line number of a frame.
pub(super) fn origin(frame: &[u8]) -> Option<(&str, &str, u32)> {
    // What follows the header may be anything.
    let end = frame.iter().position(|byte| *byte == b']')? + 1;
    let text = &frame[end..];
    let own = &text[..text.iter().position(|byte| *byte == b']')?];
    let own = std::str::from_utf8(own).ok()?.strip_prefix("[hilum@32473 boot=\"")?;
    let (boot, number) = own.split_once("\" line=\"")?;
    let head = std::str::from_utf8(&frame[..end]).ok()?;
    // Length, priority and version, time, host, workload.
    let workload = head.split(' ').nth(4)?;
    Some((workload, boot, number.strip_suffix('"')?.parse().ok()?))
}

#[cfg(test)]
mod tests;
