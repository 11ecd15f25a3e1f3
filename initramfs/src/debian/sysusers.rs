//! Users and groups that a package declares in /usr/lib/sysusers.d (sysusers.d(5)), as packages of Debian 13 do.

use crate::accounts::{self, User};
use crate::tree::Tree;
use anyhow::{Context, Result};

/// The ids of users and groups without a fixed one: a part of the range for system users that `USERS` in `scripts.rs` does not use.
const IDS: std::ops::Range<u32> = 600..930;

/// Adds the users and groups of these lines that do not exist yet. `known` returns the id that a name has in every image; other
/// names get one that depends on the name. Returns a line for each user.
///
/// # Errors
/// A line that the builder does not know, or a file that cannot be added.
pub(super) fn add(tree: &mut Tree, text: &str, known: &dyn Fn(&str) -> Option<u32>) -> Result<Vec<String>> {
    let lines = || text.lines().map(words).filter(|words| words.first().is_some_and(|first| !first.starts_with('#')));
    let mut added = Vec::new();
    // Groups first, because users and members name them.
    for kind in ["g", "u", "m"] {
        for line in lines().filter(|line| line[0].trim_end_matches(['!', '-']) == kind) {
            let told = one(tree, kind, &line, known);
            added.extend(told.with_context(|| format!("sysusers.d: {}", line.join(" ")))?);
        }
    }
    Ok(added)
}

fn one(tree: &mut Tree, kind: &str, line: &[String], known: &dyn Fn(&str) -> Option<u32>) -> Result<Option<String>> {
    let field = |at: usize| line.get(at).map(String::as_str).filter(|field| *field != "-");
    let name = field(1).context("no name")?;
    if kind == "m" {
        let group = field(2).context("no group")?;
        if accounts::group_id(tree, group).is_err() {
            let gid = free(tree, group, known)?;
            accounts::add_group(tree, group, gid)?;
        }
        accounts::add_member(tree, group, name)?;
        return Ok(None);
    }
    let exists = if kind == "g" { accounts::group_id(tree, name).is_ok() } else { accounts::has_user(tree, name) };
    if exists {
        return Ok(None);
    }
    let (id, group) = field(2).map_or((None, None), |id| match id.split_once(':') {
        Some((id, group)) => (Some(id), Some(group)),
        None => (Some(id), None),
    });
    // The owner of a path is not known here.
    let id = match id.filter(|id| *id != "-" && !id.starts_with('/')) {
        Some(id) => id.parse().with_context(|| format!("{id:?} is no id"))?,
        None if kind == "u" && accounts::group_id(tree, name).is_ok() => accounts::group_id(tree, name)?,
        None => free(tree, name, known)?,
    };
    if kind == "g" {
        accounts::add_group(tree, name, id)?;
        return Ok(None);
    }
    let gid = match group {
        Some(group) => accounts::group_id(tree, group)?,
        None => {
            accounts::add_group(tree, name, id)?;
            id
        }
    };
    let home = field(4).unwrap_or("/");
    accounts::add_user(tree, &User { name, uid: id, gid, home, shell: field(5).unwrap_or("/usr/sbin/nologin") })?;
    Ok(Some(format!("user {name} is {id}:{gid}")))
}

/// Returns the id of a name: the same in every image, unless another name of the image has it already.
fn free(tree: &Tree, name: &str, known: &dyn Fn(&str) -> Option<u32>) -> Result<u32> {
    if let Some(id) = known(name) {
        return Ok(id);
    }
    // FNV-1a.
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let count = IDS.end - IDS.start;
    let ids = (0..count).map(|step| IDS.start + (hash % count + step) % count);
    ids.into_iter().find(|id| accounts::is_unused(tree, *id)).context("too many users")
}

/// Splits a line into words; quotes enclose a word with spaces.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut rest) = (Vec::new(), line.trim());
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '"' | '\'' => rest[1..].split_once(first).unwrap_or((&rest[1..], "")),
            _ => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}
