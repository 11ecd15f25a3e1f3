//! What some workloads wait for: kernel modules, bridges and rules; and the board's own disks.
//!
//! Two helpers do it, because loading modules takes longer than everything else of a boot together, and a disk may not be
//! there yet. Workloads that need none of it start meanwhile; the others wait, each in the helper that sets it up, for the end
//! of a pipe that the first helpers hold.

use super::context::Context;
use super::timeline::Moment;
use super::uevents::Heard;
use super::workloads::{Gate, Workloads};
use super::{kernel_settings, modules};
use crate::console::Console;
use crate::os::environment::Environment;
use crate::os::errno::describe;
use crate::os::helper::{self, Kept, Role};
use crate::os::wait::await_exit;
use crate::workload::{LONGEST_MS, wait};
use crate::{net, storage};
use hilum::config::{Config, Workload, limits};
use hilum::namespaces::Namespaces;
use hilum::supervise::ExitReason;
use hilum::uevent::Action;
use hilum_sys::{SignalFd, SignalSet};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, kill_process};

/// Milliseconds that disks have to finish what was begun, when the board goes down.
const FINISH_MS: u64 = 10_000;
const FINISH_STEP_MS: u64 = 50;
/// How often a task is tried.
const MAX_TRIES: u8 = 3;
/// What needs none of it goes first.
const NICE: i32 = 10;

/// What is prepared by a helper.
#[derive(Clone, Copy, PartialEq, Eq)]
enum BootTask {
    /// Settings, modules where they were not loaded before, bridges, rules.
    Kernel,
    /// The board's own filesystems.
    Disks,
}

impl BootTask {
    const ALL: [Self; 2] = [Self::Kernel, Self::Disks];

    /// Returns what ends with its helper.
    fn gate(self) -> Gate {
        match self {
            Self::Kernel => Gate::Modules,
            Self::Disks => Gate::Disks,
        }
    }

    fn role(self) -> Role {
        let name = match self {
            Self::Kernel => c"hilum-modules",
            Self::Disks => c"hilum-disks",
        };
        Role { nice: NICE, ..Role::new(name) }
    }
}

/// One task's helper.
#[derive(Clone, Copy)]
struct Progress {
    helper: Option<Pid>,
    tries: u8,
}

/// The tasks of one boot.
pub(super) struct BootTasks {
    tasks: [Progress; BootTask::ALL.len()],
    /// Whether a disk came while the disks' helper was at work, which may have looked already.
    has_new_disk: bool,
}

/// Returns the number of processors that this process may run on.
fn processors() -> usize {
    rustix::thread::sched_getaffinity(None).map_or(1, |set| set.count() as usize).max(1)
}

/// Whether there is anything to do.
fn is_needed(task: BootTask, environment: Environment, config: &Config<'_>) -> bool {
    let is_machine = environment == Environment::Machine;
    match task {
        BootTask::Kernel => {
            // A machine always has settings to make.
            is_machine || !config.system.network.bridges.is_empty()
        }
        BootTask::Disks => is_machine && !config.system.mounts.is_empty() && !config.system.disks_come_first(),
    }
}

fn run(task: BootTask, is_first: bool, environment: Environment, config: &Config<'_>, console: &mut Console) {
    if task == BootTask::Disks {
        // Every signal waits from the first instruction of PID 1 on; here one says that the board goes down.
        let signals = SignalFd::open(SignalSet::of(Signal::TERM.as_raw().unsigned_abs())).ok();
        return storage::mount_all(config, is_first, signals.as_ref().map(SignalFd::fd), console);
    }
    if environment == Environment::Machine {
        // Before a module brings a link: it takes over what is set by then.
        kernel_settings::make(config).print(console);
    }
    if environment == Environment::Machine && !config.system.modules_come_first() {
        modules::load_all(config, console);
    }
    if environment == Environment::Machine && modules::has_aliases() {
        modules::load_by_alias(console);
    }
    if environment == Environment::Machine && uses_own_network(config) {
        // It is down at first, and workloads that share the board's network expect it.
        let _ = net::loopback_up();
    }
    net::prepare(config, console);
}

/// Whether the helper does more than make settings: the timeline has a moment for that.
fn waits_for_modules(environment: Environment, config: &Config<'_>) -> bool {
    let loads = !config.system.modules_come_first() && modules::has_any(config);
    (environment == Environment::Machine && (loads || uses_own_network(config)))
        || !config.system.network.bridges.is_empty()
}

/// Whether anything but PID 1 uses the board's own network.
fn uses_own_network(config: &Config<'_>) -> bool {
    let net = Namespaces::flag("net");
    let shares = |workload: &Workload<'_>| workload.isolation.shared & net != 0 && workload.isolation.net_of.is_none();
    !config.system.network.links.is_empty() || config.workloads.iter().any(shares)
}

impl BootTasks {
    /// None has begun.
    pub(super) const fn new() -> Self {
        Self { tasks: [Progress { helper: None, tries: 0 }; _], has_new_disk: false }
    }

    /// Mounts what a device that came may be meant by.
    pub(super) fn heard(&mut self, cx: &mut Context, workloads: &mut Workloads, heard: &Heard<'_>) {
        let is_disk = match heard {
            Heard::Event(event) => matches!(event.action, Action::Add | Action::Change) && event.is_of("block"),
            Heard::Lost => true,
        };
        if !is_disk || workloads.supervisor.shutting_down().is_some() {
            return;
        }
        let disks = &mut self.tasks[BootTask::Disks as usize];
        if disks.helper.is_some() {
            self.has_new_disk = true;
        } else if disks.tries > 0 {
            // Not the first time: nothing is waited for.
            disks.tries = 1;
            self.start(BootTask::Disks, cx, workloads);
        }
    }

