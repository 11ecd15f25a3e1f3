//! Symbolic links as a process follows them whose root is at the top: none leads out.

use anyhow::{Result, ensure};

/// Symbolic links that one path may lead over, as in the kernel (MAXSYMLINKS).
const LINKS: usize = 40;

/// Returns a path with every symbolic link followed, the last one as well. `target` looks at what is on the way, gives a link's target,
/// and none for what is no link.
///
/// # Errors
/// Too many links, and those of `target`.
pub(crate) fn follow(path: &str, target: &mut dyn FnMut(&str) -> Result<Option<String>>) -> Result<String> {
    let mut rest: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
    let mut at: Vec<String> = Vec::new();
    let mut links = 0;
    while let Some(part) = rest.pop() {
        match part.as_str() {
            "" | "." => continue,
            // At the root it stays there.
            ".." => {
                at.pop();
                continue;
            }
            _ => at.push(part),
        }
        if let Some(target) = target(&at.join("/"))? {
            links += 1;
            ensure!(links <= LINKS, "{path}: too many symbolic links");
            at.pop();
            if target.starts_with('/') {
                at.clear();
            }
            rest.extend(target.split('/').rev().map(str::to_owned));
        }
    }
    Ok(at.join("/"))
}
