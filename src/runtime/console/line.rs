//! One line of the console.

use core::fmt::{self, Write};

/// Maximum bytes of a line including its prefix; a longer one is cut.
const LINE_BYTES: usize = hilum::log::LINE_BYTES + 128;

/// A line that is being composed.
pub(super) struct Line(pub(super) heapless::Vec<u8, LINE_BYTES>);

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = text.floor_char_boundary(self.0.capacity() - self.0.len());
        self.0.extend_from_slice(&text.as_bytes()[..room]).map_err(|_| fmt::Error)
    }
}

/// Returns the plural ending for a count.
pub(crate) fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
