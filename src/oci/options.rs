//! Options of a mount (mount(8)) -> attributes, propagation, and what is left for the filesystem.

use crate::error::{Error, Result};
use rustix::mount::{MountAttrFlags, MountPropagationFlags};

/// What the options of one mount mean.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// MOUNT_ATTR_* to set (mount_setattr(2)).
    pub set: MountAttrFlagsBits,
    /// Whether they are set in the whole tree.
    pub is_recursive: bool,
    /// Whether a source is bound; with what is mounted below it.
    pub bind: Option<bool>,
    /// Changes of propagation, in order.
    pub propagation: Vec<u32>,
    /// Whether the folder's content is copied into the tmpfs.
    pub copies_up: bool,
    /// Options of the filesystem, `name` or `name=value`.
    pub data: Vec<String>,
}

/// Bits of [`MountAttrFlags`].
pub type MountAttrFlagsBits = u32;

/// Options that set attributes: the option, its opposite, the attribute.
const ATTRIBUTES: [(&str, &str, MountAttrFlags); 6] = [
    ("ro", "rw", MountAttrFlags::MOUNT_ATTR_RDONLY),
    ("nosuid", "suid", MountAttrFlags::MOUNT_ATTR_NOSUID),
    ("nodev", "dev", MountAttrFlags::MOUNT_ATTR_NODEV),
    ("noexec", "exec", MountAttrFlags::MOUNT_ATTR_NOEXEC),
    ("nodiratime", "diratime", MountAttrFlags::MOUNT_ATTR_NODIRATIME),
    ("noatime", "atime", MountAttrFlags::MOUNT_ATTR_NOATIME),
];
/// MOUNT_ATTR_NOSYMFOLLOW and MOUNT_ATTR_STRICTATIME (include/uapi/linux/mount.h).
const NO_FOLLOW: u32 = 0x0020_0000;
const STRICT: u32 = 0x20;

fn propagation(option: &str) -> Option<u32> {
    let (recursive, word) = match option.strip_prefix('r') {
        Some(word) => (MountPropagationFlags::REC, word),
        None => (MountPropagationFlags::empty(), option),
    };
    let kind = match word {
        "private" => MountPropagationFlags::PRIVATE,
        "shared" => MountPropagationFlags::SHARED,
        "slave" => MountPropagationFlags::DOWNSTREAM,
        "unbindable" => MountPropagationFlags::UNBINDABLE,
        _ => return None,
    };
    Some((kind | recursive).bits())
}

/// Returns the flags of `rootfsPropagation`.
///
/// # Errors
/// Unknown words.
pub fn root_propagation(word: &str) -> Result<u32> {
    propagation(word).ok_or_else(|| Error(format!("rootfsPropagation={word} is not valid")))
}

/// Reads the options of a mount. A later option wins over an earlier one.
///
/// # Errors
/// Options that the specification has and this program does not do.
pub fn parse(options: &[String]) -> Result<Options> {
    let mut found = Options::default();
    for option in options {
        let word = option.as_str();
        if let Some(change) = propagation(word) {
            found.propagation.push(change);
            continue;
        }
        // rro, rnosuid and so on are for the whole tree.
        let whole =
            word.strip_prefix('r').filter(|rest| ATTRIBUTES.iter().any(|(on, off, _)| rest == on || rest == off));
        let name = whole.unwrap_or(word);
        found.is_recursive |= whole.is_some();
        if let Some((on, _, attribute)) = ATTRIBUTES.iter().find(|(on, off, _)| name == *on || name == *off) {
            let bits = attribute.bits();
            found.set = if name == *on { found.set | bits } else { found.set & !bits };
            continue;
        }
        match word {
            "bind" => found.bind = Some(found.bind.unwrap_or(false)),
            "rbind" => found.bind = Some(true),
            "strictatime" => found.set |= STRICT,
            "nosymfollow" => found.set |= NO_FOLLOW,
            "symfollow" => found.set &= !NO_FOLLOW,
            "nostrictatime" => found.set &= !STRICT,
            "relatime" | "norelatime" | "defaults" | "async" | "loud" | "nolazytime" | "nomand" => {}
            "tmpcopyup" => found.copies_up = true,
            "idmap" | "ridmap" | "remount" => {
                return Err(Error(format!("mount option {word:?} is not done by hilum-oci")));
            }
            _ => found.data.push(option.clone()),
        }
    }
    Ok(found)
}
