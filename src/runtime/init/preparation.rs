//! What some workloads wait for: kernel modules, bridges and rules; and the board's own disks.
//!
//! Two copies of PID 1 do it, because loading modules takes longer than everything else of a boot together, and a disk
//! may not be there yet. Workloads that need none of it start meanwhile; the others wait, each in the copy that sets it
//! up, for the end of a pipe that the first copies hold.

use super::board::{Board, processors};
use super::machine::Kind;
use super::timeline::Moment;
use super::wait::await_end;
use super::{Console, modules, settings, words};
use crate::workload::{LONGEST_MS, needs_copy, wait};
use crate::{net, storage};
use hilum::config::{Config, Workload, limits};
use hilum::namespaces::Namespaces;
use hilum_sys::{Cloned, SignalSet, Signals, exit, monotonic_ms};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitStatus, kill_process, setpriority_process};

/// Milliseconds that disks have to finish what was begun, when the board goes down.
const FINISH_MS: u64 = 10_000;
const FINISH_STEP_MS: u64 = 50;
/// How often it is tried.
const TRIES: u8 = 3;
/// How the copy stands behind what starts meanwhile.
const NICE: i32 = 10;

/// Milliseconds that the first workload has the board's only processor for itself: several times what a start takes where
/// the processor is emulated.
const FIRST_MS: u64 = 500;
/// Milliseconds that it still has when its program is being executed: what PID 1 does next would come before the program's
/// first instruction, because the kernel wakes it in the middle of execve(2).
const ENTRY_MS: u64 = 20;

/// What is prepared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// Settings, modules where they were not loaded before, bridges, rules.
    Kernel,
    /// The board's own filesystems.
    Disks,
}

impl Work {
    pub(super) const ALL: [Self; 2] = [Self::Kernel, Self::Disks];
}

/// A copy of PID 1 that prepares something.
#[derive(Clone, Copy)]
pub(super) struct Copy {
    pid: Option<Pid>,
    tries: u8,
}

impl Copy {
    pub(super) const NONE: Self = Self { pid: None, tries: 0 };
}

/// Whether there is anything to do.
fn is_needed(work: Work, kind: Kind, config: &Config<'_>) -> bool {
    let is_machine = kind == Kind::Machine;
    match work {
        Work::Kernel => {
            // A machine always has settings to make.
            is_machine || !config.system.network.bridges.is_empty()
        }
        Work::Disks => is_machine && !config.system.mounts.is_empty() && !modules::disks_come_first(&config.system),
    }
}

fn prepare(work: Work, kind: Kind, config: &Config<'_>, console: &mut Console) {
    if work == Work::Disks {
        // Every signal waits from the first instruction of PID 1 on; here one says that the board goes down.
        let signals = Signals::open(SignalSet::of(Signal::TERM.as_raw().unsigned_abs())).ok();
        return storage::mount_all(config, signals.as_ref().map(Signals::fd), console);
    }
    if kind == Kind::Machine {
        // Before a module brings a link: it takes over what is set by then.
        settings::make(config).tell(console);
    }
    if kind == Kind::Machine && !modules::come_first(&config.system) {
        modules::load_all(config, console);
    }
    if kind == Kind::Machine && uses_own_network(config) {
        // It is down at first, and workloads that share the board's network expect it.
        let _ = net::loopback_up();
    }
    net::prepare(config, console);
}

/// Whether the copy does more than make settings: the timeline has a moment for that.
fn waits_for_modules(kind: Kind, config: &Config<'_>) -> bool {
    let loads = !modules::come_first(&config.system) && modules::has_any(config);
    (kind == Kind::Machine && (loads || uses_own_network(config))) || !config.system.network.bridges.is_empty()
}

/// Whether anything but PID 1 uses the board's own network.
fn uses_own_network(config: &Config<'_>) -> bool {
    let net = Namespaces::flag("net");
    let shares = |workload: &Workload<'_>| workload.isolation.shared & net != 0 && workload.isolation.net_of.is_none();
    !config.system.network.links.is_empty() || config.workloads.iter().any(shares)
}

impl Board {
    /// Has copies of this process do it: at once, or after the first workload.
    pub(super) fn prepare_all(&mut self) {
        let config = self.config.clone();
        net::set_all(config.get(), &mut self.console);
        if self.has_a_first() {
            self.quiet_until = Some(monotonic_ms() + FIRST_MS);
            self.supervisor.set_max_parallel_starts(limits::WORKLOADS);
        } else {
            Work::ALL.into_iter().for_each(|work| self.prepare(work));
        }
    }

