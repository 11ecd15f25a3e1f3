//! The host's side: what PID 1 and its helpers do for a workload.

pub(crate) mod check;
pub(crate) mod exec;
pub(crate) mod leftovers;
mod root;
pub(crate) mod set_up;
pub(crate) mod spawn;
pub(crate) mod stop_signal;
pub(crate) mod verified;
