//! Settings, kernel modules, bridges and rules, which some workloads wait for.
//!
//! A helper process does this work, because loading modules takes longer than the rest of the boot. Workloads that do
//! not depend on it start meanwhile. The set-up helper of each of the others waits for the end of a pipe that this
//! helper holds, and so does the helper that mounts disks (`disks.rs`).

use super::context::Context;
use super::timeline::Moment;
use super::workloads::Workloads;
use super::{kernel_settings, modules};
use crate::console::Console;
use crate::net;
use crate::os::environment::Environment;
use crate::os::errno::describe;
use crate::os::helper::{self, Kept, Role};
use crate::storage::start_swap;
use hilum::config::{Config, Workload, limits};
use hilum::namespaces::Namespaces;
use hilum::supervise::ExitReason;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;

/// The number of attempts.
const MAX_TRIES: u8 = 3;

/// Workloads that do not depend on it have priority.
const ROLE: Role = Role { nice: 10, ..Role::new(c"hilum-modules") };

/// The tasks of a boot.
pub(super) struct BootTasks {
    helper: Option<Pid>,
    tries: u8,
}

/// Returns the number of processors that this process may run on.
#[inline(never)]
fn processors() -> usize {
    rustix::thread::sched_getaffinity(None).map_or(1, |set| set.count() as usize).max(1)
}

fn run(environment: Environment, config: &Config<'_>, console: &mut Console) {
    if environment == Environment::Machine {
        // This comes before modules create links, which inherit the current settings.
        kernel_settings::make(config).print(console);
    }
    if environment == Environment::Machine && !config.system.modules_come_first() {
        modules::load_all(config, console);
    }
    if let Some(swap) = config.system.swap.as_ref().filter(|_| environment == Environment::Machine) {
        start_swap(swap, console);
    }
    if environment == Environment::Machine && modules::has_aliases() {
        modules::load_by_alias(console);
    }
    if environment == Environment::Machine && uses_own_network(config) {
        // It is down initially, and workloads that share the host's network expect it to be up.
        let _ = net::loopback_up();
    }
    net::prepare(config, console);
}

/// Returns whether the helper does more than change settings, which is an event of the timeline.
fn waits_for_modules(environment: Environment, config: &Config<'_>) -> bool {
    let loads = !config.system.modules_come_first() && modules::has_any(config);
    (environment == Environment::Machine && (loads || uses_own_network(config)))
        || !config.system.network.bridges.is_empty()
}

/// Returns whether anything but PID 1 uses the host's network.
fn uses_own_network(config: &Config<'_>) -> bool {
    let net = Namespaces::NET;
    let shares = |workload: &Workload<'_>| workload.isolation.shared & net != 0 && workload.isolation.net_of.is_none();
    !config.system.network.links.is_empty() || config.workloads.iter().any(shares)
}

impl BootTasks {
    /// Creates the service before the boot.
    pub(super) const fn new() -> Self {
        Self { helper: None, tries: 0 }
    }

    /// Returns whether the tasks are not completed.
    pub(super) fn is_running(&self) -> bool {
        self.helper.is_some()
    }

    /// Starts the tasks: at once, or after the first workload.
    pub(super) fn begin(&mut self, cx: &mut Context, workloads: &mut Workloads) {
        let config = cx.config.clone();
        workloads.supervisor.set_max_parallel_starts(processors());
        net::set_all(config.get(), &mut cx.console);
        if has_a_first(config.get(), workloads) {
            cx.defer();
            workloads.supervisor.set_max_parallel_starts(limits::WORKLOADS);
        } else {
            self.start(cx, workloads);
        }
    }

    /// Starts deferred tasks: the first workload runs, or will not run.
    pub(super) fn begin_deferred(&mut self, cx: &mut Context, workloads: &mut Workloads) {
        workloads.supervisor.set_max_parallel_starts(processors());
        self.start(cx, workloads);
    }

    /// Handles the exit of a process. Returns whether it was the helper.
    pub(super) fn exited(&mut self, cx: &mut Context, workloads: &mut Workloads, pid: Pid, end: ExitReason) -> bool {
        if self.helper.take_if(|helper| *helper == pid).is_none() {
            return false;
        }
        if end != ExitReason::Exit(0) && self.tries < MAX_TRIES {
            // It was killed, or memory was short. All its work can be repeated.
            self.start(cx, workloads);
            return true;
        }
        workloads.set_gate(None);
        if waits_for_modules(cx.environment, cx.config.get()) {
            cx.timeline.note(Moment::NetworkReady);
        }
        workloads.supervisor.set_max_parallel_starts(processors());
        workloads.request_devices();
        workloads.start_deferred(cx);
        true
    }

    fn start(&mut self, cx: &mut Context, workloads: &mut Workloads) {
        let config = cx.config.clone();
        let config = config.get();
        // On a machine there are always settings to change.
        if cx.environment == Environment::Container && config.system.network.bridges.is_empty() {
            return;
        }
        match spawn(cx.environment, config, &mut cx.console) {
            Ok((pid, ready)) => {
                (self.helper, self.tries) = (Some(pid), self.tries + 1);
                workloads.set_gate(Some(ready));
                // Waiting set-ups use no processor, and must not keep others from starting.
                workloads.supervisor.set_max_parallel_starts(limits::WORKLOADS);
            }
            Err(errno) => {
                cx.console
                    .error(format_args!("boot: cannot fork a helper: {}; continuing without it", describe(errno)));
                run(cx.environment, config, &mut cx.console);
            }
        }
    }
}

/// Returns whether there is a single processor, and a workload that does not wait for anything. That workload starts
/// first, because loading modules takes long and cannot always be preempted.
fn has_a_first(config: &Config<'_>, workloads: &Workloads) -> bool {
    let is_free = |workload: &Workload<'_>| {
        let waits_for_others = !workload.needs.is_empty() || !workload.after.is_empty();
        !waits_for_others && !workload.network.has_resolv && !workloads.needs_helper(config, workload)
    };
    processors() == 1 && config.workloads.iter().any(is_free)
}

fn spawn(environment: Environment, config: &Config<'_>, console: &mut Console) -> Result<(Pid, OwnedFd), Errno> {
    let (ready, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let [terminal, kernel_log, file] = console.descriptors();
    let keep = Kept::of(&[Some(writer.as_fd()), terminal, kernel_log, file]);
    let mut work = || {
        console.become_helper();
        run(environment, config, console);
        console.flush_blocking();
        0
    };
    let helper = helper::spawn(&ROLE, keep, &mut work)?;
    Ok((helper.pid, ready))
}
