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

/// A line of /etc/passwd.
#[derive(Debug, Clone, Copy)]
pub struct User<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its id.
    pub uid: u32,
    /// The id of its group.
    pub gid: u32,
    /// Its home directory.
    pub home: &'a str,
    /// Its shell.
    pub shell: &'a str,
}

/// Adds a user and a group with this name and number to the files that lack them.
///
/// # Errors
/// A name that no line can contain, or a file that cannot be added.
pub fn add(tree: &mut Tree, name: &str, id: u32) -> Result<()> {
    add_user(tree, &User { name, uid: id, gid: id, home: "/", shell: "/sbin/nologin" })?;
    add_group(tree, name, id)
}

/// Adds a user, if it is not there.
///
/// # Errors
/// A field that no line can contain, another user with the name, or a file that cannot be added.
pub fn add_user(tree: &mut Tree, user: &User<'_>) -> Result<()> {
    let User { name, uid, gid, home, shell } = *user;
    let is_good = |path: &str| path.starts_with('/') && !path.contains([':', '\n']);
    ensure!(is_good(home) && is_good(shell), "{name:?}: no home or shell of a user");
    add_line(tree, PASSWD, name, uid, &format!("{name}:x:{uid}:{gid}::{home}:{shell}"))
}

/// Adds a group, if it is not there.
///
/// # Errors
/// As of [`add_user`].
pub fn add_group(tree: &mut Tree, name: &str, gid: u32) -> Result<()> {
    add_line(tree, GROUP, name, gid, &format!("{name}:x:{gid}:"))
}

/// Adds a user to the members of a group, which has to be there.
///
/// # Errors
/// A file that cannot be changed.
pub fn add_member(tree: &mut Tree, group: &str, user: &str) -> Result<()> {
    ensure!(is_name(user), "{user:?}: no name of a user");
    edit(tree, GROUP, &mut |lines| {
        for line in lines.iter_mut().filter(|line| line.split(':').next() == Some(group)) {
            let members = line.rsplit(':').next().unwrap_or_default();
            if !members.split(',').any(|member| member == user) {
                *line = format!("{line}{}{user}", if members.is_empty() { "" } else { "," });
            }
        }
    })
}

/// Returns whether /etc/passwd has a user of this name.
pub fn has_user(tree: &Tree, name: &str) -> bool {
    table(tree, PASSWD).iter().any(|line| line[0] == name)
}

/// Returns whether no user and no group has this id.
pub fn is_unused(tree: &Tree, id: u32) -> bool {
    let text = id.to_string();
    [PASSWD, GROUP].iter().all(|path| !table(tree, path).iter().any(|line| has_id(line, &text)))
}

fn add_line(tree: &mut Tree, path: &str, name: &str, id: u32, line: &str) -> Result<()> {
    ensure!(is_name(name), "{name:?}: no name of a user");
    if let Some(found) = table(tree, path).iter().find(|line| line[0] == name) {
        ensure!(has_id(found, &id.to_string()), "{name} is in /{path} already, with another number");
        return Ok(());
    }
    edit(tree, path, &mut |lines| lines.push(line.to_owned()))
}

/// Changes the lines of a file; it is made if it is not there.
fn edit(tree: &mut Tree, path: &str, change: &mut dyn FnMut(&mut Vec<String>)) -> Result<()> {
    let place = tree.followed(path)?;
    let (mut entry, text) = match tree.get(&place) {
        Some(entry) => match &entry.kind {
            Kind::File(contents) => (entry.clone(), String::from_utf8_lossy(&contents.read()?).into_owned()),
            _ => bail!("/{path} is no file"),
        },
        None => (Entry::of_root(0o644, Kind::File(Contents::default())), String::new()),
    };
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    lines.push(String::new());
    entry.kind = Kind::File(lines.join("\n").into_bytes().into());
    tree.add(&place, entry)?;
    Ok(())
}

fn is_name(name: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    !name.is_empty() && name.len() <= 32 && name.bytes().all(is_good)
}

const PASSWD: &str = "etc/passwd";
const GROUP: &str = "etc/group";

/// Returns the id of a group, by its name or number.
///
/// # Errors
/// A name that /etc/group does not have.
pub fn group_id(tree: &Tree, group: &str) -> Result<u32> {
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
