//! Checks that modules use only modules on lower floors.
//!
//! A source folder may have a file `floors`. Each line is a floor, the highest one first, with the names of its files
//! and folders. A name may only use names on lower lines. `mod` stands for what the folder's `mod.rs` defines itself. A
//! crate is checked if its root has such a file; its folders without one must be free of cycles.
//!
//! Dependencies are found in the paths of the sources: `use` declarations, and paths in code that begin with `crate`,
//! `super`, `self` or a child module. A path counts for the file that defines the name; re-exports of a `mod.rs` do not
//! count. Tests are exempt.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A module's path from the crate's root, such as `config`, `parser`.
type Module = Vec<String>;

/// A path in a source.
#[derive(Debug)]
struct Found {
    path: Vec<String>,
    /// Whether it is in a `pub use`.
    is_published: bool,
}

/// The sources of a crate.
#[derive(Default)]
struct Crate {
    paths: BTreeMap<Module, Vec<Found>>,
    /// The names that each module defines.
    names: BTreeSet<(Module, String)>,
    floors: BTreeMap<Module, String>,
}

impl Crate {
    /// Adds a file by its path from the crate's root.
    fn add(&mut self, path: &str, text: &str) {
        let mut module: Module = path.split('/').map(str::to_owned).collect();
        let file = module.pop().expect("a path has a last part");
        if file == "floors" {
            self.floors.insert(module, text.to_owned());
            return;
        }
        let Some(name) = file.strip_suffix(".rs") else { return };
        if name == "tests" || module.iter().any(|part| part == "tests") {
            return;
        }
        // Beside a library, a program is one more file.
        let is_root = name == "mod" || name == "lib" || name == "main" && !self.paths.contains_key(&module);
        module.extend((!is_root).then(|| name.to_owned()));
        let mut words = Vec::new();
        flatten(text.parse().expect("a source is Rust"), &mut words);
        let defines = ["fn", "struct", "enum", "union", "trait", "const", "static", "type", "macro_rules"];
        let defined = words.windows(2).filter(|pair| defines.contains(&pair[0].as_str()));
        self.names.extend(defined.map(|pair| (module.clone(), pair[1].clone())));
        self.paths.insert(module, paths(&words));
    }

    fn child(&self, module: &[String], name: &str) -> Option<Module> {
        let child = [module, &[name.to_owned()]].concat();
        self.paths.contains_key(&child).then_some(child)
    }

    /// Returns the module that defines what `path` refers to in the module `from`; `None` if it is in another crate.
    fn resolve(&self, from: &Module, path: &[String], depth: usize) -> Option<Module> {
        let mut at = match path.first()?.as_str() {
            "crate" => Module::new(),
            "self" => from.clone(),
            "super" => from[..from.len().checked_sub(1)?].to_vec(),
            name => self.child(from, name)?,
        };
        for (index, name) in path.iter().enumerate().skip(1) {
            if name == "super" {
                at.pop()?;
            } else if let Some(child) = self.child(&at, name) {
                at = child;
            } else {
                return Some(self.publisher(&at, &path[index..], depth).unwrap_or(at));
            }
        }
        Some(at)
    }

    /// Returns the module from which `module` re-exports a name.
    fn publisher(&self, module: &Module, path: &[String], depth: usize) -> Option<Module> {
        let mut published = self.paths[module].iter().filter(|found| found.is_published && depth < 8);
        published.find_map(|found| match found.path.last() {
            Some(last) if *last == path[0] => self.resolve(module, &[&found.path, &path[1..]].concat(), depth + 1),
            Some(last) if last == "*" => {
                let target = self.resolve(module, &found.path, depth + 1)?;
                self.names.contains(&(target.clone(), path[0].clone())).then_some(target)
            }
            _ => None,
        })
    }

    /// Returns the dependencies between the names in a folder.
    fn arrows(&self, folder: &Module) -> BTreeMap<String, BTreeSet<String>> {
        let name = |module: &Module| {
            let inside = module.strip_prefix(folder.as_slice())?;
            Some(inside.first().map_or("mod", String::as_str).to_owned())
        };
        let mut arrows = BTreeMap::<String, BTreeSet<String>>::new();
        for (from, paths) in &self.paths {
            let Some(user) = name(from) else { continue };
            // Re-exports of a module's own children do not count.
            let targets = paths.iter().filter_map(|found| Some((found, self.resolve(from, &found.path, 0)?)));
            let targets = targets.filter(|(found, target)| !found.is_published || !target.starts_with(from));
            let used = targets.filter_map(|(_, target)| name(&target));
            arrows.entry(user.clone()).or_default().extend(used.filter(|used| *used != user));
        }
        // A `mod.rs` that only declares and re-exports is on no floor.
        if arrows.get("mod").is_some_and(BTreeSet::is_empty) && !arrows.values().any(|used| used.contains("mod")) {
            arrows.remove("mod");
        }
        arrows
    }

