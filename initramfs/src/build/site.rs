//! The files of a site: a FAT filesystem that people edit on any computer, and its `site.conf`.

use crate::contents::Contents;
use crate::description::Description;
use crate::disk::{Partition, Role};
use crate::fat::{Files, Room, fat};
use anyhow::{Context, Result, bail, ensure};
use hilum::config::{Config, SITE_HEADER, clean_site, limits};
use hilum::split::Split;

/// The label of the filesystem that has them.
pub(super) const LABEL: &str = "SITE";

/// Returns the files of the folder `site`; none without the key.
///
/// # Errors
/// A folder that cannot be read, or has another folder in it.
pub(super) fn files(description: &Description) -> Result<Files> {
    let Some(folder) = &description.site else { return Ok(Files::new()) };
    let place = || format!("{}: {}", description.place_of_key("site"), folder.display());
    let mut files = Files::new();
    for entry in std::fs::read_dir(folder).with_context(place)? {
        let entry = entry.with_context(place)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        ensure!(entry.path().is_file(), "{}: {name} is not a file; the site has no folders", place());
        files.insert(name, Contents::from(std::fs::read(entry.path()).with_context(place)?));
    }
    Ok(files)
}

/// Returns the partition with these files; `None` if there are none.
///
/// # Errors
/// A name that FAT does not support.
pub(super) fn partition(files: &Files) -> Result<Option<Partition>> {
    if files.is_empty() {
        return Ok(None);
    }
    let contents = fat(files, LABEL, Room::None)?.contents;
    Ok(Some(Partition { role: Role::Site, contents, bytes: 0 }))
}

/// Checks the file of the line `site` as the board does: behind the configuration `text`, which has the name `name`.
///
/// # Errors
/// The key without the line, a file that the folder lacks, or a line of it that a site may not have.
pub(super) fn check(
    description: &Description,
    files: &Files,
    name: &str,
    text: &[u8],
    config: &Config<'_>,
) -> Result<()> {
    let Some(folder) = &description.site else { return Ok(()) };
    let place = description.place_of_key("site");
    let Some(path) = config.system.site else {
        bail!("{place}: site needs the line site in [system] of {name}; add it");
    };
    let file = path.cut_last(b'/').map_or(path, |(_, file)| file);
    let Some(contents) = files.get(file) else {
        bail!("{place}: {} has no {file}, which the line site of {name} names; add it", folder.display());
    };
    let mut lines = contents.read()?.into_owned();
    let room = limits::SITE_BYTES;
    ensure!(lines.len() <= room, "{}: more than {room} bytes; shorten it", folder.join(file).display());
    clean_site(&mut lines);
    let whole = [text, SITE_HEADER, &lines[..]].concat();
    let above = whole[..text.len() + SITE_HEADER.len()].iter().filter(|byte| **byte == b'\n').count();
    let mut with_site = Box::new(Config::EMPTY);
    if let Err(mut error) = hilum::config::parse(&whole, &mut with_site) {
        error.line = error.line.saturating_sub(u32::try_from(above)?);
        bail!("{}:{error}", folder.join(file).display());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
