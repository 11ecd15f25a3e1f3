//! Settings of the kernel that a workload's namespaces have for themselves, and the board's that belong to them.

use super::Setting;

/// What users trip over in a network namespace of their own: there is nobody else's port below 1024 to protect, and
/// every group may ping (Documentation/networking/ip-sysctl.rst). The range of groups is that of the namespace's ids.
pub const SETTINGS: [Setting; 2] = [
    Setting { path: c"/proc/sys/net/ipv4/ip_unprivileged_port_start", value: "0" },
    Setting { path: c"/proc/sys/net/ipv4/ping_group_range", value: "0 65535" },
];

/// What the kernel counts for PID 1's user over all workloads, as it owns their user namespaces: each gets a share. It is
/// the half of what the kernel gives to all, which a machine is given more of (`SHARES_OF_ALL`).
pub const SHARES: [Setting; 2] = [
    Setting { path: c"/proc/sys/user/max_inotify_instances", value: "64" },
    Setting { path: c"/proc/sys/user/max_inotify_watches", value: "8192" },
];

/// The same for the board: the shares of 32 workloads, and one. Open files count against each workload's memory, which is its
/// share; the kernel's own limit, by the size of the memory, would be everybody's.
pub const SHARES_OF_ALL: [Setting; 3] = [
    Setting { path: c"/proc/sys/fs/inotify/max_user_instances", value: "2112" },
    Setting { path: c"/proc/sys/fs/inotify/max_user_watches", value: "270336" },
    Setting { path: c"/proc/sys/fs/file-max", value: "9223372036854775807" },
];