    /// Returns the violations in one folder.
    fn faults_of(&self, folder: &Module, place: &str) -> Vec<String> {
        let arrows = self.arrows(folder);
        let Some(floors) = self.floors.get(folder) else {
            let names = circles(&arrows).join(", ");
            return if names.is_empty() { Vec::new() } else { vec![format!("{place}: {names} use each other")] };
        };
        let mut heights = BTreeMap::new();
        for (height, line) in floors.lines().rev().enumerate() {
            let names = line.split('#').next().unwrap_or_default();
            heights.extend(names.split_whitespace().map(|name| (name, height)));
        }
        let gone = heights.keys().filter(|name| !arrows.contains_key(**name));
        let mut faults: Vec<_> = gone.map(|name| format!("{place}/floors: no {name} here; remove it")).collect();
        for (user, used) in &arrows {
            let Some(height) = heights.get(user.as_str()) else {
                faults.push(format!("{place}/floors: {user} is missing; put it above what it uses: {used:?}"));
                continue;
            };
            let up = used.iter().filter(|used| heights.get(used.as_str()).is_some_and(|other| other >= height));
            faults.extend(up.map(|used| format!("{place}: {user} uses {used}, which is not on a lower floor")));
        }
        faults
    }

    /// Returns the violations in the crate at `place`.
    fn faults(&self, place: &str) -> Vec<String> {
        let folders: BTreeSet<Module> =
            self.paths.keys().flat_map(|module| (0..module.len()).map(|count| module[..count].to_vec())).collect();
        let place = |folder: &Module| [&[place.to_owned()], folder.as_slice()].concat().join("/");
        folders.iter().flat_map(|folder| self.faults_of(folder, &place(folder))).collect()
    }
}

/// Flattens tokens into words, without literals and without items after `#[cfg(test)]`.
fn flatten(tokens: TokenStream, words: &mut Vec<String>) {
    let mut is_test = false;
    for token in tokens {
        let TokenTree::Group(group) = &token else {
            if !is_test && !matches!(token, TokenTree::Literal(_)) {
                words.push(token.to_string());
            }
            is_test &= token.to_string() != ";";
            continue;
        };
        let (open, close) = match group.delimiter() {
            Delimiter::Parenthesis => ("(", ")"),
            Delimiter::Bracket => ("[", "]"),
            Delimiter::Brace | Delimiter::None => ("{", "}"),
        };
        if open == "[" && group.stream().to_string().replace(' ', "") == "cfg(test)" {
            is_test = true;
        } else if !is_test {
            words.push(open.into());
            flatten(group.stream(), words);
            words.push(close.into());
        }
        is_test &= open != "{";
    }
}

/// Returns the paths among the words.
fn paths(words: &[String]) -> Vec<Found> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let is_use = words[at] == "use";
        let is_published = is_use && at > 0 && ["pub", ")"].contains(&words[at - 1].as_str());
        at = tree(words, at + usize::from(is_use), &[], &mut |path| found.push(Found { path, is_published }));
    }
    found
}

/// Reads a path, or a tree of paths as in `use`. Returns the index after it.
fn tree(words: &[String], mut at: usize, before: &[String], found: &mut dyn FnMut(Vec<String>)) -> usize {
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let mut path = before.to_vec();
    loop {
        if word(at) == "{" && !path.is_empty() {
            at += 1;
            while !["}", ""].contains(&word(at)) {
                at = tree(words, at, &path, found);
                at += if word(at) == "as" { 2 } else { 0 };
                at += usize::from(word(at) == ",");
            }
            return at + 1;
        }
        path.push(word(at).to_owned());
        at += 1;
        if (word(at), word(at + 1)) != (":", ":") {
            break;
        }
        at += 2;
    }
    if path.len() > 1 {
        found(path);
    }
    at
}

/// Returns the names that form cycles, and those between two cycles.
fn circles(arrows: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut left: BTreeSet<&String> = arrows.keys().collect();
    loop {
        let uses = |name: &String| arrows[name].iter().any(|used| left.contains(used));
        let is_used = |name: &String| left.iter().any(|user| arrows[*user].contains(name));
        let inner: BTreeSet<_> = left.iter().copied().filter(|name| uses(name) && is_used(name)).collect();
        if inner.len() == left.len() {
            return left.into_iter().cloned().collect();
        }
        left = inner;
    }
}

