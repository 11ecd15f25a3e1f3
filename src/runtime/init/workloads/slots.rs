//! The state of each workload.

use crate::workload::{CgroupState, Process};
use hilum::config::limits;
use hilum::supervise::ExitReason;
use rustix::process::Pid;

/// The state of a workload in PID 1, besides its record in the supervisor and its lines, which are in separate tables
/// because they are not written on every board. All three are found by the workload's slot, which a reload does not
/// change (`hilum::config::Slots`).
// Often used members first: a distance of at most 127 bytes is one byte of an instruction.
#[repr(C)]
pub(super) struct Slot {
    /// The helper that performs the parent's part of its set-up.
    pub(super) set_up: Option<Pid>,
    /// The helper that kills its remaining processes.
    pub(super) sweeper: Option<Pid>,
    /// How it exited, while its devices are being looked up.
    pub(super) end: Option<ExitReason>,
    /// Whether its start is deferred ([`super::Workloads::must_wait`]).
    pub(super) is_deferred: bool,
    /// Whether a truncated datagram was reported.
    pub(super) is_cut: bool,
    /// Whether a block of its verified image did not match its hash.
    pub(super) is_corrupt: bool,
    /// The helper that checks whether it is ready or healthy.
    pub(super) check: Option<Pid>,
    /// Its cgroup.
    pub(super) cgroup: CgroupState,
    /// Peak memory and limit in bytes, if it was killed by the OOM killer.
    pub(super) out_of_memory: Option<(u64, u64)>,
    /// The state of its devices.
    pub(super) devices: DeviceState,
    /// Its process, from clone(2) until all its output is read.
    pub(super) process: Option<Process>,
    /// Its last status text.
    pub(super) text: heapless::String<{ limits::STATUS_BYTES }>,
}

/// The state of a workload's devices.
#[derive(Clone, Copy)]
pub(super) struct DeviceState {
    /// Whether they were looked up.
    pub(super) is_known: bool,
    /// The index of the line without a device.
    pub(super) missing: Option<u8>,
    /// Their fingerprint at the last look-up ([`crate::workload::fingerprint`]).
    pub(super) found: u64,
    /// Their fingerprint at the last start.
    pub(super) used: u64,
}

impl DeviceState {
    const UNKNOWN: Self = Self { is_known: false, missing: None, found: 0, used: 0 };

    /// Returns whether all are present.
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

    /// Resets the state of the last run.
    pub(super) fn begin_run(&mut self) {
        self.text.clear();
        (self.is_cut, self.is_corrupt, self.out_of_memory) = (false, false, None);
        (self.check, self.set_up, self.sweeper) = (None, None, None);
    }
}
