//! Prints to standard output, one line per system call.

use super::usage::{DONE, FAILED};
use core::fmt::{self, Write};
use heapless::String;
use hilum_sys::{print_to, standard_output};

/// Prints text. Text that is longer than a page is printed in parts.
pub(super) fn show(text: fmt::Arguments<'_>) -> i32 {
    let mut page = Page { text: String::new(), is_written: true };
    let _ = page.write_fmt(text);
    page.flush();
    if page.is_written { DONE } else { FAILED }
}

struct Page {
    text: String<512>,
    is_written: bool,
}

impl Page {
    fn flush(&mut self) {
        self.is_written &= print_to(standard_output(), format_args!("{}", self.text)).is_ok();
        self.text.clear();
    }
}

impl Write for Page {
    fn write_str(&mut self, mut text: &str) -> fmt::Result {
        while !text.is_empty() {
            let cut = text.floor_char_boundary(self.text.capacity() - self.text.len());
            // It fits, because `cut` is computed for that.
            let _ = self.text.push_str(&text[..cut]);
            text = &text[cut..];
            if !text.is_empty() {
                self.flush();
            }
        }
        Ok(())
    }
}