/// Adds the files below `folder` to `sources` under the name `inside`; the files that define modules come last.
fn read(folder: &Path, inside: &str, sources: &mut Crate) {
    let mut entries: Vec<_> = fs::read_dir(folder).expect("a folder of sources").flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().into_string().expect("a name in UTF-8");
        let path = if inside.is_empty() { name } else { format!("{inside}/{name}") };
        // A package below this one, such as src/runtime/sys, is another crate.
        if entry.path().is_dir() && !entry.path().join("Cargo.toml").exists() {
            read(&entry.path(), &path, sources);
        } else if entry.path().is_file() {
            sources.add(&path, &fs::read_to_string(entry.path()).expect("a source in UTF-8"));
        }
    }
}

#[test]
fn every_module_uses_only_lower_modules() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut faults = Vec::new();
    for place in ["src/logic", "src/runtime", "initramfs/src"] {
        let mut sources = Crate::default();
        read(&top.join(place), "", &mut sources);
        if sources.floors.contains_key(&Module::new()) {
            faults.extend(sources.faults(place));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// Returns the violations in a crate of these files.
fn faults(files: &[(&str, &str)]) -> String {
    let mut sources = Crate::default();
    files.iter().for_each(|(path, text)| sources.add(path, text));
    sources.faults("src").join("\n")
}

const HOUSE: [(&str, &str); 5] = [
    ("floors", "# the roof\nhigh\nmiddle side\nlow"),
    ("lib.rs", "pub mod high; pub mod low; pub mod middle; pub mod side;"),
    ("high.rs", "use crate::{middle::{self, Beam,}, side as other}; fn roof() { crate::low::stone() }"),
    ("middle/mod.rs", "mod beam; pub(crate) use beam::{Beam, Nail as Pin,}; pub use super::low::*;"),
    ("low.rs", "//! use crate::high;\npub fn stone() -> &'static str { \"super::high::X\" }"),
];

#[test]
fn downward_dependencies_are_accepted() {
    let files = [("side.rs", "struct Wall;"), ("middle/beam.rs", "use crate::low::stone; pub struct Beam;")];
    assert_eq!(faults(&[&HOUSE[..], &files].concat()), "");
}

#[test]
fn upward_or_level_dependency_is_found_in_any_form() {
    for (file, text, fault) in [
        ("side.rs", "use crate::high::roof;", "src: side uses high, which is not on a lower floor"),
        (
            "side.rs",
            "fn wall() -> Vec<super::middle::Beam> { Vec::new() }",
            "src: side uses middle, which is not on a lower floor",
        ),
        (
            "side.rs",
            "fn wall() { print!(\"{}\", crate::high::roof()) }",
            "src: side uses high, which is not on a lower floor",
        ),
        (
            "middle/beam.rs",
            "use super::super::{low::stone, high::{roof}};",
            "src: middle uses high, which is not on a lower floor",
        ),
        ("middle/mod.rs", "mod beam; pub use super::high::*;", "src: middle uses high, which is not on a lower floor"),
        ("cellar.rs", "use crate::low;", "src/floors: cellar is missing; put it above what it uses: {\"low\"}"),
    ] {
        let files = [("side.rs", ""), ("middle/beam.rs", ""), (file, text)];
        assert_eq!(faults(&[&HOUSE[..], &files].concat()), fault, "{text}");
    }
    let gone = [("floors", "high\nside middle\ncellar\nlow"), ("side.rs", ""), ("middle/beam.rs", "")];
    assert_eq!(faults(&[&HOUSE[..], &gone].concat()), "src/floors: no cellar here; remove it");
}

#[test]
fn re_exported_name_counts_for_its_defining_file() {
    let files = [("side.rs", ""), ("middle/beam.rs", "pub struct Beam; use super::stone; use super::nail::Nail;")];
    let with = |nail| faults(&[&HOUSE[..], &files, &[("middle/nail.rs", nail)]].concat());
    assert_eq!(with("pub struct Nail; use crate::middle::stone;"), "");
    assert_eq!(with("pub struct Nail; use crate::middle::Beam;"), "src/middle: beam, nail use each other");
    assert_eq!(with("pub struct Nail; #[cfg(test)] mod tests { use crate::middle::Beam; } fn up() {}"), "");
    assert_eq!(
        with("#[cfg(test)] use crate::low; pub struct Nail; use super::Beam;"),
        "src/middle: beam, nail use each other"
    );
}
