//! Steps in words: for `hilum explain`, and for the one line that tells of a step that failed.

use super::{Namespaces, Plan, Step};
use core::ffi::CStr;
use core::fmt;

/// The text of a C string that this project wrote itself; all of them are ASCII.
fn text(string: &CStr) -> &str {
    string.to_str().unwrap_or_default()
}

impl Step<'_> {
    /// What the step does, as a verb: `mount`.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Session => "start a session",
            Self::Output => "connect standard input and output",
            Self::Hostname(_) => "set host name",
            Self::Loopback => "bring up link",
            Self::Setting(_) => "set",
            Self::PrivateMounts => "make mounts private",
            Self::Root(_) => "attach root",
            Self::Folder(_) => "make folder",
            Self::Mount(_) => "mount",
            Self::Node(_) => "make node",
            Self::Link(_) => "make link",
            Self::Seal(_) => "make read-only",
            Self::Pivot => "pivot root",
            Self::Directory(_) => "enter directory",
            Self::Bounding => "empty the capability bounding set",
            Self::User(_) => "become user",
            Self::Capabilities => "drop capabilities",
            Self::NoNewPrivileges => "forbid new privileges",
            Self::Descriptors => "close descriptors",
            Self::Signals => "reset signals",
            Self::Execute(_) => "exec",
        }
    }

    /// What helps when the step failed with this errno; the kernel's own words mislead there.
    pub fn hint(&self, errno: u16) -> Option<&'static str> {
        const ENOENT: u16 = 2;
        const ENOEXEC: u16 = 8;
        const EACCES: u16 = 13;
        const EINVAL: u16 = 22;
        const ELOOP: u16 = 40;
        const ELIBACC: u16 = 79;
        match (self, errno) {
            (Self::Root(_), ENOENT) => Some("the root filesystem is not there"),
            (Self::Mount(_), ENOENT) => Some("the root filesystem needs an empty folder there"),
            (Self::Mount(_), ELOOP) => Some("the root filesystem has a symbolic link where a folder is needed"),
            (Self::Pivot, EINVAL) => Some("the root is the initial ramfs"),
            (Self::Execute(_), ENOENT) => Some("the program is not in the root filesystem"),
            (Self::Execute(_), ELIBACC) => Some("its interpreter or dynamic loader is not in the root filesystem"),
            (Self::Execute(_), ENOEXEC) => Some("built for another architecture, or no program at all"),
            (Self::Execute(_), EACCES) => Some("it is not an executable file"),
            _ => None,
        }
    }
}

impl fmt::Display for Step<'_> {
    /// The verb and its subject: `mount /proc`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, subject) = match self {
            Self::Hostname(subject) | Self::Root(subject) | Self::Directory(subject) | Self::Execute(subject) => {
                (" ", *subject)
            }
            Self::Loopback => (" ", "lo"),
            Self::Setting(setting) => (" ", text(setting.path)),
            Self::Folder(folder) => (" /", text(folder.path)),
            Self::Mount(mount) => (" /", text(mount.target)),
            Self::Node(node) => (" /", text(node.path)),
            Self::Link(link) => (" /", text(link.path)),
            Self::Seal(path) => (" /", text(path)),
            Self::User(user) => return write!(formatter, "{} {}:{}", self.verb(), user.uid, user.gid),
            _ => ("", ""),
        };
        for part in [self.verb(), before, subject] {
            formatter.write_str(part)?;
        }
        Ok(())
    }
}

impl Step<'_> {
    /// What `hilum explain` adds behind the step: how exactly it is done.
    fn detail(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(_) => formatter.write_str(": ro,nosuid,nodev"),
            Self::Mount(mount) => {
                write!(formatter, ": {} nosuid", text(mount.filesystem.name()))?;
                for (on, word) in [(mount.read_only, ",ro"), (!mount.executable, ",noexec"), (!mount.devices, ",nodev")]
                {
                    formatter.write_str(if on { word } else { "" })?;
                }
                mount.options.iter().try_for_each(|(name, value)| write!(formatter, ",{}={}", text(name), text(value)))
            }
            Self::Node(node) => write!(formatter, ": character device {}:{}, mode 0666", node.major, node.minor),
            Self::Link(link) => write!(formatter, ": to {}", text(link.target)),
            Self::Setting(setting) => write!(formatter, ": to {}", setting.value),
            Self::Output => formatter.write_str(": input from /dev/null, output and errors to the log"),
            Self::Descriptors => formatter.write_str(": all but 0, 1 and 2"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Namespaces {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let present = Self::NAMES.iter().filter(|(_, flag)| self.0 & flag != 0);
        for (index, (name, _)) in present.enumerate() {
            formatter.write_str(if index > 0 { " " } else { "" })?;
            formatter.write_str(name)?;
        }
        Ok(())
    }
}

impl fmt::Display for Plan<'_> {
    /// A line for the clone and one for each step, numbered as a failure report counts them.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, " 0  clone into own namespaces: {}", self.namespaces)?;
        for (index, step) in self.steps.iter().enumerate() {
            write!(formatter, "{:2}  {step}", index + 1)?;
            step.detail(formatter)?;
            formatter.write_str("\n")?;
        }
        Ok(())
    }
}
