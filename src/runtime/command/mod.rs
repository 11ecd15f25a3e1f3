//! The command line on a board or a host. Some commands only read files; those about workloads ask PID 1 over its
//! control socket.

mod arguments;
mod client;
mod exec;
mod files;
mod keys;
mod mounts;
mod net;
mod output;
mod prompt;
mod relay;
mod run;
mod status;
mod update;
mod usage;

pub(crate) use arguments::run;
pub(crate) use prompt::run as prompt;
