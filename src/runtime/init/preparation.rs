//! What workloads with links, or with a root that takes a mount, wait for: kernel modules, bridges, rules.
//!
//! A copy of PID 1 does it, because loading modules takes longer than everything else of a boot together. Workloads that
//! need none of it start meanwhile; the others wait, each in the copy that sets it up, for the end of a pipe that the
//! first copy holds.

use super::board::{Board, processors};
use super::machine::Kind;
use super::{Console, milliseconds, modules, words};
use crate::net;
use hilum::config::{Config, Workload, limits, needed_modules};
use hilum::plan::Namespaces;
use hilum_sys::{Cloned, exit, monotonic_ms};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitStatus};

/// Milliseconds that a slow console has for the copy's lines, and until it is tried again.
const SHOW_MS: u64 = 2_000;
const SHOW_STEP_MS: u64 = 50;
/// How often it is tried.
const PREPARATIONS: u8 = 3;
/// How the copy stands behind what starts meanwhile.
const NICE: i32 = 10;

/// Loads modules where that was not done before, and makes bridges and rules.
fn prepare(kind: Kind, config: &Config<'_>, console: &mut Console) {
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
    /// Has a copy of this process do it.
    pub(super) fn prepare(&mut self) {
        let config = self.config.clone();
        let config = config.get();
        net::set_all(config, &mut self.console);
        let has_modules = !config.system.modules.is_empty() || needed_modules(config).next().is_some();
        let has_work = has_modules && self.kind == Kind::Machine && !modules::come_first(&config.system);
        let has_work = has_work || (self.kind == Kind::Machine && uses_own_network(config));
        if !has_work && config.system.network.bridges.is_empty() {
            return;
        }
        match copy(self.kind, config, &mut self.console) {
            Ok((pid, ready)) => {
                self.preparations += 1;
                self.preparing = Some(pid);
                self.around.ready = Some(ready);
                // Those that wait use no processor, and may not keep others from starting.
                self.supervisor.limit_set_ups(limits::WORKLOADS);
            }
            Err(errno) => {
                self.console
                    .say(format_args!("preparation: {}: no copy of this process; everything waits", words(errno)));
                prepare(self.kind, config, &mut self.console);
            }
        }
    }

    /// Takes note of the end of that copy; gives whether it was one.
    pub(super) fn is_prepared(&mut self, pid: Pid, status: WaitStatus) -> bool {
        if self.preparing != Some(pid) {
            return false;
        }
        self.preparing = None;
        if status.exit_status() != Some(0) && self.preparations < PREPARATIONS {
            // Somebody has killed it, or memory was short. What it has done can be done again.
            self.prepare();
            return true;
        }
        self.around.ready = None;
        self.supervisor.limit_set_ups(processors());
        let deferred = core::mem::take(&mut self.deferred);
        deferred.iter().for_each(|index| self.start(index));
        true
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

fn copy(kind: Kind, config: &Config<'_>, console: &mut Console) -> Result<(Pid, OwnedFd), Errno> {
    let (ready, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    match hilum_sys::clone(0, None)? {
        Cloned::Child => {
            let mut kept = [writer.as_raw_fd(), console.fd().as_raw_fd()].map(i32::unsigned_abs);
            // What it keeps open of PID 1 would stay in PID 1's epoll set.
            let _ = hilum_sys::close_all_but(&mut kept);
            // What needs none of it goes first.
            let _ = rustix::process::setpriority_process(None, NICE);
            console.forget();
            prepare(kind, config, console);
            show_all(console);
            exit(0)
        }
        Cloned::Parent { pid, .. } => Ok((pid, ready)),
    }
}
