//! A step of a plan: what is done, with what, and by which process.

use super::landlock::Scope;
use crate::config::{
    Bind, Capabilities, Device, Identity, IoLimit, Overlay, Publish, ResourceLimit, Right, Tcp, User, Verity, Volume,
    WorkloadLink,
};
use crate::seccomp::Seccomp;
use crate::split::Split;
use core::ffi::CStr;

/// A step to start a workload.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// Sets a limit of its cgroup.
    Limit(CgroupLimit<'a>),
    /// Restricts its cgroup to the default devices. Further devices are allowed when their nodes are created.
    DeviceControl,
    /// Disables setgroups(2) in its user namespace permanently (user_namespaces(7)).
    DenyGroups,
    /// Maps its ids from 0 to 65535 to those of the host from this one on.
    Ids(u32),
    /// Sets its oom_score_adj; lowering it later needs a capability on the host.
    OomScore(i16),
    /// Sets a resource limit (getrlimit(2)).
    ResourceLimit(ResourceLimit),
    /// Sets its nice value, scheduler and I/O priority.
    Priority(&'a Identity),
    /// Opens the root filesystem, by an idmapped mount if the filesystem supports it.
    OpenRoot(&'a str, Option<Verity<'a>>),
    /// Adds the writable layer over the root filesystem.
    Overlay(Overlay<'a>),
    /// Creates a filesystem of a namespace that the workload shares, which only the namespace's owner can do.
    CreateMount(Mount),
    /// Opens a folder or file of the board, by an idmapped mount if the filesystem supports it.
    OpenMount(Bind<'a>),
    /// Opens a folder of the board that belongs to the workload, and creates it if it does not exist.
    OpenVolume(Volume<'a>),
    /// Creates a /dev with the default nodes and further ones, and allows them in the cgroup.
    Devices(&'a [Device<'a>]),
    /// Creates a link of its network namespace or moves one there; the number is the link's index in the workload.
    Connect(&'a WorkloadLink<'a>, u8),
    /// Filters what it may send, and forwards ports of the board to it (nf_tables).
    Rules(&'a [Publish]),
    /// Sends the opened descriptors to the new process, which waits for them.
    SendFds,
    /// Receives the descriptors.
    ReceiveFds,
    /// Becomes the first user of its user namespace.
    BecomeNsRoot,
    /// Creates a session without a controlling terminal (setsid(2)).
    Session,
    /// Creates a session keyring (keyctl(2)).
    Keyring,
    /// Redirects standard input to /dev/null, standard output and error to the log pipe.
    Output,
    /// Sets the host name of its UTS namespace.
    Hostname(&'a str),
    /// Brings up the loopback interface of its network namespace.
    Loopback,
    /// Gives a link of its network namespace its addresses and routes, and brings it up.
    Link(&'a WorkloadLink<'a>, u8),
    /// Changes a setting of its network namespace.
    Setting(&'static Setting),
    /// Sets a limit of its user namespace, if the kernel supports it (namespaces(7), /proc/sys/user).
    Share(&'static Setting),
    /// Stops mount propagation in both directions.
    PrivateMounts,
    /// Attaches the root filesystem: nosuid, nodev, and read-only unless there is an overlay.
    Root {
        /// Whether it is writable.
        is_writable: bool,
    },
    /// Mounts a filesystem below the root filesystem.
    Mount(Mount),
    /// Attaches a filesystem that the parent created.
    Attach(Mount),
    /// Makes a path below /proc or /sys read-only by a bind mount over itself.
    ReadOnly(&'static CStr),
    /// Covers a path below /proc or /sys with an empty file or folder.
    Mask(Mask),
    /// Attaches /dev with its nodes, read-only.
    Dev,
    /// Writes the names of workloads that it may talk to into /etc/hosts, if the root filesystem has one.
    Hosts,
    /// Creates the control socket in /run, with what it permits, for the workload's user.
    Control(Right),
    /// Attaches a folder or file of the board.
    Bind(Bind<'a>),
    /// Makes the root filesystem `/`, and detaches the old root (pivot_root(2)).
    Pivot,
    /// Attaches the socket for state reports (`sd_notify(3)`) at /run/notify.
    Notify,
    /// Sets the working directory.
    Directory(&'a str),
    /// Sets the persona (personality(2)).
    Personality(u32),
    /// Reduces the capability bounding set, so that no program can gain other capabilities.
    DropBoundingSet(Capabilities),
    /// Prevents programs from gaining privileges by set-user-id bits or file capabilities (PR_SET_NO_NEW_PRIVS).
    NoNewPrivileges,
    /// Restricts access to files by Landlock, according to the plan's mounts, and signals and abstract sockets if the
    /// kernel supports it. The scope applies to a further program inside of the workload.
    Landlock(Option<&'a Tcp>, Scope),
    /// Sets supplementary groups, gid and uid.
    User {
        /// The user and its group.
        user: User,
        /// The supplementary groups.
        groups: &'a [u32],
        /// Whether setgroups(2) is disabled, so that there are no supplementary groups.
        has_denied_groups: bool,
        /// Capabilities that survive the change.
        capabilities: Capabilities,
    },
    /// Sets the other four capability sets.
    Capabilities(Capabilities),
    /// Sets the file mode creation mask.
    Umask(u16),
    /// Closes all descriptors at exec except 0, 1, 2 and the one for readiness.
    Descriptors {
        /// The descriptor for readiness; 0 for none.
        ready: u8,
    },
    /// Unblocks all signals and resets their handlers.
    Signals,
    /// Forks: hilum stays PID 1, forwards signals and reaps; the program becomes its child.
    Reaper,
    /// Installs the system call filter.
    Seccomp(&'a Seccomp, Capabilities),
    /// Executes the program by its absolute path in the root filesystem.
    Execute(&'a str),
}

/// Which process performs a step, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// PID 1, before there is a process.
    Prepare,
    /// PID 1 or a helper process, on behalf of the new process, which waits.
    Parent,
    /// The new process itself.
    Child,
}

impl Step<'_> {
    /// Returns whether the step also applies to a further program in a running workload (`hilum exec`).
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

    /// Returns the phase of the step.
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

/// A limit of a cgroup: a file and its value (Documentation/admin-guide/cgroup-v2.rst).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CgroupLimit<'a> {
    /// The file's name; it begins with the controller's name and a dot.
    pub file: &'static str,
    /// The value.
    pub value: Value<'a>,
    /// Whether a line of the configuration sets it. Then a kernel without it is an error.
    pub is_asked_for: bool,
}

impl CgroupLimit<'_> {
    /// Returns the controller of the file.
    pub fn controller(&self) -> &'static str {
        self.file.cut(b'.').map_or(self.file, |(controller, _)| controller)
    }
}

/// The value of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// A number; `u64::MAX` is written as `max`.
    Number(u64),
    /// A percentage of the board's memory, written in bytes.
    MemoryPercent(u64),
    /// A percentage of one processor.
    CpuPercent(u32),
    /// Verbatim text.
    Text(&'a str),
    /// Limits of a block device.
    Io(IoLimit<'a>),
}

/// A kernel filesystem without a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// /proc(5) of the workload's own PID namespace.
    Proc,
    /// sysfs(5) of its own network namespace.
    Sysfs,
    /// cgroup version 2, from its own cgroup down.
    Cgroup2,
    /// tmpfs(5)
    Tmpfs,
    /// A devpts instance of its own.
    Devpts,
}

impl FileSystem {
    /// Returns its name in /proc/filesystems.
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

/// A filesystem and its mount point. All are nosuid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mount {
    /// The type.
    pub filesystem: FileSystem,
    /// The mount point, relative to the root filesystem.
    pub target: &'static CStr,
    /// Names and values of mount options.
    pub options: &'static [(&'static CStr, &'static CStr)],
    /// The size limit in bytes; 0 if it has no such option.
    pub bytes: u64,
    /// Whether it is read-only.
    pub read_only: bool,
    /// Whether programs on it may be executed.
    pub executable: bool,
    /// Whether device nodes on it work.
    pub devices: bool,
    /// Whether later steps access it by a descriptor instead of by its path.
    pub is_held: bool,
    /// Whether the folders that it covers are recreated in it, with their owners and modes.
    pub keeps_folders: bool,
    /// The owner; user 0 by default.
    pub owner: User,
}

/// A path to cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mask {
    /// The path, relative to the root filesystem. It is skipped if the kernel does not have it.
    pub path: &'static CStr,
    /// Whether it is a folder.
    pub is_folder: bool,
}

/// A setting of a namespace and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Its file in the host's /proc.
    pub path: &'static CStr,
    /// The value.
    pub value: &'static str,
}
