//! The start of a process, for an engine that is not PID 1: src/oci.
//!
//! A plan of hilum-oci has steps of its own and steps of the library. The latter are done here, by the functions that do them for
//! workloads.

use crate::workload;
use hilum::plan::{Phase, Step};
use rustix::io::Errno;
use rustix::process::Pid;

/// Executes a step that needs nothing of a workload: the child's by this process, the parent's for `pid`, which waits. A step
/// of the other side, and one that needs a workload, is nothing.
///
/// # Errors
/// Those of the step's system calls.
pub fn apply(step: &Step<'_>, pid: Option<Pid>) -> Result<(), Errno> {
    match (step.phase(), pid) {
        (Phase::Child, None) => workload::apply_common(step),
        (Phase::Parent, Some(pid)) => workload::apply_common_for(pid, step),
        _ => Ok(()),
    }
}
