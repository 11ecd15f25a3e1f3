//! The two files of an image about kernel modules: their dependencies, and the modules to load at boot.

use crate::split::Split;

/// Returns the dependencies of `name` in the order in which they are loaded, from the text of /lib/modules/needs with
/// lines `NAME: OTHER...`. `None` if the line says that the module is built into the kernel.
pub fn needs_of<'a>(needs: &'a str, name: &str) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
    let line = needs.each_line().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or_default();
    (line.trim_ascii() != "(built in)").then(|| line.split_ascii_whitespace())
}

/// Iterates over the lines `NAME [PARAMETERS]` of /lib/modules/load.
pub fn to_load(list: &str) -> impl Iterator<Item = (&str, &str)> {
    list.each_line().map(|line| line.cut(b' ').unwrap_or((line, "")))
}

#[cfg(test)]
mod tests;
