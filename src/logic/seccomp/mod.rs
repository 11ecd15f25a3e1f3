//! A profile -> a BPF program for seccomp(2), assembled from one table of names for both architectures.
//!
//! The program returns EPERM for calls that the profile does not allow, and ENOSYS for unknown calls, so that a C
//! library falls back to an older call. A call with the numbers of another architecture or of x32 would bypass the
//! table; it kills the process. Memory behind pointers cannot be checked. Therefore clone3(2) returns ENOSYS, and C
//! libraries use clone(2) instead.
//!
//! Neighbouring numbers with the same action form a range. The most frequent calls are checked first, the others by
//! binary search over the ranges. From kernel 5.11 on, the program does not run for calls that are allowed with all
//! arguments.

mod assembler;
mod profiles;
mod table;

pub use assembler::{INSTRUCTIONS, Instruction, Program, assemble, assemble_only};
pub use profiles::Check;

use crate::Architecture;
use heapless::Vec;
use profiles::{CLASSES, Class, OPENED};

/// Maximum changes of single calls after a profile.
pub const CHANGES: usize = 16;

/// A workload's `seccomp` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seccomp {
    /// The base profile.
    pub profile: Profile,
    /// Changes to it: whether the call is allowed, and the call.
    pub changes: Vec<(bool, Call), CHANGES>,
}

impl Seccomp {
    /// The unchanged default profile.
    pub const DEFAULT: Self = Self { profile: Profile::Default, changes: Vec::new() };
}

/// A named list of system calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// The calls that ordinary programs need.
    Default,
    /// The calls that a carefully written server needs.
    Strict,
    /// No filter.
    Off,
}

/// A system call, by its index in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call(u16);

impl Call {
    /// Returns the call with this name in the kernel's tables. `None` if no architecture has it.
    pub fn named(name: &str) -> Option<Self> {
        profiles::find(&mut |_, known| known == name).map(|(index, _)| Self(index))
    }

    /// Iterates over all calls.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..CLASSES.len() as u16).map(Self)
    }

    /// Returns its name.
    pub fn name(self) -> heapless::String<{ profiles::NAME_BYTES }> {
        profiles::find(&mut |index, _| index == self.0).map(|(_, name)| name).unwrap_or_default()
    }

    /// Returns its number, or `None` if the architecture does not have it.
    pub fn number(self, arch: Architecture) -> Option<u16> {
        Some(profiles::numbers(arch)[usize::from(self.0)]).filter(|number| *number != table::NONE)
    }
}

/// The action of the filter for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterAction {
    /// Allow it.
    Allow,
    /// Return EPERM.
    Refuse,
    /// Return ENOSYS.
    Unknown,
    /// Check the arguments; if they are refused return EPERM, or EPROTONOSUPPORT for a protocol.
    Check(Check),
}

/// CAP_NET_ADMIN
const NET_ADMIN: u32 = 12;

/// Returns the action of a profile for a call. `capabilities` has bit N for capability N of the workload.
pub fn action_for(seccomp: &Seccomp, capabilities: u64, call: Call) -> FilterAction {
    if let Some((is_allowed, _)) = seccomp.changes.iter().rev().find(|(_, changed)| *changed == call) {
        return if *is_allowed { FilterAction::Allow } else { FilterAction::Refuse };
    }
    let opens = |(capability, opened): &(u8, u16)| *opened == call.0 && capabilities & (1 << capability) != 0;
    // Most workloads have no capabilities, and the list is long.
    if capabilities != 0 && OPENED.iter().any(opens) {
        return FilterAction::Allow;
    }
    match CLASSES[usize::from(call.0)] {
        Class::Strict => FilterAction::Allow,
        Class::Default if seccomp.profile == Profile::Default => FilterAction::Allow,
        Class::Checked(Check::Sockets { .. }) => {
            FilterAction::Check(Check::Sockets { has_net_admin: capabilities & (1 << NET_ADMIN) != 0 })
        }
        Class::Checked(check) => FilterAction::Check(check),
        Class::Unknown => FilterAction::Unknown,
        Class::Refused | Class::Default => FilterAction::Refuse,
    }
}

#[cfg(test)]
mod tests;
