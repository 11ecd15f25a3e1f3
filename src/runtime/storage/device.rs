//! Finds block devices, and waits for them by device events (uevents).

use crate::console::Console;
use crate::os::clock::monotonic_ms;
use crate::os::files::{read_link, read_number, sys_path};
use crate::os::path::{access, open};
use crate::os::wait::timespec_from_ms;
use core::fmt;
use core::mem::MaybeUninit;
use heapless::{String, Vec};
use hilum::config::{Source, SystemMount};
use hilum::fixed_string::append;
use hilum::split::Split;
use hilum::storage::{START_BYTES, Superblock, table};
use hilum::uevent::Uevent;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Access, Mode, OFlags, RawDir};
use rustix::io::Errno;
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

/// A device's path: from the configuration, or a short one below /dev.
pub(crate) type Name = String<{ hilum::config::limits::PATH_BYTES }>;

/// The block devices of the board, by name.
pub(super) const DEVICES: &str = "/sys/class/block";

/// Milliseconds after which it looks again without an event: a card reader does not report a new card if the kernel
/// does not poll it.
const LOOK_MS: u64 = 1_000;

/// The block devices that a line selects: one, none, or the first two. If there are several, using one could be the
/// wrong choice.
pub(super) type Devices = Vec<Name, 2>;

/// Returns the path of the selected block device.
///
/// # Errors
/// ENOENT if it did not appear in `wait_ms` milliseconds, ENOTUNIQ if there are two; those of the kernel.
pub(crate) fn find(source: Source<'_>, wait_ms: u64) -> Result<Name, Errno> {
    let mut found = Devices::new();
    await_device(wait_ms, &mut || {
        found = look(source);
        !found.is_empty()
    })?;
    match (found.pop(), found.is_empty()) {
        (Some(device), true) => Ok(device),
        _ => Err(Errno::NOTUNIQ),
    }
}

/// Calls `is_there` whenever a block device may have appeared, until it returns true.
///
/// # Errors
/// ENOENT after `wait_ms` milliseconds; those of the kernel.
pub(crate) fn await_device(wait_ms: u64, is_there: &mut dyn FnMut() -> bool) -> Result<(), Errno> {
    let until = monotonic_ms() + wait_ms;
    let mut arrivals = None;
    loop {
        if is_there() {
            return Ok(());
        }
        if monotonic_ms() >= until {
            return Err(Errno::NOENT);
        }
        match &arrivals {
            // From here on no event is lost: those during the second look are queued in the socket.
            None => arrivals = Some(Arrivals::listen()?),
            Some(arrivals) => arrivals.wait(until, None),
        }
    }
}

/// A socket for device events (`lib/kobject_uevent.c`). The device's node exists before its event.
pub(super) struct Arrivals(OwnedFd);

impl Arrivals {
    /// Starts to listen.
    ///
    /// # Errors
    /// Those of the kernel.
    pub(super) fn listen() -> Result<Self, Errno> {
        let socket =
            socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(KOBJECT_UEVENT))?;
        // The kernel's own group.
        bind(&socket, &SocketAddrNetlink::new(0, 1))?;
        Ok(Self(socket))
    }

    /// Waits until a new block device may exist, until `until` at most, or until `down` is readable.
    pub(super) fn wait(&self, until: u64, down: Option<BorrowedFd<'_>>) {
        let look_at = until.min(monotonic_ms() + LOOK_MS);
        while let Some(left) = look_at.checked_sub(monotonic_ms()).filter(|left| *left > 0) {
            let down = down.unwrap_or(self.0.as_fd());
            let mut places = [PollFd::new(&self.0, PollFlags::IN), PollFd::from_borrowed_fd(down, PollFlags::IN)];
            let Ok(_) = poll(&mut places, Some(&timespec_from_ms(left))) else { continue };
            let is_down = !places[1].revents().is_empty() && down.as_raw_fd() != self.0.as_raw_fd();
            if is_down || self.has_block_device() {
                return;
            }
        }
    }

    /// Reads pending events. Returns whether one is about a block device. A lost event counts as one.
    fn has_block_device(&self) -> bool {
        let mut found = false;
        loop {
            let mut message = [0_u8; 4096];
            match recv(&self.0, &mut message[..], RecvFlags::DONTWAIT) {
                Ok((length, _)) => {
                    let event = message.get(..length).and_then(Uevent::read);
                    found |= event.is_some_and(|event| event.is_of("block"));
                }
                Err(Errno::INTR) => {}
                Err(Errno::NOBUFS) => found = true,
                Err(_) => return found,
            }
        }
    }
}

