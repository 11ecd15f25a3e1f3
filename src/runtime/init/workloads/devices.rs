//! The devices of workloads: whether they are present, and the reaction if not.

use super::Workloads;
use super::slots::Slot;
use crate::init::context::Context;
use crate::os::environment::Environment;
use crate::os::path::stat;
use crate::storage;
use crate::workload::{find_devices, fingerprint};
use core::fmt;
use hilum::config::{Config, DeviceSource, Source, Workload};
use hilum::supervise::{Event, ExitReason, Part, State};
use rustix::io::Errno;

/// Returns whether a workload without its devices waits instead of failing. In a container there are no device events.
pub(crate) fn waits(environment: Environment, workload: &Workload<'_>) -> bool {
    environment == Environment::Machine && workload.uses_devices()
}

/// The place of the root filesystem's device after those of `device` lines.
const ROOT: u8 = u8::MAX - 1;

/// Looks up the devices of a workload: returns the line without a device, and a fingerprint of all devices.
pub(crate) fn seek(config: &Config<'_>, workload: &Workload<'_>) -> (Option<u8>, u64) {
    let root = workload.root_device().map_or(Ok(0), |source| {
        let found = stat(&storage::find(source, 0)?)?;
        // The inode in devtmpfs differs after a device was unplugged and plugged in again.
        Ok(found.st_ino.rotate_left(32) ^ found.st_rdev)
    });
    if root == Err(Errno::NOENT) {
        return (Some(ROOT), 0);
    }
    match find_devices(config.pools.of(workload.isolation.devices)) {
        Ok(nodes) => (None, fingerprint(&nodes) ^ root.unwrap_or(0)),
        // Any other error is reported when its start fails.
        Err((_, errno)) if errno != Errno::NOENT => (None, 0),
        Err((line, _)) => (Some(line as u8), 0),
    }
}

/// The name of a missing device: of a `device` line, or of the `root` line.
pub(crate) enum Missing<'a> {
    Device(&'a DeviceSource<'a>),
    Root(&'a str),
}

impl<'a> Missing<'a> {
    fn of(config: &'a Config<'_>, index: usize, line: u8) -> Option<Self> {
        let workload = config.workloads.get(index)?;
        if line == ROOT {
            return Some(Self::Root(workload.root));
        }
        let devices = config.pools.of(workload.isolation.devices);
        devices.get(usize::from(line)).map(|device| Self::Device(&device.source))
    }
}

impl fmt::Display for Missing<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(source) => source.fmt(formatter),
            Self::Root(root) => formatter.write_str(root),
        }
    }
}

impl Workloads {
    /// Returns whether devices must be looked up, and resets that.
    pub(crate) fn take_device_request(&mut self) -> bool {
        core::mem::take(&mut self.wants_devices)
    }

    /// Returns whether a workload has exited whose devices must be looked up first, and resets that.
    pub(crate) fn take_end_request(&mut self) -> bool {
        core::mem::take(&mut self.has_ended)
    }

    /// Reports the exit of a workload to the supervisor. If it has devices, they are looked up first: a program that
    /// uses an unplugged device may exit before PID 1 gets the event, which is not its fault.
    pub(super) fn report_end(&mut self, cx: &mut Context, index: usize, end: ExitReason) {
        let runs = matches!(self.supervisor.state(index), State::Starting(_) | State::Ready);
        let is_late = !runs || self.supervisor.shutting_down().is_some();
        if is_late || !waits(cx.environment, cx.config.get().workload(index)) {
            return self.report(cx, index, Event::Exited(end));
        }
        self.slots[cx.slot(index)].end = Some(end);
        self.has_ended = true;
    }

    /// Reports the exit of a workload, if that is still pending.
    pub(crate) fn report_late_end(&mut self, cx: &mut Context, index: usize) {
        let slot = cx.slot(index);
        if let Some(end) = self.slots[slot].end.take() {
            self.report(cx, index, Event::Exited(end));
        }
    }

    /// Requests a look-up of devices.
    pub(crate) fn request_devices(&mut self) {
        self.wants_devices = true;
    }

    /// Sets whether the last look-up is still valid, according to device events.
    pub(crate) fn set_devices_known(&mut self, are_known: bool) {
        self.are_devices_known = are_known;
    }

    /// Returns the line without a device, if the workload waits for it.
    pub(crate) fn missing_device<'c>(&self, config: &'c Config<'_>, index: usize) -> Option<Missing<'c>> {
        let line = self.slots[config.slots.of(index)].devices.missing?;
        Missing::of(config, index, line).filter(|_| self.supervisor.unit(index).lacks(Part::Devices))
    }

    /// Returns whether the devices of a workload are present, as far as known; looks them up if necessary.
    pub(super) fn has_devices(&mut self, cx: &mut Context, index: usize) -> bool {
        let config = cx.config.clone();
        let (config, slot) = (config.get(), cx.slot(index));
        let workload = config.workload(index);
        if !waits(cx.environment, workload) {
            return true;
        }
        let devices = config.pools.of(workload.isolation.devices);
        let is_path = workload.root_device().is_none_or(|root| matches!(root, Source::Path(_)));
        if is_path && devices.iter().all(|device| !device.is_searched()) {
            // This look-up cannot block PID 1.
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

    /// Handles the result of a look-up: stops a workload whose devices are gone, starts one whose devices are present.
    pub(crate) fn found_devices(&mut self, cx: &mut Context, index: usize, missing: Option<u8>, found: u64) {
        self.note_devices(cx, index, missing, found);
        let runs = matches!(self.supervisor.state(index), State::Starting(_) | State::Ready);
        let slot = cx.slot(index);
        let Slot { process, end, devices, .. } = &self.slots[slot];
        let has_others = runs && (process.is_some() || end.is_some()) && devices.used != found;
        if missing.is_none() && has_others {
            let name = cx.config.get().workload(index).name;
            cx.console.info(format_args!("workload \"{name}\": its devices changed, restarting"));
        }
        if missing.is_some() || has_others {
            self.report(cx, index, Event::Lacks(Part::Devices));
        }
        if missing.is_none() {
            self.report(cx, index, Event::Has(Part::Devices));
        }
        self.report_late_end(cx, index);
        self.carry_out(cx);
    }

    /// Stores the result, and reports missing devices.
    fn note_devices(&mut self, cx: &mut Context, index: usize, missing: Option<u8>, found: u64) {
        let config = cx.config.clone();
        let workload = config.get().workload(index);
        let state = &mut self.slots[cx.slot(index)].devices;
        let (had, is_news) = (state.are_there(), !state.is_known || state.missing != missing);
        (state.is_known, state.missing, state.found) = (true, missing, found);
        let missing = missing.and_then(|line| Missing::of(config.get(), index, line));
        if let Some(source) = missing.filter(|_| is_news) {
            let name = workload.name;
            let (before, behind) = if had { ("", " removed") } else { ("waits for ", "") };
            cx.console.info(format_args!("workload \"{name}\": {before}device {source}{behind}"));
        }
    }
}
