//! Compares the keys of docs/config.md with the table of keys, the parser, and the defaults of the configuration.

use super::documentation::read;
use super::markdown::{Block, Inline, blocks, codes, plain};
use hilum::config::{Config, KEYS, Section, parse};
use std::collections::BTreeSet;

/// The description of a key on the page.
struct Entry {
    section: Section,
    name: String,
    /// The forms of its line.
    synopsis: Vec<Inline>,
    /// The paragraph of its default.
    default: Vec<Inline>,
    /// Whole lines.
    examples: Vec<String>,
    /// The other paragraphs.
    meaning: String,
}

/// Returns the section and name in the heading of a key.
pub(super) fn key(heading: &str) -> Option<(Section, &str)> {
    let (section, name) = heading.split_once(' ')?;
    [(Section::System, "[system]"), (Section::Workload, "[workload]")]
        .into_iter()
        .find_map(|(one, word)| (section == word).then_some((one, name)))
}

/// Returns all keys of the page, and checks that each is complete.
fn entries() -> Vec<Entry> {
    let page = blocks(&read("docs/config.md"));
    let headings = page.iter().enumerate().filter_map(|(at, block)| {
        let Block::Heading(3, heading) = block else { return None };
        key(heading).map(|(section, name)| (at, section, name.to_owned()))
    });
    headings
        .map(|(at, section, name)| {
            let rest = &page[at + 1..];
            let end = rest.iter().position(|block| matches!(block, Block::Heading(..))).unwrap_or(rest.len());
            let paragraphs: Vec<&Vec<Inline>> = rest[..end]
                .iter()
                .filter_map(|block| if let Block::Paragraph(line) = block { Some(line) } else { None })
                .collect();
            let [synopsis, default, meaning @ .., example] = paragraphs.as_slice() else {
                panic!("[{}] {name}: form, default, meaning and example are expected", section.name());
            };
            assert!(plain(default).starts_with("Default: "), "[{}] {name}: no default", section.name());
            let word = if codes(example).len() == 1 { "Example: " } else { "Examples: " };
            assert!(plain(example).starts_with(word), "[{}] {name}: no {word:?}", section.name());
            assert!(!meaning.is_empty(), "[{}] {name}: no meaning", section.name());
            Entry {
                section,
                synopsis: (*synopsis).clone(),
                default: (*default).clone(),
                examples: codes(example).into_iter().map(str::to_owned).collect(),
                meaning: meaning.iter().map(|line| plain(line)).collect(),
                name,
            }
        })
        .collect()
}

#[test]
fn headings_match_the_keys() {
    let found: Vec<(&str, String)> = entries().into_iter().map(|entry| (entry.section.name(), entry.name)).collect();
    let documented: BTreeSet<(&str, &str)> = found.iter().map(|(section, name)| (*section, name.as_str())).collect();
    assert_eq!(documented.len(), found.len(), "a key stands in two places: {found:?}");
    let keys: BTreeSet<(&str, &str)> = KEYS.iter().map(|key| (key.section.name(), key.name)).collect();
    assert_eq!(documented, keys, "docs/config.md");
}

#[test]
fn every_key_is_in_the_list_of_keys_in_the_order_of_the_page() {
    let page = read("docs/config.md");
    let (_, list) = page.split_once("\n## Keys\n").expect("the list of keys");
    let list = list.split("\n## ").next().unwrap_or_default();
    let listed: Vec<&str> = list.split("](#").skip(1).map(|rest| rest.split(')').next().unwrap_or_default()).collect();
    let found: Vec<String> = entries().iter().map(|entry| format!("{}-{}", entry.section.name(), entry.name)).collect();
    assert_eq!(listed, found, "docs/config.md, Keys");
}

#[test]
fn synopsis_of_a_key_begins_with_it_and_says_if_it_repeats() {
    for Entry { section, name, synopsis, meaning, .. } in entries() {
        for form in synopsis.split(|inline| *inline == Inline::Break) {
            assert_eq!(form.first(), Some(&Inline::Code(name.clone())), "[{}] {name}", section.name());
        }
        let key = KEYS.iter().find(|key| key.section == section && key.name == name).expect("a key");
        let is_told = meaning.contains("such line");
        assert!(key.repeats || !is_told, "[{}] {name} may stand once: {meaning}", section.name());
    }
}

