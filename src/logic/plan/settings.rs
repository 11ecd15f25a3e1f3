//! Kernel settings of a workload's namespaces, and the related ones of the board.

use super::Setting;

/// Settings for network namespaces: ports below 1024 need no privilege, because there are no other users to protect,
/// and every group may ping (Documentation/networking/ip-sysctl.rst). The range of groups is that of the user
/// namespace.
pub const SETTINGS: [Setting; 2] = [
    Setting { path: c"/proc/sys/net/ipv4/ip_unprivileged_port_start", value: "0" },
    Setting { path: c"/proc/sys/net/ipv4/ping_group_range", value: "0 65535" },
];

/// Limits that the kernel counts for PID 1's user over all workloads, because it owns their user namespaces. Each
/// workload gets a share of half the kernel's default, which `SHARES_OF_ALL` raises for the board.
pub const SHARES: [Setting; 2] = [
    Setting { path: c"/proc/sys/user/max_inotify_instances", value: "64" },
    Setting { path: c"/proc/sys/user/max_inotify_watches", value: "8192" },
];

/// The same limits for the board: the shares of 32 workloads, plus one. Open files are charged to each workload's
/// memory limit; the kernel's own limit, which depends on the memory size, would be shared by all.
pub const SHARES_OF_ALL: [Setting; 3] = [
    Setting { path: c"/proc/sys/fs/inotify/max_user_instances", value: "2112" },
    Setting { path: c"/proc/sys/fs/inotify/max_user_watches", value: "270336" },
    Setting { path: c"/proc/sys/fs/file-max", value: "9223372036854775807" },
];
