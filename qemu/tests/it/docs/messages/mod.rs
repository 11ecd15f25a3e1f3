//! Mistakes that people make, each made for real, and the exact line that tells of it: docs/messages.md is the golden
//! file. `HILUM_UPDATE=1` writes it anew; what changed is then to be read.

mod builder;
mod command;
mod config;
mod workload;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mistake in words, and what was said about it.
type Told = (&'static str, String);

/// The first line of the golden file, and what it is.
const HEAD: &str = "# Messages

The exact error messages for mistakes that people make: in [the configuration](#the-configuration), of [workloads](#workloads) that cannot
start, of [commands](#commands), and of [the image builder](#images). A message says what is wrong, where, and what to do. Search this page
for the words of yours. A test makes each mistake (`qemu/tests/it/docs/messages/`); the name of its directory is left out.
";

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/messages.md")
}

/// Compares the section of the golden file with what was said, or writes it.
fn compare(section: &str, told: &[Told]) {
    let mut text = format!("\n## {section}\n");
    for (mistake, line) in told {
        assert!(!line.is_empty() && !line.contains('\n'), "{mistake}: one line is expected: {line:?}");
        let _ = write!(text, "\n{mistake}:\n\n    {line}\n");
    }
    let whole = std::fs::read_to_string(golden()).unwrap_or_default();
    let (before, rest) = whole.split_once(&format!("\n## {section}\n")).unwrap_or((whole.as_str(), ""));
    let behind = rest.find("\n## ").map_or("", |at| &rest[at..]);
    if std::env::var_os("HILUM_UPDATE").is_some() {
        let before = if before.is_empty() { HEAD } else { before };
        std::fs::write(golden(), format!("{before}{text}{behind}")).expect("the golden file");
        return;
    }
    let found = whole.strip_suffix(behind).and_then(|whole| whole.strip_prefix(before)).unwrap_or_default();
    for (said, expected) in text.lines().zip(found.lines()) {
        assert_eq!(said, expected, "docs/messages.md, {section}; if that is meant: HILUM_UPDATE=1");
    }
    assert_eq!(text, found, "docs/messages.md, {section}; if that is meant: HILUM_UPDATE=1");
}

/// Runs a command in a folder; gives what it said on standard error, without the folder's name. It has to fail.
fn said(command: &mut Command, folder: &Path) -> String {
    let output = command.current_dir(folder).output().expect("it can be run");
    assert!(!output.status.success(), "{command:?} did not fail: {}", String::from_utf8_lossy(&output.stdout));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    text.trim_end().replace(&format!("{}/", folder.display()), "")
}

/// One test, because all sections are in one file.
#[test]
fn every_mistake_has_its_line() {
    if crate::support::Host::new().is_none() {
        return;
    }
    compare("The configuration", &config::told());
    compare("Workloads", &workload::told());
    compare("Commands", &command::told());
    compare("Images", &builder::told());
    let mistakes = std::fs::read_to_string(golden()).expect("the golden file").matches("\n    ").count();
    assert!(mistakes >= 40, "only {mistakes} mistakes");
    println!("{mistakes} mistakes");
}
