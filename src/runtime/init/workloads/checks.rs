//! Readiness and health checks of workloads.

use super::Workloads;
use crate::init::context::Context;
use crate::os::helper::{self, Kept, Role};
use crate::workload::{Target, is_good};
use hilum::config::{Check, Ready};
use hilum::supervise::{Event, State};
use rustix::fd::AsFd;

/// The timeout of a readiness check in milliseconds.
const READY_CHECK_MS: u64 = 1_000;

/// Like that of `exec`, it enters the workload, so it does not keep the console. Memory shortage must not fail a check.
const CHECK: Role = Role { is_detached: true, ..Role::new(c"hilum-check") };

impl Workloads {
    /// Starts a helper that checks whether a workload is ready or healthy.
    pub(super) fn check(&mut self, cx: &mut Context, index: usize) {
        let slot = cx.slot(index);
        let config = cx.config.clone();
        let workload = config.get().workload(index);
        let Some(process) = &self.slots[slot].process else { return };
        let is_ready = self.supervisor.state(index) == State::Ready;
        let (check, within_ms) = match (&workload.supervision.health, workload.supervision.ready) {
            (Some(health), _) if is_ready => (health.check.clone(), u64::from(health.interval_ms)),
            (_, Ready::Tcp(port)) => (Check::Tcp(port), READY_CHECK_MS),
            _ => return,
        };
        let keep = Kept::of(&[Some(process.pidfd.as_fd()), self.launch.cgroups.fd()]);
        let mut work = || {
            let target = Target {
                config: config.get(),
                workload,
                pid: process.pid,
                pidfd: process.pidfd.as_fd(),
                cgroups: &self.launch.cgroups,
            };
            // A frozen workload does not answer, and is not unhealthy because of that.
            i32::from(!(is_good(&target, &check, within_ms) || (is_ready && target.is_frozen())))
        };
        match helper::spawn(&CHECK, keep, &mut work) {
            // Its exit status is the result.
            Ok(helper) => self.slots[slot].check = Some(helper.pid),
            Err(_) => self.report(cx, index, Event::Checked(false)),
        }
    }
}
