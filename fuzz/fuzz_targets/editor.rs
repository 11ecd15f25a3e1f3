//! Input at the prompt: a drawn line contains no control characters but those of the drawing itself.
#![no_main]
use hilum::line_editor::{Editor, Typed, words};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut editor = Editor::new("> ");
    for &byte in data {
        if let Typed::Line(line) = editor.type_byte(byte) {
            assert!(!line.chars().any(char::is_control));
            let _ = words::<16>(&line, &mut Default::default());
        }
    }
});
