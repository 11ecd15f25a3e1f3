//! The lock file of a description: versions, checksums and dependencies of its packages.
//!
//! It has the lines of initramfs/debian/lock, `ARCH RELEASE PACKAGE VERSION SHA256 DATE FILE`, each with one more word: the names of
//! its dependencies, separated by commas, or `-`. A line `request ARCH RELEASE WORD...` has the packages of the description.

use super::index::Index;
use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const HEAD: &str = "# The Debian packages of the description beside this file, and what they need: ARCH RELEASE PACKAGE VERSION SHA256 DATE \
                    FILE NEEDS.\n# make image takes these bytes and no others; make update-lock takes the newest versions.\n";

/// Returns the path of a description's lock file.
pub fn path_of(description: &Path) -> PathBuf {
    description.with_extension("lock")
}

/// The packages that a root filesystem asks for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The path of the root filesystem.
    pub root: &'a str,
    /// The packages.
    pub packages: &'a [String],
    /// Dependencies to leave out.
    pub without: &'a [String],
}

/// A lock file.
#[derive(Debug, Clone, Default)]
pub struct Lock {
    /// Lines by `ARCH RELEASE PACKAGE`, the rest of each in words.
    lines: BTreeMap<String, Vec<String>>,
    /// The requests by `ARCH RELEASE`.
    requests: BTreeMap<String, String>,
}

/// Returns requests as one line: names, and `-NAME` for packages to leave out.
fn request(all: &[Request<'_>]) -> String {
    let mut words = BTreeSet::new();
    for one in all {
        words.extend(one.packages.iter().cloned());
        words.extend(one.without.iter().map(|name| format!("-{name}")));
    }
    words.into_iter().collect::<Vec<_>>().join(" ")
}

impl Lock {
    /// Reads a lock file; returns an empty one if it does not exist.
    ///
    /// # Errors
    /// An invalid line, with its number.
    pub fn read(path: &Path) -> Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::of(&text).with_context(|| path.display().to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    fn of(text: &str) -> Result<Self> {
        let mut lock = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["" | "#", ..] => {}
                ["request", arch, release, ..] => {
                    lock.requests.insert(format!("{arch} {release}"), words[3..].join(" "));
                }
                [arch, release, name, _, sum, _, _, _] if sum.len() == 64 => {
                    let rest = words[3..].iter().map(|word| (*word).to_owned()).collect();
                    lock.lines.insert(format!("{arch} {release} {name}"), rest);
                }
                _ => anyhow::bail!("line {number}: not a line of a lock file"),
            }
        }
        Ok(lock)
    }

    /// Returns the text of the file.
    pub fn text(&self) -> String {
        let requests = self.requests.iter().map(|(key, words)| format!("request {key} {words}\n"));
        let lines = self.lines.iter().map(|(key, rest)| format!("{key} {}\n", rest.join(" ")));
        HEAD.to_owned() + &requests.chain(lines).collect::<String>()
    }

    /// Whether it has packages for an architecture and a release.
    pub fn has(&self, arch: &str, release: &str) -> bool {
        self.requests.contains_key(&format!("{arch} {release}"))
    }

    /// Replaces the packages of an architecture and a release by the newest ones of an index. A package that stays the same keeps
    /// its date.
    ///
    /// # Errors
    /// Those of the index.
    pub fn renew(
        &mut self,
        arch: &str,
        release: &str,
        requests: &[Request<'_>],
        index: &Index,
        date: &str,
    ) -> Result<()> {
        let key = format!("{arch} {release}");
        let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for one in requests {
            let [wanted, without] =
                [one.packages, one.without].map(|names| names.iter().map(String::as_str).collect::<Vec<_>>());
            let all = index.closure(&wanted, &without);
            for (name, more) in all.with_context(|| format!("root {}", one.root))? {
                needs.entry(name).or_default().extend(more);
            }
        }
        let before = std::mem::take(&mut self.lines);
        let (mut lines, old): (BTreeMap<_, _>, BTreeMap<_, _>) =
            before.into_iter().partition(|(name, _)| !name.starts_with(&format!("{key} ")));
        for (name, needs) in needs {
            let package = index.package(&name).context("a package of the index")?;
            let line = format!("{key} {name}");
            let same = old.get(&line).filter(|old| old[1] == package.sha256);
            let date = same.map_or(date, |old| old[2].as_str()).to_owned();
            let needs = if needs.is_empty() { "-".to_owned() } else { needs.into_iter().collect::<Vec<_>>().join(",") };
            lines
                .insert(line, vec![package.version.clone(), package.sha256.clone(), date, package.file.clone(), needs]);
        }
        self.lines = lines;
        self.requests.insert(key, request(requests));
        Ok(())
    }

    /// Returns the packages of each request with their dependencies.
    ///
    /// # Errors
    /// The file has no packages for this architecture and release, or the description has other ones.
    pub fn packages(&self, arch: &str, release: &str, requests: &[Request<'_>]) -> Result<Vec<Vec<String>>> {
        let (key, wanted) = (format!("{arch} {release}"), request(requests));
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let found =
            self.requests.get(&key).with_context(|| format!("nothing for {key}; write it with: make update-lock"))?;
        ensure!(*found == wanted, "it is for other packages: {found}; renew it with: make update-lock");
        let mut lists = Vec::new();
        for one in requests {
            let (mut all, mut waiting) = (BTreeSet::new(), one.packages.to_vec());
            while let Some(name) = waiting.pop() {
                if one.without.contains(&name) || !all.insert(name.clone()) {
                    continue;
                }
                let line = self.lines.get(&format!("{key} {name}"));
                let line =
                    line.with_context(|| format!("no line for {key} {name}; renew it with: make update-lock"))?;
                waiting.extend(line[4].split(',').filter(|name| *name != "-").map(str::to_owned));
            }
            lists.push(all.into_iter().collect());
        }
        Ok(lists)
    }
}
