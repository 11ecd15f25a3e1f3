//! Resolves symbolic links inside of a root filesystem.

use anyhow::{Result, ensure};

/// Maximum symbolic links in one path, as in the kernel (MAXSYMLINKS).
const LINKS: usize = 40;

/// Resolves all symbolic links of a path, including the last component. `target` returns the target of a path that is a
/// link, otherwise `None`.
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
            // `..` of the root is the root.
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
