//! The workloads: their state, and the actions on them. Their events are handled in `events.rs`, checks in `checks.rs`,
//! corrupt images in `corruption.rs`, stopping in `stops.rs`, exits in `exits.rs`, and network namespaces in `networks.rs`.

mod checks;
mod corruption;
mod devices;
mod events;
mod exits;
mod networks;
mod slots;
mod stops;
mod time;

use super::configuration::Configuration;
use super::context::Context;
use super::event_lines;
use super::logs::Logs;
use super::timeline::Moment;
use super::token::Token;
use crate::console::Console;
use crate::os::environment::Environment;
use crate::os::errno::describe;
use crate::workload::{
    Cgroups, Failure, LaunchContext, Networks, Process, Report, SET_UP_FAILED, needs_helper, spawn, template_place,
};
use hilum::config::{Config, Workload, WorkloadSet, limits};
use hilum::netlink::has_tables;
use hilum::supervise::{Action, Event, ExitReason, Notice, Part, ShutdownKind, Supervisor};
use hilum_sys::TakeCell;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::Pid;
use slots::Slot;

pub(super) use devices::{seek as seek_devices, waits as waits_for_devices};

/// State that is too large for the stack.
#[repr(C)]
struct Tables {
    supervisor: Supervisor,
    /// Last, because most of it is never written.
    logs: Logs,
}

impl Tables {
    const EMPTY: Self = Self { supervisor: Supervisor::new(), logs: Logs::EMPTY };
}

#[cfg(not(test))]
fn tables() -> Option<&'static mut Tables> {
    static TABLES: TakeCell<Tables> = TakeCell::new(Tables::EMPTY);
    TABLES.take()
}

/// Each test has its own tables.
#[cfg(test)]
fn tables() -> Option<&'static mut Tables> {
    static TABLES: [TakeCell<Tables>; 32] = [const { TakeCell::new(Tables::EMPTY) }; 32];
    TABLES.iter().find_map(TakeCell::take)
}

/// The workloads and their supervisor.
///
/// The supervisor and the lines have private state; everything else is accessed by methods.
// Often used members first: a distance of at most 127 bytes is one byte of an instruction.
#[repr(C)]
pub(super) struct Workloads {
    pub(super) supervisor: &'static mut Supervisor,
    pub(super) logs: &'static mut Logs,
    /// Whether the clock is right.
    is_time_right: bool,
    /// Whether the devices of workloads must be looked up.
    wants_devices: bool,
    /// Whether a workload has exited; reported after its devices were looked up.
    has_ended: bool,
    /// Whether the result of the last look-up is still valid.
    are_devices_known: bool,
    /// How PID 1 shuts down now, when all workloads have exited.
    shutdown: Option<ShutdownKind>,
    /// Missing disks of the board, a bit for each `mount` line.
    missing_disks: u8,
    /// When this process was entered; `None` once the time to the first workload was printed.
    entered_us: Option<u64>,
    slots: [Slot; limits::WORKLOADS],
    launch: LaunchContext,
    /// The helpers that delete entries of the kernel's connection table.
    forgetters: heapless::Vec<Pid, { limits::WORKLOADS }>,
}

impl Workloads {
    /// Prepares for workloads. Must be called once.
    ///
    /// # Errors
    /// EBUSY at the second call.
    pub(super) fn new(
        environment: Environment,
        config: &Config<'_>,
        entered_us: Option<u64>,
        console: &mut Console,
    ) -> Result<Self, Errno> {
        let cgroups = match environment {
            Environment::Machine => Cgroups::prepare(config, console),
            Environment::Container => Cgroups::none(),
        };
        let launch = LaunchContext {
            cgroups,
            networks: Networks::none(),
            template: template_place(environment),
            landlock_abi: hilum_sys::landlock_abi(),
            ready: None,
            has_disks: environment == Environment::Machine,
        };
        let Tables { supervisor, logs } = tables().ok_or(Errno::BUSY)?;
        supervisor.set_follows_parts(environment == Environment::Machine);
        let forgetters = heapless::Vec::new();
        Ok(Self {
            supervisor,
            logs,
            slots: [const { Slot::EMPTY }; _],
            launch,
            missing_disks: 0,
            is_time_right: false,
            entered_us,
            forgetters,
            shutdown: None,
            wants_devices: false,
            has_ended: false,
            are_devices_known: false,
        })
    }

    /// Returns how PID 1 shuts down now, once all workloads have exited.
    pub(super) fn shutdown(&self) -> Option<ShutdownKind> {
        self.shutdown
    }

    /// Returns the process in a slot, from clone(2) until all its output is read.
    pub(super) fn process(&self, slot: usize) -> Option<&Process> {
        self.slots[slot].process.as_ref()
    }

    /// Returns the control socket of the workload in a slot, and the PID of its run, until that exits.
    pub(super) fn control_socket(&self, slot: usize) -> Option<(&OwnedFd, Pid)> {
        let process = self.slots.get(slot)?.process.as_ref().filter(|process| process.ended.is_none())?;
        Some((process.control.as_ref()?, process.pid))
    }

