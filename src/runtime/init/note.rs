//! What PID 1 remembers of a workload beside its process and its state.

use hilum::config::limits;
use rustix::process::Pid;

/// What is remembered of one workload for its status.
pub(super) struct Note {
    /// What it last said of itself.
    pub(super) text: heapless::String<{ limits::STATUS_BYTES }>,
    /// Whether it was told that a datagram of it was too long.
    pub(super) is_cut: bool,
    /// The kernel ended it for its memory: the most that it had, and its limit.
    pub(super) out_of_memory: Option<(u64, u64)>,
    /// The process that looks whether it is well.
    pub(super) check: Option<Pid>,
    /// The copy of this process that sets it up from outside.
    pub(super) helper: Option<Pid>,
    /// The one that ends what it left behind.
    pub(super) sweeper: Option<Pid>,
}

impl Note {
    pub(super) const NONE: Self = Self {
        text: heapless::String::new(),
        is_cut: false,
        out_of_memory: None,
        check: None,
        helper: None,
        sweeper: None,
    };
}
