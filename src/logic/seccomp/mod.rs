//! A profile -> a BPF program for seccomp(2), assembled from one table of names for both architectures.
//!
//! The program refuses with EPERM what its profile does not allow, and with ENOSYS what no kernel of its time has, so
//! that a C library falls back to an older call instead of failing. It kills the process for a call under another
//! architecture's or x32's numbers, which would otherwise get around the table. What the kernel cannot read (memory
//! behind a pointer) is not checked: clone3(2) is therefore ENOSYS, and C libraries use clone(2) instead.
//!
//! Neighbouring numbers with the same answer are one range; the ranges are searched in halves, after the few calls that
//! programs make most. On kernels from 5.11 on, calls that are allowed with every argument do not run it at all.

mod assembler;
mod profiles;
mod table;

pub use assembler::{INSTRUCTIONS, Instruction, Program, assemble, assemble_only};
pub use profiles::Check;

use crate::Architecture;
use heapless::Vec;
use profiles::{CLASSES, Class, OPENED};

/// Words behind a profile that change single calls.
pub const CHANGES: usize = 16;

/// A workload's `seccomp` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seccomp {
    /// The profile it starts from.
    pub profile: Profile,
    /// Changes to it: whether the call is allowed, and which.
    pub changes: Vec<(bool, Call), CHANGES>,
}

impl Seccomp {
    /// The default profile as it is.
    pub const DEFAULT: Self = Self { profile: Profile::Default, changes: Vec::new() };
}

/// A list of calls with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// What programs need that mind their own business.
    Default,
    /// What a server needs that was written with care.
    Strict,
    /// No filter.
    Off,
}

/// A system call, by its place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call(u16);

impl Call {
    /// Returns the call with this name, as in the kernel's tables. `None` if no architecture has it.
    pub fn named(name: &str) -> Option<Self> {
        profiles::all().position(|known| known == name).map(|index| Self(index as u16))
    }

    /// Every call.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..CLASSES.len() as u16).map(Self)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        profiles::all().nth(self.0.into()).unwrap_or_default()
    }

    /// Its number. `None` if the architecture does not have it.
    pub fn number(self, arch: Architecture) -> Option<u16> {
        Some(profiles::numbers(arch)[usize::from(self.0)]).filter(|number| *number != table::NONE)
    }
}

/// What the filter answers to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterAction {
    /// It goes on.
    Allow,
    /// EPERM
    Refuse,
    /// ENOSYS
    Unknown,
    /// It depends on the arguments; EPERM otherwise, or EPROTONOSUPPORT for a protocol.
    Check(Check),
}

/// CAP_NET_ADMIN
const NET_ADMIN: u32 = 12;

/// What a profile answers to a call, with the capabilities (bit N for capability N) of its workload.
pub fn action_for(seccomp: &Seccomp, capabilities: u64, call: Call) -> FilterAction {
    if let Some((is_allowed, _)) = seccomp.changes.iter().rev().find(|(_, changed)| *changed == call) {
        return if *is_allowed { FilterAction::Allow } else { FilterAction::Refuse };
    }
    let opens = |(capability, opened): &(u8, u16)| *opened == call.0 && capabilities & (1 << capability) != 0;
    // Most workloads keep none, and the list is long.
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