    /// Returns the last status text of the workload in a slot; empty if there is none.
    pub(super) fn status_text(&self, slot: usize) -> &str {
        &self.slots[slot].text
    }

    /// Returns peak memory and limit in bytes of the workload in a slot, if it was killed by the OOM killer.
    pub(super) fn out_of_memory(&self, slot: usize) -> Option<(u64, u64)> {
        self.slots[slot].out_of_memory
    }

    /// Returns whether a block of the workload's verified image did not match its hash in this run.
    pub(super) fn is_corrupt(&self, slot: usize) -> bool {
        self.slots[slot].is_corrupt
    }

    /// Returns the cgroups.
    pub(super) fn cgroups(&self) -> &Cgroups {
        &self.launch.cgroups
    }

    /// Completes the cgroups once everything has started, because this would delay the starts: sets up the device
    /// controller, and moves PID 1 into a cgroup of its own.
    ///
    /// # Errors
    /// Those of the kernel for the move.
    pub(super) fn finish_cgroups(&mut self, config: &Config<'_>) -> Result<(), Errno> {
        self.launch.cgroups.control_devices(&config.workloads);
        self.launch.cgroups.move_self()
    }

    /// Makes set-ups wait until the other end of a pipe is closed (for modules, bridges and rules), or ends that.
    pub(super) fn set_gate(&mut self, pipe: Option<OwnedFd>) {
        self.launch.ready = pipe;
    }

    /// Returns the pipe that set-ups wait for, or `None`.
    pub(super) fn gate(&self) -> Option<&OwnedFd> {
        self.launch.ready.as_ref()
    }

    /// Sets the missing disks before the first start, a bit for each `mount` line.
    pub(super) fn begin_disks(&mut self, missing: u8) {
        self.missing_disks = missing;
    }

    /// Updates the disks: a workload with paths on a disk that disappeared or was replaced stops, and a workload that
    /// has all its disks starts.
    pub(super) fn set_disks(&mut self, cx: &Context, missing: u8, replaced: u8) {
        let changed = self.missing_disks ^ missing | replaced;
        self.missing_disks = missing;
        let config = cx.config.clone();
        let mut whole = WorkloadSet::EMPTY;
        for (index, workload) in config.get().workloads.iter().enumerate() {
            let disks = config.get().disks_of(workload);
            if disks & changed & (missing | replaced) != 0 {
                self.report(cx, index, Event::Lacks(Part::Disks));
            }
            if disks & changed != 0 && disks & missing == 0 {
                whole.insert(index);
            }
        }
        self.supervisor.has_part(config.get(), whole, Part::Disks, cx.now());
    }

    /// Returns the index of the first `mount` line whose disk a workload lacks.
    pub(super) fn missing_disk(&self, config: &Config<'_>, workload: &Workload<'_>) -> Option<usize> {
        let lacks = config.disks_of(workload) & self.missing_disks;
        (lacks != 0).then(|| lacks.trailing_zeros() as usize)
    }

    /// Returns whether a helper sets a workload up, and not PID 1 itself.
    pub(super) fn needs_helper(&self, config: &Config<'_>, workload: &Workload<'_>) -> bool {
        needs_helper(config, workload, self.launch.has_disks)
    }

    /// Returns whether the cgroup of an exited workload is still busy.
    pub(super) fn has_busy_cgroups(&self) -> bool {
        self.slots.iter().any(|slot| slot.cgroup.is_busy())
    }

    /// Tries again to remove busy cgroups.
    pub(super) fn sweep_cgroups(&mut self, cx: &Context) {
        for (index, workload) in cx.config.get().workloads.iter().enumerate() {
            let cgroup = &mut self.slots[cx.slot(index)].cgroup;
            if cgroup.is_busy() {
                self.launch.cgroups.sweep(workload, cgroup);
            }
        }
    }

    /// Reports an event of a workload to the supervisor.
    pub(super) fn report(&mut self, cx: &Context, index: usize, event: Event) {
        self.supervisor.handle_event(cx.config.get(), index, event, cx.now());
    }

    /// Executes all actions of the supervisor.
    pub(super) fn carry_out(&mut self, cx: &mut Context) {
        self.release_networks(cx);
        while let Some(action) = self.supervisor.next_action() {
            match action {
                Action::Start(index) => self.start(cx, index),
                Action::Signal(index) => self.stop(cx, index),
                Action::Kill(index) => self.kill(cx, index),
                Action::Check(index) => self.check(cx, index),
                Action::Shutdown(down) => self.shutdown = Some(down),
                Action::Report(notice) => {
                    if let Notice::ShutDown(..) = notice {
                        // When the prompt exits the terminal hangs up, which is better now than during the last lines.
                        cx.console.end_prompt();
                    }
                    if let Notice::Ready(index) = notice {
                        cx.timeline.note(Moment::Ready(cx.slot(index) as u8));
                    }
                    event_lines::print(&mut cx.console, cx.config.get(), notice);
                }
            }
        }
    }

