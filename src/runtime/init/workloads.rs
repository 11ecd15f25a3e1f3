//! The workloads: their state, and what is done to them. What comes from them is in `events.rs`, what is checked of
//! them in `checks.rs`, corrupt images in `corruption.rs`, how they stop in `stops.rs`, and what follows an exit in `exits.rs`.

mod checks;
mod corruption;
mod devices;
mod events;
mod exits;
mod slots;
mod stops;

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

/// What is too large for the stack.
#[repr(C)]
struct Tables {
    supervisor: Supervisor,
    /// Last, because of most of it nothing is ever written.
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

/// Each test has tables of its own.
#[cfg(test)]
fn tables() -> Option<&'static mut Tables> {
    static TABLES: [TakeCell<Tables>; 32] = [const { TakeCell::new(Tables::EMPTY) }; 32];
    TABLES.iter().find_map(TakeCell::take)
}

/// The workloads and what decides about them.
///
/// The supervisor and the lines have private state of their own; everything else is reached by methods.
pub(super) struct Workloads {
    pub(super) supervisor: &'static mut Supervisor,
    pub(super) logs: &'static mut Logs,
    slots: [Slot; limits::WORKLOADS],
    launch: LaunchContext,
    /// The board's disks that are not there, a bit for each `mount` line.
    missing_disks: u8,
    /// When this process was entered; `None` once the time to the first workload was printed.
    entered_us: Option<u64>,
    /// The helpers that have the kernel forget connections.
    forgetters: heapless::Vec<Pid, { limits::WORKLOADS }>,
    /// How PID 1 goes down now: every workload is over.
    shutdown: Option<ShutdownKind>,
    /// Whether the devices of workloads are to be looked for.
    wants_devices: bool,
    /// Whether one of them has ended, which is reported once its devices were looked for.
    has_ended: bool,
    /// Whether what was found of them last is still so.
    are_devices_known: bool,
}

