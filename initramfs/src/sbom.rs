//! Software bills of materials of a release, as CycloneDX 1.5 documents (ECMA-424), and licence texts.
//!
//! The crates of an ELF file are those that cargo resolves for its target, without build and test dependencies. The
//! packages of an image are those of its description files, in the versions of initramfs/debian/lock. A document does
//! not depend on when and where it is made.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

/// A component, or the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// `application`, `library` or `firmware`, as CycloneDX names them.
    pub kind: &'static str,
    /// Its name at its origin.
    pub name: String,
    /// Its version at its origin.
    pub version: String,
    /// Its package URL, which identifies it in a document.
    pub purl: String,
    /// Its licences as an SPDX expression; `None` for a package whose files have various licences.
    pub license: Option<String>,
    /// The SHA-256 digest of its archive or file, in hexadecimal digits.
    pub sha256: Option<String>,
}

/// The crates of a program, and their dependencies.
#[derive(Debug)]
pub struct Crates {
    /// All crates, sorted, without the program itself.
    pub components: Vec<Component>,
    /// Package URLs of dependencies by package URL; that of the program is "".
    needs: BTreeMap<String, BTreeSet<String>>,
    /// The source folder of each crate, by name and version.
    folders: BTreeMap<String, String>,
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key].as_str().with_context(|| format!("cargo metadata without {key}"))
}

fn array<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    value[key].as_array().with_context(|| format!("cargo metadata without {key}"))
}

impl Crates {
    /// Parses the output of `cargo metadata`, and the lock file with checksums of archives.
    ///
    /// # Errors
    /// The text has another format, or `program` is not a package in it.
    pub fn read(metadata: &str, lock: &str, program: &str) -> Result<Self> {
        let metadata: Value = serde_json::from_str(metadata).context("cargo metadata")?;
        let lock: toml::Table = lock.parse().context("Cargo.lock")?;
        let locked = lock.get("package").and_then(toml::Value::as_array).context("Cargo.lock without packages")?;
        let checksum = |name: &str, version: &str| {
            let is_it =
                |key: &str, one: &toml::Value, other: &str| one.get(key).and_then(toml::Value::as_str) == Some(other);
            let found = locked.iter().find(|one| is_it("name", one, name) && is_it("version", one, version));
            found.and_then(|one| one.get("checksum")).and_then(toml::Value::as_str).map(str::to_owned)
        };
        let (mut all, mut folders, mut root) = (BTreeMap::new(), BTreeMap::new(), None);
        for package in array(&metadata, "packages")? {
            let (name, version) = (text(package, "name")?, text(package, "version")?);
            let id = text(package, "id")?;
            if name == program {
                root = Some(id.to_owned());
            }
            let purl = if name == program { String::new() } else { format!("pkg:cargo/{name}@{version}") };
            // Before SPDX, a slash meant OR.
            let license = text(package, "license")?.replace('/', " OR ");
            let folder = text(package, "manifest_path")?.rsplit_once('/').map_or("", |(folder, _)| folder);
            folders.insert(format!("{name} {version}"), folder.to_owned());
            let (name, version, sha256) = (name.to_owned(), version.to_owned(), checksum(name, version));
            all.insert(id, Component { kind: "library", name, version, purl, license: Some(license), sha256 });
        }
        let root = root.with_context(|| format!("there is no package {program}"))?;
        let nodes = array(&metadata["resolve"], "nodes")?;
        let (mut needs, mut waiting, mut components) = (BTreeMap::new(), vec![root.as_str()], BTreeMap::new());
        while let Some(id) = waiting.pop() {
            let component = all.get(id).with_context(|| format!("cargo metadata without {id}"))?;
            if needs.contains_key(&component.purl) {
                continue;
            }
            let node = nodes.iter().find(|node| node["id"] == id).with_context(|| format!("no node {id}"))?;
            let mut own = BTreeSet::new();
            for dependency in array(node, "deps")? {
                // Build and test dependencies have a kind.
                if array(dependency, "dep_kinds")?.iter().any(|kind| kind["kind"].is_null()) {
                    let other = text(dependency, "pkg")?;
                    own.insert(all.get(other).with_context(|| format!("cargo metadata without {other}"))?.purl.clone());
                    waiting.push(other);
                }
            }
            needs.insert(component.purl.clone(), own);
            if id != root {
                components.insert(component.purl.clone(), component.clone());
            }
        }
        Ok(Self { components: components.into_values().collect(), needs, folders })
    }

    /// Adds a library of Rust, `core` or `std`, which is compiled into the program, according to the output of
    /// `rustc --version`.
    ///
    /// # Errors
    /// The text has another format.
    pub fn add_library(&mut self, library: &str, rustc: &str) -> Result<()> {
        let version = rustc.strip_prefix("rustc ").and_then(|rest| rest.split_whitespace().next());
        let version = version.with_context(|| format!("{rustc:?} is not what rustc --version prints"))?.to_owned();
        let (name, license) = (format!("rust-{library}"), Some("MIT OR Apache-2.0".to_owned()));
        self.add(Component {
            kind: "library",
            purl: format!("pkg:generic/{name}@{version}"),
            name,
            version,
            license,
            sha256: None,
        });
        Ok(())
    }

    /// Adds a Debian package whose archives (`.a`) are linked into the program.
    pub fn add_linked(&mut self, name: &str, version: &str) {
        let purl = format!("pkg:deb/debian/{name}@{}", encoded(version));
        let (name, version) = (name.to_owned(), version.to_owned());
        self.add(Component { kind: "library", name, version, purl, license: None, sha256: None });
    }

