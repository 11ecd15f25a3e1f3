//! Groups below a group.

use std::fs;
use std::path::Path;

/// Enables all controllers for the groups below a folder. One that cannot be, because the folder has processes, is missed when a
/// limit needs it.
pub fn enable(folder: &Path) {
    let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap_or_default();
    let enabled = read("cgroup.subtree_control");
    let available = read("cgroup.controllers");
    let is_enabled = |name: &&str| enabled.split_whitespace().any(|other| other == *name);
    let missing: Vec<&str> = available.split_whitespace().filter(|name| !is_enabled(name)).collect();
    if missing.is_empty() {
        return;
    }
    let write = |names: &[&str]| {
        let text: Vec<String> = names.iter().map(|name| format!("+{name}")).collect();
        fs::write(folder.join("cgroup.subtree_control"), text.join(" "))
    };
    // All or none: then one after the other.
    if write(&missing).is_err() {
        missing.iter().for_each(|name| drop(write(&[*name])));
    }
}

/// Calls `act` for a folder and all below it.
pub(super) fn visit(folder: &Path, act: &mut dyn FnMut(&Path)) -> std::io::Result<()> {
    act(folder);
    for entry in fs::read_dir(folder)?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            // It may be removed meanwhile.
            let _ = visit(&entry.path(), act);
        }
    }
    Ok(())
}

/// Removes a folder and all below it.
pub(super) fn remove(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}
