//! What a workload's `device` lines need of the board: whether it is there, what follows when it is not.

use super::Workloads;
use super::slots::Slot;
use crate::init::context::Context;
use crate::os::environment::Environment;
use crate::workload::{find_devices, fingerprint};
use hilum::config::{Config, Device, Workload};
use hilum::supervise::{Event, ExitReason, Part, State};
use rustix::io::Errno;

/// Whether a workload waits for devices that are not there, and does not fail: a container hears nothing of any.
pub(crate) fn waits(environment: Environment, workload: &Workload<'_>) -> bool {
    environment == Environment::Machine && !workload.isolation.devices.is_empty()
}

/// Looks for the devices of a workload: the line whose devices are not there, and the fingerprint of all.
pub(crate) fn seek(config: &Config<'_>, workload: &Workload<'_>) -> (Option<u8>, u64) {
    match find_devices(config.pools.of(workload.isolation.devices)) {
        Ok(nodes) => (None, fingerprint(&nodes)),
        // Anything else is reported by its start, which fails.
        Err((_, errno)) if errno != Errno::NOENT => (None, 0),
        Err((line, _)) => (Some(line as u8), 0),
    }
}

impl Workloads {
    /// Whether somebody wants to know what devices are there; once.
    pub(crate) fn take_device_request(&mut self) -> bool {
        core::mem::take(&mut self.wants_devices)
    }

    /// Whether a workload has ended, which is reported when its devices were looked for; once.
    pub(crate) fn take_end_request(&mut self) -> bool {
        core::mem::take(&mut self.has_ended)
    }

    /// Tells the supervisor of the end of a workload. With devices it is looked first whether one has gone: a program that reads from it
    /// has ended before PID 1 hears of that, and it is not its fault.
    pub(super) fn tell_end(&mut self, cx: &mut Context, index: usize, end: ExitReason) {
        let runs = matches!(self.supervisor.state(index), State::Starting(_) | State::Ready);
        let is_late = !runs || self.supervisor.shutting_down().is_some();
        if is_late || !waits(cx.environment, &cx.config.get().workloads[index]) {
            return self.report(cx, index, Event::Exited(end));
        }
        self.slots[cx.slot(index)].end = Some(end);
        self.has_ended = true;
    }

    /// Reports the end of a workload, if that was not reported yet.
    pub(crate) fn tell_late_end(&mut self, cx: &mut Context, index: usize) {
        let slot = cx.slot(index);
        if let Some(end) = self.slots[slot].end.take() {
            self.report(cx, index, Event::Exited(end));
        }
    }

    /// Has the devices be looked for.
    pub(crate) fn request_devices(&mut self) {
        self.wants_devices = true;
    }

    /// Says whether what was found is still so, as far as the kernel has reported.
    pub(crate) fn set_devices_known(&mut self, are_known: bool) {
        self.are_devices_known = are_known;
    }

    /// Returns the line whose devices are not there, for a workload that waits for them.
    pub(crate) fn missing_device<'c>(&self, config: &'c Config<'_>, index: usize) -> Option<&'c Device<'c>> {
        let line = self.slots[config.slots.of(index)].devices.missing?;
        let lines = config.pools.of(config.workloads[index].isolation.devices);
        lines.get(usize::from(line)).filter(|_| self.supervisor.unit(index).lacks(Part::Devices))
    }

    /// Whether the devices of a workload are there, as far as that is known; else it is found out.
    pub(super) fn has_devices(&mut self, cx: &mut Context, index: usize) -> bool {
        let config = cx.config.clone();
        let (config, slot) = (config.get(), cx.slot(index));
        let workload = &config.workloads[index];
        if !waits(cx.environment, workload) {
            return true;
        }
        let devices = config.pools.of(workload.isolation.devices);
        if devices.iter().all(|device| !device.is_searched()) {
            // Nothing of it can make PID 1 wait.
            let (missing, found) = seek(config, workload);
            self.note_devices(cx, index, missing, found);
        } else if !self.slots[slot].devices.is_known || !self.are_devices_known {
            self.wants_devices = true;
            return false;
        }
        let state = &mut self.slots[slot].devices;
        state.used = state.found;
        state.are_there()
    }

    /// What a look has found: stops a workload whose devices are gone, starts it when they are there.
    pub(crate) fn found_devices(&mut self, cx: &mut Context, index: usize, missing: Option<u8>, found: u64) {
        self.note_devices(cx, index, missing, found);
        let runs = matches!(self.supervisor.state(index), State::Starting(_) | State::Ready);
        let slot = cx.slot(index);
        let Slot { process, end, devices, .. } = &self.slots[slot];
        let has_others = runs && (process.is_some() || end.is_some()) && devices.used != found;
        if missing.is_none() && has_others {
            let name = cx.config.get().workloads[index].name;
            cx.console.info(format_args!("workload \"{name}\": its devices changed, restarting"));
        }
        if missing.is_some() || has_others {
            self.report(cx, index, Event::Lacks(Part::Devices));
        }
        if missing.is_none() {
            self.report(cx, index, Event::Has(Part::Devices));
        }
        self.tell_late_end(cx, index);
        self.carry_out(cx);
    }

    /// Notes what was found, and says what is not there.
    fn note_devices(&mut self, cx: &mut Context, index: usize, missing: Option<u8>, found: u64) {
        let config = cx.config.clone();
        let workload = &config.get().workloads[index];
        let state = &mut self.slots[cx.slot(index)].devices;
        let (had, is_news) = (state.are_there(), !state.is_known || state.missing != missing);
        (state.is_known, state.missing, state.found) = (true, missing, found);
        let line = missing.and_then(|line| config.get().pools.of(workload.isolation.devices).get(usize::from(line)));
        if let Some(line) = line.filter(|_| is_news) {
            let (name, source) = (workload.name, line.source);
            let (before, behind) = if had { ("", " removed") } else { ("waits for ", "") };
            cx.console.info(format_args!("workload \"{name}\": {before}device {source}{behind}"));
        }
    }
}
