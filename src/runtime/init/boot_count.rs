//! The count of consecutive bad boots, in a file or on a device.

use crate::console::Console;
use crate::os::deadline::{MAX_ANSWER, in_background, with_timeout};
use crate::os::errno::describe;
use crate::os::sector;
use hilum::boot_count::BOOTS;
use hilum::config::{Boots, Config};
use hilum::supervise::Supervisor;
use rustix::io::Errno;

/// The timeout for the file or device in milliseconds.
const TIMEOUT_MS: u64 = 3_000;

/// The count, and whether this boot still counts as bad.
pub(super) struct BootCount {
    is_safe: bool,
    bad_boots: u32,
    /// Whether this boot still counts as bad.
    is_counted: bool,
    /// Since when all workloads are healthy; `None` while one is not.
    healthy_since: Option<u64>,
}

impl BootCount {
    /// Counts nothing yet. `is_safe` is from the kernel command line.
    pub(super) const fn new(is_safe: bool) -> Self {
        Self { is_safe, bad_boots: 0, is_counted: false, healthy_since: None }
    }

    /// Returns whether only workloads that are marked `safe` start.
    pub(super) fn is_safe(&self) -> bool {
        self.is_safe
    }

    /// Returns the number of consecutive bad boots before this one.
    pub(super) fn bad_boots(&self) -> u32 {
        self.bad_boots
    }

    /// Counts this boot as bad until it is known to be good.
    pub(super) fn count_boot(&mut self, boots: Option<Boots<'_>>, console: &mut Console) {
        let Some(Boots { path, limit, .. }) = boots else { return };
        match with_timeout(TIMEOUT_MS, &mut || add_one(path)) {
            Ok(count) => {
                self.is_counted = true;
                self.bad_boots = count;
                if count >= limit {
                    self.is_safe = true;
                    console.error(format_args!("{count} failed boots in a row"));
                }
            }
            Err(errno) => {
                let why = if errno == Errno::LOOP { "symbolic links are not followed; " } else { "" };
                console.error(format_args!("boots {path}: {}: {why}failed boots are not counted", describe(errno)));
            }
        }
    }

    /// Returns when [`Self::tick`] must be called.
    pub(super) fn deadline(&self, config: &Config<'_>) -> Option<u64> {
        let boots = config.system.boots.filter(|_| self.is_counted)?;
        Some(self.healthy_since? + u64::from(boots.after_ms))
    }

    /// Resets the count once all workloads were healthy for long enough.
    pub(super) fn tick(&mut self, config: &Config<'_>, supervisor: &Supervisor, now: u64) {
        if !self.is_counted {
            return;
        }
        if !supervisor.all_healthy(config) {
            self.healthy_since = None;
        } else if self.healthy_since.is_none() {
            self.healthy_since = Some(now);
        } else if self.deadline(config).is_some_and(|at| at <= now)
            && let Some(boots) = config.system.boots
        {
            // The disk may hang, and the loop must not wait for it.
            self.is_counted = in_background(&mut || {
                let _ = sector::write(BOOTS, boots.path, 0);
            })
            .is_err();
        }
    }

    /// Handles the shutdown: a boot that ends on request is not bad.
    pub(super) fn finish(&self, config: &Config<'_>, is_requested: bool) {
        if let Some(boots) = config.system.boots.filter(|_| is_requested && self.is_counted) {
            let _ = with_timeout(TIMEOUT_MS, &mut || sector::write(BOOTS, boots.path, 0).map(|()| 0));
        }
    }
}

/// Increments the stored count.
fn add_one(path: &str) -> Result<u32, Errno> {
    let count = sector::read(BOOTS, path)?;
    sector::write(BOOTS, path, count.saturating_add(1).min(MAX_ANSWER))?;
    Ok(count)
}