/// Returns the selected devices that exist now.
pub(super) fn look(source: Source<'_>) -> Devices {
    let mut found = Devices::new();
    if let Source::Path(path) = source {
        if let (Ok(()), Ok(name)) = (access(path, Access::EXISTS), Name::try_from(path)) {
            let _ = found.push(name);
        }
        return found;
    }
    let Ok(folder) = open(DEVICES, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) else {
        return found;
    };
    let mut buffer = [MaybeUninit::uninit(); 2048];
    let mut entries = RawDir::new(&folder, &mut buffer);
    while let Some(Ok(entry)) = entries.next() {
        let Ok(name) = entry.file_name().to_str() else { continue };
        // A floppy drive takes seconds to report that it is empty.
        if name.starts_with('.') || name.starts_with("fd") {
            continue;
        }
        let mut path = Name::new();
        let _ = append(&mut path, format_args!("/dev/{name}"));
        let is_it = match source {
            Source::PartUuid(id) => is_partition(name, id),
            _ => {
                let mut start = [0; START_BYTES];
                let length = start_of(&path, &mut start).unwrap_or(0);
                Superblock::read(&start[..length]).is_some_and(|found| found.is(source))
            }
        };
        if is_it && (found.push(path).is_err() || found.is_full()) {
            return found;
        }
    }
    found
}

/// Reads the first bytes of a device.
///
/// # Errors
/// Those of the kernel, and EIO if only a part can be read.
pub(super) fn start_of(path: &str, start: &mut [u8]) -> Result<usize, Errno> {
    let device = open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())?;
    let length = rustix::io::pread(&device, &mut *start, 0)?;
    if length < start.len() { Err(Errno::IO) } else { Ok(length) }
}

/// Returns whether the device with this name is a partition with this id.
fn is_partition(name: &str, id: &str) -> bool {
    partition(name, id).unwrap_or(false)
}

fn partition(name: &str, id: &str) -> Option<bool> {
    let (disk, number) = disk_of(name)?;
    let device = open(&disk, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty()).ok()?;
    let mut start = [0; 4096 + 512];
    let length = rustix::io::pread(&device, &mut start, 0).ok()?;
    let table = table(&start[..length])?;
    let mut entry = [0; 32];
    if let Some(at) = table.entry(number) {
        rustix::io::pread(&device, &mut entry, at).ok().filter(|length| *length == 32)?;
    }
    Some(table.is(number, &entry, id))
}

/// Returns the path of the disk that the partition with this name is on, and its number. `None` if it is no partition.
pub(super) fn disk_of(name: &str) -> Option<(String<512>, u32)> {
    let number = read_number(&sys_path(format_args!("{DEVICES}/{name}/partition")))?.try_into().ok()?;
    // .../block/DISK/PARTITION
    let mut buffer = [0; 256];
    let (disk, _) = read_link(&sys_path(format_args!("{DEVICES}/{name}")), &mut buffer).cut_last(b'/')?;
    Some((sys_path(format_args!("/dev/{}", disk.parts(b'/').last()?)), number))
}

/// Prints a message about a mount and its device.
#[inline(never)]
pub(super) fn print_disk(console: &mut Console, mount: &SystemMount<'_>, device: &Name, what: fmt::Arguments<'_>) {
    console.error(format_args!("mount {}: {device}: {what}", mount.target));
}
