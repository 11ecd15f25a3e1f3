//! Devices of workloads that come and go, and modules for new devices.
//!
//! The kernel reports events (`uevents.rs`), and two helpers do the slow work: one finds the nodes of each `device`
//! line, which includes reading descriptors of USB devices; the other one loads modules by modalias, where a driver may
//! take long. A workload without its devices waits. If its devices change, it is restarted.

use super::context::Context;
use super::modules;
use super::token::Token;
use super::uevents::{Received, Uevents};
use super::workloads::{Workloads, seek_devices, waits_for_devices};
use crate::os::environment::Environment;
use crate::os::errno::describe;
use crate::os::helper::{self, Kept, Role};
use hilum::config::{Config, limits};
use hilum::supervise::ExitReason;
use hilum::uevent::Action;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, kill_process};

/// Milliseconds without an event before the helper looks, because the nodes of a device appear one after the other.
const SETTLE_MS: u64 = 100;
/// Milliseconds after which the helper looks in any case.
const LONGEST_MS: u64 = 1_000;
/// The helper's timeout in milliseconds.
const LOOK_MS: u64 = 10_000;

/// A record of the helper for a workload: its slot, the line without a device or [`NONE`], and a fingerprint of all its
/// devices.
const RECORD_BYTES: usize = 10;
const NONE: u8 = u8::MAX;

const LOOK: Role = Role::new(c"hilum-devices");
const LOAD: Role = Role { nice: 10, ..Role::new(c"hilum-modules") };

/// A task that a helper performs after device events.
struct Task {
    helper: Option<Pid>,
    /// When it is due.
    due_at: Option<u64>,
    /// When it is due even if further events arrive.
    latest_at: u64,
}

impl Task {
    const NEW: Self = Self { helper: None, due_at: None, latest_at: 0 };

    /// Postpones the task, because of another event.
    fn put_off(&mut self, now: u64) {
        if self.due_at.is_none() {
            self.latest_at = now + LONGEST_MS;
        }
        self.due_at = Some(self.latest_at.min(now + SETTLE_MS));
    }

    fn deadline(&self) -> Option<u64> {
        self.due_at.filter(|_| self.helper.is_none())
    }

    fn is_due(&self, now: u64) -> bool {
        self.deadline().is_some_and(|at| at <= now)
    }
}

/// The service.
pub(super) struct Devices {
    look: Task,
    /// The pipe of the helper, and its deadline.
    answer: Option<(OwnedFd, u64)>,
    load: Task,
    has_aliases: bool,
}

/// Returns whether anything needs device events.
fn are_followed(environment: Environment, config: &Config<'_>) -> bool {
    environment == Environment::Machine
        && (modules::has_aliases() || config.workloads.iter().any(|workload| waits_for_devices(environment, workload)))
}

/// Starts to listen for device events, if the configuration needs them.
pub(super) fn listen(cx: &mut Context, uevents: &mut Uevents) {
    if uevents.socket().is_some() {
        return;
    }
    match Uevents::listen(cx.environment, cx.config.get(), are_followed(cx.environment, cx.config.get())) {
        Ok(received) => *uevents = received,
        Err(errno) => {
            cx.console.error(format_args!("devices: {}; devices added later are not noticed", describe(errno)))
        }
    }
    if let Some(socket) = uevents.socket() {
        let _ = cx.events.watch(socket, Token::Uevents);
    }
}

impl Devices {
    /// Creates the service before any event.
    pub(super) fn new() -> Self {
        Self { look: Task::NEW, answer: None, load: Task::NEW, has_aliases: modules::has_aliases() }
    }

    /// Handles device events.
    pub(super) fn handle_uevent(&mut self, now: u64, received: &Received<'_>) {
        let (has_node, has_alias) = match received {
            Received::Lost => (true, true),
            Received::Event(event) => {
                let is_new = event.action == Action::Add;
                let is_change = is_new || event.action == Action::Remove || event.is_of_medium();
                (is_change && event.device().is_some(), is_new && event.value("MODALIAS").is_some())
            }
        };
        if has_node {
            self.look.put_off(now);
        }
        if has_alias && self.has_aliases {
            self.load.put_off(now);
        }
    }

