//! Debian packages and their dependencies: the index of a release, versions, and the lock file beside a description.
//!
//! Maintainer scripts are never run. `scripts.rs` reports what they would have done, and a table has the users that they would have
//! added; `sysusers.rs` and `tmpfiles.rs` read users and directories that packages declare.

mod index;
pub mod lock;
pub mod scripts;
mod sysusers;
mod tmpfiles;
pub mod version;

pub use index::{Dependency, Index, Package};

#[cfg(test)]
mod tests;