    /// Begins the tasks: at once, or after the first workload.
    pub(super) fn begin(&mut self, cx: &mut Context, workloads: &mut Workloads) {
        let config = cx.config.clone();
        workloads.supervisor.set_max_parallel_starts(processors());
        net::set_all(config.get(), &mut cx.console);
        if has_a_first(config.get(), workloads) {
            cx.defer();
            workloads.supervisor.set_max_parallel_starts(limits::WORKLOADS);
        } else {
            BootTask::ALL.into_iter().for_each(|task| self.start(task, cx, workloads));
        }
    }

    /// Begins what waited for the first workload: that one runs, or will not.
    pub(super) fn begin_deferred(&mut self, cx: &mut Context, workloads: &mut Workloads) {
        workloads.supervisor.set_max_parallel_starts(processors());
        BootTask::ALL.into_iter().for_each(|task| self.start(task, cx, workloads));
    }

    /// Lets the helper that is at the disks finish what it is doing, and no more: a repair that is killed leaves more behind
    /// than it found.
    pub(super) fn finish_disks(&mut self) {
        let Some(pid) = self.tasks[BootTask::Disks as usize].helper else { return };
        let _ = kill_process(pid, Signal::TERM);
        await_exit(pid, FINISH_MS, FINISH_STEP_MS);
    }

    /// Takes note of the exit of a process. Returns whether it was the helper of a task.
    pub(super) fn exited(&mut self, cx: &mut Context, workloads: &mut Workloads, pid: Pid, end: ExitReason) -> bool {
        let is_its = |task: &BootTask| self.tasks[*task as usize].helper == Some(pid);
        let Some(task) = BootTask::ALL.into_iter().find(is_its) else { return false };
        self.tasks[task as usize].helper = None;
        if end != ExitReason::Exit(0) && self.tasks[task as usize].tries < MAX_TRIES {
            // Something has killed it, or memory was short. What it has done can be done again.
            self.start(task, cx, workloads);
            return true;
        }
        if task == BootTask::Disks && core::mem::take(&mut self.has_new_disk) {
            self.tasks[task as usize].tries = 1;
            self.start(task, cx, workloads);
            return true;
        }
        workloads.set_gate(task.gate(), None);
        match task {
            BootTask::Kernel if !waits_for_modules(cx.environment, cx.config.get()) => {}
            BootTask::Kernel => cx.timeline.note(Moment::NetworkReady),
            BootTask::Disks => cx.timeline.note(Moment::DisksReady),
        }
        if workloads.gate(Gate::Modules).is_none() && workloads.gate(Gate::Disks).is_none() {
            workloads.supervisor.set_max_parallel_starts(processors());
        }
        if task == BootTask::Kernel {
            workloads.request_devices();
            workloads.start_deferred(cx);
        }
        true
    }

    fn start(&mut self, task: BootTask, cx: &mut Context, workloads: &mut Workloads) {
        let config = cx.config.clone();
        let config = config.get();
        if !is_needed(task, cx.environment, config) {
            return;
        }
        // Disks need the modules.
        let first = match task {
            BootTask::Kernel => None,
            BootTask::Disks => workloads.gate(Gate::Modules),
        };
        let is_first = self.tasks[task as usize].tries == 0;
        match spawn(task, is_first, cx.environment, config, first, &mut cx.console) {
            Ok((pid, ready)) => {
                let progress = &mut self.tasks[task as usize];
                *progress = Progress { helper: Some(pid), tries: progress.tries + 1 };
                workloads.set_gate(task.gate(), Some(ready));
                // Those that wait use no processor, and may not keep others from starting.
                workloads.supervisor.set_max_parallel_starts(limits::WORKLOADS);
            }
            Err(errno) => {
                cx.console
                    .error(format_args!("boot: cannot fork a helper: {}; continuing without it", describe(errno)));
                run(task, is_first, cx.environment, config, &mut cx.console);
            }
        }
    }
}

/// Whether there is one processor alone, and a workload that waits for nothing: it starts before everything that it does not
/// need. Loading modules takes the kernel long, and some of it cannot be interrupted.
fn has_a_first(config: &Config<'_>, workloads: &Workloads) -> bool {
    let is_free = |workload: &Workload<'_>| {
        let waits_for_others = !workload.needs.is_empty() || !workload.after.is_empty();
        !waits_for_others && !workload.network.has_resolv && !workloads.needs_helper(config, workload)
    };
    processors() == 1 && config.workloads.iter().any(is_free)
}

fn spawn(
    task: BootTask,
    is_first: bool,
    environment: Environment,
    config: &Config<'_>,
    first: Option<&OwnedFd>,
    console: &mut Console,
) -> Result<(Pid, OwnedFd), Errno> {
    let (ready, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let lines = console.descriptors().map(Some);
    let keep = Kept::of([Some(writer.as_fd()), first.map(AsFd::as_fd)].into_iter().chain(lines));
    let mut work = || {
        console.become_helper();
        if let Some(first) = first {
            wait(first, LONGEST_MS);
        }
        run(task, is_first, environment, config, console);
        console.flush_blocking();
        0
    };
    let helper = helper::spawn(&task.role(), keep, &mut work)?;
    Ok((helper.pid, ready))
}
