//! Workloads with `needs time`.

use super::Workloads;
use crate::init::context::Context;
use hilum::config::{Config, WorkloadSet};
use hilum::supervise::Part;

impl Workloads {
    /// Returns whether the disk with a path of the board is mounted, or the path is on none.
    pub(crate) fn has_disk_of(&self, config: &Config<'_>, path: &str) -> bool {
        config.mount_index(path).is_none_or(|index| self.missing_disks >> index & 1 == 0)
    }

    /// The clock is right: workloads that wait for this start.
    pub(crate) fn set_time(&mut self, cx: &Context) {
        let config = cx.config.clone();
        let mut waiting = WorkloadSet::EMPTY;
        // Those that do not need it do not wait for it.
        (0..config.get().workloads.len()).for_each(|index| waiting.insert(index));
        self.is_time_right = true;
        self.supervisor.has_part(config.get(), waiting, Part::Time, cx.now());
    }
}
