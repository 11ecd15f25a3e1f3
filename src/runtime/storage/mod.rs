//! The board's own filesystems: finds, checks, repairs, mounts and reports them.
//!
//! Any of this may block on a disk, so it runs in a helper. The library decides what to do with a filesystem.

mod device;
mod format;
mod grow;
mod swap;
mod table;

pub(crate) use device::{Name, await_device, find};
pub(crate) use swap::start_swap;
pub(crate) use table::{each_mount, has_medium, look_for_media};

use crate::console::Console;
use crate::os::clock::monotonic_ms;
use crate::os::deadline::with_timeout;
use crate::os::errno::describe;
use crate::os::path::{self, open};
use crate::os::wait::poll_fd;
use device::{Arrivals, Devices, look, print_disk, start_of};
use heapless::String;
use hilum::config::{Config, MountFallback, Source, SystemMount};
use hilum::fixed_string::text;
use hilum::storage::{MountDecision, Reason, Refusal, START_BYTES, Superblock, decide, decide_refused};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

/// The timeout of a mount in milliseconds, which may have to replay a journal.
const MOUNT_MS: u64 = 30_000;
/// The timeout of a repair, or of formatting, in milliseconds.
const REPAIR_MS: u64 = 120_000;
/// Milliseconds to wait for the disk of a workload's root filesystem.
pub(crate) const ROOT_MS: u64 = 5_000;

/// One pass over all lines. A set of lines is a bit mask.
struct Pass<'a> {
    mounts: &'a [SystemMount<'a>],
    /// When it began, and whether to wait for missing devices.
    began: u64,
    waits: bool,
    /// Lines that were reported as waiting, and lines that need no further report.
    waiting: u8,
    told: u8,
    /// Lines whose device exists and cannot be mounted.
    refused: u8,
    arrivals: Option<Arrivals>,
}

/// Mounts all filesystems of the board, except those in `refused`, until `down` is readable; then it completes the
/// current one and stops. With `waits`, it waits for missing devices as configured. Returns `refused` and the lines
/// whose device exists and cannot be mounted.
pub(crate) fn mount_all(
    config: &Config<'_>,
    waits: bool,
    refused: u8,
    down: Option<BorrowedFd<'_>>,
    console: &mut Console,
) -> u8 {
    let (mounts, began) = (&config.system.mounts, monotonic_ms());
    let mut pass = Pass { mounts, began, waits, waiting: 0, told: 0, refused, arrivals: None };
    loop {
        let mut until = u64::MAX;
        for index in 0..mounts.len() {
            if !is_readable(down) {
                until = until.min(pass.mount(index, console));
                // The next line may have to wait.
                console.flush_blocking();
            }
        }
        if is_readable(down) {
            let given_up = mounts.iter().enumerate().filter(|(index, _)| pass.waiting & !pass.told & 1 << index != 0);
            given_up.for_each(|(_, mount)| print_source(console, mount, Errno::CANCELED, ": shutting down"));
            return pass.refused;
        }
        match &pass.arrivals {
            _ if until == u64::MAX => return pass.refused,
            // From here on no event is lost: those during the second look are queued in the socket.
            None => match Arrivals::listen() {
                Ok(arrivals) => pass.arrivals = Some(arrivals),
                Err(_) => return pass.refused,
            },
            Some(arrivals) => arrivals.wait(until, down),
        }
    }
}

impl Pass<'_> {
    /// Mounts a line if its device exists. Returns until when to wait for it; `u64::MAX` if there is nothing to wait
    /// for.
    fn mount(&mut self, index: usize, console: &mut Console) -> u64 {
        let (mount, bit) = (&self.mounts[index], 1 << index);
        let is_memory = is_memory(mount);
        // A folder in a filesystem that is not mounted yet would be hidden by it later.
        let lacks_outer = || self.mounts[..index].iter().any(|outer| outer.holds(mount.target) && !is_mounted(outer));
        if self.refused & bit != 0 || (is_mounted(mount) && !is_memory) || lacks_outer() {
            return u64::MAX;
        }
        let found = Source::of(mount.source).map_or(Devices::new(), look);
        let is_good = match found.as_slice() {
            [device] => {
                // Usually the folder exists; a real failure shows at the mount.
                let _ = path::mkdir(mount.target, Mode::from_raw_mode(0o755));
                if is_memory {
                    detach(mount);
                }
                mount_device(mount, device, console)
            }
            [one, other, ..] => {
                console.error(format_args!(
                    "mount {}: {}: both {one} and {other} have it; rename one of them",
                    mount.target, mount.source
                ));
                false
            }
            [] => return self.missing(mount, bit, is_memory, console),
        };
        self.told |= bit;
        if !is_good {
            self.refused |= bit;
            fall_back(mount, console);
        }
        u64::MAX
    }

    /// Handles a missing device. Returns until when to wait for it.
    fn missing(&mut self, mount: &SystemMount<'_>, bit: u8, is_memory: bool, console: &mut Console) -> u64 {
        let until = self.began + u64::from(mount.wait_ms);
        if self.waits && until > monotonic_ms() {
            if self.waiting & bit == 0 && self.arrivals.is_some() {
                self.waiting |= bit;
                let seconds = mount.wait_ms.div_ceil(1_000);
                console.error(format_args!("mount {}: waiting up to {seconds} s for {}", mount.target, mount.source));
            }
            return until;
        }
        let is_first = self.waits && self.told & bit == 0;
        if is_first {
            print_source(console, mount, Errno::NOENT, "");
        }
        if is_first || (mount.fallback == MountFallback::Tmpfs && !is_memory) {
            fall_back(mount, console);
        }
        self.told |= bit;
        u64::MAX
    }
}

