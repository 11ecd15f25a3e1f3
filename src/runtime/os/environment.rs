//! The environment of PID 1, which decides what it may mount, configure and reboot.

/// The environment of this process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Environment {
    /// A machine: this is the initial PID namespace, and PID 1 is responsible for mounts, settings and reboot.
    Machine,
    /// A PID namespace on another system's machine.
    Container,
}

/// The default path of the control socket on a machine.
pub(crate) const DEFAULT_SOCKET: &str = "/run/hilum.sock";