impl Workloads {
    /// Prepares for workloads. To be called once.
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
        let forgetters = heapless::Vec::new();
        Ok(Self {
            supervisor,
            logs,
            slots: [const { Slot::EMPTY }; _],
            launch,
            missing_disks: 0,
            entered_us,
            forgetters,
            shutdown: None,
            wants_devices: false,
            has_ended: false,
            are_devices_known: false,
        })
    }

    /// Returns how PID 1 goes down now, once every workload is over.
    pub(super) fn shutdown(&self) -> Option<ShutdownKind> {
        self.shutdown
    }

    /// Returns the process in a slot, from the clone until everything that it wrote is read.
    pub(super) fn process(&self, slot: usize) -> Option<&Process> {
        self.slots[slot].process.as_ref()
    }

    /// Returns what the workload in a slot last said of itself; empty where it said nothing.
    pub(super) fn status_text(&self, slot: usize) -> &str {
        &self.slots[slot].text
    }

    /// Returns the most memory that the workload in a slot had, and its limit, in bytes, where the kernel killed it for that.
    pub(super) fn out_of_memory(&self, slot: usize) -> Option<(u64, u64)> {
        self.slots[slot].out_of_memory
    }

    /// Whether a block of the verified image of the workload in a slot did not match its hash in this run.
    pub(super) fn is_corrupt(&self, slot: usize) -> bool {
        self.slots[slot].is_corrupt
    }

    /// Returns the control groups.
    pub(super) fn cgroups(&self) -> &Cgroups {
        &self.launch.cgroups
    }

    /// Does what control groups need once everything has started, because it costs a start too much: sets up the controller of
    /// devices, and moves PID 1 into its own group.
    ///
    /// # Errors
    /// The kernel's, of the move.
    pub(super) fn finish_cgroups(&mut self, config: &Config<'_>) -> Result<(), Errno> {
        self.launch.cgroups.control_devices(&config.workloads);
        self.launch.cgroups.move_self()
    }

    /// Has set-ups wait until the other end of a pipe is closed, for modules, bridges and rules, or no longer.
    pub(super) fn set_gate(&mut self, pipe: Option<OwnedFd>) {
        self.launch.ready = pipe;
    }

    /// Returns what set-ups wait for the end of; `None` where they need not wait.
    pub(super) fn gate(&self) -> Option<&OwnedFd> {
        self.launch.ready.as_ref()
    }

    /// Notes before the first start which of the board's disks are not there, a bit for each `mount` line.
    pub(super) fn begin_disks(&mut self, missing: u8) {
        self.missing_disks = missing;
    }

    /// Some of the board's disks are there and others are not: what has paths on one that went, or on one that is another now,
    /// stops, and what has all its disks starts.
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

    /// Returns where the first disk that a workload lacks stands among the `mount` lines.
    pub(super) fn missing_disk(&self, config: &Config<'_>, workload: &Workload<'_>) -> Option<usize> {
        let lacks = config.disks_of(workload) & self.missing_disks;
        (lacks != 0).then(|| lacks.trailing_zeros() as usize)
    }

    /// Whether a helper sets a workload up, and not PID 1 itself.
    pub(super) fn needs_helper(&self, config: &Config<'_>, workload: &Workload<'_>) -> bool {
        needs_helper(config, workload, self.launch.has_disks)
    }

    /// Whether the control group of a workload that ended is still busy.
    pub(super) fn has_busy_cgroups(&self) -> bool {
        self.slots.iter().any(|slot| slot.cgroup.is_busy())
    }

    /// Tries again to remove the control groups that were busy.
    pub(super) fn sweep_cgroups(&mut self, cx: &Context) {
        for (index, workload) in cx.config.get().workloads.iter().enumerate() {
            let cgroup = &mut self.slots[cx.slot(index)].cgroup;
            if cgroup.is_busy() {
                self.launch.cgroups.sweep(workload, cgroup);
            }
        }
    }

    /// Reports to the supervisor what happened to a workload.
    pub(super) fn report(&mut self, cx: &Context, index: usize, event: Event) {
        self.supervisor.handle_event(cx.config.get(), index, event, cx.now());
    }

    /// Does everything that the supervisor has decided.
    pub(super) fn carry_out(&mut self, cx: &mut Context) {
        while let Some(action) = self.supervisor.next_action() {
            match action {
                Action::Start(index) => self.start(cx, index),
                Action::Signal(index) => self.stop(cx, index),
                Action::Kill(index) => self.kill(cx, index),
                Action::Check(index) => self.check(cx, index),
                Action::Shutdown(down) => self.shutdown = Some(down),
                Action::Report(notice) => {
                    if let Notice::ShutDown(..) = notice {
                        // The prompt's exit hangs the terminal up, which is better now than in the middle of the last lines.
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

    /// Goes over to the configuration of `cx`: the slots of `kept` go on, the others begin anew.
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

    /// Starts the workloads whose start waits, as far as it need not wait any longer.
    pub(super) fn start_deferred(&mut self, cx: &mut Context) {
        for index in 0..cx.config.get().workloads.len() {
            if core::mem::take(&mut self.slots[cx.slot(index)].is_deferred) {
                self.start(cx, index);
            }
        }
    }

    /// Whether a start waits: for modules, because PID 1 itself makes the network that the workload shares with others, and sets
    /// limits for its disks; for the first workload, beside which it would only wait; for the helper that set up an earlier
    /// run, which may wait for a server for as long as that is away: helpers would pile up; or for one that has the kernel
    /// forget connections, which would forget those of this run.
    pub(super) fn must_wait(&self, cx: &Context, index: usize) -> bool {
        let config = cx.config.get();
        let workload = &config.workloads[index];
        let is_deferring = cx.is_deferring();
        let needs = self.launch.networks.lacks(config, index) || !workload.resources.io.is_empty();
        self.slots[cx.slot(index)].set_up.is_some()
            || (!self.forgetters.is_empty() && has_tables(&workload.network, &config.pools))
            || ((is_deferring || self.launch.ready.is_some()) && needs)
            || (is_deferring && (workload.network.has_resolv || self.needs_helper(config, workload)))
    }

    /// Starts a workload, or has it wait for what must come first.
    pub(super) fn start(&mut self, cx: &mut Context, index: usize) {
        let slot = cx.slot(index);
        if self.must_wait(cx, index) {
            self.slots[slot].is_deferred = true;
            return;
        }
        let workload = &cx.config.get().workloads[index];
        // What runs as the board goes down has no time to wait: its set-up says what it lacks.
        if workload.supervision.at_stop_ms == 0 && self.missing_disk(cx.config.get(), workload).is_some() {
            return self.supervisor.put_back(cx.config.get(), index, Part::Disks, cx.now());
        }
        if !self.has_devices(cx, index) {
            self.slots[slot].is_deferred = true;
            // Modules may bring them; then this start goes on.
            if self.launch.ready.is_none() {
                self.report(cx, index, Event::Lacks(Part::Devices));
            }
            return;
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
        let workload = &config.get().workloads[index];
        match result {
            Ok(process) => {
                self.slots[slot].set_up = process.helper;
                self.slots[slot].process = Some(process);
            }
            Err(Failure { step: Some(step), errno, .. }) => {
                // What a line asks for and the kernel cannot will not be otherwise in a second: it is a failed start.
                event_lines::failed_step(&mut cx.console, config.get(), index, Report { step, errno: describe(errno) });
                self.launch.cgroups.remove(workload, &mut self.slots[slot].cgroup);
                self.report(cx, index, Event::Exited(ExitReason::Exit(SET_UP_FAILED)));
            }
            Err(Failure { step: None, errno, hint }) => {
                let (before, hint) = hint.map_or(("", ""), |hint| (": ", hint));
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
