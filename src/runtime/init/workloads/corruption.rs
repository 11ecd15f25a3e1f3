//! Blocks of verified images that do not match their hashes, as reported by the kernel.

use super::Workloads;
use crate::init::context::Context;
use crate::init::uevents::Received;
use crate::os::files::{each, read_text, sys_path};
use crate::workload::{Report, has_failed};
use hilum::config::Config;
use hilum::plan::{Phase, Step, plan};
use hilum::split::Split;
use hilum::supervise::Event;

/// What a step that opens an image returns for a block that does not match, and what the kernel does.
const EBADMSG: u16 = 74;
const EIO: u16 = 5;

impl Workloads {
    /// Handles an event about a block that does not match (`verity_handle_err` of drivers/md/dm-verity-target.c), or
    /// lost events: asks all devices.
    pub(crate) fn handle_uevent(&mut self, cx: &mut Context, received: &Received<'_>) {
        if matches!(received, Received::Event(event) if event.value("DM_VERITY_ERR_BLOCK_NR").is_none()) {
            return;
        }
        let mut ask = |node: &str| {
            // The device's name consists of the workload's name, a dot, and a number (`workload/parent/verified.rs`).
            let mut name = [0; 64];
            let name = read_text(&sys_path(format_args!("/sys/block/{node}/dm/name")), &mut name);
            let workload = name.cut_last(b'.').map_or("", |(workload, _)| workload);
            if let Some(index) = cx.config.get().find(workload)
                && has_failed(name)
            {
                self.note_corrupt(cx, index);
            }
            Ok(())
        };
        let _ = each("/sys/block", &mut ask);
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

/// Returns whether a failed step of a workload's plan has read a block of its verified image that does not match. A step that opens the
/// image knows (`workload/parent/verified.rs`); of one that runs inside of it, EIO is taken for that, because the device may be gone
/// before the kernel's event is read.
pub(super) fn is_mismatch(config: &Config<'_>, index: usize, report: Report) -> bool {
    let workload = config.workload(index);
    let plan = plan(workload, &config.pools);
    let is_it = |step: &Step<'_>| match step {
        Step::OpenRoot(..) => report.errno.0 == EBADMSG,
        _ => report.errno.0 == EIO && step.phase() == Phase::Child,
    };
    workload.verity.is_some() && plan.steps.get(report.step).is_some_and(is_it)
}
