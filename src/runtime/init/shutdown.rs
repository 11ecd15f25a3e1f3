//! The end of PID 1: after a failed boot, at shutdown, and after a panic. None of these functions return.
//!
//! Each step has a deadline, because the board must restart even if a disk or a driver hangs.

use super::context::Context;
use super::workloads::Workloads;
use crate::console::Console;
use crate::os::clock::monotonic_ms;
use crate::os::deadline::with_timeout;
use crate::os::environment::Environment;
use crate::os::errno::describe;
use crate::os::path::{self, open};
use crate::os::turn::SIGNALS;
use crate::os::wait::{pause, poll_fd};
use crate::workload::mount_namespace;
use hilum::cmdline::{FAIL_SECONDS, Fail};
use hilum::config::SystemMount;
use hilum::supervise::ShutdownKind;
use hilum_sys::{InitSignal, SignalFd, SignalInfo, SignalSet};
use rustix::event::PollFlags;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};
use rustix::process::{Pid, WaitOptions};
use rustix::system::RebootCommand;

/// Milliseconds for filesystems to write cached data.
const SYNC_MS: u64 = 10_000;
/// Milliseconds for a slow console to print its last lines.
const CONSOLE_MS: u64 = 1_000;

/// Follows the policy after an error that ended the boot and that was already printed. Ctrl-Alt-Del, or a signal from a
/// container engine, ends the wait.
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

/// Returns what a signal to PID 1 requests, or `None`.
pub(super) fn requested_by(caught: SignalInfo) -> Option<ShutdownKind> {
    match InitSignal::of(caught.signal)? {
        // Ctrl-Alt-Del, since the kernel was told to send it here.
        InitSignal::Interrupt => Some(ShutdownKind::Reboot),
        InitSignal::Terminate | InitSignal::Power => Some(ShutdownKind::Poweroff),
        InitSignal::Child => None,
    }
}

/// Returns whether the sender of a signal may request a shutdown: the kernel, processes outside of PID 1's PID
/// namespace, and host processes. A workload that shares the PID namespace may signal PID 1 if it has the right to
/// (kill(2)); it is recognised by its mount namespace. A sender that has exited is treated like a workload.
pub(super) fn may_request(caught: SignalInfo) -> bool {
    let Some(sender) = Pid::from_raw(caught.sender.cast_signed()) else { return true };
    mount_namespace(sender).is_some_and(|found| Some(found) == mount_namespace(Pid::INIT))
}

/// Reads signals: a request to shut down, or exits. Returns whether there were exits.
pub(super) fn read_signals(cx: &mut Context, workloads: &mut Workloads) -> bool {
    let mut has_exits = false;
    for _ in 0..SIGNALS {
        let Some(signal) = cx.events.next_signal() else { break };
        match requested_by(signal) {
            Some(down) if may_request(signal) => {
                workloads.supervisor.shut_down(cx.config.get(), down, cx.now());
            }
            Some(down) => cx.console.error(format_args!(
                "{down}: refused a signal from process {}; use: hilum {}",
                signal.sender,
                down.command()
            )),
            None => has_exits = true,
        }
    }
    has_exits
}

/// Shuts the board down, when all workloads have exited.
pub(super) fn shut_down(
    environment: Environment,
    down: ShutdownKind,
    mounts: &[SystemMount<'_>],
    console: &mut Console,
) -> ! {
    // Processes that escaped from their workload, or were never in one.
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
        // The container's creator sees exit status 0; a reboot is reported as pid_namespaces(7) describes.
        (Environment::Container, ShutdownKind::Poweroff | ShutdownKind::Halt) => hilum_sys::exit(0),
        (Environment::Container, ShutdownKind::Reboot) => {
            let _ = rustix::system::reboot(RebootCommand::Restart);
            // Without CAP_SYS_BOOT the reboot cannot be reported; the container's creator sees a failure.
            hilum_sys::exit(1)
        }
        _ => reboot(down),
    }
}

/// Unmounts the board's own mounts, the last one first; a busy one becomes read-only.
fn unmount_all(mounts: &[SystemMount<'_>], console: &mut Console) {
    for disk in mounts.iter().rev() {
        let unmounted = with_timeout(SYNC_MS, &mut || {
            // The processes that used it were killed, and disappear in a moment.
            for _ in 0..50 {
                match path::unmount(disk.target, UnmountFlags::empty()) {
                    Err(Errno::BUSY) => pause(20),
                    result => return result.map(|()| 0),
                }
            }
            path::remount(disk.target, MountFlags::RDONLY).map(|()| 0)
        });
        // A filesystem that was never mounted is not an error.
        if let Err(errno) = unmounted
            && !matches!(errno, Errno::INVAL | Errno::NOENT)
        {
            console.error(format_args!("unmount {}: {}", disk.target, describe(errno)));
        }
    }
}

/// Ends PID 1 after a panic, which was already printed to standard error.
pub(super) fn after_panic() -> ! {
    let is_child = rustix::process::getpid() != rustix::process::Pid::INIT;
    if is_child {
        hilum_sys::exit(101)
    }
    sync_with_timeout();
    reboot(ShutdownKind::Reboot)
}

/// Calls reboot(2). If that fails, tries the kernel's emergency restart, then waits for the watchdog.
fn reboot(down: ShutdownKind) -> ! {
    let command = match down {
        ShutdownKind::Poweroff => RebootCommand::PowerOff,
        // The kernel of a slot that an update has loaded; EINVAL without one.
        ShutdownKind::Reboot => RebootCommand::Kexec,
        ShutdownKind::Halt => RebootCommand::Halt,
    };
    for command in [command, RebootCommand::Restart] {
        let _ = rustix::system::reboot(command);
    }
    // The kernel's emergency restart, and then a kernel panic, which restarts if the command line says so (panic=).
    for key in [b"b", b"c"] {
        if let Ok(trigger) = open("/proc/sysrq-trigger", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
            let _ = rustix::io::write(&trigger, key);
        }
    }
    hilum_sys::hang_forever()
}

/// Calls sync(2) in a helper, because it can hang with a disk that does not answer. Returns whether it completed in
/// time.
fn sync_with_timeout() -> bool {
    let sync = &mut || {
        rustix::fs::sync();
        Ok(0)
    };
    with_timeout(SYNC_MS, sync).is_ok()
}
