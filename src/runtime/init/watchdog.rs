//! The hardware watchdog (Documentation/watchdog/watchdog-api.rst).
//!
//! Only the event loop feeds it, and only while no critical workload has been down for too long. It therefore resets a
//! board whose PID 1 hangs, or that does not serve its purpose. It stays armed during shutdown, in case that hangs.

use crate::console::Console;
use crate::os::errno::describe;
use crate::os::path::open;
use hilum::config::{self, Config};
use hilum::supervise::Supervisor;
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// The watchdog of a machine.
pub(super) struct Watchdog {
    armed: Option<Armed>,
}

/// An open watchdog.
struct Armed {
    device: OwnedFd,
    every_ms: u64,
    feed_at: u64,
    is_fed: bool,
}

impl Watchdog {
    /// Creates the service, not armed yet.
    pub(super) const fn new() -> Self {
        Self { armed: None }
    }

    /// Arms the watchdog. If the device does not exist and this is not the last attempt, prints nothing, because a
    /// module may create it.
    pub(super) fn arm(&mut self, watchdog: Option<config::Watchdog<'_>>, is_last_try: bool, console: &mut Console) {
        let Some(config::Watchdog { device, timeout_ms }) = watchdog.filter(|_| self.armed.is_none()) else { return };
        let opened = open(device, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
        match opened.and_then(|file| Ok((hilum_sys::set_watchdog(&file, timeout_ms.div_ceil(1_000).max(1))?, file))) {
            Ok((seconds, file)) => {
                if u64::from(seconds) * 1_000 != u64::from(timeout_ms) {
                    console.error(format_args!("watchdog {device}: its driver set a timeout of {seconds} s"));
                }
                let every_ms = (u64::from(seconds) * 1_000 / 3).max(100);
                self.armed = Some(Armed { device: file, every_ms, feed_at: 0, is_fed: true });
            }
            Err(Errno::NOENT) if !is_last_try => {}
            Err(errno) => {
                console.error(format_args!("watchdog {device}: {}; running without a watchdog", describe(errno)));
            }
        }
    }

    /// Returns when [`Self::tick`] must be called.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.armed.as_ref().map(|armed| armed.feed_at)
    }

    /// Feeds it when due.
    pub(super) fn tick(&mut self, config: &Config<'_>, supervisor: &Supervisor, now: u64, console: &mut Console) {
        let Some(armed) = self.armed.as_mut().filter(|armed| armed.feed_at <= now) else { return };
        armed.feed_at = now + armed.every_ms;
        let is_sane = supervisor.may_feed_watchdog(config, now);
        if is_sane {
            armed.feed();
        } else if armed.is_fed {
            console.error(format_args!("watchdog: no longer fed: a critical workload is down for too long"));
        }
        armed.is_fed = is_sane;
    }

    /// Feeds it for the last time, so that the shutdown has the full timeout.
    pub(super) fn feed_last(&self) {
        if let Some(armed) = &self.armed {
            armed.feed();
        }
    }
}

impl Armed {
    fn feed(&self) {
        // Any byte but V, which would disarm it.
        let _ = rustix::io::write(&self.device, b"\n");
    }
}
