//! The files of a root filesystem, from all its sources.

use super::packages::Tools;
use crate::accounts;
use crate::compression::{self, Packing};
use crate::contents::Hash;
use crate::debian::scripts;
use crate::description::Root;
use crate::oci;
use crate::tree::{Entry, Kind, Stored, Tree};
use anyhow::{Context, Result, ensure};
use hilum::Architecture;
use std::io::Read;
use std::path::Path;

/// Combines the files of a root filesystem from all its sources. Returns them with the lines of its container image, if it has one.
///
/// # Errors
/// A source that does not exist or cannot be read; a user that already has another number.
pub(super) fn tree(root: &Root, tools: &Tools<'_>, architecture: Architecture) -> Result<(Tree, Option<String>)> {
    let (mut tree, mut lines) = (Tree::new(), None);
    let mut declared = scripts::Declared::default();
    for name in &root.packages {
        let package = tools.package(name)?;
        add_package(root, &package, &mut tree)?;
        declared.extend(&package);
    }
    if root.follows() {
        not_run(root, tools)?;
        for line in scripts::complete(&mut tree, &root.packages, &declared)? {
            tools.progress.say(&format!("root {}: {line}", root.path));
        }
    }
    if let Some(archive) = &root.tar {
        let place = || archive.display().to_string();
        let files = archived(archive, tools)?;
        let is_image = files.get("oci-layout").is_some() || files.get("manifest.json").is_some();
        ensure!(
            !is_image || files.get("etc").is_some(),
            "{}: a container image, and no root filesystem: name it by the key image instead of tar",
            place()
        );
        lay(&files, &mut tree)?;
    }
    if let Some(path) = &root.image {
        let stored = container(path, root.reference.as_deref(), tools, architecture)?;
        tools.progress.say(&format!("{} configures:", path.display()));
        stored.notes.lines().for_each(|line| tools.progress.say(line));
        lay(&stored.tree, &mut tree)?;
        lines = Some(stored.notes);
    }
    if let Some(folder) = &root.folder {
        let files = Tree::list_folder(folder, tools.cache)?;
        for (path, entry) in files.iter().filter(|(path, _)| !path.is_empty()) {
            if entry.kind != Kind::Folder || tree.get(path).is_none() {
                tree.add(path, entry.clone())?;
            }
        }
    }
    for name in &root.programs {
        let file = tools.places.init.with_file_name(name);
        let what = || format!("the program {name}; build it by: linker/agent {}", architecture.name());
        let source = tools.cache.source(&file).with_context(what)?;
        tree.add(&format!("bin/{name}"), Entry::of_root(0o755, Kind::File(super::contents::whole(&source)?)))?;
    }
    for (path, target) in &root.links {
        tree.add(path, Entry::of_root(0o777, Kind::Link(target.clone())))?;
    }
    for (name, id) in &root.users {
        accounts::add(&mut tree, name, *id)?;
    }
    Ok((tree, lines))
}

/// Reports what the maintainer scripts of a root's packages would have done. Packages without control files are skipped.
fn not_run(root: &Root, tools: &Tools<'_>) -> Result<()> {
    for name in &root.packages {
        let control = tools.places.packages.join(format!("{name}.control.tar"));
        let Ok(file) = std::fs::File::open(&control) else { continue };
        let line = scripts::told(name, std::io::BufReader::new(file));
        if let Some(line) = line.with_context(|| control.display().to_string())? {
            tools.progress.say(&format!("root {}: {line}", root.path));
        }
    }
    Ok(())
}

/// Adds the files of a source; they replace existing ones.
fn lay(files: &Tree, tree: &mut Tree) -> Result<()> {
    if tree.iter().count() == 1 {
        *tree = files.clone();
        return Ok(());
    }
    files.iter().try_for_each(|(path, entry)| tree.add(path, entry.clone()).map(drop))
}

/// Adds the files of a package that the root asks for.
fn add_package(root: &Root, package: &Tree, tree: &mut Tree) -> Result<()> {
    let is_kept = |path: &str| {
        root.keep.iter().any(|kept| {
            let kept = kept.trim_matches('/');
            path.strip_prefix(kept).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    };
    for (path, entry) in package.iter().filter(|(path, _)| !path.is_empty()) {
        // Documentation makes up half of many packages.
        let is_text = ["usr/share/doc", "usr/share/man", "usr/share/locale"].iter().any(|text| path.starts_with(text));
        let is_dropped = path.split('/').any(|part| root.drop.iter().any(|dropped| dropped == part));
        let is_wanted = !is_dropped && if root.keep.is_empty() { !is_text } else { is_kept(path) };
        if is_wanted {
            if entry.kind == Kind::Folder && tree.get(path).is_some() {
                continue;
            }
            tree.add(path, entry.clone())?;
        }
    }
    Ok(())
}

/// Reads a tar archive, compressed or not.
fn archived(path: &Path, tools: &Tools<'_>) -> Result<Tree> {
    let Tools { cache, progress, .. } = *tools;
    let source = cache.source(path)?;
    let place = || path.display().to_string();
    let mut start = Vec::new();
    std::fs::File::open(path).with_context(place)?.take(6).read_to_end(&mut start).with_context(place)?;
    let is_plain = Packing::of(&start).with_context(place)? == Packing::Plain;
    let key = cache.key("tar", &[&source.id()]);
    let stored = Stored::by(cache, &key, progress, is_plain.then_some(&source), &mut |spool| {
        let mut tree = Tree::new();
        let mut input = Told { input: std::fs::File::open(path)?, done: 0, path, tools };
        tree.apply_to(std::io::BufReader::new(compression::unpacked(&mut input)?), false, spool)?;
        progress.end();
        Ok(Stored { tree, notes: String::new() })
    });
    Ok(stored.with_context(place)?.tree)
}

/// Reads a container image; the notes are its settings as configuration lines.
fn container(path: &Path, reference: Option<&str>, tools: &Tools<'_>, architecture: Architecture) -> Result<Stored> {
    let Tools { cache, progress, .. } = *tools;
    let id = if path.is_dir() {
        // The hash of all files of the layout.
        Tree::list_folder(path, cache)?.identity()
    } else {
        cache.hash_of(path)?
    };
    let key: Hash =
        cache.key("image", &[&id, architecture.name().as_bytes(), reference.unwrap_or_default().as_bytes()]);
    let mut done = 0;
    Stored::by(cache, &key, progress, None, &mut |spool| {
        let container = oci::read_to(path, architecture, reference, spool, &mut |more| {
            done += more;
            progress.bytes(&format!("reading {}", path.display()), done, 0);
        })?;
        progress.end();
        Ok(Stored { notes: container.lines(), tree: container.tree })
    })
}

/// A file whose reading is reported.
struct Told<'a> {
    input: std::fs::File,
    done: u64,
    path: &'a Path,
    tools: &'a Tools<'a>,
}

impl Read for Told<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let found = self.input.read(buffer)?;
        self.done += found as u64;
        let total = self.input.metadata()?.len();
        self.tools.progress.bytes(&format!("reading {}", self.path.display()), self.done, total);
        Ok(found)
    }
}
