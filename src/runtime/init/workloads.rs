//! The workloads: their state, and what is done to them. What comes from them is in `workload_events.rs`, their exits in
//! `exits.rs`.

use super::configuration::Configuration;
use super::context::Context;
use super::event_lines;
use super::logs::Logs;
use super::slots::Slot;
use super::timeline::Moment;
use super::token::Token;
use crate::console::Console;
use crate::os::environment::Environment;
use crate::os::errno::describe;
use crate::os::helper::{self, Kept, Role};
use crate::workload::{
    Cgroups, Failure, LaunchContext, Networks, Report, SET_UP_FAILED, Target, hears, is_good, needs_helper,
    signal_below, spawn, template_place,
};
use hilum::config::{Check, Config, Ready, WorkloadSet, limits};
use hilum::namespaces::Namespaces;
use hilum::supervise::{Action, Event, ExitReason, Notice, ShutdownKind, Supervisor};
use hilum_sys::TakeCell;
use rustix::fd::AsFd;
use rustix::io::Errno;

/// SIGKILL.
const KILL: u8 = 9;
/// Milliseconds that one check for readiness may take.
const READY_CHECK_MS: u64 = 1_000;

const CHECK: Role = Role::new(c"hilum-check");

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
pub(super) struct Workloads {
    pub(super) supervisor: &'static mut Supervisor,
    pub(super) logs: &'static mut Logs,
    pub(super) slots: [Slot; limits::WORKLOADS],
    pub(super) launch: LaunchContext,
    /// When this process was entered; `None` once the time to the first workload was printed.
    pub(super) entered_us: Option<u64>,
    /// How PID 1 goes down now: every workload is over.
    shutdown: Option<ShutdownKind>,
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
            disks: None,
            has_disks: environment == Environment::Machine,
        };
        let Tables { supervisor, logs } = tables().ok_or(Errno::BUSY)?;
        Ok(Self { supervisor, logs, slots: [const { Slot::EMPTY }; _], launch, entered_us, shutdown: None })
    }

    /// Returns how PID 1 goes down now, once every workload is over.
    pub(super) fn shutdown(&self) -> Option<ShutdownKind> {
        self.shutdown
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
        self.launch.networks.adopt(kept);
        self.launch.cgroups.adopt(new, &mut cx.console);
        for (_, slot) in self.slots.iter_mut().enumerate().filter(|(slot, _)| !kept.contains(*slot)) {
            *slot = Slot::EMPTY;
        }
        crate::net::adopt(new, &mut cx.console);
        let same = kept.iter().count();
        let (gone, fresh) = (old.workloads.len() - same, new.workloads.len() - same);
        cx.console.info(format_args!("configuration taken over: {gone} stopped, {fresh} new, {same} as before"));
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
    /// limits for its disks; for the first workload, beside which it would only wait; or for the helper that set up an earlier
    /// run, which may wait for a server for as long as that is away: helpers would pile up.
    pub(super) fn must_wait(&self, cx: &Context, index: usize) -> bool {
        let config = cx.config.get();
        let workload = &config.workloads[index];
        let is_deferring = cx.is_deferring();
        let needs = self.launch.networks.lacks(config, index) || !workload.resources.io.is_empty();
        self.slots[cx.slot(index)].set_up.is_some()
            || ((is_deferring || self.launch.ready.is_some()) && needs)
            || (is_deferring && (workload.network.has_resolv || needs_helper(config, workload, self.launch.has_disks)))
    }

    /// Starts a workload, or has it wait for what must come first.
    pub(super) fn start(&mut self, cx: &mut Context, index: usize) {
        let slot = cx.slot(index);
        if self.must_wait(cx, index) {
            self.slots[slot].is_deferred = true;
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

    /// Sends a workload's first process a signal.
    ///
    /// # Errors
    /// ESRCH where it has ended, or never ran.
    pub(super) fn signal(&self, cx: &Context, index: usize, signal: u8) -> Result<(), Errno> {
        let slot = cx.slot(index);
        self.slots[slot].process.as_ref().ok_or(Errno::SRCH)?.signal(signal)
    }

    /// Whether the first process of a workload would hear of a signal: the first one of a PID namespace hears only of what it has
    /// a handler for.
    pub(super) fn hears(&self, cx: &Context, index: usize, signal: u8) -> bool {
        let slot = cx.slot(index);
        let isolation = &cx.config.get().workloads[index].isolation;
        let is_first = isolation.shared & Namespaces::flag("pid") == 0;
        let process = self.slots[slot].process.as_ref().filter(|process| process.ended.is_none());
        process.is_none_or(|process| hears(process.pid, signal, is_first))
    }

    /// Sends a workload its stop signal.
    pub(super) fn stop(&mut self, cx: &mut Context, index: usize) {
        let slot = cx.slot(index);
        if core::mem::take(&mut self.slots[slot].is_deferred) {
            return self.report(cx, index, Event::Exited(ExitReason::NoProcess));
        }
        let config = cx.config.clone();
        let workload = &config.get().workloads[index];
        // What is frozen would get the signal when it is too late.
        let _ = self.launch.cgroups.freeze(workload, false);
        // While it is being set up every other signal waits, and its program would never see it: the kernel keeps from the
        // first process of a PID namespace what that has no handler for.
        self.read_report(cx, index);
        let is_set_up = self.slots[slot].process.as_ref().is_none_or(|process| process.report.is_none());
        // What a shell has started that will not hear of it itself.
        if let Some(process) =
            self.slots[slot].process.as_ref().filter(|_| is_set_up && !self.hears(cx, index, workload.stop.signal.0))
        {
            signal_below(process.pid, workload.stop.signal.0);
        }
        match self.signal(cx, index, if is_set_up { workload.stop.signal.0 } else { KILL }) {
            // It ended already: its end is about to be read.
            Ok(()) | Err(Errno::SRCH) => {}
            Err(errno) => {
                cx.console.info(format_args!("workload \"{}\": signal: {}", workload.name, describe(errno)));
            }
        }
    }

    /// Kills everything in a workload.
    pub(super) fn kill(&mut self, cx: &mut Context, index: usize) {
        let config = cx.config.clone();
        let workload = &config.get().workloads[index];
        let (name, signal) = (workload.name, workload.stop.signal);
        let late = format_args!("workload \"{name}\": stop: not done in time, killing it");
        // Nobody asks those that run as the board goes down.
        if self.hears(cx, index, signal.0) || workload.supervision.at_stop_ms > 0 {
            cx.console.info(late);
        } else {
            cx.console.info(format_args!(
                "{late}: its first process has no handler for {signal}; where that is a shell, start the program with exec, or add the line: reaper"
            ));
        }
        // Without cgroup.kill (before kernel 5.14, in a container) its first process takes the others with it: they
        // share a PID namespace. What a workload that shares one left behind is found by a helper.
        if self.launch.cgroups.kill(workload).is_err() && !self.sweep_at_once(cx, index) {
            let _ = self.signal(cx, index, KILL);
        }
    }

    /// Has a helper check whether a workload is ready, or healthy.
    pub(super) fn check(&mut self, cx: &mut Context, index: usize) {
        let slot = cx.slot(index);
        let config = cx.config.clone();
        let workload = &config.get().workloads[index];
        let Some(process) = &self.slots[slot].process else { return };
        let is_ready = self.supervisor.state(index) == hilum::supervise::State::Ready;
        let (check, within_ms) = match (&workload.supervision.health, workload.supervision.ready) {
            (Some(health), _) if is_ready => (health.check.clone(), u64::from(health.interval_ms)),
            (_, Ready::Tcp(port)) => (Check::Tcp(port), READY_CHECK_MS),
            _ => return,
        };
        let keep = Kept::of([Some(process.pidfd.as_fd()), self.launch.cgroups.fd()]);
        let mut work = || {
            let target = Target {
                config: config.get(),
                workload,
                pid: process.pid,
                pidfd: process.pidfd.as_fd(),
                cgroups: &self.launch.cgroups,
            };
            // What a person has frozen does not answer, and is not unhealthy for that.
            i32::from(!(is_good(&target, &check, within_ms) || (is_ready && target.is_frozen())))
        };
        match helper::spawn(&CHECK, keep, &mut work) {
            // Its exit status is the answer.
            Ok(helper) => self.slots[slot].check = Some(helper.pid),
            Err(_) => self.report(cx, index, Event::Checked(false)),
        }
    }
}
