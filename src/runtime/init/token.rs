//! Identifies a descriptor in the epoll set, packed into the 64 bits that epoll(7) returns.

use rustix::event::epoll::{EventData, EventFlags};

/// The owner of a descriptor in the epoll set, with its slot or number.
#[derive(Clone, Copy)]
pub(super) enum Token {
    Signals,
    Console,
    /// Output of the workload in this slot.
    Output(usize),
    /// The progress report of its set-up.
    Report(usize),
    /// Its readiness pipe, where it writes a newline.
    Ready(usize),
    /// Its NOTIFY_SOCKET.
    Notify(usize),
    /// New connections to the control socket.
    Control,
    /// The connection with this number.
    Client(usize),
    /// The kernel's events about links.
    Links,
    /// The kernel's events about devices.
    Uevents,
    /// Changes of the mount table.
    MountTable,
    /// New connections to the control socket of the workload in this slot.
    Request(usize),
    /// The DHCP client of the link with this number.
    Dhcp(usize),
}

impl Token {
    /// Encodes the token for the kernel.
    pub(super) fn data(self) -> EventData {
        let (kind, index) = match self {
            Self::Signals => (0, 0),
            Self::Console => (1, 0),
            Self::Output(index) => (2, index),
            Self::Report(index) => (3, index),
            Self::Ready(index) => (4, index),
            Self::Notify(index) => (5, index),
            Self::Control => (6, 0),
            Self::Client(index) => (7, index),
            Self::Links => (8, 0),
            Self::Dhcp(index) => (9, index),
            Self::Uevents => (10, 0),
            Self::MountTable => (11, 0),
            Self::Request(index) => (12, index),
        };
        EventData::new_u64((kind << 32) | index as u64)
    }

    /// Decodes a token from the kernel.
    pub(super) fn from(data: EventData) -> Self {
        let data = data.u64();
        let index = (data & 0xffff_ffff) as usize;
        match data >> 32 {
            0 => Self::Signals,
            1 => Self::Console,
            2 => Self::Output(index),
            3 => Self::Report(index),
            4 => Self::Ready(index),
            5 => Self::Notify(index),
            6 => Self::Control,
            7 => Self::Client(index),
            8 => Self::Links,
            10 => Self::Uevents,
            11 => Self::MountTable,
            12 => Self::Request(index),
            _ => Self::Dhcp(index),
        }
    }

    /// Returns the events to wait for.
    ///
    /// Descriptors that a handler reads to the end and then closes are edge-triggered (EPOLLET): a process in set-up
    /// may hold a copy, and would cause an event in every turn while it exists. The control socket of a workload is
    /// edge-triggered, because it is not accepted from while descriptors are short.
    pub(super) fn interest(self) -> EventFlags {
        match self {
            Self::Report(_) | Self::Ready(_) | Self::Dhcp(_) | Self::Request(_) => EventFlags::IN | EventFlags::ET,
            Self::Client(_) => EventFlags::IN | EventFlags::RDHUP,
            Self::Console => EventFlags::OUT,
            // It is always readable, and reports a change as an exceptional condition (proc_pid_mounts(5)).
            Self::MountTable => EventFlags::PRI,
            _ => EventFlags::IN,
        }
    }

    /// Returns whether its handler needs little memory, because it only forwards a line.
    pub(super) fn is_light(self) -> bool {
        matches!(self, Self::Console | Self::Output(_) | Self::Notify(_))
    }
}

#[cfg(test)]
mod tests;
