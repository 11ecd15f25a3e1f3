//! A workload's process, from clone(2) to its exit.
//!
//! `parent/` is the host's side: [`spawn`] creates the process, `set_up.rs` prepares it while it waits, and `exec.rs`
//! starts a further process inside of a running workload. `child/` is the new process. Each executes its part of the
//! same plan. Two pipes lead to PID 1, for output and for the failed step; a socket carries mounts that the parent
//! opened (`handover.rs`).

mod cgroup;
mod child;
mod context;
mod devices;
#[cfg(test)]
mod fake;
mod handover;
mod mounts;
mod networks;
mod parent;
mod report;
mod template;

pub(crate) use cgroup::{CgroupState, Cgroups, OutOfMemory};
#[cfg(feature = "engine")]
pub(crate) use child::steps::common as apply_common;
pub(crate) use child::streams::Streams;
pub(crate) use context::{Failure, LaunchContext, Process};
pub(crate) use devices::{find as find_devices, fingerprint};
#[cfg(test)]
pub(crate) use fake::spawn;
pub(crate) use networks::{Networks, remove_rules};
pub(crate) use parent::check::is_good;
pub(crate) use parent::exec::Target;
pub(crate) use parent::leftovers::{end_all, mount_namespace};
#[cfg(feature = "engine")]
pub(crate) use parent::set_up::common as apply_common_for;
pub(crate) use parent::set_up::{LONGEST_MS, needs_helper, process_file, wait};
#[cfg(not(test))]
pub(crate) use parent::spawn::spawn;
pub(crate) use parent::stop_signal::{process_reacts_to, signal_below};
pub(crate) use parent::verified::has_failed;
pub(crate) use report::{Outcome, Report, SET_UP_FAILED};
pub(crate) use template::{empty_folder, place as template_place, prepare as prepare_template};
