//! The board's own filesystems: found, looked at, repaired where a line says so, mounted, and said.
//!
//! Everything here may wait for a disk, so it is done by a helper and never by itself; what is done with what was
//! found is decided by the library.

mod device;
mod format;

pub(crate) use device::{Name, find};

use crate::console::Console;
use crate::os::clock::monotonic_ms;
use crate::os::deadline::with_timeout;
use crate::os::errno::describe;
use crate::os::path::{Path, open};
use crate::os::wait::{poll_fd, timespec_from_ms};
use core::fmt;
use device::start_of;
use hilum::config::{Config, MountFallback, Source, SystemMount, Workload, limits};
use hilum::storage::{MountDecision, Reason, START_BYTES, Superblock, decide, decide_refused};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxAttributes, StatxFlags, statx};
use rustix::io::Errno;
use rustix::mount::MountFlags;

/// Milliseconds that the kernel has for a mount: it may have a journal to replay.
const MOUNT_MS: u64 = 30_000;
/// Milliseconds that a repair may take, or the writing of a new filesystem.
const REPAIR_MS: u64 = 120_000;
/// Milliseconds that a workload's own disk may take to appear.
pub(crate) const ROOT_MS: u64 = 5_000;

/// Mounts every filesystem of the board, until `down` can be read: then what has begun is finished, and nothing more is. With
/// `waits` a device that is not there is waited for.
pub(crate) fn mount_all(config: &Config<'_>, waits: bool, down: Option<BorrowedFd<'_>>, console: &mut Console) {
    let mounts = &config.system.mounts;
    // Those that are there first: one that is waited for holds the others up no longer than the order of folders asks.
    let mut is_tried = [false; limits::SYSTEM_MOUNTS];
    for (index, mount) in mounts.iter().enumerate() {
        let is_inside = mounts[..index].iter().any(|outer| outer.holds(mount.target) && !is_mounted(outer));
        let is_there = Source::of(mount.source).is_some_and(|source| find(source, 0, None, || {}).is_ok());
        if !is_inside && is_there && !is_mounted(mount) && !is_readable(down) {
            is_tried[index] = true;
            mount_one(mount, down, console);
        }
    }
    for (mount, _) in mounts.iter().zip(is_tried).filter(|(mount, is_tried)| waits && !is_tried && !is_mounted(mount)) {
        if !is_readable(down) {
            mount_one(mount, down, console);
        }
    }
}

fn is_readable(down: Option<BorrowedFd<'_>>) -> bool {
    down.is_some_and(|down| poll_fd(down, PollFlags::IN, 0) == Ok(true))
}

/// Mounts one, or does what the line says for the case that it cannot be had.
fn mount_one(mount: &SystemMount<'_>, down: Option<BorrowedFd<'_>>, console: &mut Console) {
    // That it exists already is the usual case, and that it could not be made shows at the mount.
    let _ = crate::os::path::mkdir(mount.target, Mode::from_raw_mode(0o755));
    if !one(mount, down, console) {
        match mount.fallback {
            MountFallback::Stop => {
                console.error(format_args!("mount {}: not mounted; workloads that use it do not start", mount.target));
            }
            MountFallback::Tmpfs => {
                match rustix::mount::mount(c"tmpfs", Path(mount.target), c"tmpfs", flags(mount, false), c"mode=0755") {
                    Ok(()) => console.error(format_args!(
                        "mount {}: using tmpfs instead; data will not survive a reboot",
                        mount.target
                    )),
                    Err(errno) => console.error(format_args!("mount {}: tmpfs: {}", mount.target, describe(errno))),
                }
            }
        }
    }
    // The next one may be waited for.
    console.flush_blocking();
}

