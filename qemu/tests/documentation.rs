//! What is written against what is there: keys, commands, words of the kernel command line, the manual, the completion, and
//! the links of README and docs.

mod support;

use hilum::config::{Section, VOCABULARY};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{STAY, hilum, host};

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the project")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(project().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The part of a page from a heading to the next one of the same level.
fn part<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no heading {heading}"));
    rest.split("\n## ").next().unwrap_or_default()
}

/// The code in the first column of a table's rows, behind a head whose first column is `head`.
fn first_column(text: &str, head: &str) -> Vec<String> {
    let (mut is_inside, mut found) = (false, Vec::new());
    for line in text.lines() {
        // A bar that belongs to the text is written with a backslash.
        let Some(row) = line.strip_prefix('|') else {
            is_inside = false;
            continue;
        };
        let row = row.replace("\\|", "\u{1}");
        let column = row.split('|').next().unwrap_or_default().trim().replace('\u{1}', "|");
        if is_inside {
            found.extend(column.split('`').skip(1).step_by(2).map(str::to_owned));
        }
        is_inside |= column == head;
    }
    found
}

#[test]
fn every_key_is_documented_and_nothing_else_is() {
    let page = read("docs/config.md");
    for (section, heading) in [(Section::System, "[system]"), (Section::Workload, "[workload NAME]")] {
        let mut rows = first_column(part(&page, heading), "key");
        // A key has several rows where its first word makes several lines of it.
        rows.dedup();
        let documented: BTreeSet<&str> = rows.iter().map(String::as_str).collect();
        assert_eq!(documented.len(), rows.len(), "a key stands in two places: {rows:?}");
        let keys: BTreeSet<&str> = VOCABULARY.iter().filter(|key| key.section == section).map(|key| key.name).collect();
        assert_eq!(documented, keys, "docs/config.md, {heading}");
    }
}

#[test]
fn key_that_may_stand_once_is_not_documented_as_more() {
    let page = read("docs/config.md");
    for (section, heading) in [(Section::System, "[system]"), (Section::Workload, "[workload NAME]")] {
        for line in part(&page, heading).lines().filter(|line| line.contains("such lines")) {
            let Some(name) = line.strip_prefix("| `").and_then(|row| row.split('`').next()) else { continue };
            let key = VOCABULARY.iter().find(|key| key.section == section && key.name == name).expect("a key");
            assert!(key.repeats, "{heading} {name}: {line}");
        }
    }
}

#[test]
fn words_of_the_kernel_command_line_are_documented_and_no_others() {
    let words = |text: &str| -> BTreeSet<String> {
        let ends = |letter: char| !(letter.is_ascii_lowercase() || letter == '=');
        let found = text.split("hilum.").skip(1).map(|rest| rest.split(ends).next().unwrap_or_default().to_owned());
        found.map(|word| word.split_inclusive('=').next().unwrap_or_default().to_owned()).collect()
    };
    let known: BTreeSet<String> = ["config=", "fail=", "safe", "doctor", "panic"].map(str::to_owned).into();
    for (word, value) in [("config=", "/x"), ("fail=", "stay"), ("safe", ""), ("doctor", ""), ("panic", "")] {
        let line = format!("hilum.{word}{value}");
        assert!(hilum::parameters::parameters(&line).unknown.is_none(), "{line}");
    }
    let pages = read("docs/config.md");
    let files = ["conf", "md", "sock", "manifest", "end", "symbols", "toml", ""];
    let told = |text: &str| words(text).into_iter().filter(|word| !files.contains(&word.as_str())).collect();
    let (in_page, in_manual): (BTreeSet<String>, BTreeSet<String>) = (told(&pages), told(&read("docs/hilum.8")));
    assert_eq!(in_page, known, "docs/config.md");
    assert_eq!(in_manual, known, "docs/hilum.8");
}