fn is_readable(down: Option<BorrowedFd<'_>>) -> bool {
    down.is_some_and(|down| poll_fd(down, PollFlags::IN, 0) == Ok(true))
}

/// Does what the line says if the filesystem cannot be mounted.
fn fall_back(mount: &SystemMount<'_>, console: &mut Console) {
    let target = mount.target;
    if mount.fallback == MountFallback::Stop {
        return console.error(format_args!("mount {target}: not mounted; workloads that use it wait for it"));
    }
    let _ = path::mkdir(target, Mode::from_raw_mode(0o755));
    match path::mount("tmpfs", target, "tmpfs", flags(mount, false), Some(c"mode=0755")) {
        Ok(()) => {
            console.error(format_args!("mount {target}: using tmpfs instead; data will not survive a reboot"));
        }
        Err(errno) => console.error(format_args!("mount {target}: tmpfs: {}", describe(errno))),
    }
}

/// Unmounts the folder of this line, with everything that is mounted below it. The path is free at once; open files
/// stay usable until they are closed (MNT_DETACH, umount2(2)).
pub(crate) fn detach(mount: &SystemMount<'_>) {
    let _ = path::unmount(mount.target, UnmountFlags::DETACH);
}

/// Returns whether something is mounted on the folder of this line.
pub(crate) fn is_mounted(mount: &SystemMount<'_>) -> bool {
    path::is_mount_point(mount.target) == Ok(true)
}

/// Returns whether a tmpfs is mounted instead of the disk.
fn is_memory(mount: &SystemMount<'_>) -> bool {
    /// TMPFS_MAGIC (linux/magic.h)
    const TMPFS: i64 = 0x0102_1994;
    mount.fallback == MountFallback::Tmpfs
        && is_mounted(mount)
        && path::statfs(mount.target).is_ok_and(|found| found.f_type == TMPFS)
}

