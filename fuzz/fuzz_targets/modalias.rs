//! Modaliases of devices, compared with the patterns of the image's modules. The input is a modalias in the first line,
//! then a list of modules. The reference is fnmatch(3) by its definition.
#![no_main]

use hilum::modalias::{fits, module_of};
use hilum::module_list::{needs_of, to_load};

/// An element of a pattern.
enum Part<'a> {
    Star,
    Any,
    Set(&'a [u8]),
    Byte(u8),
}

/// Returns the elements of a pattern. An unclosed set matches nothing.
fn parts(mut pattern: &[u8]) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    while let [first, rest @ ..] = pattern {
        pattern = rest;
        parts.push(match first {
            b'*' => Part::Star,
            b'?' => Part::Any,
            b'[' => match rest.iter().position(|byte| *byte == b']') {
                Some(end) => {
                    pattern = &rest[end + 1..];
                    Part::Set(&rest[..end])
                }
                None => {
                    pattern = &[];
                    Part::Set(&[])
                }
            },
            byte => Part::Byte(*byte),
        });
    }
    parts
}

fn has(set: &[u8], byte: u8) -> bool {
    match set {
        [first, b'-', last, rest @ ..] => (*first..=*last).contains(&byte) || has(rest, byte),
        [one, rest @ ..] => *one == byte || has(rest, byte),
        [] => false,
    }
}

/// Returns whether a pattern matches, by a table of which of its prefixes match which prefixes of the text.
fn by_definition(pattern: &str, text: &str) -> bool {
    let mut fitting = vec![false; text.len() + 1];
    fitting[0] = true;
    for part in parts(pattern.as_bytes()) {
        let mut next = vec![false; fitting.len()];
        for at in 0..fitting.len() {
            let before = at > 0 && fitting[at - 1];
            next[at] = match part {
                Part::Star => fitting[at] || (at > 0 && next[at - 1]),
                Part::Any => before,
                Part::Set(set) => before && has(set, text.as_bytes()[at - 1]),
                Part::Byte(byte) => before && text.as_bytes()[at - 1] == byte,
            };
        }
        fitting = next;
    }
    fitting[text.len()]
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let (modalias, list) = text.split_once('\n').unwrap_or((&text, ""));
    for line in list.lines() {
        let found = module_of(line, modalias);
        match line.rsplit_once(' ') {
            Some((pattern, module)) => {
                assert_eq!(fits(pattern, modalias), by_definition(pattern, modalias), "{pattern:?} {modalias:?}");
                assert_eq!(found, fits(pattern, modalias).then_some(module));
            }
            None => assert_eq!(found, None),
        }
    }
    // The image's other two lists have the same line format.
    for (name, parameters) in to_load(list) {
        assert!(name.len() + parameters.len() <= list.len());
        if let Some(others) = needs_of(list, name) {
            assert!(others.count() <= list.len());
        }
    }
});
