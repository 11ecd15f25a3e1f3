//! What some workloads wait for: settings, kernel modules, bridges and rules.
//!
//! A helper does it, because loading modules takes longer than everything else of a boot together. Workloads that need none of
//! it start meanwhile; the others wait, each in the helper that sets it up, for the end of a pipe that this helper holds. So does
//! the helper that mounts disks (`disks.rs`).

use super::context::Context;
use super::timeline::Moment;
use super::workloads::Workloads;
use super::{kernel_settings, modules};
use crate::console::Console;
use crate::net;
use crate::os::environment::Environment;
use crate::os::errno::describe;
use crate::os::helper::{self, Kept, Role};
use hilum::config::{Config, Workload, limits};
use hilum::namespaces::Namespaces;
use hilum::supervise::ExitReason;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;

/// How often it is tried.
const MAX_TRIES: u8 = 3;

/// What needs none of it goes first.
const ROLE: Role = Role { nice: 10, ..Role::new(c"hilum-modules") };

/// The tasks of one boot.
pub(super) struct BootTasks {
    helper: Option<Pid>,
    tries: u8,
}

/// Returns the number of processors that this process may run on.
fn processors() -> usize {
    rustix::thread::sched_getaffinity(None).map_or(1, |set| set.count() as usize).max(1)
}

fn run(environment: Environment, config: &Config<'_>, console: &mut Console) {
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
    /// Nothing has begun.
    pub(super) const fn new() -> Self {
        Self { helper: None, tries: 0 }
    }

    /// Begins: at once, or after the first workload.
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

    /// Begins what waited for the first workload: that one runs, or will not.
    pub(super) fn begin_deferred(&mut self, cx: &mut Context, workloads: &mut Workloads) {
        workloads.supervisor.set_max_parallel_starts(processors());
        self.start(cx, workloads);
    }

    /// Takes note of the exit of a process. Returns whether it was the helper.
    pub(super) fn exited(&mut self, cx: &mut Context, workloads: &mut Workloads, pid: Pid, end: ExitReason) -> bool {
        if self.helper.take_if(|helper| *helper == pid).is_none() {
            return false;
        }
        if end != ExitReason::Exit(0) && self.tries < MAX_TRIES {
            // Something has killed it, or memory was short. What it has done can be done again.
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
        // A machine always has settings to make.
        if cx.environment == Environment::Container && config.system.network.bridges.is_empty() {
            return;
        }
        match spawn(cx.environment, config, &mut cx.console) {
            Ok((pid, ready)) => {
                (self.helper, self.tries) = (Some(pid), self.tries + 1);
                workloads.set_gate(Some(ready));
                // Those that wait use no processor, and may not keep others from starting.
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

/// Whether there is one processor alone, and a workload that waits for nothing: it starts before everything that it does not
/// need. Loading modules takes the kernel long, and some of it cannot be interrupted.
fn has_a_first(config: &Config<'_>, workloads: &Workloads) -> bool {
    let is_free = |workload: &Workload<'_>| {
        let waits_for_others = !workload.needs.is_empty() || !workload.after.is_empty();
        !waits_for_others && !workload.network.has_resolv && !workloads.needs_helper(config, workload)
    };
    processors() == 1 && config.workloads.iter().any(is_free)
}

fn spawn(environment: Environment, config: &Config<'_>, console: &mut Console) -> Result<(Pid, OwnedFd), Errno> {
    let (ready, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let lines = console.descriptors().map(Some);
    let keep = Kept::of([Some(writer.as_fd())].into_iter().chain(lines));
    let mut work = || {
        console.become_helper();
        run(environment, config, console);
        console.flush_blocking();
        0
    };
    let helper = helper::spawn(&ROLE, keep, &mut work)?;
    Ok((helper.pid, ready))
}
