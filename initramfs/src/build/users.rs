//! Resolves `user NAME[:GROUP]` lines of a configuration by the root filesystems in the image.

use crate::accounts::account;
use crate::description::Description;
use crate::progress::Progress;
use crate::resolve::{UserLine, resolved as with_numbers, user_lines};
use crate::tree::Tree;
use anyhow::{Context, Result, bail};
use hilum::config::{self, Config};

/// Finds errors before slow inputs are read, with a dummy number in place of each name.
///
/// # Errors
/// Those of the parser, with the file's name.
pub(super) fn check(name: &str, text: &[u8]) -> Result<()> {
    let with_some = std::str::from_utf8(text)
        .map(|text| with_numbers(&super::programs::with_some(text)?, &mut |_| Ok("0".to_owned())));
    let with_some = with_some.map_or_else(|_| Ok(text.to_vec()), |text| text.map(String::into_bytes))?;
    let mut config = Box::new(Config::EMPTY);
    match config::parse(&with_some, &mut config) {
        Ok(()) => Ok(()),
        Err(error) => bail!("{name}:{error}"),
    }
}

/// Returns the configuration with numbers in place of names; `trees` are the root filesystems of the description. A
/// number without a name is reported if the root filesystem has names.
///
/// # Errors
/// A name that the root filesystem does not have, with its line.
pub(super) fn resolved(
    name: &str,
    text: &[u8],
    description: &Description,
    trees: &[Option<Tree>],
    progress: &Progress<'_>,
) -> Result<Vec<u8>> {
    // The board's parser reports text that is not UTF-8.
    let Ok(text) = std::str::from_utf8(text) else { return Ok(text.to_vec()) };
    let tree_of = |user: &UserLine<'_>| {
        let at = description.roots.iter().rposition(|root| root.path == user.root)?;
        trees[at].as_ref()
    };
    for user in user_lines(text).iter().filter(|user| user.is_resolved()) {
        let Some(tree) = tree_of(user).filter(|tree| tree.at("etc/passwd").is_some()) else { continue };
        if account(tree, user.user).is_ok_and(|found| found.name.is_none()) {
            let number = user.user.split(':').next().unwrap_or_default();
            progress.say(&format!(
                "{name}:{}: workload \"{}\": user {number} has no name in {}, which some programs ask for; add to its \
                 [[root]]: users = {{ {} = {number} }}",
                user.line, user.workload, user.root, user.workload
            ));
        }
    }
    let mut number = |user: &UserLine<'_>| -> Result<String> {
        let place = || format!("{name}:{}: workload \"{}\": user {}", user.line, user.workload, user.user);
        let tree = tree_of(user).context("only what is packed here has names; write its number").with_context(place)?;
        let found = account(tree, user.user).with_context(place)?;
        let gid = found.gid.unwrap_or(found.uid);
        progress.say(&format!("{}: is {}:{gid}", place(), found.uid));
        Ok(format!("{}:{gid}", found.uid))
    };
    Ok(with_numbers(text, &mut number)?.into_bytes())
}