/// Opens the mount table, which reports changes by POLLPRI (proc(5), /proc/PID/mounts).
pub(crate) fn mount_table() -> Result<OwnedFd, Errno> {
    open("/proc/self/mounts", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

/// Returns why nothing is mounted for a line, as far as known.
pub(crate) fn why_missing(mount: &SystemMount<'_>) -> String<160> {
    let found = Source::of(mount.source).map_or(Devices::new(), look);
    let device = match found.as_slice() {
        [device] => device,
        [one, other, ..] => return text(format_args!("both {one} and {other} have that name")),
        [] => return text(format_args!("no such disk")),
    };
    let mut start = [0; START_BYTES];
    match start_of(device, &mut start) {
        Err(errno) => text(format_args!("{device}: {}", describe(errno))),
        Ok(_) => match decide(mount, Superblock::read(&start).as_ref(), true) {
            MountDecision::Refuse(reason) => text(format_args!("{device}: {reason}")),
            _ => text(format_args!("{device}: not mounted; see the log")),
        },
    }
}

/// Waits until something is mounted on the folder of this line.
///
/// # Errors
/// ECANCELED if the last writer of the pipe `reader` is gone; those of the kernel.
pub(crate) fn await_mount(mount: &SystemMount<'_>, reader: BorrowedFd<'_>) -> Result<(), Errno> {
    let table = mount_table()?;
    while !is_mounted(mount) {
        // A pipe without writers is always reported (poll(2)).
        let places = &mut [PollFd::new(&table, PollFlags::PRI), PollFd::from_borrowed_fd(reader, PollFlags::empty())];
        if poll(places, None).is_ok() && !places[1].revents().is_empty() {
            return Err(Errno::CANCELED);
        }
    }
    Ok(())
}

fn flags(mount: &SystemMount<'_>, is_read_only: bool) -> MountFlags {
    let mut flags = MountFlags::NOSUID | MountFlags::NODEV;
    flags.set(MountFlags::NOEXEC, !mount.is_executable);
    flags.set(MountFlags::RDONLY, mount.is_read_only || is_read_only);
    flags
}

/// Mounts the filesystem on a device. Returns whether it is mounted now.
fn mount_device(mount: &SystemMount<'_>, device: &Name, console: &mut Console) -> bool {
    let target = mount.target;
    let (mut has_repaired, mut is_new) = (false, false);
    loop {
        let mut start = [0; START_BYTES];
        let length = match start_of(device, &mut start) {
            Ok(length) => length,
            Err(errno) => {
                print_disk(console, mount, device, format_args!("{}", describe(errno)));
                return false;
            }
        };
        let found = Superblock::read(start.get(..length).unwrap_or_default());
        let mut decision = decide(mount, found.as_ref(), has_repaired);
        while let MountDecision::Mount | MountDecision::MountReadOnly(_) = decision {
            let is_read_only = mount.is_read_only || decision != MountDecision::Mount;
            match with_timeout(MOUNT_MS, &mut || attach(mount, device, is_read_only)) {
                Ok(_) => {
                    let replayed = found.is_some_and(|found| found.has_journal) && !is_new;
                    print_mounted(mount, device, decision, replayed, console);
                    if is_new {
                        grow::filesystem(mount, device, console);
                    }
                    if mount.grows && !is_read_only {
                        grow::start(mount, device, console);
                    }
                    return true;
                }
                Err(errno) => match refusal(errno) {
                    Some(refusal) => decision = decide_refused(mount, refusal, is_read_only, has_repaired),
                    None => {
                        let why = match errno {
                            Errno::NODEV => ": not in the kernel, or its module is not loaded",
                            _ => "",
                        };
                        console.error(format_args!(
                            "mount {target}: {device} as {}: {}{why}",
                            mount.kind,
                            describe(errno)
                        ));
                        return false;
                    }
                },
            }
        }
        has_repaired = true;
        match decision {
            MountDecision::Mount | MountDecision::MountReadOnly(_) => {}
            MountDecision::Refuse(reason) => {
                console.error(format_args!("mount {target}: {device} as {}: {reason}", mount.kind));
                return false;
            }
            MountDecision::Repair(reason) => repair(mount, device, reason, console),
            MountDecision::Reformat(reason) => is_new |= reformat(mount, device, reason, console),
        }
    }
}

/// Repairs the filesystem on a device, and reports the result.
fn repair(mount: &SystemMount<'_>, device: &Name, reason: Reason, console: &mut Console) {
    print_disk(console, mount, device, format_args!("{reason}; repairing it"));
    console.flush_blocking();
    let repaired = with_timeout(REPAIR_MS, &mut || format::repair(device));
    match repaired {
        Ok(0 | 1) => print_disk(console, mount, device, format_args!("repaired")),
        Ok(status) => {
            print_disk(console, mount, device, format_args!("not repaired, e2fsck exited with status {status}"));
        }
        Err(Errno::NOENT) => {
            print_disk(console, mount, device, format_args!("the image has no {}", format::REPAIR));
        }
        Err(errno) => print_disk(console, mount, device, format_args!("repair: {}", describe(errno))),
    }
}

/// Formats a device. Returns whether that succeeded.
fn reformat(mount: &SystemMount<'_>, device: &Name, reason: Reason, console: &mut Console) -> bool {
    print_disk(console, mount, device, format_args!("{reason}; reformatting it as {}", mount.kind));
    console.flush_blocking();
    match with_timeout(REPAIR_MS, &mut || format::format(mount, device)) {
        Ok(_) => true,
        Err(errno) => {
            print_disk(console, mount, device, format_args!("{}", describe(errno)));
            false
        }
    }
}

fn attach(mount: &SystemMount<'_>, device: &Name, is_read_only: bool) -> Result<u32, Errno> {
    path::mount(device, mount.target, mount.kind, flags(mount, is_read_only), None).map(|()| 0)
}

/// Returns what the errno of mount(2) means for a filesystem; `None` if it is about something else, such as a read
/// error.
fn refusal(errno: Errno) -> Option<Refusal> {
    match errno {
        Errno::UCLEAN | Errno::BADMSG => Some(Refusal::Damage),
        Errno::INVAL => Some(Refusal::Unknown),
        Errno::ACCESS | Errno::ROFS => Some(Refusal::Protected),
        _ => None,
    }
}

/// Reports that the device of a line is not available.
fn print_source(console: &mut Console, mount: &SystemMount<'_>, errno: Errno, why: &str) {
    console.error(format_args!("mount {}: {}: {}{why}", mount.target, mount.source, describe(errno)));
}

fn print_mounted(
    mount: &SystemMount<'_>,
    device: &Name,
    decision: MountDecision,
    replayed: bool,
    console: &mut Console,
) {
    let replayed = if replayed { ", its journal replayed" } else { "" };
    match decision {
        MountDecision::MountReadOnly(reason) => {
            console.error(format_args!("mount {}: {device} read-only: {reason}", mount.target));
        }
        _ => console.info(format_args!("mount {}: {} on {device}{replayed}", mount.target, mount.kind)),
    }
}
