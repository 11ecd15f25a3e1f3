//! When a slot on trial is committed, given up, or left at once.

use crate::config::Update;

/// Milliseconds that the disk has to take a verdict. A board does not stay in a slot without one because its disk hangs.
const VERDICT_MS: u64 = 30_000;
/// Milliseconds until another attempt of a commit that failed.
const AGAIN_MS: u64 = 10_000;

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Wait,
    /// Write that the slot is committed.
    Commit,
    /// Write that it was not healthy in time, and restart then.
    GiveUp,
    /// Restart without a verdict: the disk does not take one.
    Restart,
}

/// A trial. Times are milliseconds since the boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial {
    /// Since when all workloads are healthy; `None` while one is not.
    healthy_since: Option<u64>,
    /// When the disk must have taken the verdict, while it is being written; otherwise no commit is tried before.
    due_at: u64,
}

impl Trial {
    /// A trial that begins with the boot.
    pub const NEW: Self = Self { healthy_since: None, due_at: 0 };

    /// Returns what to do now. `is_writing` is whether a verdict is being written.
    pub fn step(&mut self, update: Update, now: u64, is_healthy: bool, is_writing: bool) -> Step {
        if is_writing {
            return if now >= self.due_at { Step::Restart } else { Step::Wait };
        }
        match is_healthy {
            true => _ = self.healthy_since.get_or_insert(now),
            false => self.healthy_since = None,
        }
        let step = match self.commit_at(update) {
            Some(at) if at <= now => Step::Commit,
            _ if now >= u64::from(update.within_ms) => Step::GiveUp,
            _ => return Step::Wait,
        };
        self.begin_verdict(now);
        step
    }

    /// Notes that a verdict is being written from now on.
    pub fn begin_verdict(&mut self, now: u64) {
        self.due_at = now + VERDICT_MS;
    }

    /// Notes that a commit was not written.
    pub fn failed(&mut self, now: u64) {
        self.due_at = now + AGAIN_MS;
    }

    /// Returns when [`Self::step`] has to be called, if nothing happens before.
    pub fn deadline(&self, update: Update, is_writing: bool) -> u64 {
        if is_writing {
            return self.due_at;
        }
        self.commit_at(update).unwrap_or(u64::MAX).min(update.within_ms.into())
    }

    fn commit_at(&self, update: Update) -> Option<u64> {
        Some(self.due_at.max(self.healthy_since? + u64::from(update.after_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPDATE: Update = Update { after_ms: 10_000, within_ms: 60_000 };

    #[test]
    fn slot_is_committed_once_it_was_healthy_for_long_enough() {
        let mut trial = Trial::NEW;
        assert_eq!(trial.step(UPDATE, 1_000, false, false), Step::Wait);
        assert_eq!(trial.deadline(UPDATE, false), 60_000);
        assert_eq!(trial.step(UPDATE, 2_000, true, false), Step::Wait);
        assert_eq!(trial.deadline(UPDATE, false), 12_000);
        assert_eq!(trial.step(UPDATE, 11_999, true, false), Step::Wait);
        assert_eq!(trial.step(UPDATE, 12_000, true, false), Step::Commit);
    }

    #[test]
    fn time_begins_anew_when_a_workload_was_not_healthy() {
        let mut trial = Trial::NEW;
        for (now, is_healthy) in [(1_000, true), (9_000, false), (9_500, true), (19_000, true)] {
            assert_eq!(trial.step(UPDATE, now, is_healthy, false), Step::Wait);
        }
        assert_eq!(trial.step(UPDATE, 19_500, true, false), Step::Commit);
    }

    #[test]
    fn slot_that_is_not_healthy_in_time_is_given_up() {
        let mut trial = Trial::NEW;
        assert_eq!(trial.step(UPDATE, 59_999, false, false), Step::Wait);
        assert_eq!(trial.step(UPDATE, 60_000, false, false), Step::GiveUp);
        let mut late = Trial::NEW;
        assert_eq!(late.step(UPDATE, 55_000, true, false), Step::Wait, "healthy, but not for long enough");
        assert_eq!(late.step(UPDATE, 60_000, true, false), Step::GiveUp);
    }

    #[test]
    fn commit_that_failed_is_tried_again_later() {
        let mut trial = Trial::NEW;
        trial.step(UPDATE, 1_000, true, false);
        assert_eq!(trial.step(UPDATE, 11_000, true, false), Step::Commit);
        trial.failed(11_500);
        assert_eq!(trial.deadline(UPDATE, false), 21_500);
        assert_eq!(trial.step(UPDATE, 21_499, true, false), Step::Wait);
        assert_eq!(trial.step(UPDATE, 21_500, true, false), Step::Commit);
    }

    #[test]
    fn disk_that_hangs_does_not_keep_a_board_in_a_slot_without_a_verdict() {
        let mut trial = Trial::NEW;
        trial.step(UPDATE, 1_000, true, false);
        assert_eq!(trial.step(UPDATE, 11_000, true, false), Step::Commit);
        assert_eq!(trial.deadline(UPDATE, true), 41_000, "the loop sleeps until then");
        assert_eq!(trial.step(UPDATE, 40_999, true, true), Step::Wait);
        assert_eq!(trial.step(UPDATE, 41_000, true, true), Step::Restart);
        let mut by_request = Trial::NEW;
        by_request.begin_verdict(5_000);
        assert_eq!([34_999, 35_000].map(|now| by_request.step(UPDATE, now, true, true)), [Step::Wait, Step::Restart]);
        let mut given_up = Trial::NEW;
        assert_eq!(given_up.step(UPDATE, 60_000, false, false), Step::GiveUp);
        assert_eq!(
            (given_up.deadline(UPDATE, true), given_up.step(UPDATE, 90_000, false, true)),
            (90_000, Step::Restart)
        );
    }
}