    /// Whether there is one processor alone, and a workload that waits for nothing: it starts before everything that it
    /// does not need. Loading modules takes the kernel long, and some of it cannot be interrupted.
    fn has_a_first(&self) -> bool {
        let config = self.config.get();
        let is_free = |workload: &Workload<'_>| {
            let waits_for_others = !workload.needs.is_empty() || !workload.after.is_empty();
            !waits_for_others && !workload.network.has_resolv && !needs_copy(config, workload, self.around.has_disks)
        };
        processors() == 1 && config.workloads.iter().any(is_free)
    }

    /// The first workload's program is about to run.
    pub(super) fn let_go_soon(&mut self) {
        self.quiet_until = self.quiet_until.and(Some(monotonic_ms() + ENTRY_MS));
    }

    /// Does what waited for the first workload: that one runs, or will not.
    pub(super) fn let_go(&mut self) {
        if self.quiet_until.take().is_none() || self.supervisor.shutting_down().is_some() {
            return;
        }
        self.supervisor.set_max_parallel_starts(processors());
        Work::ALL.into_iter().for_each(|work| self.prepare(work));
        self.follow_links();
        self.start_deferred();
        self.open();
    }

    fn prepare(&mut self, work: Work) {
        let config = self.config.clone();
        let config = config.get();
        if !is_needed(work, self.kind, config) {
            return;
        }
        // Disks need the modules.
        let first = match work {
            Work::Kernel => None,
            Work::Disks => self.around.ready.as_ref(),
        };
        match copy(work, self.kind, config, first, &mut self.console) {
            Ok((pid, ready)) => {
                let copy = &mut self.copies[work as usize];
                *copy = Copy { pid: Some(pid), tries: copy.tries + 1 };
                *self.end_of(work) = Some(ready);
                // Those that wait use no processor, and may not keep others from starting.
                self.supervisor.set_max_parallel_starts(limits::WORKLOADS);
            }
            Err(errno) => {
                self.console
                    .say(format_args!("preparation: {}: no copy of this process; everything waits", words(errno)));
                prepare(work, self.kind, config, &mut self.console);
            }
        }
    }

    fn start_deferred(&mut self) {
        let deferred = core::mem::take(&mut self.deferred);
        deferred.iter().for_each(|index| self.start(index));
    }

    /// What ends with the copy.
    fn end_of(&mut self, work: Work) -> &mut Option<OwnedFd> {
        match work {
            Work::Kernel => &mut self.around.ready,
            Work::Disks => &mut self.around.disks,
        }
    }

    /// Lets the copy that is at the disks finish what it is doing, and no more: a repair that is killed leaves more behind
    /// than it found.
    pub(super) fn finish_disks(&mut self) {
        let Some(pid) = self.copies[Work::Disks as usize].pid else { return };
        let _ = kill_process(pid, Signal::TERM);
        await_end(pid, FINISH_MS, FINISH_STEP_MS);
    }

    /// Takes note of the end of a copy; gives whether it was one.
    pub(super) fn is_prepared(&mut self, pid: Pid, status: WaitStatus) -> bool {
        let Some(work) = Work::ALL.into_iter().find(|work| self.copies[*work as usize].pid == Some(pid)) else {
            return false;
        };
        self.copies[work as usize].pid = None;
        if status.exit_status() != Some(0) && self.copies[work as usize].tries < TRIES {
            // Somebody has killed it, or memory was short. What it has done can be done again.
            self.prepare(work);
            return true;
        }
        *self.end_of(work) = None;
        match work {
            Work::Kernel if !waits_for_modules(self.kind, self.config.get()) => {}
            Work::Kernel => self.timeline.note(Moment::NetworkReady),
            Work::Disks => self.timeline.note(Moment::DisksReady),
        }
        if self.around.ready.is_none() && self.around.disks.is_none() {
            self.supervisor.set_max_parallel_starts(processors());
        }
        if work == Work::Kernel {
            self.start_deferred();
        }
        true
    }

    /// Whether a workload starts when modules are there: PID 1 itself makes the network that it shares with others, and
    /// sets limits for its disks. Or when the first one runs, where it would only wait beside it. Or when the copy has ended
    /// that set up an earlier run, which may wait for a server as long as that is away: copies would pile up.
    pub(super) fn is_deferred(&self, index: usize) -> bool {
        let config = self.config.get();
        let workload = &config.workloads[index];
        let is_quiet = self.quiet_until.is_some();
        let needs = self.around.networks.lacks(config, index) || !workload.resources.io.is_empty();
        self.notes[index].helper.is_some()
            || ((is_quiet || self.around.ready.is_some()) && needs)
            || (is_quiet && (workload.network.has_resolv || needs_copy(config, workload, self.around.has_disks)))
    }
}

fn copy(
    work: Work,
    kind: Kind,
    config: &Config<'_>,
    first: Option<&OwnedFd>,
    console: &mut Console,
) -> Result<(Pid, OwnedFd), Errno> {
    let (ready, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    match hilum_sys::clone(0, None)? {
        Cloned::Child => {
            let own = writer.as_raw_fd().unsigned_abs();
            let first_fd = first.map_or(own, |first| first.as_raw_fd().unsigned_abs());
            let [terminal, kernel_log, file] = console.descriptors();
            // What it keeps open of PID 1 would stay in PID 1's epoll set.
            let _ = hilum_sys::close_all_but(&mut [own, first_fd, terminal, kernel_log, file]);
            // What needs none of it goes first.
            let _ = setpriority_process(None, NICE);
            console.forget();
            if let Some(first) = first {
                wait(first, LONGEST_MS);
            }
            prepare(work, kind, config, console);
            console.show();
            exit(0)
        }
        Cloned::Parent { pid, .. } => Ok((pid, ready)),
    }
}