    /// Returns when [`Self::tick`] must be called.
    pub(super) fn deadline(&self) -> Option<u64> {
        let until = self.answer.as_ref().map(|(_, until)| *until);
        self.look.deadline().into_iter().chain(self.load.deadline()).chain(until).min()
    }

    /// Starts helpers for due tasks.
    pub(super) fn tick(&mut self, cx: &mut Context, workloads: &mut Workloads) {
        let now = cx.now();
        if workloads.take_end_request() {
            self.look.put_off(now);
        }
        if workloads.supervisor.shutting_down().is_some() {
            (self.look.due_at, self.load.due_at) = (None, None);
            (0..cx.config.get().workloads.len()).for_each(|index| workloads.report_late_end(cx, index));
        } else if workloads.take_device_request() && self.look.due_at.is_none() {
            self.look.due_at = Some(now);
        }
        if let (Some(pid), Some((_, until))) = (self.look.helper, &mut self.answer)
            && *until <= now
        {
            // Its exit is handled like any other.
            let _ = kill_process(pid, Signal::KILL);
            *until = now + LOOK_MS;
        }
        workloads.set_devices_known(self.look.due_at.is_none() && self.look.helper.is_none());
        if !cx.config.get().workloads.iter().any(|workload| waits_for_devices(cx.environment, workload)) {
            self.look.due_at = None;
        }
        if self.look.is_due(now) {
            match look(cx) {
                Ok((pid, answer)) => {
                    self.answer = Some((answer, now + LOOK_MS));
                    (self.look.helper, self.look.due_at) = (Some(pid), None);
                }
                Err(_) => self.look.due_at = Some(now + LONGEST_MS),
            }
        }
        if self.load.is_due(now) {
            let Context { console, .. } = cx;
            let keep = Kept::of(&console.descriptors());
            let mut work = || {
                console.become_helper();
                modules::load_by_alias(console);
                console.flush_blocking();
                0
            };
            match helper::spawn(&LOAD, keep, &mut work) {
                Ok(helper) => (self.load.helper, self.load.due_at) = (Some(helper.pid), None),
                Err(_) => self.load.due_at = Some(now + LONGEST_MS),
            }
        }
    }

    /// Handles the exit of a process. Returns whether it was one of the helpers.
    pub(super) fn exited(&mut self, cx: &mut Context, workloads: &mut Workloads, pid: Pid, end: ExitReason) -> bool {
        if self.load.helper == Some(pid) {
            self.load.helper = None;
            return true;
        }
        if self.look.helper != Some(pid) {
            return false;
        }
        self.look.helper = None;
        let Some((answer, _)) = self.answer.take().filter(|_| end == ExitReason::Exit(0)) else {
            self.look.due_at = Some(cx.now() + LONGEST_MS);
            return true;
        };
        workloads.set_devices_known(self.look.due_at.is_none());
        let mut records = [0; RECORD_BYTES * limits::WORKLOADS];
        let length = rustix::io::read(&answer, &mut records).unwrap_or(0);
        for record in records[..length].chunks_exact(RECORD_BYTES) {
            let (Some(index), Some(found)) =
                (cx.config.get().index_of(record[0].into()), record[2..].first_chunk().copied())
            else {
                continue;
            };
            let missing = (record[1] != NONE).then_some(record[1]);
            workloads.found_devices(cx, index, missing, u64::from_le_bytes(found));
        }
        true
    }
}

/// Starts a helper that looks for the devices of all workloads.
fn look(cx: &Context) -> Result<(Pid, OwnedFd), Errno> {
    let (answer, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let config = cx.config.clone();
    let mut work = || {
        let config = config.get();
        for (index, workload) in
            config.workloads.iter().enumerate().filter(|(_, one)| waits_for_devices(cx.environment, one))
        {
            let (missing, found) = seek_devices(config, workload);
            let mut record = [0; RECORD_BYTES];
            (record[0], record[1]) = (config.slots.of(index) as u8, missing.unwrap_or(NONE));
            record[2..].copy_from_slice(&found.to_le_bytes());
            // All records fit into the pipe.
            let _ = rustix::io::write(&writer, &record);
        }
        0
    };
    Ok((helper::spawn(&LOOK, Kept::of(&[Some(writer.as_fd())]), &mut work)?.pid, answer))
}
