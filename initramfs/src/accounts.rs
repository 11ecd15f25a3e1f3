//! Users and groups of a root filesystem, from its own /etc/passwd and /etc/group (passwd(5), group(5)). Symbolic links
//! are followed inside of it.

use crate::contents::Contents;
use crate::tree::{Entry, Kind, Tree};
use crate::untrusted::escaped;
use anyhow::{Context, Result, bail, ensure};

/// The result of looking up `NAME[:GROUP]`, each a name or a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Group id: the given one, or the user's own; `None` for a number without a line.
    pub gid: Option<u32>,
    /// The user's name, if it has one.
    pub name: Option<String>,
}

/// Looks up `NAME[:GROUP]`. A number needs no line.
///
/// # Errors
/// An unknown name, or one whose line has no valid numbers.
pub fn account(tree: &Tree, text: &str) -> Result<Account> {
    let (name, group) = text.split_once(':').map_or((text, None), |(name, group)| (name, Some(group)));
    let users = table(tree, PASSWD);
    let line = users.iter().find(|line| line[0] == name).or_else(|| users.iter().find(|line| has_id(line, name)));
    let (uid, own) = match line {
        Some(line) => {
            let id = |at: usize| line.get(at).and_then(|id| number(id));
            let (uid, gid) = id(2).zip(id(3)).context("its ids in the image are not numbers")?;
            (uid, Some(gid))
        }
        None => match number(name) {
            Some(uid) => (uid, None),
            None if is_number(name) => bail!("{name} is no user id"),
            None => bail!("user {} is not in the image's /etc/passwd", escaped(name)),
        },
    };
    let gid = group.map(|group| group_id(tree, group)).transpose()?.or(own);
    Ok(Account { uid, gid, name: line.map(|line| line[0].clone()).filter(|name| !name.is_empty()) })
}

/// Returns the supplementary groups of a user, in the order of /etc/group.
pub fn groups_of(tree: &Tree, user: &str) -> Vec<u32> {
    let lines = table(tree, GROUP);
    let is_member = |line: &&Vec<String>| line.get(3).is_some_and(|members| members.split(',').any(|one| one == user));
    lines.iter().filter(is_member).filter_map(|line| number(line.get(2)?)).collect()
}

/// Adds a user and a group with this name and number to the files that lack them.
///
/// # Errors
/// A name that no line can contain, or a file that cannot be added.
pub fn add(tree: &mut Tree, name: &str, id: u32) -> Result<()> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    ensure!(!name.is_empty() && name.len() <= 32 && name.bytes().all(is_good), "{name:?}: no name of a user");
    for (path, line) in
        [(PASSWD, format!("{name}:x:{id}:{id}::/:/sbin/nologin\n")), (GROUP, format!("{name}:x:{id}:\n"))]
    {
        let lines = table(tree, path);
        if let Some(found) = lines.iter().find(|line| line[0] == name) {
            ensure!(has_id(found, &id.to_string()), "{name} is in /{path} already, with another number");
            continue;
        }
        let place = tree.followed(path)?;
        let (mut entry, mut text) = match tree.get(&place) {
            Some(entry) => match &entry.kind {
                Kind::File(contents) => (entry.clone(), contents.read()?.into_owned()),
                _ => bail!("/{path} is no file"),
            },
            None => (Entry::of_root(0o644, Kind::File(Contents::default())), Vec::new()),
        };
        if !text.is_empty() && !text.ends_with(b"\n") {
            text.push(b'\n');
        }
        text.extend_from_slice(line.as_bytes());
        entry.kind = Kind::File(text.into());
        tree.add(&place, entry)?;
    }
    Ok(())
}

const PASSWD: &str = "etc/passwd";
const GROUP: &str = "etc/group";

fn group_id(tree: &Tree, group: &str) -> Result<u32> {
    let lines = table(tree, GROUP);
    match lines.iter().find(|line| line[0] == group) {
        Some(line) => line.get(2).and_then(|id| number(id)).context("its ids in the image are not numbers"),
        None => number(group).with_context(|| format!("group {} is not in the image's /etc/group", escaped(group))),
    }
}

/// Returns the fields of each line of a file.
fn table(tree: &Tree, path: &str) -> Vec<Vec<String>> {
    let Some(Kind::File(contents)) = tree.at(path).map(|entry| &entry.kind) else { return Vec::new() };
    let text = contents.text();
    text.lines().map(|line| line.split(':').map(str::to_owned).collect()).collect()
}

fn has_id(line: &[String], id: &str) -> bool {
    is_number(id) && line.get(2).is_some_and(|found| found == id)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn number(text: &str) -> Option<u32> {
    is_number(text).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
