//! What guards the board itself: the watchdog, and the count of boots that went badly.
//!
//! The watchdog is fed only here, by the loop that does all the rest, and only while no critical workload is away for too
//! long: a PID 1 that stands still, or a board that does not do what it is there for, is reset. It stays armed on the way
//! down, so that a shutdown that hangs ends as well.

use super::in_time::{MOST, aside, in_time};
use super::{Console, words};
use crate::path::{open, open_plain};
use core::fmt::Write;
use hilum::config::{Boots, Config, Watchdog};
use hilum::supervise::Supervisor;
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Milliseconds that the place of the count has to answer.
const BOOTS_MS: u64 = 3_000;
/// Bytes of the count: a sector, which is written as a whole.
const SECTOR: usize = 512;
const MARK: &str = "hilum boots ";

/// The guard of one board.
pub(super) struct Guard {
    /// Whether only workloads that are marked `safe` start.
    pub(super) is_safe: bool,
    /// Boots in a row that went badly before this one.
    pub(super) bad_boots: u32,
    watchdog: Option<Armed>,
    /// Whether this boot counts as a bad one so far.
    is_counted: bool,
    /// Since when every workload is as it should be; none while one is not.
    well_since: Option<u64>,
}

/// An open watchdog.
struct Armed {
    device: OwnedFd,
    every_ms: u64,
    feed_at: u64,
    is_fed: bool,
}

impl Guard {
    /// Nothing guards yet. `is_safe` is what the kernel command line says.
    pub(super) const fn new(is_safe: bool) -> Self {
        Self { is_safe, bad_boots: 0, watchdog: None, is_counted: false, well_since: None }
    }

    /// Arms the watchdog; says nothing where the device is not there yet, because a module may bring it.
    pub(super) fn arm(&mut self, watchdog: Option<Watchdog<'_>>, is_last_try: bool, console: &mut Console) {
        let Some(Watchdog { device, timeout_ms }) = watchdog.filter(|_| self.watchdog.is_none()) else { return };
        let opened = open(device, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
        match opened.and_then(|file| Ok((hilum_sys::set_watchdog(&file, timeout_ms.div_ceil(1_000).max(1))?, file))) {
            Ok((seconds, file)) => {
                if u64::from(seconds) * 1_000 != u64::from(timeout_ms) {
                    console.say(format_args!("watchdog {device}: its driver takes {seconds} s"));
                }
                let every_ms = (u64::from(seconds) * 1_000 / 3).max(100);
                self.watchdog = Some(Armed { device: file, every_ms, feed_at: 0, is_fed: true });
            }
            Err(Errno::NOENT) if !is_last_try => {}
            Err(errno) => {
                console.say(format_args!("watchdog {device}: {}: the board runs without", words(errno)));
            }
        }
    }

    /// Counts this boot as one that goes badly, until it is known to have gone well.
    pub(super) fn count_boot(&mut self, boots: Option<Boots<'_>>, console: &mut Console) {
        let Some(Boots { path, limit, .. }) = boots else { return };
        match in_time(BOOTS_MS, &mut || add_one(path)) {
            Ok(count) => {
                self.is_counted = true;
                self.bad_boots = count;
                if count >= limit {
                    self.is_safe = true;
                    console.say(format_args!("{count} boots in a row went badly"));
                }
            }
            Err(errno) => console.say(format_args!("boots {path}: {}: bad boots are not counted", words(errno))),
        }
    }

    /// When [`Self::turn`] has something to do.
    pub(super) fn deadline(&self, config: &Config<'_>) -> Option<u64> {
        let feed_at = self.watchdog.as_ref().map(|armed| armed.feed_at);
        feed_at.into_iter().chain(self.good_at(config)).min()
    }

    /// When this boot counts as a good one, if nothing happens before.
    fn good_at(&self, config: &Config<'_>) -> Option<u64> {
        let boots = config.system.boots.filter(|_| self.is_counted)?;
        Some(self.well_since? + u64::from(boots.after_ms))
    }

    /// The loop has turned.
    pub(super) fn turn(&mut self, config: &Config<'_>, supervisor: &Supervisor, console: &mut Console, now: u64) {
        if let Some(armed) = &mut self.watchdog
            && armed.feed_at <= now
        {
            armed.feed_at = now + armed.every_ms;
            let is_sane = supervisor.may_feed_watchdog(config, now);
            if is_sane {
                // Any byte but V, which would disarm it (Documentation/watchdog/watchdog-api.rst).
                let _ = rustix::io::write(&armed.device, b"\n");
            } else if armed.is_fed {
                console.say(format_args!("watchdog: not fed any more: a critical workload is away for too long"));
            }
            armed.is_fed = is_sane;
        }
        if !self.is_counted {
            return;
        }
        if !supervisor.all_healthy(config) {
            self.well_since = None;
        } else if self.well_since.is_none() {
            self.well_since = Some(now);
        } else if self.good_at(config).is_some_and(|at| at <= now)
            && let Some(boots) = config.system.boots
        {
            // The disk may not answer, and the loop waits for nobody.
            self.is_counted = aside(&mut || {
                let _ = write_count(boots.path, 0);
            })
            .is_err();
        }
    }

    /// The board goes down now: one that was asked to has not gone badly.
    pub(super) fn going_down(&mut self, config: &Config<'_>, is_asked: bool) {
        if let Some(boots) = config.system.boots.filter(|_| is_asked && self.is_counted) {
            let _ = in_time(BOOTS_MS, &mut || write_count(boots.path, 0).map(|()| 0));
        }
        if let Some(armed) = &self.watchdog {
            // What is left to do has the whole of its time.
            let _ = rustix::io::write(&armed.device, b"\n");
        }
    }
}

/// Reads the count and writes it one higher.
fn add_one(path: &str) -> Result<u32, Errno> {
    let mut bytes = [0; SECTOR];
    let read = open_plain(path, OFlags::RDONLY, Mode::empty()).and_then(|file| rustix::io::read(&file, &mut bytes));
    let length = match read {
        Ok(length) => length,
        Err(Errno::NOENT) => 0,
        Err(errno) => return Err(errno),
    };
    // What is no count of ours is none yet.
    let line = bytes[..length].split(|byte| *byte == b'\n').next().unwrap_or_default();
    let number = core::str::from_utf8(line).ok().and_then(|line| line.strip_prefix(MARK)?.parse().ok());
    let count: u32 = number.unwrap_or(0);
    write_count(path, count.saturating_add(1).min(MOST))?;
    Ok(count)
}

fn write_count(path: &str, count: u32) -> Result<(), Errno> {
    let mut text: heapless::String<32> = heapless::String::new();
    // Three digits fit.
    let _ = writeln!(text, "{MARK}{count}");
    let mut bytes = [b'\n'; SECTOR];
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::DSYNC | OFlags::CLOEXEC;
    let file = open_plain(path, flags, Mode::from_raw_mode(0o600))?;
    rustix::io::write(&file, &bytes)?;
    rustix::fs::fsync(&file)
}
