//! docs/messages.md: common errors, each provoked for real, with the exact line that is printed; and an entry for each
//! message of the sources. `HILUM_UPDATE=1` renews the examples; review the changes.

mod builder;
mod catalogue;
mod command;
mod config;
mod workload;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An error, and the line that was printed for it.
type Told = (&'static str, String);

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/messages.md")
}

/// Compares a section of the page's examples with what was printed, or renews it. Each line needs an entry.
fn compare(section: &str, told: &[Told]) {
    let whole = std::fs::read_to_string(golden()).expect("docs/messages.md");
    let mut text = format!("\n### {section}\n");
    for (mistake, line) in told {
        assert!(!line.is_empty() && !line.contains('\n'), "{mistake}: one line is expected: {line:?}");
        let entry = hilum_initramfs::messages::find(&whole, line);
        let id = entry.unwrap_or_else(|| panic!("docs/messages.md has no entry for {line:?}")).id;
        let _ = write!(text, "\n{mistake} ([{id}](#{id})):\n\n    {line}\n");
    }
    let (before, rest) = whole.split_once(&format!("\n### {section}\n")).unwrap_or((whole.as_str(), ""));
    let behind = rest.find("\n### ").map_or("", |at| &rest[at..]);
    if std::env::var_os("HILUM_UPDATE").is_some() {
        std::fs::write(golden(), format!("{before}{text}{behind}")).expect("docs/messages.md");
        return;
    }
    let found = whole.strip_suffix(behind).and_then(|whole| whole.strip_prefix(before)).unwrap_or_default();
    for (said, expected) in text.lines().zip(found.lines()) {
        assert_eq!(said, expected, "docs/messages.md, {section}; if that is intended: HILUM_UPDATE=1");
    }
    assert_eq!(text, found, "docs/messages.md, {section}; if that is intended: HILUM_UPDATE=1");
}

/// Runs a command that must fail, in a folder. Returns its standard error, without the folder's name.
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
    assert!(mistakes >= 300, "only {mistakes} mistakes");
    println!("{mistakes} mistakes");
}
