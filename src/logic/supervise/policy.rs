//! The escalation ladder: whether to restart, after which delay, and what to do if that does not help.
//!
//! 1. A workload that exited is restarted after a delay that doubles.
//! 2. From the third restart in a row on, the workloads that need it are restarted too.
//! 3. At its limit it stays down, or the board reboots or powers off, as configured.
//! 4. A board with too many bad boots starts only workloads that are marked `safe` (`boots`).
//! 5. If a critical workload is down for too long, or PID 1 hangs, the watchdog resets the board.

use super::{ExitReason, NO_PROCESS_MS};
use crate::config::{LimitAction, Restart, When};

/// Milliseconds that a program has to run to reset its delay, if no limit sets a period.
const STEADY_MS: u64 = 60_000;

/// From this restart in a row on, the workloads that need this one are restarted as well.
pub const DEPENDENTS_FROM: u32 = 3;

/// What to do after an exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterExit {
    /// It stays down.
    StayDown,
    /// Restart it: the number of restarts in a row, and the delay in milliseconds.
    Restart(u32, u64),
    /// Its limit is reached.
    GiveUp(LimitAction),
}

/// The restart history of a workload.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// When the program was last started.
    started: u64,
    /// Restarts in a row.
    row: u32,
    /// The first restart of the current period.
    period_began: u64,
    /// Restarts in that period.
    counted: u32,
}

impl Backoff {
    /// No restart yet.
    pub const NONE: Self = Self { started: 0, row: 0, period_began: 0, counted: 0 };

    /// Records a start.
    pub fn start(&mut self, now: u64) {
        self.started = now;
    }

    /// Returns the time of the last start.
    pub(super) const fn started_at(&self) -> u64 {
        self.started
    }

    /// Returns whether the program failed, and was restarted since it last ran for long.
    pub(super) const fn is_retried(&self) -> bool {
        self.row > 0
    }

    /// Returns whether the last restart was not the first one in a row.
    pub(super) const fn is_repeated(&self) -> bool {
        self.row > 1
    }

    /// Decides what to do after `end`.
    ///
    /// The delay doubles from `delay` to `max` with each restart in a row. The row ends when the program has run for
    /// the limit's period, or for a minute if there is no limit. From the second restart on, random jitter of up to an
    /// eighth is added, drawn from `seed`; a seed of 0 disables it. Restarts are counted in periods that begin with a
    /// restart and do not overlap, as in systemd: this needs one counter, however large the limit.
    pub fn decide(&mut self, restart: &Restart, end: ExitReason, now: u64, seed: &mut u32) -> AfterExit {
        if end == ExitReason::NoProcess {
            return AfterExit::Restart(self.row, NO_PROCESS_MS);
        }
        let due = match restart.when {
            When::Never => false,
            When::OnFailure => !end.is_success(),
            When::Always => true,
        };
        if !due {
            return AfterExit::StayDown;
        }
        let steady = restart.limit.map_or(STEADY_MS, |limit| u64::from(limit.period_ms));
        if now.saturating_sub(self.started) >= steady {
            self.row = 0;
        }
        if let Some(limit) = restart.limit {
            if self.counted == 0 || now.saturating_sub(self.period_began) >= u64::from(limit.period_ms) {
                self.period_began = now;
                self.counted = 0;
            }
            if self.counted >= limit.count {
                return AfterExit::GiveUp(limit.on_limit);
            }
            self.counted += 1;
        }
        let delay = u64::from(restart.delay_ms).checked_shl(self.row.min(31)).unwrap_or(u64::MAX);
        self.row = self.row.saturating_add(1);
        let delay = delay.min(u64::from(restart.max_ms));
        // The first restart has no jitter.
        let spread = if self.row > 1 { delay / 8 } else { 0 };
        AfterExit::Restart(self.row, delay + share(spread, seed))
    }
}

/// Returns a random number from 0 to `most` and updates the seed (xorshift, Marsaglia 2003). Returns 0 if the seed is
/// 0.
fn share(most: u64, seed: &mut u32) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    if *seed == 0 { 0 } else { u64::from(*seed) % (most + 1) }
}
