//! Limits the rate of a workload's lines; those above it are counted and reported.

/// The count of one workload.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    began: u64,
    count: u32,
    suppressed: u32,
    lost: u32,
}

/// What happens to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passes {
    /// It is kept.
    Yes,
    /// It is kept; this many lines before it were suppressed.
    After(u32),
    /// It is suppressed.
    No,
}

impl Rate {
    /// No line yet.
    pub const NEW: Self = Self { began: 0, count: 0, suppressed: 0, lost: 0 };

    /// Counts a line at `now` milliseconds. `limit` is the number of lines, and the period in milliseconds.
    pub fn pass(&mut self, limit: Option<(u32, u32)>, now: u64) -> Passes {
        let Some((most, period_ms)) = limit else { return Passes::Yes };
        let mut before = 0;
        if now.saturating_sub(self.began) >= u64::from(period_ms) || self.count == 0 {
            (self.began, self.count) = (now, 0);
            before = self.take_suppressed();
        }
        self.count = self.count.saturating_add(1);
        match before {
            _ if self.count > most => {
                self.suppressed = self.suppressed.saturating_add(1);
                Passes::No
            }
            0 => Passes::Yes,
            before => Passes::After(before),
        }
    }

    /// Returns the number of suppressed lines that are not reported yet.
    pub fn take_suppressed(&mut self) -> u32 {
        self.lost = self.lost.saturating_add(self.suppressed);
        core::mem::take(&mut self.suppressed)
    }

    /// Corrects the count: this many lines of [`Self::take_suppressed`] were kept after all.
    pub fn keep(&mut self, lines: u32) {
        self.lost = self.lost.saturating_sub(lines);
    }

    /// Returns the total number of suppressed lines.
    pub fn lost(&self) -> u32 {
        self.lost.saturating_add(self.suppressed)
    }

    /// Returns when suppressed lines must be reported, if no other line comes before.
    pub fn due(&self, limit: Option<(u32, u32)>) -> Option<u64> {
        let (_, period_ms) = limit.filter(|_| self.suppressed > 0)?;
        Some(self.began + u64::from(period_ms))
    }
}

#[cfg(test)]
mod tests;
