//! One step of a plan: what is done, to what, and by whom.

use super::landlock::Scope;
use crate::config::{
    Bind, Capabilities, Device, Identity, IoLimit, Overlay, Publish, ResourceLimit, Tcp, User, Verity, Volume,
    WorkloadLink,
};
use crate::seccomp::Seccomp;
use core::ffi::CStr;

/// One thing that is done to start a workload.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// A limit of its control group.
    Limit(CgroupLimit<'a>),
    /// The processes of its control group may use the usual devices alone. Where it has others, they are allowed when their nodes
    /// are made.
    DeviceControl,
    /// setgroups(2) is refused in its user namespace for ever (user_namespaces(7)).
    DenyGroups,
    /// Its ids from 0 to 65535 stand for those of the board from this one on.
    Ids(u32),
    /// How likely the kernel chooses it when memory is short; it cannot go below without a capability of the board.
    OomScore(i16),
    /// A resource limit (getrlimit(2)).
    ResourceLimit(ResourceLimit),
    /// Its nice value, scheduler and input and output priority.
    Priority(&'a Identity),
    /// The root filesystem, by an idmapped mount where the filesystem can.
    OpenRoot(&'a str, Option<Verity<'a>>),
    /// What may be written over the root filesystem.
    Overlay(Overlay<'a>),
    /// A filesystem of a namespace that the workload shares, which only the namespace's owner can make.
    CreateMount(Mount),
    /// A folder or file of the board, by an idmapped mount where the filesystem can.
    OpenMount(Bind<'a>),
    /// A folder of the board that is the workload's, made where there is none yet.
    OpenVolume(Volume<'a>),
    /// A /dev of its own, with the usual nodes and more, which its control group may use.
    Devices(&'a [Device<'a>]),
    /// A link of its network namespace is made, or given to it; its place among the workload's links.
    Connect(&'a WorkloadLink<'a>, u8),
    /// What it may send, and the ports of the board that lead to it (nf_tables).
    Rules(&'a [Publish]),
    /// What was opened goes to the new process, which waits for it.
    SendFds,
    /// The new process takes what was opened for it.
    ReceiveFds,
    /// It becomes the first user of its user namespace.
    BecomeNsRoot,
    /// A session of its own, without a controlling terminal (setsid(2)).
    Session,
    /// A session keyring of its own (keyctl(2)).
    Keyring,
    /// Standard input from /dev/null, standard output and error to the log pipe.
    Output,
    /// The host name of its UTS namespace.
    Hostname(&'a str),
    /// The loopback link of its network namespace is brought up.
    Loopback,
    /// A link of its network namespace gets its addresses and routes, and is brought up.
    Link(&'a WorkloadLink<'a>, u8),
    /// A setting of its network namespace.
    Setting(&'static Setting),
    /// A limit of its user namespace, where the kernel has it (namespaces(7), /proc/sys/user).
    Share(&'static Setting),
    /// No mount of its namespace is seen outside of it, and none from outside appears in it.
    PrivateMounts,
    /// What becomes the root filesystem is attached: nosuid, nodev, read-only unless there is an overlay.
    Root {
        /// Whether it may be written.
        is_writable: bool,
    },
    /// A filesystem attached below the root filesystem.
    Mount(Mount),
    /// The same, made outside.
    Attach(Mount),
    /// Something below /proc or /sys becomes read-only: a mount of its own over itself.
    ReadOnly(&'static CStr),
    /// Something below /proc or /sys is covered by an empty file or folder.
    Mask(Mask),
    /// /dev with its nodes is attached, read-only.
    Dev,
    /// The names of those that it may talk to: /etc/hosts, where the root filesystem has one.
    Hosts,
    /// A folder or file of the board is attached.
    Bind(Bind<'a>),
    /// The root filesystem becomes `/`, and the old root is detached (pivot_root(2)).
    Pivot,
    /// The socket on which the program reports its state (`sd_notify(3)`), at /run/notify.
    Notify,
    /// The working directory.
    Directory(&'a str),
    /// The persona (personality(2)).
    Personality(u32),
    /// The capability bounding set is cut down: no program can gain another one.
    DropBoundingSet(Capabilities),
    /// No program gains privileges by set-user-id bits or file capabilities (PR_SET_NO_NEW_PRIVS).
    NoNewPrivileges,
    /// Landlock: files a second time, by the plan's own mounts; signals and abstract sockets where the kernel can, of a
    /// further program inside of the workload those of this scope.
    Landlock(Option<&'a Tcp>, Scope),
    /// Supplementary groups, gid, uid.
    User {
        /// The user and its group.
        user: User,
        /// The supplementary groups.
        groups: &'a [u32],
        /// Whether setgroups(2) was refused before, which leaves none.
        has_denied_groups: bool,
        /// Capabilities that outlive the change.
        capabilities: Capabilities,
    },
    /// The other four capability sets.
    Capabilities(Capabilities),
    /// The file mode creation mask.
    Umask(u16),
    /// Every descriptor but 0, 1 and 2 is closed when the program starts, and but the one that it says by that it is ready.
    Descriptors {
        /// That one; 0 for none.
        ready: u8,
    },
    /// No signal is blocked and none ignored.
    Signals,
    /// A copy of hilum stays the first process, forwards signals and reaps; the program becomes its child.
    Reaper,
    /// The system call filter.
    Seccomp(&'a Seccomp, Capabilities),
    /// The program, from its absolute path inside the root filesystem.
    Execute(&'a str),
}

/// Who does a step, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// PID 1, before there is a process.
    Prepare,
    /// PID 1, or a copy of it, to the new process, which waits.
    Parent,
    /// The new process to itself.
    Child,
}

impl Step<'_> {
    /// Whether it is done again for a further program inside of a workload that runs (`hilum exec`).
    pub const fn is_for_exec(&self) -> bool {
        matches!(
            self,
            Self::BecomeNsRoot
                | Self::Session
                | Self::Keyring
                | Self::Directory(_)
                | Self::Personality(_)
                | Self::DropBoundingSet(_)
                | Self::NoNewPrivileges
                | Self::Landlock(..)
                | Self::User { .. }
                | Self::Capabilities(_)
                | Self::Umask(_)
                | Self::Descriptors { .. }
                | Self::Signals
                | Self::Seccomp(..)
                | Self::Execute(_)
        )
    }

    /// Who does it, and when.
    pub const fn phase(&self) -> Phase {
        match self {
            Self::Limit(_) | Self::DeviceControl => Phase::Prepare,
            Self::DenyGroups
            | Self::Ids(_)
            | Self::OomScore(_)
            | Self::ResourceLimit(_)
            | Self::Priority(_)
            | Self::OpenRoot(..)
            | Self::Overlay(_)
            | Self::CreateMount(_)
            | Self::OpenMount(_)
            | Self::OpenVolume(_)
            | Self::Devices(_)
            | Self::Connect(..)
            | Self::Rules(_)
            | Self::SendFds => Phase::Parent,
            _ => Phase::Child,
        }
    }
}

/// A limit of a control group: a file and what is written into it (Documentation/admin-guide/cgroup-v2.rst).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CgroupLimit<'a> {
    /// The file's name; the controller's name stands before the dot.
    pub file: &'static str,
    /// What it is set to.
    pub value: Value<'a>,
    /// Whether a line of the configuration asks for it: then a kernel that cannot is an error.
    pub is_asked_for: bool,
}

impl CgroupLimit<'_> {
    /// Returns the controller that the file belongs to.
    pub fn controller(&self) -> &'static str {
        self.file.split_once('.').map_or(self.file, |(controller, _)| controller)
    }
}

/// What a limit is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// A number; `u64::MAX` is `max`.
    Number(u64),
    /// So many percent of the board's memory, in bytes.
    MemoryPercent(u64),
    /// So many percent of one processor.
    CpuPercent(u32),
    /// Text as it is.
    Text(&'a str),
    /// Limits of a block device.
    Io(IoLimit<'a>),
}

/// A kind of filesystem that the kernel makes up by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// proc(5), of the workload's own PID namespace.
    Proc,
    /// sysfs(5), of its own network namespace.
    Sysfs,
    /// Control groups, version 2, from its own group down.
    Cgroup2,
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
            Self::Sysfs => c"sysfs",
            Self::Cgroup2 => c"cgroup2",
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
    /// Bytes that it may hold; 0 where it has no such option.
    pub bytes: u64,
    /// Whether nothing below it can be written.
    pub read_only: bool,
    /// Whether programs below it can be executed.
    pub executable: bool,
    /// Whether device nodes below it work.
    pub devices: bool,
    /// Whether later steps name what is below it: they do so from a descriptor of it, not by its path.
    pub is_held: bool,
    /// Whether the folders that it covers are made in it, with their owners and modes.
    pub keeps_folders: bool,
    /// Who owns it: user 0, unless something else is said.
    pub owner: User,
}

/// Something that is covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mask {
    /// Where, relative to the root filesystem. What the kernel does not have is left out.
    pub path: &'static CStr,
    /// Whether it is a folder.
    pub is_folder: bool,
}

/// A setting of a namespace and what it is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Its file in the board's own /proc.
    pub path: &'static CStr,
    /// What is written.
    pub value: &'static str,
}