/// Lines that examples refer to.
const SYSTEM: &str = "\
mount LABEL=data /data ext4
volumes /data/volumes
link eth0 dhcp
link lan 192.168.1.5/24
bridge br0 10.77.0.1/24
watchdog /dev/watchdog 30s
time 192.0.2.1
";

/// The same for workloads; the example goes into the section of `web`.
const WORKLOADS: &str = "\
[workload db]
root /images/db
exec /bin/db
link veth br0 10.77.0.3/24
[workload web]
root /images/web
exec /bin/web
";

/// Returns a configuration with a line at its end. A line with the same key that may appear only once is replaced.
fn with(section: Section, line: &str) -> String {
    let name = line.split(' ').next().unwrap_or_default();
    let twice = |one: &str| {
        let has = one.split(' ').next() == Some(name);
        // A link of the host is identified by its name.
        let second = |line: &str| line.split(' ').nth(1).unwrap_or_default().to_owned();
        has && (name != "link" || second(one) == second(line))
    };
    let without =
        |text: &str| -> String { text.lines().filter(|one| !twice(one)).flat_map(|one| [one, "\n"]).collect() };
    match section {
        Section::System => format!("hilum 1\n{WORKLOADS}[system]\n{}{line}\n", without(SYSTEM)),
        Section::Workload => {
            let (db, web) = WORKLOADS.split_once("[workload web]\n").expect("two workloads");
            let more = match name {
                "publish" | "talk" => "link veth br0 10.77.0.2/24 via 10.77.0.1\n",
                "privileged" => "share user\ncapability sys_admin\n",
                _ => "",
            };
            format!("hilum 1\n[system]\n{SYSTEM}{db}[workload web]\n{}{more}{line}\n", without(web))
        }
    }
}

/// Returns the parsed configuration as text.
fn parsed(text: &str) -> String {
    let mut config = Box::new(Config::EMPTY);
    match parse(text.as_bytes(), &mut config) {
        Ok(()) => format!("{:#?}\n{:#?}\n{:#?}", config.system, config.workloads, config.pools),
        Err(error) => panic!("{error}\n{text}"),
    }
}

#[test]
fn every_example_of_a_key_is_accepted() {
    for Entry { section, name, examples, .. } in entries() {
        for line in examples {
            assert_eq!(line.split(' ').next(), Some(name.as_str()), "[{}] {name}: {line}", section.name());
            parsed(&with(section, &line));
        }
    }
}

#[test]
fn defaults_are_those_of_the_parser() {
    let (mut values, mut words) = (0, 0);
    for Entry { section, name, default, examples, .. } in entries() {
        let mut before = "";
        for inline in &default {
            let code = match inline {
                Inline::Text(text) => {
                    before = text;
                    continue;
                }
                Inline::Code(code) => code,
                Inline::Break => continue,
            };
            let (short, long) = if before.contains("default") {
                // Words of the line: an example has the same meaning with and without them.
                words += 1;
                let is_other = |word: &&str| {
                    let start = word.split_inclusive('=').next().unwrap_or_default();
                    !(start.ends_with('=') && code.split(' ').any(|one| one.starts_with(start)))
                };
                let short = examples[0].split(' ').filter(is_other).collect::<Vec<_>>().join(" ");
                (with(section, &short), with(section, &format!("{short} {code}")))
            } else {
                // A line: the section has the same meaning with and without it.
                values += 1;
                let line = format!("{name} {code}");
                let long = with(section, &line);
                (long.replace(&format!("\n{line}\n"), "\n"), long)
            };
            let (data, same) = (parsed(&short), parsed(&long));
            let other = data.lines().zip(same.lines()).find(|(one, other)| one != other);
            assert!(data == same, "[{}] {name} {code}: {other:?}", section.name());
        }
    }
    assert!(values >= 12 && words >= 7, "only {values} lines and {words} words with a default were compared");
}
