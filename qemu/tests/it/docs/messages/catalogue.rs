//! Each message of PID 1, of the library and of the image builder has an entry in docs/messages.md, and no entry explains
//! a text that is gone.
//!
//! The messages are read from the sources: string literals of more than two words, outside of comments.

use super::golden;
use crate::docs::documentation::project;
use hilum_initramfs::messages::{Entry, entries};
use std::path::{Path, PathBuf};

/// Files of the library whose texts end up in messages. What is printed of others is an entry's value.
const LIBRARY: [&str; 9] = [
    "config/error.rs",
    "config/parser/isolation.rs",
    "config/parser/network/consistency.rs",
    "dhcp/lease.rs",
    "dhcp/overlap.rs",
    "line_editor/words.rs",
    "plan/show.rs",
    "storage/mod.rs",
    "wire/mod.rs",
];

/// Files of src/runtime whose texts are no messages: help, and the lines of `doctor`.
const ANSWERS: [&str; 3] = ["usage.rs", "doctor.rs", "probe.rs"];

/// Literals behind these words are no messages: attributes, assertions, output of commands, steps of a plan, and what a
/// configuration error expected, which is a value of its message.
const NO_MESSAGE: [&str; 11] = [
    "self.text(",
    "reason = ",
    "expect(",
    "assert!(",
    "show(format_args!(",
    ": &str = ",
    ": Text = ",
    "each(",
    "choose(",
    "too_many(",
    "take(",
];

/// Texts that are put together of others, or come from a library.
const OTHERS: [&str; 4] = [
    "link {}: not found",
    "unknown field {}, expected one of {}",
    "unknown variant {}, expected one of {}",
    "No such file or directory (os error 2)",
];

/// Parts of messages that mean nothing alone, and of what `hilum net` prints.
const PARTS: [&str; 9] = [
    "version {} {}{}{}",
    // `hilum time`
    "{{{}\", \"clock\": \"{}\", \"floor\": \"{}\", \"offset_us\": {}, \"answered_s\": {}, \"interval_s\": {}, \"servers\": {{",
    "hilum: {}: {}",
    "hilum: {}: {}{}",
    "name server",
    "time server",
    "{} s left",
    "{} packets {} bytes",
    "workload {}: {}",
];

/// Files of the builder whose texts are output, not messages.
const BUILDER_OUTPUT: [&str; 2] = ["sizes.rs", "kernel_options/tables.rs"];

/// Literals of the builder after these words are output, arguments of other programs, or bytes.
const NO_BUILDER_MESSAGE: [&str; 6] =
    ["println!(", "writeln!(out,", "unreachable!(", "let script =", "*b", "all = String::from("];

/// Texts of the builder that are values of a message or of output.
const BUILDER_PARTS: [&str; 21] = [
    "the initramfs is packed by zstd",
    "reading the bundle",
    "hilum update {}",
    "{} {} bytes in {}",
    "{}: root {}",
    "{}: is {}:{}",
    "ELF machine {}",
    "Entrypoint and Cmd",
    "MIT OR Apache-2.0",
    "debugfs {}: {}",
    "initramfs initramfs followkernel",
    "sif {} {} {}",
    "write {} {}",
    "make links in /etc/alternatives",
    "change owners and modes",
    "write files in /etc",
    "request {} {}",
    "character {} {}",
    "block {} {}",
    "{} s  {}",
    "{} {}  {} {} of {}  {}",
];

/// A string literal, and the code before it on its line and the line above.
struct Literal {
    before: String,
    text: String,
}

/// Reads the string literals of a source, without its comments.
fn literals(source: &str) -> Vec<Literal> {
    let mut found = Vec::new();
    let mut at = 0;
    let bytes = source.as_bytes();
    while at < bytes.len() {
        let rest = &source[at..];
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\\"'") || rest.starts_with("b'\"'") {
            at += rest[2..].find('\'').map_or(rest.len(), |end| end + 3);
        } else if rest.starts_with('"') {
            let mut end = 1;
            while bytes[at + end] != b'"' {
                end += if bytes[at + end] == b'\\' { 2 } else { 1 };
            }
            let before = source[..at].trim_end();
            let before = before.strip_suffix("text!(").unwrap_or(before).trim_end();
            let start = before.char_indices().rev().nth(24).map_or(0, |(start, _)| start);
            found.push(Literal { before: format!("{} ", &before[start..]), text: plain(&rest[1..end]) });
            at += end + 1;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    found
}

/// Returns a literal as the page has it: `{}` for a value, without escapes and without the punctuation around it.
fn plain(literal: &str) -> String {
    let joined: Vec<&str> =
        literal.split("\\\n").enumerate().map(|(n, part)| if n == 0 { part } else { part.trim_start() }).collect();
    let literal = joined.concat().replace("\\\"", "\"").replace("\\n", "").replace("\\\\", "\\");
    let mut text = String::new();
    let mut is_value = false;
    for letter in literal.chars() {
        match letter {
            '{' => (is_value, text) = (true, text + "{"),
            '}' => (is_value, text) = (false, text + "}"),
            _ if is_value => {}
            _ => text.push(letter),
        }
    }
    text.trim_start_matches([' ', ':', ';', ',']).trim_end().to_owned()
}

/// Returns the sources below a folder, without tests and fakes.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("UTF-8");
        match path.is_dir() {
            true if name != "tests" => found.extend(sources(&path)),
            false if name.ends_with(".rs") && !matches!(name, "tests.rs" | "fake.rs") => found.push(path),
            _ => {}
        }
    }
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a source")
}

fn is_message(literal: &Literal) -> bool {
    let is_text =
        literal.text.matches(' ').count() >= 2 && literal.text.contains(|letter: char| letter.is_ascii_lowercase());
    is_text
        && !NO_MESSAGE.iter().any(|word| literal.before.ends_with(word) || literal.before.trim_end().ends_with(word))
}