/// Whether something is mounted on the folder of this line.
pub(crate) fn is_mounted(mount: &SystemMount<'_>) -> bool {
    let found = statx(CWD, Path(mount.target), AtFlags::empty(), StatxFlags::BASIC_STATS);
    found.is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Waits until every disk that a workload has a path on is mounted, or no more will be: `disks` ends then.
pub(crate) fn await_disks(config: &Config<'_>, workload: &Workload<'_>, disks: &OwnedFd, limit_ms: u64) {
    let until = monotonic_ms() + limit_ms;
    let Ok(table) = mount_table() else { return };
    while !config.all_disks(workload, is_mounted) {
        let Some(left) = until.checked_sub(monotonic_ms()).filter(|left| *left > 0) else { return };
        let mut places = [PollFd::new(&table, PollFlags::PRI), PollFd::new(disks, PollFlags::IN)];
        let polled = poll(&mut places, Some(&timespec_from_ms(left)));
        if polled.is_ok() && !places[1].revents().is_empty() {
            return;
        }
    }
}

/// What tells by its exceptional state (POLLPRI) that something was mounted (proc(5), /proc/PID/mounts).
fn mount_table() -> Result<OwnedFd, Errno> {
    open("/proc/self/mounts", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

/// Waits until something is mounted on the folder of this line, by what the kernel says of the table of mounts, and not
/// for ever.
///
/// # Errors
/// ETIMEDOUT; the kernel's.
pub(crate) fn await_mount(mount: &SystemMount<'_>) -> Result<(), Errno> {
    let until = monotonic_ms() + u64::from(mount.wait_ms) + MOUNT_MS + REPAIR_MS;
    let table = mount_table()?;
    while !is_mounted(mount) {
        let left = until.checked_sub(monotonic_ms()).filter(|left| *left > 0).ok_or(Errno::TIMEDOUT)?;
        let _ = poll_fd(table.as_fd(), PollFlags::PRI, left);
    }
    Ok(())
}

fn flags(mount: &SystemMount<'_>, is_read_only: bool) -> MountFlags {
    let mut flags = MountFlags::NOSUID | MountFlags::NODEV;
    flags.set(MountFlags::NOEXEC, !mount.is_executable);
    flags.set(MountFlags::RDONLY, mount.is_read_only || is_read_only);
    flags
}

/// Mounts one; gives whether it is mounted now.
fn one(mount: &SystemMount<'_>, down: Option<BorrowedFd<'_>>, console: &mut Console) -> bool {
    let target = mount.target;
    let waits = || {
        let seconds = mount.wait_ms.div_ceil(1_000);
        console.error(format_args!("mount {target}: waiting up to {seconds} s for {}", mount.source));
        console.flush_blocking();
    };
    let Some(source) = Source::of(mount.source) else { return false };
    let device = match find(source, mount.wait_ms.into(), down, waits) {
        Ok(device) => device,
        Err(errno) => {
            let why = if errno == Errno::CANCELED { ": shutting down" } else { "" };
            console.error(format_args!("mount {target}: {}: {}{why}", mount.source, describe(errno)));
            return false;
        }
    };
    let (mut has_repaired, mut is_new) = (false, false);
    loop {
        let mut start = [0; START_BYTES];
        let length = match start_of(&device, &mut start) {
            Ok(length) => length,
            Err(errno) => {
                print_disk(console, mount, &device, format_args!("{}", describe(errno)));
                return false;
            }
        };
        let found = Superblock::read(start.get(..length).unwrap_or_default());
        let mut decision = decide(mount, found.as_ref(), has_repaired);
        if matches!(decision, MountDecision::Mount | MountDecision::MountReadOnly(_)) {
            let is_read_only = decision != MountDecision::Mount;
            match with_timeout(MOUNT_MS, &mut || attach(mount, &device, is_read_only)) {
                Ok(_) => {
                    let replayed = found.is_some_and(|found| found.has_journal) && !is_new;
                    print_mounted(mount, &device, decision, replayed, console);
                    if is_new && let Err(errno) = format::grow(mount, &device) {
                        console.error(format_args!("mount {target}: cannot grow it: {}", describe(errno)));
                    }
                    return true;
                }
                Err(errno) if is_damage(errno) => decision = decide_refused(mount, has_repaired),
                Err(errno) => {
                    let why =
                        if errno == Errno::NODEV { ": not in the kernel, or its module is not loaded" } else { "" };
                    console.error(format_args!("mount {target}: {device} as {}: {}{why}", mount.kind, describe(errno)));
                    return false;
                }
            }
        }
        has_repaired = true;
        match decision {
            MountDecision::Mount => {}
            MountDecision::MountReadOnly(reason) | MountDecision::Refuse(reason) => {
                console.error(format_args!("mount {target}: {device} as {}: {reason}", mount.kind));
                return false;
            }
            MountDecision::Repair(reason) => repair(mount, &device, reason, console),
            MountDecision::Reformat(reason) => is_new |= reformat(mount, &device, reason, console),
        }
    }
}

/// Repairs the filesystem on a device, and tells what came of it.
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

/// Makes a new filesystem on a device; gives whether it is there.
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

/// Says something about a mount and the device that it is made of.
#[inline(never)]
fn print_disk(console: &mut Console, mount: &SystemMount<'_>, device: &Name, what: fmt::Arguments<'_>) {
    console.error(format_args!("mount {}: {device}: {what}", mount.target));
}

fn attach(mount: &SystemMount<'_>, device: &Name, is_read_only: bool) -> Result<u32, Errno> {
    rustix::mount::mount(Path(device), Path(mount.target), Path(mount.kind), flags(mount, is_read_only), None)
        .map(|()| 0)
}

/// What the kernel says of a filesystem that it does not take although it knows its kind.
fn is_damage(errno: Errno) -> bool {
    matches!(errno, Errno::UCLEAN | Errno::BADMSG | Errno::INVAL | Errno::IO)
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
