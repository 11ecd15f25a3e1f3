//! The ladder of escalation: restart or not, after how long, and what follows when that does not help.
//!
//! 1. A workload that ended is restarted, after a delay that doubles.
//! 2. From the third restart in a row on, the workloads that need it are restarted with it.
//! 3. At its limit it stays down, or the board reboots or powers off, as its line says.
//! 4. A board that boots badly too often starts only workloads that are marked `safe` (`boots`).
//! 5. A critical workload that is away for too long, or a PID 1 that stands still, is left to the watchdog.

use super::{ExitReason, NO_PROCESS_MS};
use crate::config::{LimitAction, Restart, When};

/// Milliseconds a program has to run for its delays to start from the beginning again, where no limit gives a period.
const STEADY_MS: u64 = 60_000;

/// The restart in a row from which on the workloads that need this one are restarted as well.
pub const DEPENDENTS_FROM: u32 = 3;

/// What follows an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterExit {
    /// It stays down.
    StayDown,
    /// It is started again: the count of restarts in a row, and the delay in milliseconds.
    Restart(u32, u64),
    /// Its limit is reached.
    GiveUp(LimitAction),
}

/// What one workload's restarts so far say about the next one.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// When the program was last started.
    started: u64,
    /// Restarts in a row.
    row: u32,
    /// The first restart of the period that is being counted.
    period_began: u64,
    /// Restarts in that period.
    counted: u32,
}

impl Backoff {
    /// No restart yet.
    pub const NONE: Self = Self { started: 0, row: 0, period_began: 0, counted: 0 };

    /// Notes that it was started.
    pub fn start(&mut self, now: u64) {
        self.started = now;
    }

    /// When it was last started.
    pub(super) const fn started_at(&self) -> u64 {
        self.started
    }

    /// Decides what follows `end`.
    ///
    /// The delay doubles from `delay` to `max` with each restart in a row. The row is over once the program ran for the
    /// limit's period, or a minute where there is no limit. From the second restart on, a share of chance of at most an
    /// eighth is added, drawn from `seed`, which is 0 where there shall be none. Restarts are counted in periods that begin with a restart
    /// and do not overlap, as systemd counts them: one counter is enough, however large the limit.
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
        // The first restart comes as soon as the line says.
        let spread = if self.row > 1 { delay / 8 } else { 0 };
        AfterExit::Restart(self.row, delay + share(spread, seed))
    }
}

/// Returns a number from 0 to `most`, and the next seed (xorshift, Marsaglia 2003); 0 where the seed is 0.
fn share(most: u64, seed: &mut u32) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    if *seed == 0 { 0 } else { u64::from(*seed) % (most + 1) }
}
