//! Where PID 1 runs, which decides what is its to mount, to configure and to reboot.

/// What this process is the first process of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Environment {
    /// A machine: the first PID namespace. Nobody else mounts, configures or reboots it.
    Machine,
    /// A PID namespace of somebody else's machine.
    Container,
}

/// Where the control socket is on a machine, unless the configuration says otherwise.
pub(crate) const DEFAULT_SOCKET: &str = "/run/hilum.sock";