    fn add(&mut self, component: Component) {
        self.needs.entry(String::new()).or_default().insert(component.purl.clone());
        self.components.push(component);
    }

    /// Returns the licence texts from the crates' archives.
    ///
    /// # Errors
    /// A folder that cannot be read, or a third-party crate without a licence text.
    pub fn licenses(&self) -> Result<String> {
        let mut all = String::from(
            "The ELF file contains the crates below, and core or std of Rust's library (MIT OR Apache-2.0).\n",
        );
        for Component { name, version, license, .. } in self.components.iter().filter(|one| one.sha256.is_some()) {
            let _ = write!(all, "\n==== {name} {version}: {}\n", license.as_deref().unwrap_or_default());
            let folder = self.folders.get(&format!("{name} {version}")).context("a crate without a folder")?;
            let mut files = Vec::new();
            for entry in std::fs::read_dir(folder).with_context(|| folder.clone())? {
                let path = entry?.path();
                let file = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
                if path.is_file()
                    && ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT"].iter().any(|one| file.starts_with(one))
                {
                    files.push(path);
                }
            }
            files.sort();
            ensure!(!files.is_empty(), "{folder} has no text of its licence");
            for file in files {
                let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
                let _ = write!(all, "\n{}\n", text.trim_end());
            }
        }
        Ok(all)
    }
}

/// Returns a version as a package URL has it.
fn encoded(version: &str) -> String {
    version.replace('+', "%2B").replace(':', "%3A").replace('~', "%7E")
}

/// Returns Debian packages of an image, according to initramfs/debian/lock.
///
/// # Errors
/// A package is not in the list.
pub fn packages(lock: &str, architecture: &str, release: &str, names: &[&str]) -> Result<Vec<Component>> {
    let mut components = Vec::new();
    for name in names {
        let key = format!("{architecture} {release} {name} ");
        let line = lock.lines().find_map(|line| line.strip_prefix(&key));
        let line = line.with_context(|| format!("{key}is not in initramfs/debian/lock"))?;
        let words: Vec<&str> = line.split(' ').collect();
        let (&[version, sum, _date, file] | &[version, sum, _date, file, _]) = words.as_slice() else {
            anyhow::bail!("a lock file has the line: {line}")
        };
        // A kernel's package is listed by a name without its version; the file has the whole one.
        let file = file.rsplit('/').next().unwrap_or_default().trim_end_matches(".deb");
        let (real, debian) = (file.split('_').next().unwrap_or(name), file.rsplit('_').next().unwrap_or_default());
        components.push(Component {
            kind: "library",
            name: real.to_owned(),
            version: version.to_owned(),
            purl: format!(
                "pkg:deb/debian/{}@{}?arch={debian}&distro={release}",
                real.replace('+', "%2B"),
                encoded(version)
            ),
            license: None,
            sha256: Some(sum.to_owned()),
        });
    }
    Ok(components)
}

fn shown(component: &Component) -> Value {
    let Component { kind, name, version, purl, license, sha256 } = component;
    let mut value = json!({ "type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl });
    if let Some(license) = license {
        value["licenses"] = json!([{ "expression": license }]);
    }
    if let Some(sum) = sha256 {
        value["hashes"] = json!([{ "alg": "SHA-256", "content": sum }]);
    }
    value
}

/// Returns a document about a whole and its components. `crates` has the dependencies; without it the whole depends on
/// all components.
///
/// # Errors
/// A component occurs twice.
pub fn document(whole: &Component, parts: &[Component], crates: Option<&Crates>) -> Result<String> {
    let names: BTreeSet<&str> = parts.iter().map(|part| part.purl.as_str()).collect();
    ensure!(names.len() == parts.len(), "{}: a part stands there twice", whole.name);
    let mut needs = BTreeMap::from([(whole.purl.as_str(), names)]);
    if let Some(crates) = crates {
        for (one, others) in &crates.needs {
            let one = if one.is_empty() { whole.purl.as_str() } else { one };
            needs.insert(one, others.iter().map(String::as_str).collect());
        }
    }
    let dependencies = needs.into_iter().map(|(one, others)| json!({ "ref": one, "dependsOn": others }));
    let document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": shown(whole) },
        "components": parts.iter().map(shown).collect::<Vec<_>>(),
        "dependencies": dependencies.collect::<Vec<_>>(),
    });
    Ok(format!("{document:#}\n"))
}

/// Returns the subject of a document: an ELF file or an image of this version, with the checksum of `file`.
///
/// # Errors
/// The file cannot be read.
pub fn whole(kind: &'static str, name: &str, file: Option<&Path>) -> Result<Component> {
    use sha2::{Digest, Sha256};
    let sum =
        |bytes: Vec<u8>| Sha256::digest(&bytes).iter().fold(String::new(), |all, byte| all + &format!("{byte:02x}"));
    let read = |path: &Path| std::fs::read(path).with_context(|| path.display().to_string());
    let version = env!("CARGO_PKG_VERSION");
    Ok(Component {
        kind,
        name: name.to_owned(),
        version: version.to_owned(),
        purl: format!("pkg:generic/{name}@{version}"),
        license: Some("MIT OR Apache-2.0".to_owned()),
        sha256: file.map(read).transpose()?.map(sum),
    })
}
