//! The state of each workload.

use crate::workload::{CgroupState, Process};
use hilum::config::limits;
use hilum::supervise::ExitReason;
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
    /// How it ended, while it is not known yet whether its devices went before.
    pub(super) end: Option<ExitReason>,
    /// What is known of its devices.
    pub(super) devices: DeviceState,
    /// Whether a block of its verified image did not match its hash.
    pub(super) is_corrupt: bool,
    /// The kernel killed it for its memory: the most that it had, and its limit, in bytes.
    pub(super) out_of_memory: Option<(u64, u64)>,
}

/// What is known of the devices of a workload's `device` lines.
#[derive(Clone, Copy)]
pub(super) struct DeviceState {
    /// Whether they were looked for.
    pub(super) is_known: bool,
    /// The line whose devices are not there, as its place among the workload's.
    pub(super) missing: Option<u8>,
    /// What they were when they were looked for last ([`crate::workload::fingerprint`]).
    pub(super) found: u64,
    /// What they were at the last start.
    pub(super) used: u64,
}

impl DeviceState {
    const UNKNOWN: Self = Self { is_known: false, missing: None, found: 0, used: 0 };

    /// Whether all are there.
    pub(super) fn are_there(&self) -> bool {
        self.is_known && self.missing.is_none()
    }
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
        end: None,
        devices: DeviceState::UNKNOWN,
        is_corrupt: false,
        out_of_memory: None,
    };

    /// Forgets the last run.
    pub(super) fn begin_run(&mut self) {
        self.text.clear();
        (self.is_cut, self.is_corrupt, self.out_of_memory) = (false, false, None);
        (self.check, self.set_up, self.sweeper) = (None, None, None);
    }
}
