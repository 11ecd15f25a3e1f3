//! Directories that packages declare in /usr/lib/tmpfiles.d (tmpfiles.d(5)), such as /run/postgresql.

use crate::accounts;
use crate::tree::{Entry, Kind, Tree};
use anyhow::{Context, Result};

/// Makes the directories of the lines `d` and `D`, with their owners and modes. Other lines have no use in an image. Returns a line for
/// each directory that cannot be made, because its user or group does not exist.
///
/// # Errors
/// A mode that is no number, or a path on which there is no place.
pub(super) fn add(tree: &mut Tree, text: &str) -> Result<Vec<String>> {
    let mut told = Vec::new();
    for line in text.lines().filter(|line| line.starts_with(['d', 'D'])) {
        let mut fields = line.split_whitespace().skip(1).map(|field| Some(field).filter(|field| *field != "-"));
        let [path, mode, user, group] = std::array::from_fn(|_| fields.next().flatten());
        // Of this boot or this machine.
        let Some(path) = path.filter(|path| path.starts_with('/') && !path.contains('%')) else { continue };
        let mode = u32::from_str_radix(mode.unwrap_or("755").trim_start_matches([':', '~']), 8);
        let mode = mode.with_context(|| format!("tmpfiles.d: {line}"))?;
        let uid = user
            .filter(|user| *user != "root")
            .map_or(Ok(0), |user| accounts::account(tree, user).map(|found| found.uid));
        let gid = group.filter(|group| *group != "root").map_or(Ok(0), |group| accounts::group_id(tree, group));
        match uid.and_then(|uid| Ok((uid, gid?))) {
            Ok((uid, gid)) => {
                tree.add(path.trim_matches('/'), Entry { uid, gid, ..Entry::of_root(mode, Kind::Folder) })?;
            }
            Err(error) => told.push(format!("{path} is not made: {error}")),
        }
    }
    Ok(told)
}
