//! The profiles as lists of system calls, and the calls that capabilities add.
//!
//! The default profile is Docker's (profiles/seccomp/default.json of moby), without the calls that an appliance does
//! not need: ptrace(2) and similar ones, all mounts and namespaces, obsolete interfaces. A call that is in no list is
//! refused.

use super::table::{NONE, TABLE};
use crate::Architecture;
use heapless::String;

/// Checks of arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// clone(2) without a new namespace.
    NoNamespaces,
    /// ioctl(2) except TIOCSTI and TIOCLINUX, which inject input into a terminal. The kernel uses the low 32 bits of a
    /// request, and so does the filter (CVE-2019-10063).
    NoTerminalInput,
    /// personality(2) for the query, and for the values that Docker allows.
    HarmlessPersonality,
    /// socket(2) of the families unix, inet, inet6 and netlink. For netlink only the protocols that programs need are
    /// allowed; there are more of them for a workload with CAP_NET_ADMIN.
    Sockets {
        /// Whether the workload has CAP_NET_ADMIN.
        has_net_admin: bool,
    },
    /// socketpair(2) of the family unix.
    UnixPair,
}

/// Calls that the default profile allows with all arguments. Sorted, as the table is.
#[rustfmt::skip]
const DEFAULT: [&str; 289] = [
    "accept", "accept4", "access", "adjtimex", "alarm", "arch_prctl", "bind", "brk", "cachestat", "capget",
    "capset", "chdir", "chmod", "chown", "clock_adjtime", "clock_getres", "clock_gettime", "clock_nanosleep",
    "close", "close_range", "connect", "copy_file_range", "creat", "dup", "dup2", "dup3", "epoll_create",
    "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd", "eventfd2", "execve",
    "execveat", "exit", "exit_group", "faccessat", "faccessat2", "fadvise64", "fallocate", "fchdir", "fchmod",
    "fchmodat", "fchmodat2", "fchown", "fchownat", "fcntl", "fdatasync", "fgetxattr", "flistxattr", "flock", "fork",
    "fremovexattr", "fsetxattr", "fstat", "fstatfs", "fsync", "ftruncate", "futex", "futex_requeue", "futex_wait",
    "futex_waitv", "futex_wake", "futimesat", "get_robust_list", "getcpu", "getcwd", "getdents", "getdents64",
    "getegid", "geteuid", "getgid", "getgroups", "getitimer", "getpeername", "getpgid", "getpgrp", "getpid",
    "getppid", "getpriority", "getrandom", "getresgid", "getresuid", "getrlimit", "getrusage", "getsid",
    "getsockname", "getsockopt", "gettid", "gettimeofday", "getuid", "getxattr", "getxattrat", "inotify_add_watch",
    "inotify_init", "inotify_init1", "inotify_rm_watch", "io_cancel", "io_destroy", "io_getevents", "io_pgetevents",
    "io_setup", "io_submit", "ioprio_get", "ioprio_set", "kill", "landlock_add_rule", "landlock_create_ruleset",
    "landlock_restrict_self", "lchown", "lgetxattr", "link", "linkat", "listen", "listxattr", "listxattrat",
    "llistxattr", "lremovexattr", "lseek", "lsetxattr", "lstat", "madvise", "map_shadow_stack", "membarrier",
    "memfd_create", "mincore", "mkdir", "mkdirat", "mknod", "mknodat", "mlock", "mlock2", "mlockall", "mmap",
    "mprotect", "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedsend", "mq_unlink", "mremap",
    "mseal", "msgctl", "msgget", "msgrcv", "msgsnd", "msync", "munlock", "munlockall", "munmap",
    "name_to_handle_at", "nanosleep", "newfstatat", "open", "openat", "openat2", "pause", "pidfd_open",
    "pidfd_send_signal", "pipe", "pipe2", "pkey_alloc", "pkey_free", "pkey_mprotect", "poll", "ppoll", "prctl",
    "pread64", "preadv", "preadv2", "prlimit64", "process_mrelease", "pselect6", "pwrite64", "pwritev", "pwritev2",
    "read", "readahead", "readlink", "readlinkat", "readv", "recvfrom", "recvmmsg", "recvmsg", "removexattr",
    "removexattrat", "rename", "renameat", "renameat2", "restart_syscall", "rmdir", "rseq", "rt_sigaction",
    "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait",
    "rt_tgsigqueueinfo", "sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity", "sched_getattr",
    "sched_getparam", "sched_getscheduler", "sched_rr_get_interval", "sched_setaffinity", "sched_setattr",
    "sched_setparam", "sched_setscheduler", "sched_yield", "seccomp", "select", "semctl", "semget", "semop",
    "semtimedop", "sendfile", "sendmmsg", "sendmsg", "sendto", "set_robust_list", "set_tid_address", "setfsgid",
    "setfsuid", "setgid", "setgroups", "setitimer", "setpgid", "setpriority", "setregid", "setresgid", "setresuid",
    "setreuid", "setrlimit", "setsid", "setsockopt", "setuid", "setxattr", "setxattrat", "shmat", "shmctl", "shmdt",
    "shmget", "shutdown", "sigaltstack", "signalfd", "signalfd4", "splice", "stat", "statfs", "statx",
    "symlink", "symlinkat", "sync", "sync_file_range", "syncfs", "sysinfo", "tee", "tgkill", "time", "timer_create",
    "timer_delete", "timer_getoverrun", "timer_gettime", "timer_settime", "timerfd_create", "timerfd_gettime",
    "timerfd_settime", "times", "tkill", "truncate", "umask", "uname", "unlink", "unlinkat", "utime", "utimensat",
    "utimes", "vfork", "vmsplice", "wait4", "waitid", "write", "writev",
];

