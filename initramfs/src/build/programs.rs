//! Resolves `exec image` lines of a configuration: a workload runs as the container image says that its root filesystem is made of.

use crate::description::Description;
use crate::progress::Progress;
use crate::resolve::with_programs;
use anyhow::{Context, Result, ensure};

/// Returns a configuration with a program in place of each `exec image` line, for a first look at its other lines.
pub(super) fn with_some(text: &str) -> Result<String> {
    with_programs(text, &mut |_| Ok("exec /image".to_owned()))
}

/// Returns the configuration's name and text, with an image's lines in place of each `exec image` line. `lines` are those of the images of
/// the description's roots. Each line is reported; `hilum explain` shows on the board what became of them.
///
/// # Errors
/// A root filesystem that is not made of a container image here, and an image without a program, with the line of the configuration.
pub(super) fn resolved(
    name: String,
    text: Vec<u8>,
    description: &Description,
    lines: &[Option<String>],
    progress: &Progress<'_>,
) -> Result<(String, Vec<u8>)> {
    // The board's parser reports text that is not UTF-8.
    let Ok(old) = std::str::from_utf8(&text) else { return Ok((name, text)) };
    let new = with_programs(old, &mut |line| {
        let place = || format!("{name}:{}: workload \"{}\": exec image", line.line, line.workload);
        let root = description.roots.iter().rposition(|root| root.path == line.root);
        let said = root.and_then(|at| lines[at].as_ref());
        let said =
            said.context("its root is not made of a container image here; write: exec PROGRAM").with_context(place)?;
        let new = line.replacement(said);
        let has_program = new.lines().any(|line| line.starts_with("exec "));
        ensure!(has_program, "{}: the image names no program that a line can hold; write: exec PROGRAM", place());
        new.lines().for_each(|line| progress.say(&format!("{}: {line}", place())));
        Ok(new)
    })?;
    // Lines have other numbers now.
    let name = if new == old { name } else { format!("{name} with the lines of images") };
    Ok((name, new.into_bytes()))
}
