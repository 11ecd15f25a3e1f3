//! Adds mount points to root filesystems, because a board cannot create them at run time.

use crate::contents::Contents;
use crate::description::Root;
use crate::progress::Progress;
use crate::tree::{Entry, Kind, Tree};
use anyhow::{Result, bail};
use hilum::config::Config;

/// Mount points that PID 1 uses.
const PLACES: [&str; 5] = ["dev", "proc", "run", "sys", "tmp"];

/// Adds the missing mount points of a root filesystem. A symbolic link at a mount point is replaced and reported,
/// because it would be covered in any case.
///
/// # Errors
/// A file where a folder is needed.
pub(super) fn add(config: &Config<'_>, root: &Root, tree: &mut Tree, progress: &Progress<'_>) -> Result<()> {
    for place in PLACES {
        let found = tree.get(place).map(|entry| entry.kind.clone());
        match found {
            Some(Kind::Folder) => {}
            None => tree.add_folder(place)?,
            Some(Kind::Link(target)) => {
                progress.say(&format!("root {}: /{place} is a folder now: it was a link to {target}", root.path));
                tree.add(place, Entry::of_root(0o755, Kind::Folder))?;
            }
            Some(_) => bail!("/{place} is no folder, and PID 1 attaches something there; remove it from the sources"),
        }
    }
    let mode = tree.get("").map_or(0o755, |top| top.mode);
    if mode & 0o555 != 0o555 {
        // As mktemp(1) and others leave the folder that an archive was made of.
        progress.say(&format!(
            "root {}: its top folder has mode {:o} now: with {mode:o}, only its owner could enter",
            root.path,
            mode | 0o555
        ));
        tree.set_mode("", mode | 0o555);
    }
    for workload in config.workloads.iter().filter(|workload| workload.root == root.path) {
        for volume in config.pools.of(workload.isolation.volumes) {
            tree.add_folder(volume.target)?;
        }
        let mut files = Vec::new();
        if workload.network.has_resolv {
            files.push(("etc/resolv.conf", "resolv"));
        }
        if workload.network.addresses(&config.pools).next().is_some() {
            files.push(("etc/hosts", "link"));
        }
        for (file, key) in files {
            let found = tree.get(file).map(|entry| entry.kind.clone());
            match found {
                Some(Kind::File(_)) => continue,
                None => {}
                Some(Kind::Link(target)) => progress.say(&format!(
                    "root {}: /{file} is an empty file now: it was a link to {target}, and the line {key} attaches a file there",
                    root.path
                )),
                Some(_) => bail!("/{file} is no file, and the line {key} attaches one there"),
            }
            tree.add(file, Entry::of_root(0o644, Kind::File(Contents::default())))?;
        }
    }
    Ok(())
}
