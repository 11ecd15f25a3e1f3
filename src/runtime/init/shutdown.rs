//! The way out: what ends a boot, a session of the board, or a panic. Nothing here returns.
//!
//! Each step has a deadline, because the board has to come back even when a disk or a driver does not answer.

use crate::console::Console;
use crate::os::clock::monotonic_ms;
use crate::os::deadline::with_timeout;
use crate::os::environment::Environment;
use crate::os::errno::describe;
use crate::os::path::{Path, open};
use crate::os::wait::{pause, poll_fd};
use crate::workload::mount_namespace;
use hilum::cmdline::{FAIL_SECONDS, Fail};
use hilum::config::SystemMount;
use hilum::supervise::ShutdownKind;
use hilum_sys::{InitSignal, SignalFd, SignalInfo, SignalSet};
use rustix::event::PollFlags;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount_remount, unmount};
use rustix::process::{Pid, WaitOptions};
use rustix::system::RebootCommand;

/// Milliseconds that file systems have to write what they hold.
const SYNC_MS: u64 = 10_000;
/// Milliseconds that a slow console has to show its last lines.
const CONSOLE_MS: u64 = 1_000;

/// Follows the policy after an error that ended the boot; its line is on the console already. A person who presses
/// Ctrl-Alt-Del, or an engine that asks for the end, does not have to wait for it.
pub(super) fn give_up(environment: Environment, fail: Fail, console: &mut Console) -> ! {
    let down = match fail {
        Fail::Reboot => Some(ShutdownKind::Reboot),
        Fail::Poweroff => Some(ShutdownKind::Poweroff),
        Fail::Stay => None,
    };
    match down {
        Some(down) => console.error(format_args!("{down} in {FAIL_SECONDS} s")),
        None => console.error(format_args!("staying up without workloads")),
    }
    console.drain(CONSOLE_MS);
    let until = monotonic_ms() + FAIL_SECONDS * 1_000;
    let signals = SignalFd::open(SignalSet::ALL);
    loop {
        let left_ms = match down {
            Some(down) if monotonic_ms() >= until => shut_down(environment, down, &[], console),
            Some(_) => until.saturating_sub(monotonic_ms()),
            None => 60_000,
        };
        // Without a signalfd the policy is still followed.
        let Ok(signals) = &signals else {
            pause(left_ms);
            continue;
        };
        let _ = poll_fd(signals.fd(), PollFlags::IN, left_ms);
        while let Some(caught) = signals.next() {
            if let Some(down) = requested_by(caught) {
                shut_down(environment, down, &[], console)
            }
        }
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
    }
}

/// What a signal to PID 1 asks for. `None` for a signal that asks for nothing.
pub(super) fn requested_by(caught: SignalInfo) -> Option<ShutdownKind> {
    match InitSignal::of(caught.signal)? {
        // Ctrl-Alt-Del, once the kernel was told to send it here.
        InitSignal::Interrupt => Some(ShutdownKind::Reboot),
        InitSignal::Terminate | InitSignal::Power => Some(ShutdownKind::Poweroff),
        InitSignal::Child => None,
    }
}

/// Whether the sender of a signal may ask for what that asks for: the kernel, whoever is outside of PID 1's PID namespace,
/// and processes beside it. A workload that shares process ids may send signals to PID 1 where it has the right to
/// (kill(2)); it is in another mount namespace. One that has ended meanwhile cannot be told from such a workload.
pub(super) fn may_request(caught: SignalInfo) -> bool {
    let Some(sender) = Pid::from_raw(caught.sender.cast_signed()) else { return true };
    mount_namespace(sender).is_some_and(|found| Some(found) == mount_namespace(Pid::INIT))
}

/// Takes the board down: every workload is over.
pub(super) fn shut_down(
    environment: Environment,
    down: ShutdownKind,
    mounts: &[SystemMount<'_>],
    console: &mut Console,
) -> ! {
    // What escaped from its workload, or was never in one.
    hilum_sys::kill_everything();
    if environment == Environment::Machine {
        unmount_all(mounts, console);
    }
    if !sync_with_timeout() {
        console.error(format_args!("sync: timed out after {} s, continuing", SYNC_MS / 1_000));
    }
    console.error(format_args!("{down}"));
    console.drain(CONSOLE_MS);
    match (environment, down) {
        // Whoever made the container reads this as "it is done"; a reboot is reported as pid_namespaces(7) says.
        (Environment::Container, ShutdownKind::Poweroff | ShutdownKind::Halt) => hilum_sys::exit(0),
        (Environment::Container, ShutdownKind::Reboot) => {
            let _ = rustix::system::reboot(RebootCommand::Restart);
            // Without CAP_SYS_BOOT it cannot be told so; whoever made the container sees a failure.
            hilum_sys::exit(1)
        }
        _ => reboot(down),
    }
}

/// Unmounts the board's own mounts, the last one first; what is still in use becomes read-only.
fn unmount_all(mounts: &[SystemMount<'_>], console: &mut Console) {
    for disk in mounts.iter().rev() {
        let unmounted = with_timeout(SYNC_MS, &mut || {
            // Whatever used it was killed, and is gone in a moment.
            for _ in 0..50 {
                match unmount(Path(disk.target), UnmountFlags::empty()) {
                    Err(Errno::BUSY) => pause(20),
                    result => return result.map(|()| 0),
                }
            }
            mount_remount(Path(disk.target), MountFlags::RDONLY, c"").map(|()| 0)
        });
        // One that could not be mounted is not there to be unmounted.
        if let Err(errno) = unmounted
            && !matches!(errno, Errno::INVAL | Errno::NOENT)
        {
            console.error(format_args!("unmount {}: {}", disk.target, describe(errno)));
        }
    }
}

/// The way out of a panic, whose line is on standard error already.
pub(super) fn after_panic() -> ! {
    let is_child = rustix::process::getpid() != rustix::process::Pid::INIT;
    if is_child {
        hilum_sys::exit(101)
    }
    sync_with_timeout();
    reboot(ShutdownKind::Reboot)
}

/// reboot(2), and what is left when that fails: the kernel's own emergency restart, then waiting for the watchdog.
fn reboot(down: ShutdownKind) -> ! {
    let command = match down {
        ShutdownKind::Poweroff => RebootCommand::PowerOff,
        ShutdownKind::Reboot => RebootCommand::Restart,
        ShutdownKind::Halt => RebootCommand::Halt,
    };
    for command in [command, RebootCommand::Restart] {
        let _ = rustix::system::reboot(command);
    }
    // The kernel's own restart, and then its panic, which restarts where the command line says so (panic=).
    for key in [b"b", b"c"] {
        if let Ok(trigger) = open("/proc/sysrq-trigger", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
            let _ = rustix::io::write(&trigger, key);
        }
    }
    hilum_sys::hang_forever()
}

/// Has a helper call sync(2), which can wait for ever for a disk that does not answer. Returns whether it was done in time.
fn sync_with_timeout() -> bool {
    let sync = &mut || {
        rustix::fs::sync();
        Ok(0)
    };
    with_timeout(SYNC_MS, sync).is_ok()
}
