//! The lowest layer of the runtime, which all other modules use.

pub(crate) mod children;
pub(crate) mod clock;
pub(crate) mod deadline;
pub(crate) mod environment;
pub(crate) mod errno;
#[cfg(test)]
pub(crate) mod fake;
pub(crate) mod files;
pub(crate) mod helper;
pub(crate) mod hostname;
pub(crate) mod memory;
pub(crate) mod namespaces;
pub(crate) mod path;
pub(crate) mod privileges;
pub(crate) mod root;
pub(crate) mod sector;
pub(crate) mod sysctl;
pub(crate) mod turn;
pub(crate) mod wait;
