//! The kernel's table of mounts, /proc/PID/mountinfo (proc_pid_mountinfo(5)): a line for each, the upper one of two on one
//! folder behind the lower one.

/// One mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MountEntry<'a> {
    /// The filesystem's device, as major and minor number. Major 0 is a filesystem without one, such as a tmpfs.
    pub device: (u32, u32),
    /// The folder that it is mounted on, as it stands there: blanks, line ends and backslashes in octal digits.
    target: &'a str,
    /// The filesystem's name.
    pub kind: &'a str,
    /// What it was mounted from, as it stands there.
    pub source: &'a str,
    /// The options of this mount, and those of the filesystem, which all of its mounts have.
    options: &'a str,
    all_options: &'a str,
}

/// Reads whole lines; what is no line of the table is left out.
pub fn entries(table: &str) -> impl Iterator<Item = MountEntry<'_>> {
    table.split('\n').filter_map(entry)
}

fn entry(line: &str) -> Option<MountEntry<'_>> {
    let mut words = line.split(' ');
    let (major, minor) = words.nth(2)?.split_once(':')?;
    let (target, options) = (words.nth(1)?, words.next()?);
    // Of optional fields there is any number.
    words.find(|word| *word == "-")?;
    let (kind, source, all_options) = (words.next()?, words.next()?, words.next()?);
    Some(MountEntry { device: (major.parse().ok()?, minor.parse().ok()?), target, kind, source, options, all_options })
}

impl MountEntry<'_> {
    /// Whether nothing can be written there.
    pub fn is_read_only(&self) -> bool {
        [self.options, self.all_options].iter().any(|options| options.split(',').next() == Some("ro"))
    }

    /// Whether it is mounted on this folder.
    #[inline(never)]
    pub fn is_at(&self, folder: &str) -> bool {
        let mut rest = self.target.as_bytes();
        let mut wanted = folder.trim_end_matches('/').bytes();
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