/// Returns the hints of the table in this source, whose lines are words of steps, error numbers, and a hint.
fn hint_lines(source: &str) -> Vec<Literal> {
    let tables = literals(source).into_iter().map(|literal| literal.text);
    let lines = tables.flat_map(|table| table.lines().map(str::to_owned).collect::<Vec<_>>());
    let hints = lines.filter_map(|line| Some(line.splitn(3, ' ').nth(2)?.to_owned()));
    hints.map(|text| Literal { before: String::new(), text }).collect()
}

/// Returns the messages of PID 1, of its commands and of the library.
fn messages() -> Vec<String> {
    let mut found = Vec::new();
    for path in sources(&project().join("src/runtime")) {
        // In `sys`, only the panic line is a message; other texts there are instructions and assertions.
        let is_floor = path.parent().is_some_and(|folder| folder.ends_with("sys") || folder.ends_with("arch"));
        if !ANSWERS.iter().any(|name| path.ends_with(name)) && (!is_floor || path.ends_with("fault.rs")) {
            found.extend(literals(&read(&path)));
        }
    }
    for file in LIBRARY {
        let source = read(&project().join("src/logic").join(file));
        // Of a plan's words only the hints are messages.
        let (begin, end) = ("pub fn hint", "impl fmt::Display for Step");
        let hints = source.split_once(begin).and_then(|(_, rest)| rest.split_once(end));
        match hints {
            Some((hints, _)) => found.extend(hint_lines(hints)),
            None => found.extend(literals(&source)),
        }
    }
    let messages = found.into_iter().filter(is_message).map(|literal| literal.text);
    messages.filter(|text| !PARTS.contains(&text.as_str())).collect()
}

/// Returns the messages of the image builder, and of the VM runner's command.
fn builder_messages() -> Vec<String> {
    let mut files = sources(&project().join("initramfs/src"));
    files.retain(|path| !BUILDER_OUTPUT.iter().any(|name| path.ends_with(name)));
    files.extend(["main.rs", "firmware.rs"].map(|name| project().join("qemu/src").join(name)));
    let found = files.iter().flat_map(|path| literals(&read(path)));
    let is_output = |literal: &Literal| {
        NO_BUILDER_MESSAGE.iter().any(|word| literal.before.trim_end().ends_with(word)) || literal.text.starts_with('#')
    };
    let messages = found.filter(|literal| is_message(literal) && !is_output(literal)).map(|literal| literal.text);
    messages.filter(|text| !BUILDER_PARTS.contains(&text.as_str())).collect()
}

/// Returns the Makefile, with `{}` for the value of a variable.
fn make_texts() -> String {
    let makefile = read(&project().join("Makefile"));
    let mut parts = makefile.split("$(");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((name, rest)) if name.bytes().all(|byte| byte.is_ascii_uppercase()) => text.extend(["{}", rest]),
            _ => text += part,
        }
    }
    text
}

#[test]
fn every_message_has_an_entry() {
    let page = read(&golden());
    let texts: Vec<String> =
        entries(&page).iter().flat_map(|entry| entry.texts.iter().map(|text| plain(text))).collect();
    let (mut messages, builder) = (messages(), builder_messages());
    assert!(messages.len() > 150 && builder.len() > 150, "only {} + {} were found", messages.len(), builder.len());
    messages.extend(builder);
    let is_known = |message: &String| texts.iter().any(|text| text.contains(message) || message.contains(text));
    let unknown: Vec<String> = messages.into_iter().filter(|message| !is_known(message)).collect();
    assert_eq!(unknown, [""; 0], "add them to entries of docs/messages.md");
}

#[test]
fn every_entry_matches_an_existing_message() {
    let page = read(&golden());
    let mut printed: Vec<String> = ["src/runtime", "src/logic", "initramfs/src", "qemu/src"]
        .iter()
        .flat_map(|folder| sources(&project().join(folder)))
        .flat_map(|path| literals(&read(&path)))
        .map(|literal| literal.text)
        .collect();
    printed.push(make_texts());
    for Entry { id, texts, .. } in entries(&page) {
        for text in texts.into_iter().filter(|text| !OTHERS.contains(text)) {
            let is_printed = printed.iter().any(|printed| printed.contains(&plain(text)));
            assert!(is_printed, "docs/messages.md, {id}: nothing prints this any more: {text:?}");
        }
    }
}

/// People keep ids in their notes and scripts: one that was there stays, and the index has all of them.
#[test]
fn ids_stay_and_are_in_the_index() {
    let page = read(&golden());
    let index = page.split_once("\n## Index\n").and_then(|(_, rest)| rest.split_once("\n## ")).expect("the index").0;
    let file = project().join("qemu/tests/it/docs/messages/ids");
    let kept = read(&file);
    let entries = entries(&page);
    for id in kept.lines() {
        assert!(
            entries.iter().any(|entry| entry.id == id),
            "docs/messages.md has lost {id}; an entry may be empty, not gone"
        );
    }
    let new: Vec<&str> =
        entries.iter().map(|entry| entry.id).filter(|id| !kept.lines().any(|kept| kept == *id)).collect();
    if std::env::var_os("HILUM_UPDATE").is_some() && !new.is_empty() {
        std::fs::write(&file, format!("{kept}{}\n", new.join("\n"))).expect("the ids");
        return;
    }
    assert_eq!(new, [""; 0], "these ids are new; if that is intended: HILUM_UPDATE=1");
    for Entry { id, .. } in entries {
        assert!(index.contains(&format!("[{id}](#{id})")), "the index of docs/messages.md lacks {id}");
    }
}
