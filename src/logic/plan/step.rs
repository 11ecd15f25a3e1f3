//! One step of a plan: what is done, and to what.

use crate::config::User;
use core::ffi::CStr;

/// One thing that the new process does to itself before it becomes the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// A session of its own, without a controlling terminal (setsid(2)).
    Session,
    /// Standard input from /dev/null, standard output and error to the log pipe.
    Output,
    /// The host name of its UTS namespace.
    Hostname(&'a str),
    /// The loopback link of its network namespace is brought up.
    Loopback,
    /// A setting of its network namespace.
    Setting(&'static Setting),
    /// No mount of its namespace is seen outside of it, and none from outside appears in it.
    PrivateMounts,
    /// The folder that becomes the root filesystem, attached over itself read-only, nosuid and nodev.
    Root(&'a str),
    /// A folder made below the root filesystem's own mounts.
    Folder(&'static Folder),
    /// A filesystem attached below the root filesystem.
    Mount(&'static Mount),
    /// A device node.
    Node(&'static Node),
    /// A symbolic link.
    Link(&'static Link),
    /// A filesystem that was filled becomes read-only.
    Seal(&'static CStr),
    /// The root filesystem becomes `/`, and the old root is detached (pivot_root(2)).
    Pivot,
    /// The working directory.
    Directory(&'a str),
    /// The capability bounding set is emptied: no program can gain one.
    Bounding,
    /// Supplementary groups none, gid, uid.
    User(User),
    /// The other four capability sets are emptied.
    Capabilities,
    /// No program gains privileges by set-user-id bits or file capabilities (PR_SET_NO_NEW_PRIVS).
    NoNewPrivileges,
    /// Every descriptor but 0, 1 and 2 is closed when the program starts.
    Descriptors,
    /// No signal is blocked and none ignored.
    Signals,
    /// The program, from its absolute path inside the root filesystem.
    Execute(&'a str),
}

/// A kind of filesystem that the kernel makes up by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// proc(5), of the workload's own PID namespace.
    Proc,
    /// tmpfs(5)
    Tmpfs,
    /// A devpts instance of its own.
    Devpts,
}

impl FileSystem {
    /// Its name in /proc/filesystems.
    pub const fn name(self) -> &'static CStr {
        match self {
            Self::Proc => c"proc",
            Self::Tmpfs => c"tmpfs",
            Self::Devpts => c"devpts",
        }
    }
}

/// A filesystem and where it is attached. Every one is nosuid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mount {
    /// What kind.
    pub filesystem: FileSystem,
    /// Where, relative to the root filesystem.
    pub target: &'static CStr,
    /// The filesystem's own options, name and value.
    pub options: &'static [(&'static CStr, &'static CStr)],
    /// Whether nothing below it can be written.
    pub read_only: bool,
    /// Whether programs below it can be executed.
    pub executable: bool,
    /// Whether device nodes below it work.
    pub devices: bool,
}

/// A file below /proc/sys and what is written to it.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its absolute path.
    pub path: &'static CStr,
    /// Its new value.
    pub value: &'static str,
}

/// A folder, mode 0755, relative to the root filesystem.
#[derive(Debug, PartialEq, Eq)]
pub struct Folder {
    /// Its path.
    pub path: &'static CStr,
}

/// A character device node, mode 0666.
#[derive(Debug, PartialEq, Eq)]
pub struct Node {
    /// Its path relative to the root filesystem.
    pub path: &'static CStr,
    /// The driver.
    pub major: u32,
    /// The device of that driver.
    pub minor: u32,
}

/// A symbolic link.
#[derive(Debug, PartialEq, Eq)]
pub struct Link {
    /// Its path relative to the root filesystem.
    pub path: &'static CStr,
    /// What it says.
    pub target: &'static CStr,
}