/// The calls among these that the strict profile refuses: owners and modes of files, other users, System V and POSIX
/// message queues, scheduling, locked memory, old asynchronous I/O. Sorted.
#[rustfmt::skip]
const NOT_STRICT: [&str; 85] = [
    "adjtimex", "capset", "chmod", "chown", "clock_adjtime", "fchmod", "fchmodat", "fchmodat2", "fchown",
    "fchownat", "fremovexattr", "fsetxattr", "io_cancel", "io_destroy", "io_getevents", "io_pgetevents", "io_setup",
    "io_submit", "ioprio_set", "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "lchown",
    "lremovexattr", "lsetxattr", "map_shadow_stack", "memfd_create", "mknod", "mknodat", "mlock", "mlock2",
    "mlockall", "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedsend", "mq_unlink", "mseal",
    "msgctl", "msgget", "msgrcv", "msgsnd", "munlock", "munlockall", "name_to_handle_at", "pkey_alloc", "pkey_free",
    "pkey_mprotect", "process_mrelease", "readahead", "removexattr", "removexattrat", "rt_sigqueueinfo",
    "rt_tgsigqueueinfo", "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler", "seccomp",
    "semctl", "semget", "semop", "semtimedop", "setfsgid", "setfsuid", "setgid", "setgroups", "setpriority",
    "setregid", "setresgid", "setresuid", "setreuid", "setrlimit", "setuid", "setxattr", "setxattrat", "shmat",
    "shmctl", "shmdt", "shmget", "sync", "syncfs", "tee", "vmsplice",
];

/// Calls that are allowed with some arguments.
const CHECKED: [(&str, Check); 5] = [
    ("clone", Check::NoNamespaces),
    ("ioctl", Check::NoTerminalInput),
    ("personality", Check::HarmlessPersonality),
    ("socket", Check::Sockets { has_net_admin: false }),
    ("socketpair", Check::UnixPair),
];

/// Calls that a capability needs (moby allows the same calls for the same capabilities).
#[rustfmt::skip]
const WITH_CAPABILITY: [(u8, &[&str]); 13] = [
    (2, &["open_by_handle_at"]),
    (16, &["delete_module", "finit_module", "init_module"]),
    (17, &["ioperm", "iopl"]),
    (18, &["chroot"]),
    (19, &["kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace"]),
    (20, &["acct"]),
    (21, &["bpf", "clone", "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick", "lookup_dcookie", "mount",
           "mount_setattr", "move_mount", "open_tree", "perf_event_open", "pivot_root", "quotactl", "quotactl_fd",
           "setdomainname", "sethostname", "setns", "swapoff", "swapon", "syslog", "umount2", "unshare"]),
    (22, &["kexec_file_load", "kexec_load", "reboot"]),
    (23, &["get_mempolicy", "mbind", "migrate_pages", "move_pages", "set_mempolicy"]),
    (25, &["clock_settime", "settimeofday"]),
    (26, &["vhangup"]),
    (34, &["syslog"]),
    (38, &["perf_event_open"]),
];

/// The class of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// In no list.
    Refused,
    /// Allowed by the default profile and not by the strict one.
    Default,
    /// Allowed by both.
    Strict,
    /// Allowed with some arguments.
    Checked(Check),
    /// Answered as by a kernel without it: its arguments are behind a pointer, and an older call exists.
    Unknown,
}

/// The class of each call of the table, by index.
pub(super) static CLASSES: [Class; TABLE.len()] = classes();

const fn classes() -> [Class; TABLE.len()] {
    let mut classes = [Class::Refused; TABLE.len()];
    let (mut index, mut default, mut loose) = (0, 0, 0);
    // The lists and the table are sorted, so one pass finds all names.
    while index < TABLE.len() {
        let name = TABLE[index].0;
        if default < DEFAULT.len() && same(DEFAULT[default], name) {
            default += 1;
            classes[index] = Class::Strict;
            if loose < NOT_STRICT.len() && same(NOT_STRICT[loose], name) {
                loose += 1;
                classes[index] = Class::Default;
            }
        }
        if same(name, "clone3") {
            classes[index] = Class::Unknown;
        }
        let mut checked = 0;
        while checked < CHECKED.len() {
            if same(CHECKED[checked].0, name) {
                classes[index] = Class::Checked(CHECKED[checked].1);
            }
            checked += 1;
        }
        index += 1;
    }
    assert!(default == DEFAULT.len() && loose == NOT_STRICT.len(), "a name is unknown or not in order");
    classes
}

