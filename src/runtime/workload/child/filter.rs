//! The system call filter (seccomp(2)).

use hilum::Architecture;
use hilum::seccomp::{Seccomp, assemble};
use rustix::io::Errno;

/// Assembles and installs the filter. After it there is only execve(2), and reporting its failure.
///
/// # Errors
/// Those of seccomp(2).
pub(crate) fn filter(seccomp: &Seccomp, capabilities: u64) -> Result<(), Errno> {
    hilum_sys::filter_system_calls(&assemble(Architecture::OWN, seccomp, capabilities))
}
