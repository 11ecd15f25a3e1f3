//! The code that differs between architectures: each file defines the same items.
//!
//! - `_start`, the first instructions of the process, which call `enter` of `entry.rs` with the initial stack pointer;
//! - `syscall`, which enters the kernel with a system call's number and up to six arguments;
//! - `restorer`, which returns from a signal handler, and the offsets of the interrupted registers in a handler's context.
//!
//! The names and numbers of an architecture are in `hilum::Architecture`.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::*;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::*;
