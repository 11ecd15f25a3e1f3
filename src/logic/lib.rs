//! The pure half of hilum: it decides, and never calls the kernel.
//!
//! Data flows one way: bytes become a [`config::Config`], a workload of it becomes a plan, events become actions. The
//! running half carries all of that out. Everything here works without a heap and is tested on the host; the host's
//! tools use the same code, so that a configuration is checked by the very parser that the board runs.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod architecture;
pub mod boot_count;
pub mod cmdline;
pub mod config;
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
pub mod plan;
pub mod router;
pub mod seccomp;
pub mod settings;
pub mod signal_status;
pub mod status;
pub mod storage;
pub mod suggest;
pub mod supervise;
pub mod uevent;
pub mod uplink;
pub mod wire;

pub use architecture::Architecture;
