//! The visible part of a line.

use super::Editor;
use core::fmt;

/// Minimum columns for the line on a very narrow terminal.
const LEAST: usize = 8;

impl fmt::Display for Editor {
    /// Redraws the line over the terminal's last row, and places the cursor.
    ///
    /// If the line is wider than the terminal, only a window around the cursor is drawn, with `<` and `>` where it is
    /// cut. A key therefore costs at most one row of output, however long the line is. Each character counts as one
    /// column.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The last column stays free, because a terminal would wrap after it.
        let room = self.columns.saturating_sub(self.prompt.chars().count() + 1).max(LEAST);
        let (length, cursor) = (self.line.chars().count(), self.line[..self.cursor].chars().count());
        let start = start(length, cursor, room);
        let end = length.min(start + room);
        write!(formatter, "\r\x1b[K{}", self.prompt)?;
        for (at, character) in (0..end).zip(self.line.chars()).filter(|(at, _)| *at >= start) {
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

/// Returns the index of the first visible character, if `length` characters are shown in `room` columns. It moves by
/// half a window, and the cursor is never on a `<` or `>` mark.
fn start(length: usize, cursor: usize, room: usize) -> usize {
    let half = (room - 1) / 2;
    if length <= room || cursor < room - 1 { 0 } else { (cursor / half - 1) * half }
}
