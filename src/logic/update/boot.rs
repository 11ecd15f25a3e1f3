//! What a boot means for the slots, and what is written.

use super::{Record, Slot, Verdict};

/// What this boot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boot {
    /// That of the committed slot.
    Committed,
    /// The trial of a slot, which begins.
    Trial,
    /// The committed slot after a trial that failed; the verdict is in the record now.
    Failed,
    /// The wrong slot was started: after the pointer is right, the board has to restart.
    Restart,
    /// The firmware insists on a slot that was not committed. It is now.
    Adopted,
}

impl Boot {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Committed, Self::Trial, Self::Failed, Self::Restart, Self::Adopted];
}

/// Decides what the boot of a slot means, and changes the record for it. `points_elsewhere` is whether what the firmware reads
/// points to another slot than the committed one.
///
/// | on trial | running | before | then |
/// |---|---|---|---|
/// | none | committed | | [`Boot::Committed`] |
/// | none | other | pointer wrong | [`Boot::Restart`] |
/// | none | other | pointer right | [`Boot::Adopted`] |
/// | other | other | trial not begun | [`Boot::Trial`] |
/// | other | other | trial begun | [`Boot::Restart`], verdict interrupted |
/// | other | committed | trial not begun | [`Boot::Failed`], verdict not started |
/// | other | committed | trial begun | [`Boot::Failed`], verdict interrupted |
pub fn decide(record: &mut Record, running: Slot, points_elsewhere: bool) -> Boot {
    let is_committed = running == record.committed();
    let interrupted = if record.has_begun() { Verdict::Interrupted } else { Verdict::NotStarted };
    match record.trial() {
        None if is_committed => Boot::Committed,
        None if points_elsewhere => Boot::Restart,
        None => {
            record.set_committed(running);
            record.end(Verdict::Firmware, "");
            Boot::Adopted
        }
        Some(trial) if trial == running && !is_committed && !record.has_begun() => {
            record.begin();
            Boot::Trial
        }
        Some(_) => {
            record.end(interrupted, "");
            if is_committed { Boot::Failed } else { Boot::Restart }
        }
    }
}
