//! The two files of an image about kernel modules: what each module needs, and what its board loads.

/// Returns the modules that `name` needs, in the order in which they are loaded, by the text of /lib/modules/needs: a line
/// each, `NAME: OTHER...`. `None` if the line says that it is built into the kernel.
pub fn needs_of<'a>(needs: &'a str, name: &str) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
    let line = needs.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or_default();
    (line.trim() != "(built in)").then(|| line.split_ascii_whitespace())
}

/// Returns the modules of /lib/modules/load with their parameters: a line each, `NAME [PARAMETERS]`.
pub fn to_load(list: &str) -> impl Iterator<Item = (&str, &str)> {
    list.lines().map(|line| line.split_once(' ').unwrap_or((line, "")))
}

#[cfg(test)]
mod tests;
