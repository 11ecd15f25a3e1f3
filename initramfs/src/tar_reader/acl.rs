//! Access control lists: converts their text form (acl(5)) to the extended attribute
//! (include/uapi/linux/posix_acl_xattr.h).

use anyhow::{Context, Result, bail, ensure};

/// The version of the attribute, and the value for "no id".
const VERSION: u32 = 2;
const NO_ID: u32 = u32::MAX;

/// Returns the attribute for a list; `None` if the list is equivalent to the file's mode and is not a default ACL.
///
/// # Errors
/// A malformed list, or a user or group without a number.
pub(super) fn attribute(text: &[u8], is_default: bool) -> Result<Option<Vec<u8>>> {
    let text = std::str::from_utf8(text).context("an access control list is not UTF-8")?;
    let mut entries = Vec::new();
    for entry in text.split([',', '\n']).map(str::trim).filter(|entry| !entry.is_empty() && !entry.starts_with('#')) {
        let entry = entry.strip_prefix("default:").unwrap_or(entry);
        let parts: Vec<&str> = entry.split(':').map(str::trim).collect();
        let (kind, name, rights, number) = match parts[..] {
            // Without a name field, as star(1) writes it.
            [kind @ ("mask" | "m" | "other" | "o"), rights] => (kind, "", rights, None),
            [kind, name, rights] => (kind, name, rights, None),
            [kind, name, rights, number] => (kind, name, rights, Some(number)),
            _ => bail!("an access control list is damaged: {entry:?}"),
        };
        let tag: u16 = match (kind, name) {
            ("user" | "u", "") => 0x01,
            ("user" | "u", _) => 0x02,
            ("group" | "g", "") => 0x04,
            ("group" | "g", _) => 0x08,
            ("mask" | "m", "") => 0x10,
            ("other" | "o", "") => 0x20,
            _ => bail!("an access control list is damaged: {entry:?}"),
        };
        let id = match tag {
            0x02 | 0x08 => number.unwrap_or(name).parse().ok().with_context(|| {
                format!("an access control list names {name:?}, which has no number here; pack it with bsdtar")
            })?,
            _ => NO_ID,
        };
        let rights = rights.split(['\t', ' ', '#']).next().unwrap_or_default();
        let is_good = rights.len() <= 3 && rights.chars().all(|right| "rwx-".contains(right));
        ensure!(is_good, "an access control list is damaged: {entry:?}");
        let bit = |letter, bit: u16| if rights.contains(letter) { bit } else { 0 };
        entries.push((tag, id, bit('r', 4) | bit('w', 2) | bit('x', 1)));
    }
    if !is_default && entries.iter().all(|(tag, ..)| matches!(tag, 0x01 | 0x04 | 0x20)) {
        return Ok(None);
    }
    // The kernel requires this order.
    entries.sort_unstable();
    let mut bytes = VERSION.to_le_bytes().to_vec();
    for (tag, id, rights) in entries {
        bytes.extend(tag.to_le_bytes().into_iter().chain(rights.to_le_bytes()).chain(id.to_le_bytes()));
    }
    Ok(Some(bytes))
}
