//! What an event of the loop's epoll set is about, packed into the 64 bits that epoll(7) hands back.

use rustix::event::epoll::{EventData, EventFlags};

/// What a descriptor in the epoll set belongs to, and of which slot or connection.
#[derive(Clone, Copy)]
pub(super) enum Token {
    Signals,
    Console,
    /// What the workload in this slot writes.
    Output(usize),
    /// How far its set-up got.
    Report(usize),
    /// Where it writes a newline when it is ready.
    Ready(usize),
    /// What it says to NOTIFY_SOCKET.
    Notify(usize),
    /// New connections to the control socket.
    Control,
    /// The connection with this number.
    Client(usize),
    /// What the kernel says about links.
    Links,
    /// What the kernel says about devices.
    Uevents,
    /// That the table of mounts has changed.
    MountTable,
    /// The DHCP client of the link with this number.
    Dhcp(usize),
}

impl Token {
    /// Returns the token as the kernel keeps it.
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
        };
        EventData::new_u64((kind << 32) | index as u64)
    }

    /// Returns the token that was given to the kernel.
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
            _ => Self::Dhcp(index),
        }
    }

    /// Returns what is waited for on the descriptor.
    ///
    /// What a handler reads to its end, and then closes, is reported once (EPOLLET): a process that is being set up may hold
    /// it as well, and it would be reported in every turn for as long as that one lives.
    pub(super) fn interest(self) -> EventFlags {
        match self {
            Self::Report(_) | Self::Ready(_) | Self::Dhcp(_) => EventFlags::IN | EventFlags::ET,
            Self::Client(_) => EventFlags::IN | EventFlags::RDHUP,
            Self::Console => EventFlags::OUT,
            // It can always be read, and reports a change as an exceptional state (proc_pid_mounts(5)).
            Self::MountTable => EventFlags::PRI,
            _ => EventFlags::IN,
        }
    }

    /// Whether its handler needs little memory: a line that is passed on.
    pub(super) fn is_light(self) -> bool {
        matches!(self, Self::Console | Self::Output(_) | Self::Notify(_))
    }
}

#[cfg(test)]
mod tests;
