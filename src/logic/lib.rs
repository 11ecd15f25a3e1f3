//! The pure half of hilum: it decides, and never calls the kernel.
//!
//! Data flows one way: bytes become a [`config::Config`], a workload of it becomes a plan, events become actions. The
//! running half carries all of that out. Everything here works without a heap and is tested on the host; the host's
//! tools use the same code, so that a configuration is checked by the very parser that the board runs.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod architecture;
pub mod config;
pub mod devices;
pub mod dhcp;
pub mod edit;
pub mod errno;
pub mod heard;
pub mod log;
pub mod namespaces;
pub mod near;
pub mod netlink;
pub mod notify;
pub mod parameters;
pub mod plan;
pub mod seccomp;
pub mod settings;
pub mod storage;
pub mod supervise;
pub mod text;
pub mod wire;

pub use architecture::Architecture;
