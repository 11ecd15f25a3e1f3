//! The part of a line that fits the terminal.

use super::Editor;
use core::fmt;

/// Columns that are left for the line on a terminal that is very narrow.
const LEAST: usize = 8;

impl fmt::Display for Editor {
    /// The line as it is drawn over what the terminal's last line shows, with the cursor in its place.
    ///
    /// Of a line that is wider than the terminal this is a window around the cursor, with `<` and `>` where it is cut: a key
    /// costs no more than one row, however long the line is. A character counts as one column.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The last column stays free: behind it a terminal begins another row.
        let room = self.columns.saturating_sub(self.prompt.chars().count() + 1).max(LEAST);
        let (length, cursor) = (self.line.chars().count(), self.line[..self.cursor].chars().count());
        let start = start(length, cursor, room);
        let end = length.min(start + room);
        write!(formatter, "\r\x1b[K{}", self.prompt)?;
        for (at, character) in self.line.chars().enumerate().take(end).skip(start) {
            let shown = match at {
                _ if at == start && start > 0 => '<',
                _ if at + 1 == end && end < length => '>',
                _ => character,
            };
            fmt::Write::write_char(formatter, shown)?;
        }
        match end - cursor {
            0 => Ok(()),
            behind => write!(formatter, "\x1b[{behind}D"),
        }
    }
}

/// Returns the first character of a line of `length` that is shown in `room` columns. It moves by half a window, and the cursor never
/// stands on a mark.
fn start(length: usize, cursor: usize, room: usize) -> usize {
    let half = (room - 1) / 2;
    if length <= room || cursor < room - 1 { 0 } else { (cursor / half - 1) * half }
}
