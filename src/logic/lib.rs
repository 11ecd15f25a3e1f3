//! The library of hilum: it makes all decisions, and never calls the kernel.
//!
//! Data flows one way: bytes become a [`config::Config`], each of its workloads becomes a plan, events become actions.
//! src/runtime executes them. The library works without a heap and is tested on the host. The host's tools use the same
//! code, so a configuration is checked by the parser that the board uses.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod architecture;
pub mod boot_count;
pub mod cmdline;
pub mod config;
pub mod deadline;
pub mod devices;
pub mod dhcp;
pub mod domains;
pub mod echo;
pub mod errno;
pub mod fixed_string;
pub mod line_editor;
pub mod log;
pub mod modalias;
pub mod module_list;
pub mod namespaces;
pub mod netlink;
pub mod notify;
pub mod number;
pub mod plan;
pub mod router;
pub mod seccomp;
pub mod settings;
pub mod signal_status;
pub mod split;
pub mod status;
pub mod storage;
pub mod suggest;
pub mod supervise;
pub mod text;
pub mod time;
pub mod uevent;
pub mod update;
pub mod uplink;
pub mod wire;

pub use architecture::Architecture;
