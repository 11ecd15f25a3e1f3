//! The identity of a workload's program: user, environment, and attributes of the process.

use super::limits;
use super::span::Span;
use heapless::Vec;

/// The identity of the program, and its process attributes.
#[derive(Debug, PartialEq, Eq)]
pub struct Identity {
    /// `user`
    pub user: User,
    /// `groups`: its supplementary groups.
    pub groups: Vec<u32, { limits::GROUPS }>,
    /// `umask`
    pub umask: u16,
    /// `rlimit`
    pub rlimits: Span<ResourceLimit>,
    /// `oom_score_adj`
    pub oom_score_adj: i16,
    /// `nice`
    pub nice: i8,
    /// `scheduler`: the policy's number (sched(7)) and the priority.
    pub scheduler: Option<(u8, u8)>,
    /// `ioprio`: class and level as ioprio_set(2) takes them.
    pub ioprio: Option<u16>,
    /// `personality`: the persona as personality(2) takes it.
    pub personality: Option<u32>,
}

/// One `rlimit` (getrlimit(2)); `u64::MAX` means unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceLimit {
    /// The resource's number (include/uapi/asm-generic/resource.h).
    pub resource: u8,
    /// The soft limit.
    pub soft: u64,
    /// The hard limit.
    pub hard: u64,
}

/// The names of resources; the index is the number.
pub const RESOURCES: &str =
    "cpu fsize data stack core rss nproc nofile memlock as locks sigpending msgqueue nice rtprio rttime";

/// The user and group that a workload runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id; the same number as the uid by default.
    pub gid: u32,
}

impl User {
    /// User 0 and group 0.
    pub const ROOT: Self = Self { uid: 0, gid: 0 };
}

/// One variable of the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable<'a> {
    /// The name, without `=`.
    pub name: &'a str,
    /// The value, which may be empty.
    pub value: &'a str,
}
