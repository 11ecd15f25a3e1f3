//! One workload: its process, from the clone to the exit.
//!
//! `parent/` is the host's side: [`spawn`] before and after the clone, `set_up.rs` what is done to the process that waits, and
//! `exec.rs` a further process inside of a workload that runs. `child/` is the side of the new process. All of them carry out
//! parts of one plan. Two pipes go to PID 1, one for what the workload writes, one for the step that failed; over a socket
//! comes what was opened on the host (`handover.rs`).

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
pub(crate) use child::streams::Streams;
pub(crate) use context::{Failure, LaunchContext, Process};
pub(crate) use devices::{find as find_devices, fingerprint};
#[cfg(test)]
pub(crate) use fake::spawn;
pub(crate) use networks::{Networks, remove_rules};
pub(crate) use parent::check::is_good;
pub(crate) use parent::exec::Target;
pub(crate) use parent::leftovers::{end_all, mount_namespace};
pub(crate) use parent::set_up::{LONGEST_MS, needs_helper, wait};
#[cfg(not(test))]
pub(crate) use parent::spawn::spawn;
pub(crate) use parent::stop_signal::{hears, signal_below};
pub(crate) use report::{Outcome, Report, SET_UP_FAILED};
pub(crate) use template::{empty_folder, place as template_place, prepare as prepare_template};
