//! The one place that knows architectures: each file has the same items with the same meaning.
//!
//! `START` is the entry as assembly, `syscall0` to `syscall6` enter the kernel. Everything else in the project is the
//! same on every architecture.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::*;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::*;
