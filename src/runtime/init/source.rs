//! What an event of the loop's epoll set is about, packed into the 64 bits that epoll(7) hands back.

use rustix::event::epoll::EventData;

/// What a descriptor in the epoll set belongs to, and of which workload or connection.
#[derive(Clone, Copy)]
pub(super) enum Source {
    Signals,
    Console,
    Process,
    Output(usize),
    Report(usize),
    Ready(usize),
    Notify(usize),
    Control,
    Client(usize),
    Links,
    Dhcp(usize),
}

impl Source {
    /// As the kernel keeps it.
    pub(super) fn data(self) -> EventData {
        let (kind, index) = match self {
            Self::Signals => (0, 0),
            Self::Console => (1, 0),
            Self::Process => (2, 0),
            Self::Output(index) => (3, index),
            Self::Report(index) => (4, index),
            Self::Ready(index) => (5, index),
            Self::Notify(index) => (6, index),
            Self::Control => (7, 0),
            Self::Client(index) => (8, index),
            Self::Links => (9, 0),
            Self::Dhcp(index) => (10, index),
        };
        EventData::new_u64((kind << 32) | index as u64)
    }

    /// As it was given to the kernel.
    pub(super) fn from(data: EventData) -> Self {
        let data = data.u64();
        let index = (data & 0xffff_ffff) as usize;
        match data >> 32 {
            0 => Self::Signals,
            1 => Self::Console,
            2 => Self::Process,
            3 => Self::Output(index),
            4 => Self::Report(index),
            5 => Self::Ready(index),
            6 => Self::Notify(index),
            7 => Self::Control,
            8 => Self::Client(index),
            9 => Self::Links,
            _ => Self::Dhcp(index),
        }
    }
}
