//! Configurations of releases: what was accepted once stays accepted, with the same meaning (docs/stability.md).
//!
//! A folder of `corpus/` contains the examples of pages and appliances at a release; it never changes afterwards. Next
//! to each file is the output of `hilum explain` and `hilum audit`. A release may add lines to the output; existing
//! lines must still be printed, in the same order. `HILUM_UPDATE=1` writes them again, which is only right if wording
//! changed and the meaning did not.

use super::documentation::project;
use hilum::config::{Config, KEYS, parse};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;

/// Returns the files of every release.
fn files() -> Vec<PathBuf> {
    let folder = project().join("qemu/tests/it/docs/corpus");
    let releases = std::fs::read_dir(folder).expect("the corpus").map(|entry| entry.expect("an entry").path());
    let files = releases.flat_map(|release| std::fs::read_dir(release).expect("a release"));
    let mut files: Vec<PathBuf> = files.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "conf"));
    files.sort();
    files
}

/// Returns what is printed for a configuration.
fn told(text: &str, place: &str) -> String {
    let mut config = Box::new(Config::EMPTY);
    if let Err(error) = parse(text.as_bytes(), &mut config) {
        panic!("{place}:{error}: this file was accepted by a release; docs/stability.md");
    }
    let mut told = String::new();
    for workload in &config.workloads {
        let _ = writeln!(told, "explain {}", workload.name);
        for step in hilum::plan::plan(workload, &config.pools).to_string().lines() {
            // A step that is added between others changes their numbers.
            let _ =
                writeln!(told, "{}", step.trim_start_matches(|letter: char| letter == ' ' || letter.is_ascii_digit()));
        }
        hilum::plan::audit(workload, &config, |line| _ = writeln!(told, "audit {}: {line}", workload.name));
    }
    told
}

#[test]
fn released_configurations_are_accepted_and_mean_the_same() {
    let files = files();
    assert!(files.len() >= 9, "{files:?}");
    for file in files {
        let place = file.display().to_string();
        let now = told(&std::fs::read_to_string(&file).expect("a configuration"), &place);
        let golden = file.with_extension("told");
        if std::env::var_os("HILUM_UPDATE").is_some() {
            std::fs::write(&golden, &now).expect("the golden file");
        }
        let then = std::fs::read_to_string(&golden).unwrap_or_else(|error| panic!("{}: {error}", golden.display()));
        let mut lines = now.lines();
        for line in then.lines() {
            assert!(
                lines.any(|one| one == line),
                "{place}: a release printed this line, and in this order: {line:?}\nIf its words alone changed: HILUM_UPDATE=1\n{now}"
            );
        }
    }
}

#[test]
fn corpus_has_the_keys_of_the_first_release() {
    let text: String = files().iter().map(|file| std::fs::read_to_string(file).expect("a configuration")).collect();
    let words: BTreeSet<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let names: BTreeSet<&str> = KEYS.iter().map(|key| key.name).filter(|name| words.contains(name)).collect();
    assert!(names.len() >= 58, "{} keys: {names:?}", names.len());
}
