//! One workload: its process, from the clone to the end.
//!
//! [`mod@spawn`] is PID 1's side before and after the clone, [`outside`] what it does to the process that waits, [`child`]
//! the side of the new process. All three carry out parts of one plan. Two pipes go to PID 1, one for what the workload
//! writes, one for the step that failed; over a socket comes what was opened outside ([`handover`]). [`enter`] makes a
//! further process inside of a workload that runs, with the same confinement.

mod check;
mod child;
mod enter;
mod group;
mod handover;
mod heard;
mod identity;
mod landlock;
mod leftover;
mod mounts;
mod network;
mod outside;
mod program;
mod reaper;
mod report;
mod root;
mod spawn;
mod streams;
mod template;

pub(crate) use check::is_good;
pub(crate) use enter::Target;
pub(crate) use group::{Groups, OutOfMemory};
pub(crate) use heard::{hears, signal_below};
pub(crate) use identity::cut_bounding_set;
pub(crate) use leftover::{end_all, mount_namespace};
pub(crate) use network::Networks;
pub(crate) use outside::{LONGEST_MS, needs_copy, wait};
pub(crate) use report::{Outcome, Report};
pub(crate) use spawn::{Failure, Process, Surroundings, spawn};
pub(crate) use streams::Streams;
pub(crate) use template::{empty_folder, place as template_place, prepare as prepare_template};
