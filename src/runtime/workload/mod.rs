//! One workload: its process, from the clone to the end.
//!
//! [`spawn`] is PID 1's side, [`child`] the side of the new process, which carries out the plan. They share the plan
//! and two pipes: one for what the workload writes, one for the step that failed.

mod child;
mod group;
mod identity;
mod mounts;
mod report;
mod spawn;

pub(crate) use group::Groups;
pub(crate) use report::{Outcome, Report};
pub(crate) use spawn::{Process, spawn};
