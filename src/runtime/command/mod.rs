//! The command line: what a person runs, on the board or on a host. Commands about files read them and talk; commands
//! about workloads ask process 1 over its control socket.

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
mod usage;

pub(crate) use prompt::run as prompt;
pub(crate) use run::run;