/// Every command as the help has it: `log NAME [-f] [-n LINES]`.
fn usages() -> BTreeSet<String> {
    let output = Command::new(hilum(host())).arg("help").output().expect("hilum");
    let help = String::from_utf8(output.stdout).expect("UTF-8");
    let lines = help.lines().filter_map(|line| line.strip_prefix("  "));
    // The columns: a name of 9 letters, its words of 29, what it does.
    let usage = |line: &str| line.get(..39).map(|usage| usage.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.map(|line| usage(line).unwrap_or_else(|| panic!("{line}"))).collect()
}

#[test]
fn every_command_and_flag_is_documented_and_nothing_else_is() {
    let usages = usages();
    let page = read("docs/commands.md");
    let rows = first_column(&page, "command");
    let documented: BTreeSet<String> = rows.iter().cloned().collect();
    assert_eq!(documented.len(), rows.len(), "a command stands in two places");
    assert_eq!(documented, usages, "docs/commands.md");
}

#[test]
fn manual_has_every_command_and_no_fault() {
    let page = project().join("docs/hilum.8");
    let run = |words: &[&str]| {
        let output = Command::new("mandoc").args(words).arg(&page).output().expect("mandoc; run: make test");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    // What it says of other pages depends on what is installed here.
    let faults = run(&["-T", "lint", "-W", "style"]);
    let faults: Vec<&str> = faults.lines().filter(|line| !line.contains("mandoc.db")).collect();
    assert_eq!(faults, [""; 0]);
    // Bold letters are struck twice.
    let text = run(&["-T", "ascii", "-O", "width=200"]);
    let mut plain = String::new();
    for letter in text.chars() {
        match letter {
            '\u{8}' => _ = plain.pop(),
            _ => plain.push(letter),
        }
    }
    let plain = plain.replace(" | ", "|");
    for usage in usages() {
        let is_there = plain.lines().map(str::trim).any(|line| {
            // A short one has what it does on the same line.
            line == usage || line.strip_prefix(&usage).is_some_and(|rest| rest.starts_with("  "))
        });
        assert!(is_there, "docs/hilum.8 does not tell of: {usage}\n{plain}");
    }
}

/// What bash offers for the last of these words; `before` is run first.
fn offered(before: &str, words: &[&str]) -> BTreeSet<String> {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let script = format!(
        "set -eu; . docs/hilum.bash; {before}\ncomplete -p hilum >&2\nCOMP_WORDS=({}); COMP_CWORD={}\n_hilum\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
        quoted.join(" "),
        words.len() - 1
    );
    let output = Command::new("bash").args(["--norc", "-c", &script]).current_dir(project()).output().expect("bash");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.trim() == "complete -F _hilum hilum", "{words:?}: {errors}");
    String::from_utf8(output.stdout)
        .expect("UTF-8")
        .lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn completion_offers_every_command_and_flag_and_no_others() {
    let usages = usages();
    let names: BTreeSet<String> =
        usages.iter().map(|usage| usage.split(' ').next().unwrap_or_default().to_owned()).collect();
    let mut first = offered("", &["hilum", ""]);
    assert!(first.remove("--socket"));
    assert_eq!(first, names);
    assert_eq!(offered("", &["hilum", "re"]), ["reboot", "reload", "restart"].map(str::to_owned).into());
    // Nobody listens there, so no names stand between the flags.
    let none = "hilum() { return 1; }";
    for usage in &usages {
        let name = usage.split(' ').next().unwrap_or_default();
        let flags: BTreeSet<String> =
            usage.split(['[', ']', '|', ' ']).filter(|word| word.starts_with('-')).map(str::to_owned).collect();
        let words: &[&str] = if name == "exec" { &["hilum", name, "web", ""] } else { &["hilum", name, ""] };
        let found: BTreeSet<String> = offered(none, words).into_iter().filter(|word| word.starts_with('-')).collect();
        assert_eq!(found, flags, "{usage}");
    }
    for signal in offered(none, &["hilum", "signal", "web", ""]) {
        assert!(hilum::config::Signal::from_name(&signal).is_some(), "{signal}");
    }
}

#[test]
fn completion_offers_the_names_that_process_one_and_a_file_know() {
    let host_root = host_or_return!();
    let running = host_root.start(&STAY.replace("[workload a]", "[system]\ncontrol SOCKET\n[workload a]"));
    host_root.expect_state("a", "ready");
    let socket = host_root.socket();
    let program = format!("PATH={}:$PATH", hilum(host()).parent().expect("a folder").display());
    let one: BTreeSet<String> = ["a".to_owned()].into();
    let words = ["hilum", "--socket", socket.to_str().expect("UTF-8"), "signal", ""];
    assert_eq!(offered(&program, &words), one);
    let file = host_root.scratch.path().join("hilum.conf");
    let words = ["hilum", "explain", "--config", file.to_str().expect("UTF-8"), "a"];
    assert_eq!(offered("", &words), one);
    drop(running);
}

/// Every file and folder that CONTRIBUTING.md and ARCHITECTURE.md name in code is there.
#[test]
fn files_that_the_guides_name_are_there() {
    for page in ["CONTRIBUTING.md", "ARCHITECTURE.md"] {
        let text = read(page);
        // Blocks are commands and pictures.
        let prose = text.split("\n```").step_by(2).collect::<String>();
        let names = prose.split('`').skip(1).step_by(2).filter(|code| !code.contains([' ', '*', '=', '$']));
        for name in names
            .filter(|code| ["src/", "qemu/", "initramfs/", "linker/", "docs/"].iter().any(|top| code.starts_with(top)))
        {
            assert!(project().join(name).exists(), "{page}: there is no {name}");
        }
    }
}

/// The worked example of CONTRIBUTING.md touches the files that it names.
#[test]
fn worked_example_is_where_the_guide_says() {
    let text = read("CONTRIBUTING.md");
    let example = part(&text, "Add a key to the configuration");
    let names: Vec<&str> = example.split('`').skip(1).step_by(2).filter(|code| code.ends_with(".rs")).collect();
    let has_it = |name: &&&str| read(name).to_lowercase().contains("umask");
    let others: Vec<&&str> = names.iter().filter(|name| !has_it(name)).collect();
    // Those that are named for other kinds of keys.
    assert_eq!(
        others,
        [
            &"src/logic/config/limits.rs",
            &"src/logic/plan/audit.rs",
            &"initramfs/src/appliance.rs",
            &"src/logic/config/network.rs"
        ]
    );
}
