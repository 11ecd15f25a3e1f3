//! Parses the kernel's mount table, /proc/PID/mountinfo (proc_pid_mountinfo(5)): one line per mount. If two mounts are
//! on one folder, the upper one comes later.

use crate::number::number;
use crate::split::Split;

/// One mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MountEntry<'a> {
    /// The filesystem's device as major and minor number. Major 0 means no device, such as for a tmpfs.
    pub device: (u32, u32),
    /// The mount point as it is written there: blanks, line ends and backslashes are octal escapes.
    target: &'a str,
    /// The filesystem's name.
    pub kind: &'a str,
    /// The source as it is written there.
    pub source: &'a str,
    /// The options of this mount, and those of the filesystem, which are common to all its mounts.
    options: &'a str,
    all_options: &'a str,
}

/// Iterates over whole lines; malformed ones are skipped.
pub fn entries(table: &str) -> impl Iterator<Item = MountEntry<'_>> {
    table.parts(b'\n').filter_map(entry)
}

fn entry(line: &str) -> Option<MountEntry<'_>> {
    let mut words = line.parts(b' ');
    let (major, minor) = words.nth(2)?.cut(b':')?;
    let (target, options) = (words.nth(1)?, words.next()?);
    // The number of optional fields varies.
    words.find(|word| *word == "-")?;
    let (kind, source, all_options) = (words.next()?, words.next()?, words.next()?);
    Some(MountEntry { device: (number(major)?, number(minor)?), target, kind, source, options, all_options })
}

impl MountEntry<'_> {
    /// Returns whether it is read-only.
    pub fn is_read_only(&self) -> bool {
        [self.options, self.all_options].iter().any(|options| options.parts(b',').next() == Some("ro"))
    }

    /// Returns whether it is mounted on this folder.
    #[inline(never)]
    pub fn is_at(&self, folder: &str) -> bool {
        let mut rest = self.target.as_bytes();
        let mut wanted = folder.without_end(b'/').bytes();
        while let [first, behind @ ..] = rest {
            let (byte, behind) = match behind {
                [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', behind @ ..] if *first == b'\\' => {
                    ((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), behind)
                }
                _ => (*first, behind),
            };
            if wanted.next() != Some(byte) {
                return false;
            }
            rest = behind;
        }
        wanted.next().is_none()
    }
}