/// Pairs of a capability and the index of a call that it allows.
pub(super) static OPENED: [(u8, u16); opened_count()] = opened();

const fn opened_count() -> usize {
    let (mut row, mut count) = (0, 0);
    while row < WITH_CAPABILITY.len() {
        count += WITH_CAPABILITY[row].1.len();
        row += 1;
    }
    count
}

const fn opened() -> [(u8, u16); opened_count()] {
    let mut pairs = [(0, 0); opened_count()];
    let (mut row, mut at) = (0, 0);
    while row < WITH_CAPABILITY.len() {
        let (capability, names) = WITH_CAPABILITY[row];
        let mut name = 0;
        while name < names.len() {
            pairs[at] = (capability, index_of(names[name]));
            at += 1;
            name += 1;
        }
        row += 1;
    }
    pairs
}

/// Returns the index of a name in the table, at compile time.
pub(super) const fn index_of(name: &str) -> u16 {
    let mut index = 0;
    while index < TABLE.len() {
        if same(TABLE[index].0, name) {
            return index as u16;
        }
        index += 1;
    }
    panic!("a name is not in the table");
}

/// Returns the numbers of an architecture, by index of the table.
pub(super) fn numbers(arch: Architecture) -> &'static [u16; TABLE.len()] {
    static X86_64: [u16; TABLE.len()] = column(Architecture::X86_64);
    static AARCH64: [u16; TABLE.len()] = column(Architecture::Aarch64);
    match arch {
        Architecture::X86_64 => &X86_64,
        Architecture::Aarch64 => &AARCH64,
    }
}

const fn column(arch: Architecture) -> [u16; TABLE.len()] {
    let mut numbers = [NONE; TABLE.len()];
    let mut index = 0;
    while index < TABLE.len() {
        let (_, x86_64, aarch64) = TABLE[index];
        numbers[index] = match arch {
            Architecture::X86_64 => x86_64,
            Architecture::Aarch64 => aarch64,
        };
        index += 1;
    }
    numbers
}

/// Bytes of the longest name, and a few.
pub(super) const NAME_BYTES: usize = 24;

/// All names, in order, as one string: each is a byte below 32, which counts the letters that it shares with the name before, and the other
/// letters. Whole names would take 1.4 KB more, pointers and lengths three times as much again.
static NAMES: [u8; names_bytes()] = names();

const fn shared(index: usize) -> usize {
    if index == 0 {
        return 0;
    }
    let (before, name) = (TABLE[index - 1].0.as_bytes(), TABLE[index].0.as_bytes());
    let mut count = 0;
    while count < before.len() && count < name.len() && before[count] == name[count] {
        count += 1;
    }
    count
}

const fn names_bytes() -> usize {
    let (mut index, mut bytes) = (0, 0);
    while index < TABLE.len() {
        assert!(TABLE[index].0.len() <= NAME_BYTES, "a name is longer than NAME_BYTES");
        bytes += TABLE[index].0.len() - shared(index) + 1;
        index += 1;
    }
    bytes
}

const fn names() -> [u8; names_bytes()] {
    let mut bytes = [0; names_bytes()];
    let (mut index, mut at) = (0, 0);
    while index < TABLE.len() {
        let name = TABLE[index].0.as_bytes();
        let mut letter = shared(index);
        bytes[at] = letter as u8;
        at += 1;
        while letter < name.len() {
            bytes[at] = name[letter];
            at += 1;
            letter += 1;
        }
        index += 1;
    }
    bytes
}

const fn same(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let mut index = 0;
    while index < left.len() && index < right.len() && left[index] == right[index] {
        index += 1;
    }
    index == left.len() && index == right.len()
}

/// Returns the first call, by its index and its name, that `is_wanted` returns true for.
pub(super) fn find(is_wanted: &mut dyn FnMut(u16, &str) -> bool) -> Option<(u16, String<NAME_BYTES>)> {
    let (mut name, mut rest) = (String::new(), &NAMES[..]);
    for index in 0.. {
        let (shared, behind) = rest.split_first()?;
        let length = behind.iter().position(|byte| *byte < b' ').unwrap_or(behind.len());
        let (letters, behind) = behind.split_at(length);
        name.truncate(usize::from(*shared));
        // All of them are ASCII.
        letters.iter().for_each(|letter| _ = name.push(char::from(*letter)));
        if is_wanted(index, &name) {
            return Some((index, name));
        }
        rest = behind;
    }
    None
}
