//! The capacities and ranges of the configuration.
//!
//! The tables on the board have a fixed size, so each limit is also a limit on memory. Exceeding one is an error with
//! line and column; nothing is truncated.

use core::ops::RangeInclusive;

/// Bytes of a configuration file.
pub const FILE_BYTES: usize = 64 * 1024;
/// Bytes of the file of a site.
pub const SITE_BYTES: usize = 4096;
/// Bytes of one line, without its newline.
pub const LINE_BYTES: usize = 1024;
/// Words of one line, including the key.
pub const LINE_WORDS: usize = 40;
/// Workloads; a set of them is one 32-bit word.
pub const WORKLOADS: usize = 32;
/// Bytes of a workload's name. It is used as a cgroup's name, a host name and a prefix on the console.
pub const NAME_BYTES: usize = 32;
/// Words of `exec`: the program and its arguments.
pub const EXEC_WORDS: usize = 32;
/// `env` lines of one workload.
pub const VARIABLES: usize = 32;
/// Bytes of a path: it must fit into a buffer of 256 bytes with the terminating NUL.
pub const PATH_BYTES: usize = 255;
/// Bytes of a host name (`__NEW_UTS_LEN`, uname(2)).
pub const HOSTNAME_BYTES: usize = 64;
/// Milliseconds of any duration, up to one day.
pub const DURATION_MS: RangeInclusive<u32> = 1..=86_400_000;
/// Restarts in a `limit=`.
pub const RESTARTS: RangeInclusive<u32> = 1..=1000;
/// User and group ids: all but the last two, which mean "no change" (setresuid(2)) or are not supported on some
/// systems.
pub const ID: RangeInclusive<u32> = 0..=u32::MAX - 2;
/// User and group ids of one workload; inside they count from 0.
pub const IDS: u32 = 65_536;
/// The first id of a workload's range: above the board's own ids, and with room for the whole range.
pub const FIRST_ID: RangeInclusive<u32> = IDS..=u32::MAX - IDS - 1;
/// `mount` lines of one workload.
pub const MOUNTS: usize = 8;
/// `device` lines of one workload, and also its `io` lines.
pub const DEVICES: usize = 8;
/// Device nodes of one workload, however its lines select them.
pub const DEVICE_NODES: usize = 32;
/// Supplementary groups of one workload.
pub const GROUPS: usize = 16;
/// `rlimit` lines of one workload: one for each resource.
pub const RLIMITS: usize = 16;
/// Ports after `bind=` or `connect=`.
pub const PORTS: usize = 8;
/// Words of a health check's program.
pub const CHECK_WORDS: usize = 8;
/// Bytes of the control socket's path: `sun_path` in unix(7) has 108 with the terminating NUL.
pub const SOCKET_BYTES: usize = 107;
/// `mount` lines of the board; a set of them is one byte.
pub const SYSTEM_MOUNTS: usize = 8;
/// Bytes after `LABEL=`, `UUID=` and `PARTUUID=`.
pub const SOURCE_BYTES: usize = 40;
/// `volume` lines of one workload.
pub const VOLUMES: usize = 4;
/// Bytes of the status text that a workload sends about itself.
pub const STATUS_BYTES: usize = 64;
/// `module` lines.
pub const MODULES: usize = 32;
/// Bytes of a link's name (IFNAMSIZ without the terminating NUL).
pub const LINK_BYTES: usize = 15;
/// Addresses of one link.
pub const ADDRESSES: usize = 4;
/// `link` lines of the board.
pub const HOST_LINKS: usize = 8;
/// `bridge` lines.
pub const BRIDGES: usize = 4;
/// `masquerade` lines.
pub const MASQUERADES: usize = 4;
/// `route` lines.
pub const ROUTES: usize = 8;
/// Name servers in `nameserver` lines: as many as C libraries use (MAXNS, resolv.conf(5)).
pub const NAME_SERVERS: usize = 3;
/// `sysctl` lines.
pub const SYSCTLS: usize = 16;
/// `link` lines of one workload.
pub const LINKS: usize = 4;
/// Links of all workloads that get their addresses by DHCP.
pub const LEASED_LINKS: usize = 8;
/// `publish` lines of one workload.
pub const PUBLISHED: usize = 8;
