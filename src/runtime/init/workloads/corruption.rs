//! Blocks of verified images that do not match their hashes, as reported by the kernel.

use super::Workloads;
use crate::init::context::Context;
use crate::init::uevents::Received;
use crate::os::files::each;
use crate::workload::{Report, has_failed};
use hilum::config::Config;
use hilum::plan::{Step, plan};
use hilum::storage::verity::slot_of;
use hilum::supervise::Event;

/// What the step that opens an image returns for a block that does not match.
const EBADMSG: u16 = 74;

impl Workloads {
    /// Handles an event about a block that does not match (`verity_handle_err` of drivers/md/dm-verity-target.c), or
    /// lost events: asks all devices. The device of an event may be gone with its workload.
    pub(crate) fn handle_uevent(&mut self, cx: &mut Context, received: &Received<'_>) {
        let event = match received {
            Received::Event(event) if event.value("DM_VERITY_ERR_BLOCK_NR").is_none() => return,
            Received::Event(event) => event.value("DEVNAME"),
            Received::Lost => None,
        };
        let mut note = |node: &str| {
            if let Some(index) = slot_of(node).and_then(|slot| cx.config.get().index_of(slot))
                && (event.is_some() || has_failed(node))
            {
                self.note_corrupt(cx, index);
            }
            Ok(())
        };
        let _ = match event {
            Some(node) => note(node),
            None => each("/sys/block", &mut note),
        };
    }

    /// Reports once per run that a workload's image is corrupt, and does what its line says.
    pub(super) fn note_corrupt(&mut self, cx: &mut Context, index: usize) {
        let slot = cx.slot(index);
        if core::mem::replace(&mut self.slots[slot].is_corrupt, true) {
            return;
        }
        let workload = cx.config.get().workload(index);
        cx.console.error(format_args!(
            "workload \"{}\": {}: corrupt: a block does not match its hash; write the image anew",
            workload.name, workload.root
        ));
        self.report(cx, index, Event::Corrupt);
    }
}

/// Returns whether the step of a workload's plan that opens its image has failed because of a block that does not match
/// (`workload/parent/verified.rs`).
pub(super) fn is_mismatch(config: &Config<'_>, index: usize, report: Report) -> bool {
    let workload = config.workload(index);
    let plan = plan(workload, &config.pools);
    report.errno.0 == EBADMSG && matches!(plan.steps.get(report.step), Some(Step::OpenRoot(_, Some(_))))
}
