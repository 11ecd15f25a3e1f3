//! Generates the manual page hilum.conf(5) from docs/config.md. `HILUM_UPDATE=1` writes it.

use super::documentation::{faults_of_manual, project, read, shown_manual};
use super::keys::key;
use super::markdown::{Block, Inline, blocks, plain};
use std::fmt::Write;
use std::process::Command;

/// Bytes of a line: more than 80 is a fault of style.
const COLUMNS: usize = 78;

/// Escapes words for roff, so that none is a request, an escape, or a dash instead of a hyphen.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('^', "\\(ha").replace('~', "\\(ti")
}

/// Returns a line with fonts: bold for literal text, italic for placeholders.
fn fonts(inlines: &[Inline], has_values: bool) -> String {
    let italic = |word: &str| {
        let is_value = word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_uppercase());
        if has_values && is_value { format!("\\fI{word}\\fR") } else { escaped(word) }
    };
    let mut out = String::new();
    for inline in inlines {
        match inline {
            Inline::Code(code) => _ = write!(out, "\\fB{}\\fR", escaped(code)),
            Inline::Break => out.push('\n'),
            Inline::Text(text) => {
                for word in text.split_inclusive(|letter: char| !letter.is_ascii_uppercase()) {
                    let (letters, rest) =
                        word.split_at(word.trim_end_matches(|one: char| !one.is_ascii_uppercase()).len());
                    let _ = write!(out, "{}{}", italic(letters), escaped(rest));
                }
            }
        }
    }
    out
}

/// Adds text in lines of at most [`COLUMNS`] bytes, with a new line after each sentence.
fn fill(page: &mut String, text: &str) {
    let mut column = 0;
    for word in text.split([' ', '\n']).filter(|word| !word.is_empty()) {
        if column > 0 && column + 1 + word.len() > COLUMNS {
            page.push('\n');
            column = 0;
        }
        if column > 0 {
            page.push(' ');
            column += 1;
        } else if word.starts_with(['.', '\'']) {
            page.push_str("\\&");
        }
        page.push_str(word);
        column += word.len();
        if word.ends_with(['.', ':', '?']) {
            page.push('\n');
            column = 0;
        }
    }
    if column > 0 {
        page.push('\n');
    }
}

/// Formats a table of two columns as tagged paragraphs, a wider one by tbl(1).
fn table(page: &mut String, rows: &[Vec<Vec<Inline>>], is_in_key: bool) {
    if rows[0].len() == 2 {
        page.push_str(if is_in_key { ".RS\n" } else { "" });
        for row in &rows[1..] {
            let _ = writeln!(page, ".TP\n{}", fonts(&row[0], false));
            fill(page, &fonts(&row[1], false));
        }
        page.push_str(if is_in_key { ".RE\n" } else { "" });
        return;
    }
    let _ = writeln!(page, ".TS\n{} lx.", vec!["l"; rows[0].len() - 1].join(" "));
    for row in rows {
        let cells = row.iter().map(|cell| {
            let mut text = String::from("T{\n");
            fill(&mut text, &fonts(cell, false));
            text + "T}"
        });
        let _ = writeln!(page, "{}", cells.collect::<Vec<_>>().join("\t"));
    }
    page.push_str(".TE\n");
}

/// Returns the whole manual page with this date.
fn made(date: &str) -> String {
    let mut page = format!(
        "'\\\" t\n.\\\" Made of docs/config.md: HILUM_UPDATE=1 cargo test -p hilum-qemu docs::manual\n\
         .TH HILUM.CONF 5 {date} \"hilum {}\"\n.SH NAME\nhilum.conf \\- the configuration of hilum\n.SH DESCRIPTION\n",
        env!("CARGO_PKG_VERSION")
    );
    // Text directly after a heading or a tag has no macro.
    let (mut is_in_key, mut is_tag, mut is_first, mut is_list_of_keys) = (false, false, true, false);
    for block in blocks(&read("docs/config.md")) {
        match &block {
            Block::Heading(1, _) => {}
            Block::Heading(2, heading) => {
                (is_in_key, is_tag, is_first, is_list_of_keys) = (false, false, true, heading == "Keys");
                let _ = writeln!(page, ".SH {}", escaped(&heading.to_uppercase()));
            }
            Block::Heading(_, heading) => {
                let is_key = key(heading).is_some();
                (is_in_key, is_tag, is_first) = (is_key, is_key, true);
                if !is_key {
                    let _ = writeln!(page, ".SS {}", escaped(heading));
                }
            }
            Block::Paragraph(forms) if is_tag => {
                is_tag = false;
                for (at, form) in forms.split(|inline| *inline == Inline::Break).enumerate() {
                    let macros = if at == 0 { ".TP" } else { ".TQ" };
                    let _ = writeln!(page, "{macros}\n{}", fonts(form, true).trim());
                }
            }
            // The name of a file above a block, for docs/test.
            Block::Paragraph(line) if plain(line).ends_with(".conf:") && line.len() == 2 => {}
            Block::Paragraph(line) => {
                page.push_str(if is_first { "" } else { [".PP\n", ".IP\n"][usize::from(is_in_key)] });
                fill(&mut page, &fonts(line, false));
                is_first = false;
            }
            Block::Item(_) if is_list_of_keys => {}
            Block::Item(line) => {
                page.push_str(".IP \\(bu 2\n");
                fill(&mut page, &fonts(line, false));
                is_first = false;
            }
            Block::Code(text) => {
                page.push_str(".IP\n.EX\n");
                text.lines().for_each(|line| _ = writeln!(page, "{}", escaped(line)));
                page.push_str(".EE\n");
            }
            Block::Table(rows) => table(&mut page, rows, is_in_key),
        }
    }
    page.push_str(".SH SEE ALSO\n.BR hilum (8)\n");
    page
}

/// Returns the date in the head of the existing page.
fn date_of(page: &str) -> Option<&str> {
    page.lines().find_map(|line| line.strip_prefix(".TH HILUM.CONF 5 "))?.split(' ').next()
}

#[test]
fn configuration_manual_is_generated_and_has_no_fault() {
    let file = project().join("docs/hilum.conf.5");
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    if std::env::var_os("HILUM_UPDATE").is_some() && found != made(date_of(&found).unwrap_or_default()) {
        let today = Command::new("date").arg("+%F").output().expect("date").stdout;
        std::fs::write(&file, made(String::from_utf8(today).expect("UTF-8").trim())).expect("the manual");
    }
    let found = read("docs/hilum.conf.5");
    let expected = made(date_of(&found).expect("a date"));
    for (line, expected) in found.lines().zip(expected.lines()) {
        assert_eq!(line, expected, "docs/hilum.conf.5 is not made of docs/config.md; make it anew: HILUM_UPDATE=1");
    }
    assert_eq!(found, expected, "docs/hilum.conf.5 is not made of docs/config.md; make it anew: HILUM_UPDATE=1");
    assert_eq!(faults_of_manual("docs/hilum.conf.5"), [""; 0]);
}

#[test]
fn configuration_manual_shows_each_key_with_its_meaning() {
    let text = shown_manual("docs/hilum.conf.5");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| *line == "umask OCTAL").expect("umask");
    assert_eq!(lines[at + 1], "Default: 022.", "{text}");
    for key in hilum::config::KEYS {
        let is_there = lines.iter().any(|line| line.split(' ').next() == Some(key.name));
        assert!(is_there, "hilum.conf(5) does not tell of {}", key.name);
    }
}
