//! What some workloads wait for: kernel modules, bridges and rules; and the board's own disks.
//!
//! Two copies of PID 1 do it, because loading modules takes longer than everything else of a boot together, and a disk
//! may not be there yet. Workloads that need none of it start meanwhile; the others wait, each in the copy that sets it
//! up, for the end of a pipe that the first copies hold.

use super::board::{Board, processors};
use super::machine::Kind;
use super::{Console, milliseconds, modules, words};
use crate::{net, storage};
use hilum::config::{Config, Workload, limits};
use hilum::plan::Namespaces;
use hilum_sys::{Cloned, exit, monotonic_ms};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitStatus, setpriority_process};

/// Milliseconds that a slow console has for the copy's lines, and until it is tried again.
const SHOW_MS: u64 = 2_000;
const SHOW_STEP_MS: u64 = 50;
/// How often it is tried.
const TRIES: u8 = 3;
/// How the copy stands behind what starts meanwhile.
const NICE: i32 = 10;

/// What is prepared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// Modules where they were not loaded before, bridges, rules.
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
            let loads = !modules::come_first(&config.system) && modules::has_any(config);
            (is_machine && (loads || uses_own_network(config))) || !config.system.network.bridges.is_empty()
        }
        Work::Disks => is_machine && !config.system.mounts.is_empty() && !modules::disks_come_first(&config.system),
    }
}

fn prepare(work: Work, kind: Kind, config: &Config<'_>, console: &mut Console) {
    if work == Work::Disks {
        return storage::mount_all(config, console);
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

/// Whether anything but PID 1 uses the board's own network.
fn uses_own_network(config: &Config<'_>) -> bool {
    let net = Namespaces::flag("net");
    let shares = |workload: &Workload<'_>| workload.isolation.shared & net != 0 && workload.isolation.net_of.is_none();
    !config.system.network.links.is_empty() || config.workloads.iter().any(shares)
}

impl Board {
    /// Has copies of this process do it.
    pub(super) fn prepare_all(&mut self) {
        let config = self.config.clone();
        net::set_all(config.get(), &mut self.console);
        Work::ALL.into_iter().for_each(|work| self.prepare(work));
    }

    fn prepare(&mut self, work: Work) {
        let config = self.config.clone();
        let config = config.get();
        if !is_needed(work, self.kind, config) {
            return;
        }
        // Disks need the modules.
        let first = self.around.ready.as_ref().filter(|_| work == Work::Disks);
        match copy(work, self.kind, config, first, &mut self.console) {
            Ok((pid, ready)) => {
                let copy = &mut self.copies[work as usize];
                *copy = Copy { pid: Some(pid), tries: copy.tries + 1 };
                *self.end_of(work) = Some(ready);
                // Those that wait use no processor, and may not keep others from starting.
                self.supervisor.limit_set_ups(limits::WORKLOADS);
            }
            Err(errno) => {
                self.console
                    .say(format_args!("preparation: {}: no copy of this process; everything waits", words(errno)));
                prepare(work, self.kind, config, &mut self.console);
            }
        }
    }

    /// What ends with the copy.
    fn end_of(&mut self, work: Work) -> &mut Option<OwnedFd> {
        match work {
            Work::Kernel => &mut self.around.ready,
            Work::Disks => &mut self.around.disks,
        }
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
        if self.around.ready.is_none() && self.around.disks.is_none() {
            self.supervisor.limit_set_ups(processors());
        }
        if work == Work::Kernel {
            let deferred = core::mem::take(&mut self.deferred);
            deferred.iter().for_each(|index| self.start(index));
        }
        true
    }

    /// Whether a workload starts when modules are there: PID 1 itself makes the network that it shares with others, and
    /// sets limits for its disks.
    pub(super) fn is_deferred(&self, index: usize) -> bool {
        let config = self.config.get();
        let needs = self.around.networks.lacks(config, index) || !config.workloads[index].resources.io.is_empty();
        self.around.ready.is_some() && needs
    }
}

/// Writes what the console has not taken yet, while it takes anything.
fn show_all(console: &mut Console) {
    let until = monotonic_ms() + SHOW_MS;
    console.flush();
    while console.has_waiting() && monotonic_ms() < until {
        let fd = console.fd();
        let _ = poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::OUT)], Some(&milliseconds(SHOW_STEP_MS)));
        console.flush();
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
                crate::workload::wait(first);
            }
            prepare(work, kind, config, console);
            show_all(console);
            exit(0)
        }
        Cloned::Parent { pid, .. } => Ok((pid, ready)),
    }
}
