//! Compares the documentation with the programs: commands, words of the kernel command line, the manual page, the
//! completion, and the links of README and docs.

use crate::support::{STAY, hilum, host};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(super) fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the project")
}

pub(super) fn read(path: &str) -> String {
    std::fs::read_to_string(project().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the part of a page from a heading to the next one of the same level.
fn part<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no heading {heading}"));
    rest.split("\n## ").next().unwrap_or_default()
}

/// Returns the code in the first column of a table whose first heading is `head`.
fn first_column(text: &str, head: &str) -> Vec<String> {
    let (mut is_inside, mut found) = (false, Vec::new());
    for line in text.lines() {
        // A literal bar is escaped with a backslash.
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
fn kernel_command_line_words_match_the_documentation() {
    let words = |text: &str| -> BTreeSet<String> {
        let ends = |letter: char| !(letter.is_ascii_lowercase() || letter == '=');
        let found = text.split("hilum.").skip(1).map(|rest| rest.split(ends).next().unwrap_or_default().to_owned());
        found.map(|word| word.split_inclusive('=').next().unwrap_or_default().to_owned()).collect()
    };
    let known: BTreeSet<String> =
        ["config=", "fail=", "safe", "doctor", "panic", "slot=", "trial"].map(str::to_owned).into();
    for (word, value) in [
        ("config=", "/x"),
        ("fail=", "stay"),
        ("safe", ""),
        ("doctor", ""),
        ("panic", ""),
        ("slot=", "b"),
        ("trial", ""),
    ] {
        let line = format!("hilum.{word}{value}");
        assert!(hilum::cmdline::parse(&line).unknown.is_none(), "{line}");
    }
    let pages = read("docs/config.md");
    let files = ["conf", "md", "sock", "manifest", "end", "symbols", "toml", ""];
    let told = |text: &str| words(text).into_iter().filter(|word| !files.contains(&word.as_str())).collect();
    let (in_page, in_manual): (BTreeSet<String>, BTreeSet<String>) = (told(&pages), told(&read("docs/hilum.8")));
    assert_eq!(in_page, known, "docs/config.md");
    assert_eq!(in_manual, known, "docs/hilum.8");
}

/// Returns every command as the help shows it: `log NAME [-f] [-n LINES]`.
fn usages() -> BTreeSet<String> {
    let output = Command::new(hilum(host())).arg("help").output().expect("hilum");
    let help = String::from_utf8(output.stdout).expect("UTF-8");
    let lines = help.lines().filter_map(|line| line.strip_prefix("  "));
    // The columns: a name of 9 characters, words of 29, description.
    let usage = |line: &str| line.get(..39).map(|usage| usage.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.map(|line| usage(line).unwrap_or_else(|| panic!("{line}"))).collect()
}

#[test]
fn commands_and_flags_match_the_documentation() {
    let usages = usages();
    let page = read("docs/commands.md");
    let rows = first_column(&page, "command");
    let documented: BTreeSet<String> = rows.iter().cloned().collect();
    assert_eq!(documented.len(), rows.len(), "a command stands in two places");
    assert_eq!(documented, usages, "docs/commands.md");
}

/// Runs mandoc over a manual page of the project.
fn mandoc(words: &[&str], page: &str) -> String {
    let output = Command::new("mandoc").args(words).arg(project().join(page)).output();
    String::from_utf8(output.expect("mandoc; run: make test").stdout).expect("UTF-8")
}

/// Returns mandoc's complaints about a manual page.
pub(super) fn faults_of_manual(page: &str) -> Vec<String> {
    let faults = mandoc(&["-T", "lint", "-W", "style"], page);
    // Complaints about other pages depend on what is installed here.
    let own = faults.lines().filter(|line| !line.contains("mandoc.db") && !line.contains(": Xr "));
    own.map(str::to_owned).collect()
}

/// Returns a manual page as a terminal shows it, without fonts.
pub(super) fn shown_manual(page: &str) -> String {
    let mut plain = String::new();
    // Bold characters are overstruck.
    for letter in mandoc(&["-T", "ascii", "-O", "width=200"], page).chars() {
        match letter {
            '\u{8}' => _ = plain.pop(),
            _ => plain.push(letter),
        }
    }
    plain
}

#[test]
fn manual_page_has_every_command_and_no_fault() {
    assert_eq!(faults_of_manual("docs/hilum.8"), [""; 0]);
    let plain = shown_manual("docs/hilum.8");
    let plain = plain.replace(" | ", "|");
    for usage in usages() {
        let is_there = plain.lines().map(str::trim).any(|line| {
            // A short command has its description on the same line.
            line == usage || line.strip_prefix(&usage).is_some_and(|rest| rest.starts_with("  "))
        });
        assert!(is_there, "docs/hilum.8 does not tell of: {usage}\n{plain}");
    }
}

/// Returns what bash offers for the last of these words; `before` is run first.
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
fn completion_offers_exactly_the_commands_and_flags() {
    let usages = usages();
    let names: BTreeSet<String> =
        usages.iter().map(|usage| usage.split(' ').next().unwrap_or_default().to_owned()).collect();
    let mut first = offered("", &["hilum", ""]);
    assert!(first.remove("--socket"));
    assert_eq!(first, names);
    assert_eq!(offered("", &["hilum", "re"]), ["reboot", "reload", "restart"].map(str::to_owned).into());
    // Nobody listens there, so there are no names between the flags.
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
fn completion_offers_workload_names() {
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

/// Checks that every file and folder that CONTRIBUTING.md, ARCHITECTURE.md and the decisions mention as code exists.
#[test]
fn files_named_by_the_guides_exist() {
    for page in ["CONTRIBUTING.md", "ARCHITECTURE.md", "docs/stability.md", "docs/dev/decisions.md"] {
        let text = read(page);
        // Blocks contain commands and pictures.
        let prose = text.split("\n```").step_by(2).collect::<String>();
        let names = prose.split('`').skip(1).step_by(2).filter(|code| !code.contains([' ', '*', '=', '$']));
        for name in names
            .filter(|code| ["src/", "qemu/", "initramfs/", "linker/", "docs/"].iter().any(|top| code.starts_with(top)))
        {
            assert!(project().join(name).exists(), "{page}: there is no {name}");
        }
    }
}

/// The worked example of CONTRIBUTING.md touches the files that it mentions.
#[test]
fn files_of_the_worked_example_are_named_by_the_guide() {
    let text = read("CONTRIBUTING.md");
    let example = part(&text, "Add a key to the configuration");
    let names: Vec<&str> = example.split('`').skip(1).step_by(2).filter(|code| code.ends_with(".rs")).collect();
    let has_it = |name: &&&str| read(name).to_lowercase().contains("umask");
    let others: Vec<&&str> = names.iter().filter(|name| !has_it(name)).collect();
    // Files for other kinds of keys are mentioned as well.
    assert_eq!(
        others,
        [
            &"qemu/tests/it/docs/keys.rs",
            &"src/logic/config/limits.rs",
            &"src/logic/config/pools.rs",
            &"src/logic/plan/audit.rs",
            &"initramfs/src/appliance.rs",
            &"src/logic/config/modules.rs"
        ]
    );
}

/// Returns the pages that people read, with their folder.
fn pages() -> Vec<(String, String)> {
    let mut names: Vec<String> =
        ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "SECURITY.md", "CHANGELOG.md"].map(str::to_owned).into();
    for folder in ["docs", "docs/dev"] {
        let docs = std::fs::read_dir(project().join(folder)).expect(folder);
        let files = docs.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
        names.extend(files.filter(|name| name.ends_with(".md")).map(|name| format!("{folder}/{name}")));
    }
    names.sort();
    names.into_iter().map(|name| (read(&name), name)).map(|(text, name)| (name, text)).collect()
}

/// Returns the links of a page: text, target and title.
fn links(text: &str) -> Vec<(&str, &str, &str)> {
    let mut links = Vec::new();
    for (at, _) in text.match_indices("](") {
        let shown = text[..at].rsplit('[').next().unwrap_or_default();
        // A link has no line break inside, unlike code in a block.
        let Some(target) = text[at + 2..].split(')').next().filter(|target| !target.contains('\n')) else { continue };
        let (target, title) = target.split_once(" \"").unwrap_or((target, ""));
        links.push((shown, target, title.trim_end_matches('"')));
    }
    links
}

/// Returns the anchor of a heading: lower case, blanks as hyphens, other signs removed.
fn anchor(heading: &str) -> String {
    let letters = heading.trim_start_matches('#').trim().to_lowercase();
    letters
        .chars()
        .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter))
        .collect::<String>()
        .replace(' ', "-")
}

#[test]
fn every_link_has_a_target() {
    let mut count = 0;
    for (name, text) in pages() {
        let folder = project().join(&name).parent().expect("a folder").to_owned();
        for (_, target, _) in links(&text).into_iter().filter(|(_, target, _)| !target.contains("://")) {
            count += 1;
            let (path, part) = target.split_once('#').unwrap_or((target, ""));
            let file = if path.is_empty() { project().join(&name) } else { folder.join(path) };
            assert!(file.exists(), "{name}: there is no {target}");
            let is_there = || read_path(&file).lines().any(|line| line.starts_with('#') && anchor(line) == part);
            assert!(part.is_empty() || is_there(), "{name}: there is no heading {target}");
        }
    }
    assert!(count > 60, "only {count} links were found");
}

fn read_path(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A link to a Rust file has the name of a test as its text, and a link from a number leads to its table.
#[test]
fn every_feature_has_its_test_and_every_figure_is_in_the_bench() {
    let (mut tests, mut figures) = (0, 0);
    for (name, text) in pages() {
        let folder = project().join(&name).parent().expect("a folder").to_owned();
        for (shown, target, _) in links(&text).into_iter().filter(|(_, target, _)| !target.contains("://")) {
            let path = target.split('#').next().unwrap_or_default();
            let shown = shown.trim_matches('`');
            if path.ends_with(".rs") && !shown.contains(['/', '.']) {
                tests += 1;
                let file = read_path(&folder.join(path));
                assert!(file.contains(&format!("fn {shown}(")), "{name}: {path} has no test {shown:?}");
            } else if path.ends_with(".md") && shown.starts_with(|first: char| first.is_ascii_digit()) {
                figures += 1;
                let is_there = read_path(&folder.join(path)).contains(&format!("| {} |", shown.replace(',', "")));
                assert!(is_there, "{name}: {path} has no {shown}");
            }
        }
    }
    let readme = read("README.md");
    let features = part(&readme, "Features, and the tests that show them");
    let rows = features.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| **")).skip(1);
    let without: Vec<&str> = rows.filter(|row| links(row).is_empty()).collect();
    assert!(without.is_empty(), "features without a test: {without:?}");
    assert!(tests >= 20 && figures >= 6, "{tests} tests, {figures} figures");
}

#[test]
fn picture_matches_its_transcript() {
    for name in ["boot", "update"] {
        let (console, svg) = (format!("docs/{name}.console"), format!("docs/{name}.svg"));
        let drawn = hilum_qemu::picture::svg(&std::fs::read(project().join(&console)).expect("the transcript"));
        assert_eq!(drawn, read(&svg), "make it anew: hilum-qemu picture {console} > {svg}");
    }
}

/// The number of command blocks that `make docs-test` skips, each with a reason above it.
const NOT_TESTED: usize = 5;

#[test]
fn every_block_has_a_type_and_configurations_are_valid() {
    let (mut commands, mut left) = (0, 0);
    for (name, text) in pages() {
        let lines: Vec<&str> = text.lines().collect();
        let mut open = None;
        for (number, line) in lines.iter().enumerate().filter(|(_, line)| line.trim_start().starts_with("```")) {
            let Some((from, language)) = open.take() else {
                let language = line.trim_start().trim_start_matches('`');
                let place = format!("{name}:{}", number + 1);
                assert!(
                    ["sh", "text", "conf", "toml", "json", "html", "dockerfile", "lighttpd"].contains(&language),
                    "{place}: {language:?}"
                );
                let above = lines[..number].iter().rev().find(|line| !line.trim().is_empty()).unwrap_or(&"");
                commands += usize::from(language == "sh");
                left += usize::from(above.trim().starts_with("*Not tested: ") && language == "sh");
                open = Some((number + 1, language));
                continue;
            };
            let block: String = lines[from..number].iter().map(|line| format!("{}\n", line.trim())).collect();
            // The builder replaces this word by a program.
            let block = block.replace("exec       image\n", "exec /image\n");
            if language == "conf" {
                let mut config = Box::new(hilum::config::Config::EMPTY);
                if let Err(error) = hilum::config::parse(block.as_bytes(), &mut config) {
                    panic!("{name}:{from}: {error}\n{block}");
                }
            }
        }
        assert!(open.is_none(), "{name}: a block that is not closed");
    }
    assert_eq!(left, NOT_TESTED, "of {commands} blocks");
    assert!(commands > 20, "only {commands} blocks");
}
