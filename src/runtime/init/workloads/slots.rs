//! The state of each workload.

use crate::workload::{CgroupState, Process};
use hilum::config::limits;
use rustix::process::Pid;

/// What PID 1 keeps of one workload beside its unit, which the supervisor has, and its lines, which lie in a table of their
/// own: this is written on every board, and they are not. All three are found by the workload's slot, which a reload does not
/// change (`hilum::config::Slots`).
pub(super) struct Slot {
    /// Its process, from the clone until everything that it wrote is read.
    pub(super) process: Option<Process>,
    /// Its control group.
    pub(super) cgroup: CgroupState,
    /// Whether its start waits ([`super::Workloads::must_wait`]).
    pub(super) is_deferred: bool,
    /// The helper that checks whether it is ready or healthy.
    pub(super) check: Option<Pid>,
    /// The helper that sets it up from outside.
    pub(super) set_up: Option<Pid>,
    /// The helper that ends what it left behind.
    pub(super) sweeper: Option<Pid>,
    /// What it last said of itself.
    pub(super) text: heapless::String<{ limits::STATUS_BYTES }>,
    /// Whether a line said that a datagram of it was too long.
    pub(super) is_cut: bool,
    /// The kernel killed it for its memory: the most that it had, and its limit, in bytes.
    pub(super) out_of_memory: Option<(u64, u64)>,
}

impl Slot {
    pub(super) const EMPTY: Self = Self {
        process: None,
        cgroup: CgroupState::NONE,
        is_deferred: false,
        check: None,
        set_up: None,
        sweeper: None,
        text: heapless::String::new(),
        is_cut: false,
        out_of_memory: None,
    };

    /// Forgets the last run.
    pub(super) fn begin_run(&mut self) {
        self.text.clear();
        (self.is_cut, self.out_of_memory) = (false, None);
        (self.check, self.set_up, self.sweeper) = (None, None, None);
    }
}
