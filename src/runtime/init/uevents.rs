//! Listens for device events of the kernel (uevents) while the board is up, and passes them to the services that need
//! them.
//!
//! Only messages from the kernel are accepted. A process with CAP_NET_ADMIN over the host's network may send to the
//! same group, but its messages have its port id as sender (netlink(7)). udev checks this in the same way.

use crate::os::environment::Environment;
use crate::os::files::read_number;
use crate::os::sysctl::write;
use crate::os::turn::UEVENTS;
use hilum::config::Config;
use hilum::uevent::Uevent;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recvfrom, socket_with};

/// Bytes of a message: the kernel's buffer has 2 KiB for the properties (UEVENT_BUFFER_SIZE), preceded by a path.
const MESSAGE_BYTES: usize = 4096;

/// Milliseconds between the kernel's looks at disks whose medium can be removed (block/disk-events.c); 0 is the kernel's
/// default.
const POLL: &str = "/sys/module/block/parameters/events_dfl_poll_msecs";

/// A received message.
pub(super) enum Received<'a> {
    /// A device event.
    Event(Uevent<'a>),
    /// Events were lost (ENOBUFS): everything must be checked again.
    Lost,
}

/// The listener.
pub(super) struct Uevents {
    socket: Option<OwnedFd>,
}

impl Uevents {
    /// Creates a listener without a socket.
    pub(super) const fn none() -> Self {
        Self { socket: None }
    }

    /// Starts to listen, on a machine where something needs device events.
    ///
    /// # Errors
    /// Those of socket(2) and bind(2).
    pub(super) fn listen(environment: Environment, config: &Config<'_>, has_devices: bool) -> Result<Self, Errno> {
        let verifies = config.workloads.iter().any(|workload| workload.verity.is_some());
        let is_used = !config.system.mounts.is_empty() || has_devices || verifies;
        if environment == Environment::Container || !is_used {
            return Ok(Self::none());
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(KOBJECT_UEVENT))?;
        // The kernel's own group; 2 is udev's.
        bind(&socket, &SocketAddrNetlink::new(0, 1))?;
        // As udev does: without it, nobody hears of a card that is taken out of its reader.
        if read_number(POLL) == Some(0) {
            let _ = write(POLL, "2000");
        }
        Ok(Self { socket: Some(socket) })
    }

    /// Returns the socket, or `None` if nothing needs device events.
    pub(super) fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    /// Reads a turn's share of events.
    pub(super) fn read(&self, mut handle: impl FnMut(&Received<'_>)) {
        let Some(socket) = &self.socket else { return };
        let mut message = [0; MESSAGE_BYTES];
        for _ in 0..UEVENTS {
            match recvfrom(socket, &mut message[..], RecvFlags::DONTWAIT) {
                Ok((length, _, sender)) => {
                    let is_kernel = sender.is_some_and(|sender| {
                        SocketAddrNetlink::try_from(sender).is_ok_and(|sender| sender.pid() == 0)
                    });
                    if let Some(event) = message.get(..length).filter(|_| is_kernel).and_then(Uevent::read) {
                        handle(&Received::Event(event));
                    }
                }
                Err(Errno::NOBUFS) => handle(&Received::Lost),
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests;
