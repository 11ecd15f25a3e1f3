//! Runs hilum as PID 1 of a virtual machine in QEMU, and as PID 1 of a PID namespace on the host.
//!
//! Both provide a [`Transcript`] of the console that a test can wait on. Every wait has a deadline, and processes are
//! killed when their owner is dropped.

#![forbid(unsafe_code)]

pub mod firmware;
mod machine;
mod namespace;
mod page;
pub mod picture;
mod terminal;
mod transcript;
mod vm;

pub use hilum::Architecture;
pub use machine::{Accelerator, command, microvm, network, without_pci, writable_disk};
pub use namespace::Namespace;
pub use page::first_page;
pub use terminal::Terminal;
pub use transcript::Transcript;
pub use vm::{End, Options, Vm, boots, watch};
