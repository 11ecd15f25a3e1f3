//! The index of a release (deb822(5), Debian's policy, chapter 7).

use super::version::compare;
use anyhow::{Context, Result, bail};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// One alternative of a dependency: a name and a condition on the version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The name of a package, or of what packages provide.
    pub name: String,
    /// `<<`, `<=`, `=`, `>=` or `>>`, and a version.
    pub version: Option<(String, String)>,
}

impl Dependency {
    /// Reads `NAME[:ARCHITECTURE] [(OPERATOR VERSION)]`.
    fn read(text: &str) -> Self {
        let (name, version) = text.split_once('(').map_or((text, None), |(name, rest)| (name, Some(rest)));
        let name = name.trim().split([':', ' ', '[']).next().unwrap_or_default().to_owned();
        let version = version.map(|text| {
            let text = text.split(')').next().unwrap_or_default().trim();
            let (operator, version) = text.split_at(text.find(|one| !"<>=".contains(one)).unwrap_or(text.len()));
            (operator.to_owned(), version.trim().to_owned())
        });
        Self { name, version }
    }

    /// Whether a version fulfils the condition.
    fn takes(&self, found: &str) -> bool {
        let Some((operator, version)) = &self.version else { return true };
        let order = compare(found, version);
        match operator.as_str() {
            "<<" => order == Ordering::Less,
            "<=" | "<" => order != Ordering::Greater,
            "=" => order == Ordering::Equal,
            ">>" => order == Ordering::Greater,
            _ => order != Ordering::Less,
        }
    }
}

/// A package of the index.
#[derive(Debug, Clone, Default)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its file below the mirror.
    pub file: String,
    /// SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
    /// Its dependencies (Depends and Pre-Depends): each is a list of alternatives.
    pub needs: Vec<Vec<Dependency>>,
    /// Its Provides.
    provides: Vec<Dependency>,
}

/// The packages of a release for one architecture, the newest of each.
#[derive(Debug, Default)]
pub struct Index {
    packages: BTreeMap<String, Package>,
    /// The names of packages that provide something, by its name.
    providers: BTreeMap<String, Vec<String>>,
}

impl Index {
    /// Adds the packages of a file `Packages`.
    pub fn add(&mut self, text: &str) {
        for stanza in text.split("\n\n") {
            let mut package = Package::default();
            for line in stanza.lines() {
                let Some((key, value)) = line.split_once(':').filter(|_| !line.starts_with(' ')) else { continue };
                let value = value.trim();
                let list = |value: &str| -> Vec<Vec<Dependency>> {
                    value.split(',').map(|one| one.split('|').map(Dependency::read).collect()).collect()
                };
                match key {
                    "Package" => package.name = value.to_owned(),
                    "Version" => package.version = value.to_owned(),
                    "Filename" => package.file = value.to_owned(),
                    "SHA256" => package.sha256 = value.to_owned(),
                    "Depends" | "Pre-Depends" => package.needs.extend(list(value)),
                    "Provides" => package.provides.extend(list(value).into_iter().flatten()),
                    _ => {}
                }
            }
            let is_newer = |old: &Package| compare(&package.version, &old.version) == Ordering::Greater;
            if !package.name.is_empty() && self.packages.get(&package.name).is_none_or(is_newer) {
                for provided in &package.provides {
                    let all = self.providers.entry(provided.name.clone()).or_default();
                    if !all.contains(&package.name) {
                        all.push(package.name.clone());
                    }
                }
                self.packages.insert(package.name.clone(), package);
            }
        }
    }

    /// Returns a package by its name.
    pub fn package(&self, name: &str) -> Option<&Package> {
        self.packages.get(name)
    }

    /// Returns the packages that satisfy an alternative: the one with its name, or those that provide it. Only a versioned
    /// Provides satisfies a condition (policy 7.5).
    fn candidates(&self, wanted: &Dependency) -> Vec<&Package> {
        if let Some(found) = self.package(&wanted.name).filter(|found| wanted.takes(&found.version)) {
            return vec![found];
        }
        let provides = |package: &&Package| {
            let mut all = package.provides.iter().filter(|one| one.name == wanted.name);
            all.any(|one| match &one.version {
                Some((_, version)) => wanted.takes(version),
                None => wanted.version.is_none(),
            })
        };
        let names = self.providers.get(&wanted.name).into_iter().flatten();
        names.filter_map(|name| self.package(name)).filter(provides).collect()
    }

    /// Returns packages and all their dependencies: each name with the names that it depends on. `without` are packages to leave
    /// out. Of several alternatives, one that is included already is taken, otherwise the first available one; of several providers,
    /// the first by name.
    ///
    /// # Errors
    /// A package that does not exist, or a dependency that nothing satisfies.
    pub fn closure(&self, wanted: &[&str], without: &[&str]) -> Result<BTreeMap<String, BTreeSet<String>>> {
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut waiting: Vec<String> = wanted.iter().rev().map(|name| (*name).to_owned()).collect();
        while let Some(name) = waiting.pop() {
            if all.contains_key(&name) {
                continue;
            }
            let package = self.package(&name).with_context(|| format!("the release has no package {name}"))?;
            let mut needs = BTreeSet::new();
            for group in &package.needs {
                let candidates: Vec<&Package> = group.iter().flat_map(|one| self.candidates(one)).collect();
                let is_there = |package: &&&Package| {
                    let name = package.name.as_str();
                    wanted.contains(&name) || all.contains_key(name) || waiting.iter().any(|other| other == name)
                };
                let first = |one: &Dependency| {
                    let mut found = self.candidates(one);
                    found.sort_by(|one, other| one.name.cmp(&other.name));
                    found.into_iter().next()
                };
                // Leaving out one alternative leaves out the dependency.
                if group.iter().any(|one| without.contains(&one.name.as_str())) {
                    continue;
                }
                let chosen = candidates.iter().find(is_there).copied().or_else(|| group.iter().find_map(first));
                let Some(chosen) = chosen else {
                    let names: Vec<&str> = group.iter().map(|one| one.name.as_str()).collect();
                    bail!(
                        "package {name} depends on {}, which the release does not have in that version",
                        names.join(" or ")
                    );
                };
                if without.contains(&chosen.name.as_str()) {
                    continue;
                }
                needs.insert(chosen.name.clone());
                waiting.push(chosen.name.clone());
            }
            all.insert(name, needs);
        }
        Ok(all)
    }
}
