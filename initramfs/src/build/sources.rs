//! The files of a root filesystem, from all its sources.

use super::packages::{Places, package_tree};
use crate::accounts;
use crate::compression;
use crate::description::Root;
use crate::oci;
use crate::tree::{Entry, Kind, Tree};
use anyhow::{Context, Result, ensure};
use hilum::Architecture;

/// Combines the files of a root filesystem from all its sources.
///
/// # Errors
/// A source that does not exist or cannot be read; a user that already has another number.
pub(super) fn tree(
    root: &Root,
    places: &Places,
    architecture: Architecture,
    progress: &mut dyn FnMut(&str),
) -> Result<Tree> {
    let mut tree = Tree::new();
    for name in &root.packages {
        let package = package_tree(places, name)?;
        let is_kept = |path: &str| {
            root.keep.iter().any(|kept| {
                let kept = kept.trim_matches('/');
                path.strip_prefix(kept).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        for (path, entry) in package.iter().filter(|(path, _)| !path.is_empty()) {
            // Documentation makes up half of many packages.
            let is_text =
                ["usr/share/doc", "usr/share/man", "usr/share/locale"].iter().any(|text| path.starts_with(text));
            let is_dropped = path.split('/').any(|part| root.drop.iter().any(|dropped| dropped == part));
            let is_wanted = !is_dropped && if root.keep.is_empty() { !is_text } else { is_kept(path) };
            if is_wanted {
                if entry.kind == Kind::Folder && tree.get(path).is_some() {
                    continue;
                }
                tree.add(path, entry.clone())?;
            }
        }
    }
    if let Some(archive) = &root.tar {
        let place = || archive.display().to_string();
        let file = std::fs::File::open(archive).with_context(place)?;
        tree.apply(compression::unpacked(file).with_context(place)?, false).with_context(place)?;
        let is_image = tree.get("oci-layout").is_some() || tree.get("manifest.json").is_some();
        ensure!(
            !is_image || tree.get("etc").is_some(),
            "{}: a container image, and no root filesystem: name it by the key image instead of tar",
            place()
        );
    }
    if let Some(path) = &root.image {
        let container = oci::read(path, architecture, root.reference.as_deref())?;
        let lines = container.lines();
        progress(&format!("{} configures:", path.display()));
        lines.lines().for_each(&mut *progress);
        for (path, entry) in container.tree.iter() {
            tree.add(path, entry.clone())?;
        }
    }
    if let Some(folder) = &root.folder {
        let files = Tree::read_folder(folder)?;
        for (path, entry) in files.iter().filter(|(path, _)| !path.is_empty()) {
            if entry.kind != Kind::Folder || tree.get(path).is_none() {
                tree.add(path, entry.clone())?;
            }
        }
    }
    for (path, target) in &root.links {
        tree.add(path, Entry::of_root(0o777, Kind::Link(target.clone())))?;
    }
    for (name, id) in &root.users {
        accounts::add(&mut tree, name, *id)?;
    }
    Ok(tree)
}