    /// Changes to the configuration of `cx`: the slots in `kept` continue, the others are reset.
    pub(super) fn adopt(&mut self, cx: &mut Context, old: &Configuration, kept: WorkloadSet, now: u64) {
        let config = cx.config.clone();
        let (old, new) = (old.get(), config.get());
        self.logs.adopt(old, new, kept);
        cx.timeline.keep(kept);
        self.launch.networks.adopt(old, kept, &mut cx.console);
        self.launch.cgroups.adopt(new, &mut cx.console);
        for (_, slot) in self.slots.iter_mut().enumerate().filter(|(slot, _)| !kept.contains(*slot)) {
            *slot = Slot::EMPTY;
        }
        crate::net::adopt(new, &mut cx.console);
        let same = kept.iter().count();
        let (gone, fresh) = (old.workloads.len() - same, new.workloads.len() - same);
        cx.console.info(format_args!("configuration reloaded: {gone} stopped, {fresh} started, {same} unchanged"));
        self.supervisor.adopt(new, kept, now);
        self.carry_out(cx);
    }

    /// Starts the workloads whose start was deferred and is now possible.
    pub(super) fn start_deferred(&mut self, cx: &mut Context) {
        for index in 0..cx.config.get().workloads.len() {
            if core::mem::take(&mut self.slots[cx.slot(index)].is_deferred) {
                self.start(cx, index);
            }
        }
    }

    /// Returns whether a start must wait: for modules, because PID 1 itself creates a shared network namespace and sets
    /// limits for disks; for the first workload, because on one processor it would only slow that down; for the set-up
    /// helper of an earlier run, which may wait for a server for long, because helpers would pile up; or for a helper
    /// that deletes connections, which would delete those of this run.
    pub(super) fn must_wait(&self, cx: &Context, index: usize) -> bool {
        let config = cx.config.get();
        let workload = config.workload(index);
        let is_deferring = cx.is_deferring();
        let swaps = config.system.swap.is_some() && workload.resources.swap.is_some_and(|bytes| bytes > 0);
        let needs = swaps || self.launch.networks.lacks(config, index) || !workload.resources.io.is_empty();
        self.slots[cx.slot(index)].set_up.is_some()
            || (!self.forgetters.is_empty()
                && has_tables(&workload.network, &config.pools)
                && !self.launch.networks.has_kept(config, index))
            || ((is_deferring || self.launch.ready.is_some()) && needs)
            || (is_deferring && (workload.network.has_resolv || self.needs_helper(config, workload)))
    }

    /// Starts a workload, or defers it.
    pub(super) fn start(&mut self, cx: &mut Context, index: usize) {
        let slot = cx.slot(index);
        if self.must_wait(cx, index) {
            self.slots[slot].is_deferred = true;
            return;
        }
        let workload = cx.config.get().workload(index);
        // An `at-stop` workload has no time to wait: its set-up reports what is missing.
        let may_wait = workload.supervision.at_stop_ms == 0;
        let mut lacks = self.missing_disk(cx.config.get(), workload).map(|_| Part::Disks);
        if workload.supervision.needs_time && !self.is_time_right {
            lacks = Some(Part::Time);
        }
        if may_wait && lacks.is_none() && !self.has_devices(cx, index) {
            // Modules may create them; then this start continues.
            self.slots[slot].is_deferred = self.launch.ready.is_some();
            if self.slots[slot].is_deferred {
                return;
            }
            lacks = Some(Part::Devices);
        }
        if let Some(part) = lacks.filter(|_| may_wait) {
            return self.supervisor.put_back(cx.config.get(), index, part, cx.now());
        }
        let is_timed = self.entered_us.is_some();
        self.slots[slot].begin_run();
        cx.timeline.note(Moment::Start(slot as u8));
        let result = spawn(cx.config.get(), index, &mut self.launch, &mut self.slots[slot].cgroup, is_timed).and_then(
            |process| {
                cx.events.watch(process.output.as_fd(), Token::Output(slot))?;
                if let Some(report) = &process.report {
                    cx.events.watch(report.as_fd(), Token::Report(slot))?;
                }
                if let Some(ready) = &process.ready {
                    cx.events.watch(ready.as_fd(), Token::Ready(slot))?;
                }
                Ok(process)
            },
        );
        let config = cx.config.clone();
        let workload = config.get().workload(index);
        match result {
            Ok(process) => {
                self.slots[slot].set_up = process.helper;
                self.slots[slot].process = Some(process);
            }
            Err(Failure { step: Some(step), errno, .. }) => {
                // A configured feature that the kernel lacks will not appear later: the start fails.
                event_lines::failed_step(&mut cx.console, config.get(), index, Report { step, errno: describe(errno) });
                self.launch.cgroups.remove(workload, &mut self.slots[slot].cgroup);
                self.report(cx, index, Event::Exited(ExitReason::Exit(SET_UP_FAILED)));
            }
            Err(Failure { step: None, errno, hint }) => {
                let (before, hint) = hint.map_or(("", hilum::text!("")), |hint| (": ", hint));
                cx.console.info(format_args!(
                    "workload \"{}\": start: {}{before}{hint}",
                    workload.name,
                    describe(errno)
                ));
                self.report(cx, index, Event::Exited(ExitReason::NoProcess));
            }
        }
    }
}
