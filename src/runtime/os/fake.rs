//! A fake kernel for tests: the test controls the clock, and processes exist only by name. Pipes, sockets and epoll(7)
//! are real.

use super::helper::Helper;
use core::cell::RefCell;
use core::ffi::CStr;
use hilum::supervise::ExitReason;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::Pid;
use std::collections::{HashMap, VecDeque};

/// Above the PIDs of a real kernel (PID_MAX_LIMIT, include/linux/threads.h).
const FIRST_PID: i32 = 5_000_000;

/// The test's ends of a workload's pipes.
pub(crate) struct FakeProcess {
    pub(crate) name: String,
    pub(crate) output: Option<OwnedFd>,
    pub(crate) report: Option<OwnedFd>,
    pub(crate) signals: Vec<u8>,
}

#[derive(Default)]
struct Kernel {
    now_ms: u64,
    step_ms: u64,
    pids: i32,
    helpers: Vec<(&'static CStr, Pid)>,
    processes: HashMap<Pid, FakeProcess>,
    exits: VecDeque<(Pid, ExitReason)>,
    fails_clone: bool,
}

std::thread_local! {
    static KERNEL: RefCell<Kernel> = RefCell::new(Kernel { now_ms: 1_000, ..Kernel::default() });
}

fn with<T>(work: impl FnOnce(&mut Kernel) -> T) -> T {
    KERNEL.with(|kernel| work(&mut kernel.borrow_mut()))
}

pub(crate) fn monotonic_ms() -> u64 {
    with(|kernel| {
        kernel.now_ms += kernel.step_ms;
        kernel.now_ms
    })
}

pub(crate) fn boottime_us() -> u64 {
    monotonic_ms() * 1_000
}

/// Advances the clock.
pub(crate) fn pass_ms(ms: u64) {
    with(|kernel| kernel.now_ms += ms);
}

/// Advances the clock by this much each time that it is read.
pub(crate) fn pass_ms_at_each_look(ms: u64) {
    with(|kernel| kernel.step_ms = ms);
}

pub(crate) fn reap() -> Option<(Pid, ExitReason)> {
    with(|kernel| kernel.exits.pop_front())
}

fn next_pid(kernel: &mut Kernel) -> Pid {
    kernel.pids += 1;
    Pid::from_raw(FIRST_PID + kernel.pids).expect("above zero")
}

/// Makes every clone fail from now on, or succeed again.
pub(crate) fn fail_clones(fails: bool) {
    with(|kernel| kernel.fails_clone = fails);
}

/// Creates a helper that does nothing.
pub(crate) fn spawn_helper(name: &'static CStr) -> Result<Helper, Errno> {
    let (pidfd, _) = rustix::pipe::pipe()?;
    with(|kernel| {
        if kernel.fails_clone {
            return Err(Errno::AGAIN);
        }
        let pid = next_pid(kernel);
        kernel.helpers.push((name, pid));
        Ok(Helper { pid, pidfd })
    })
}

/// Creates a process for a workload.
pub(crate) fn spawn_process(name: &str, output: OwnedFd, report: OwnedFd) -> Result<Pid, Errno> {
    with(|kernel| {
        if kernel.fails_clone {
            return Err(Errno::AGAIN);
        }
        let pid = next_pid(kernel);
        let process =
            FakeProcess { name: name.to_owned(), output: Some(output), report: Some(report), signals: Vec::new() };
        kernel.processes.insert(pid, process);
        Ok(pid)
    })
}

pub(crate) fn signal(pid: Pid, number: u8) -> Result<(), Errno> {
    with(|kernel| kernel.processes.get_mut(&pid).ok_or(Errno::SRCH).map(|process| process.signals.push(number)))
}

/// Returns the PIDs of running helpers with this name.
pub(crate) fn helpers(name: &CStr) -> Vec<Pid> {
    with(|kernel| kernel.helpers.iter().filter(|(known, _)| *known == name).map(|(_, pid)| *pid).collect())
}

/// Returns the PID of a workload's running process, or `None`.
pub(crate) fn pid_of(name: &str) -> Option<Pid> {
    with(|kernel| kernel.processes.iter().find(|(_, process)| process.name == name).map(|(pid, _)| *pid))
}

/// Gives `work` access to a workload's process.
pub(crate) fn with_process<T>(name: &str, work: impl FnOnce(&mut FakeProcess) -> T) -> T {
    let pid = pid_of(name).unwrap_or_else(|| panic!("workload {name} has no process"));
    with(|kernel| work(kernel.processes.get_mut(&pid).expect("it was found")))
}

/// Makes a process exit; PID 1 must reap it.
pub(crate) fn exit(pid: Pid, end: ExitReason) {
    with(|kernel| {
        kernel.processes.remove(&pid);
        kernel.helpers.retain(|(_, known)| *known != pid);
        kernel.exits.push_back((pid, end));
    });
}
