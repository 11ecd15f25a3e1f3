//! The event loop: it waits, tells the supervisor what happened, and carries out what that decides.
//!
//! One epoll(7) over the signals, the workloads' processes and pipes, and the console. Nothing here waits for anything
//! else, and no error ends it.

use super::console::plural;
use super::leave::{self, milliseconds};
use super::machine::Kind;
use super::source::Source;
use super::{Console, memory, tell, words};
use crate::workload::{Failure, Groups, Networks, Outcome, Process, Report, Surroundings, spawn, template_place};
use hilum::config::{Config, limits::WORKLOADS};
use hilum::log::LineBuffer;
use hilum::supervise::{Action, End, State, Supervisor};
use hilum_sys::{Once, SignalSet, Signals, monotonic_ms};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus};

static SUPERVISOR: Once<Supervisor> = Once::new(Supervisor::new());
static LINES: Once<[LineBuffer; WORKLOADS]> = Once::new([const { LineBuffer::EMPTY }; WORKLOADS]);

/// What a start counts as that failed before there was a process: the status of a failed set-up.
const STATUS_SETUP: u8 = 125;
/// Bytes read from a workload before the others get their turn.
const READ_BYTES: usize = 4096;
/// The longest sleep, in milliseconds: a deadline further away is looked at again then.
const SLEEP_MS: u64 = 60_000;
/// Milliseconds until a control group that was busy is tried to be removed again.
const SWEEP_MS: u64 = 50;

/// Everything that PID 1 keeps while it supervises.
pub(super) struct Board {
    kind: Kind,
    config: &'static Config<'static>,
    supervisor: &'static mut Supervisor,
    lines: &'static mut [LineBuffer; WORKLOADS],
    processes: [Option<Process>; WORKLOADS],
    around: Surroundings,
    console: Console,
    epoll: OwnedFd,
    signals: Signals,
    /// When this process was entered; none once the first workload's time was told.
    entered_us: Option<u64>,
    /// Whether every workload has started once, and what comes after that was done.
    settled: bool,
    /// Whether the epoll set holds the console: only while lines wait for it.
    waits_for_console: bool,
}

/// Processors that this process may run on.
fn processors() -> usize {
    rustix::thread::sched_getaffinity(None).map_or(1, |set| set.count() as usize).max(1)
}

impl Board {
    /// Makes what the loop waits on.
    ///
    /// # Errors
    /// The kernel's, with the console, so that it can be told.
    pub(super) fn new(
        kind: Kind,
        config: &'static Config<'static>,
        mut console: Console,
        entered_us: u64,
    ) -> Result<Self, (Console, Errno)> {
        let groups = match kind {
            Kind::Machine => Groups::prepare(config, &mut console),
            Kind::Container => Groups::none(),
        };
        let around = Surroundings { groups, networks: Networks::none(), template: template_place(kind) };
        let (Some(supervisor), Some(lines)) = (SUPERVISOR.take(), LINES.take()) else {
            return Err((console, Errno::BUSY));
        };
        let waits = epoll::create(epoll::CreateFlags::CLOEXEC).and_then(|epoll| {
            let signals = Signals::open(SignalSet::ALL)?;
            epoll::add(&epoll, signals.fd(), Source::Signals.data(), EventFlags::IN)?;
            Ok((epoll, signals))
        });
        match waits {
            Ok((epoll, signals)) => Ok(Self {
                kind,
                config,
                supervisor,
                lines,
                processes: [const { None }; WORKLOADS],
                around,
                console,
                epoll,
                signals,
                entered_us: Some(entered_us),
                settled: false,
                waits_for_console: false,
            }),
            Err(errno) => Err((console, errno)),
        }
    }

    /// Starts the workloads and supervises them until the board goes down.
    pub(super) fn supervise(&mut self, panic_once: bool) -> ! {
        self.supervisor.limit_set_ups(processors());
        self.supervisor.begin(self.config, monotonic_ms());
        self.carry_out();
        self.console.flush();
        assert!(!panic_once, "asked for by hilum.panic on the kernel command line");
        loop {
            self.wait_and_dispatch();
            self.supervisor.tick(self.config, monotonic_ms());
            self.carry_out();
            self.settle();
            if self.around.groups.has_leftover() {
                self.around.groups.sweep(&self.config.workloads, 0);
            }
            self.console.flush();
        }
    }

    fn wait_and_dispatch(&mut self) {
        if self.console.has_waiting() != self.waits_for_console {
            self.watch_console();
        }
        let now = monotonic_ms();
        let longest_ms = if self.around.groups.has_leftover() { SWEEP_MS } else { SLEEP_MS };
        let sleep_ms = self.supervisor.deadline().map_or(longest_ms, |at| at.saturating_sub(now).min(longest_ms));
        let mut events = [epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; 16];
        // An interrupted or failed wait is a turn without events: the next turn looks at everything again.
        let count = epoll::wait(&self.epoll, &mut events, Some(&milliseconds(sleep_ms))).unwrap_or(0);
        for event in &events[..count] {
            match Source::from(event.data) {
                Source::Signals => self.read_signals(),
                Source::Console => self.console.flush(),
                Source::Process => self.reap(),
                Source::Output(index) => {
                    self.read_output(index);
                }
                Source::Report(index) => self.read_report(index),
            }
            self.carry_out();
        }
    }

    /// Waits for the console while lines wait for it, and only then: a terminal that is ready would never let the loop
    /// sleep.
    fn watch_console(&mut self) {
        let wanted = self.console.has_waiting();
        let changed = match wanted {
            true => epoll::add(&self.epoll, self.console.fd(), Source::Console.data(), EventFlags::OUT),
            false => epoll::delete(&self.epoll, self.console.fd()),
        };
        // What cannot be waited for (a plain file) is never slow either.
        self.waits_for_console = wanted && changed.is_ok();
    }

    fn read_signals(&mut self) {
        while let Some(caught) = self.signals.next() {
            match leave::asked(caught) {
                Some(down) => self.supervisor.shut_down(self.config, down, monotonic_ms()),
                None => self.reap(),
            }
        }
    }

    /// Takes every process that ended, workloads and orphans alike, until there is none left.
    ///
    /// There is one place that reaps, so nobody can steal a status; and until it reaps a pid, that pid is nobody
    /// else's. SIGCHLD coalesces, so one signal may stand for any number of ends.
    fn reap(&mut self) {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => self.ended(pid, status),
                Err(Errno::INTR) => {}
                _ => return,
            }
        }
    }

    fn ended(&mut self, pid: Pid, status: WaitStatus) {
        let is_its = |process: &Option<Process>| process.as_ref().is_some_and(|process| process.pid == pid);
        let Some(index) = self.processes.iter().position(is_its) else { return };
        // What it wrote and reported before it ended comes first.
        self.read_report(index);
        self.drain_output(index);
        let name = self.config.workloads[index].name;
        self.lines[index].finish(|line| self.console.workload_line(name, line));
        // Dropping the descriptors takes them out of the epoll set: nobody else holds them.
        let set_up = self.processes[index].take().is_some_and(|process| !process.has_failed);
        let end = match status.terminating_signal() {
            Some(signal) => End::Signal(signal as u8),
            None => End::Exit(status.exit_status().unwrap_or(0) as u8),
        };
        match end {
            End::Exit(code) if set_up => {
                self.console.tell(format_args!("workload \"{name}\": exited with status {code}"));
            }
            End::Signal(signal) => {
                let workload = &self.config.workloads[index];
                let out_of_memory = self.around.groups.out_of_memory(workload, index);
                tell::killed(&mut self.console, name, signal, out_of_memory);
            }
            _ => {}
        }
        self.around.groups.remove(&self.config.workloads[index], index);
        self.supervisor.ended(self.config, index, end, monotonic_ms());
    }

    /// Reads one helping of what a workload wrote; gives whether there was any.
    fn read_output(&mut self, index: usize) -> bool {
        let Some(process) = &self.processes[index] else { return false };
        let mut bytes = [0; READ_BYTES];
        let name = self.config.workloads[index].name;
        match rustix::io::read(&process.output, &mut bytes) {
            Ok(0) => {
                // Every writer is gone, the process perhaps not: there is nothing to wait for here any more.
                let _ = epoll::delete(&self.epoll, &process.output);
                false
            }
            Ok(count) => {
                self.lines[index].feed(&bytes[..count], |line| self.console.workload_line(name, line));
                true
            }
            Err(errno) => errno == Errno::INTR,
        }
    }

    /// Reads what is left in the pipe of a process that ended. A pipe's size bounds it, unless something still writes.
    fn drain_output(&mut self, index: usize) {
        /// The pipe's 64 KiB, and once more for what comes while they are read.
        const HELPINGS: usize = 2 * 65_536 / READ_BYTES;
        for _ in 0..HELPINGS {
            if !self.read_output(index) {
                return;
            }
        }
    }

    /// Hears whether the set-up of a workload got to its program.
    fn read_report(&mut self, index: usize) {
        let Some(process) = &mut self.processes[index] else { return };
        match process.outcome() {
            Outcome::Pending => {}
            Outcome::Executed => {
                let (pid, executed_us) = (process.pid, process.executed_us);
                self.tell_started(index, pid, executed_us);
                self.supervisor.executed(self.config, index, monotonic_ms());
            }
            Outcome::Failed(report) => {
                tell::failed_step(&mut self.console, &self.config.workloads[index], report);
            }
        }
    }

    /// Does everything that the supervisor has decided.
    fn carry_out(&mut self) {
        let workloads = &self.config.workloads;
        while let Some(action) = self.supervisor.next_action() {
            match action {
                Action::Start(index) => self.start(index),
                Action::Signal(index) => self.signal(index, workloads[index].stop.signal.0),
                Action::Kill(index) => self.kill(index),
                Action::Leave(down) => {
                    // A board whose workloads are all over in one turn of the loop never settled.
                    if !self.settled {
                        self.tell_memory();
                    }
                    leave::leave(self.kind, down, &mut self.console)
                }
                told => tell::action(&mut self.console, self.config, told),
            }
        }
    }

    fn start(&mut self, index: usize) {
        let is_timed = self.entered_us.is_some();
        let result = spawn(self.config, index, &mut self.around, is_timed).and_then(|process| {
            self.watch(process.output.as_fd(), Source::Output(index))?;
            if let Some(report) = &process.report {
                self.watch(report.as_fd(), Source::Report(index))?;
            }
            // SIGCHLD tells of its end as well; the descriptor does so even if a signal is lost.
            self.watch(process.pidfd.as_fd(), Source::Process)?;
            Ok(process)
        });
        let workload = &self.config.workloads[index];
        match result {
            Ok(process) => self.processes[index] = Some(process),
            Err(Failure { step: Some(step), errno, .. }) => {
                // What a line asks for and the kernel cannot will not be otherwise in a second: it is a failed start.
                tell::failed_step(&mut self.console, workload, Report { step, errno: words(errno) });
                self.around.groups.remove(workload, index);
                self.supervisor.ended(self.config, index, End::Exit(STATUS_SETUP), monotonic_ms());
            }
            Err(Failure { step: None, errno, hint }) => {
                let (before, hint) = hint.map_or(("", ""), |hint| (": ", hint));
                self.console.tell(format_args!(
                    "workload \"{}\": start: {}{before}{hint}",
                    workload.name,
                    words(errno)
                ));
                self.supervisor.ended(self.config, index, End::NoProcess, monotonic_ms());
            }
        }
    }

    fn watch(&self, fd: BorrowedFd<'_>, source: Source) -> Result<(), Errno> {
        epoll::add(&self.epoll, fd, source.data(), EventFlags::IN)
    }

    fn signal(&mut self, index: usize, signal: u8) {
        let Some(process) = &self.processes[index] else { return };
        if let Err(errno) = process.signal(signal) {
            // It ended already: its end is about to be read.
            self.console.tell(format_args!(
                "workload \"{}\": signal: {}",
                self.config.workloads[index].name,
                words(errno)
            ));
        }
    }

    fn kill(&mut self, index: usize) {
        const KILL: u8 = 9;
        let workload = &self.config.workloads[index];
        self.console.tell(format_args!("workload \"{}\": stop: not done in time, killing it", workload.name));
        // Without cgroup.kill (before kernel 5.14, in a container) its first process takes the others with it: they
        // share a PID namespace.
        if self.around.groups.kill(workload).is_err() {
            self.signal(index, KILL);
        }
    }

    fn tell_started(&mut self, index: usize, pid: Pid, executed_us: Option<u64>) {
        let name = self.config.workloads[index].name;
        self.console.tell(format_args!("workload \"{name}\": started, pid {}", pid.as_raw_nonzero()));
        if let (Some(entered_us), Some(executed_us)) = (self.entered_us, executed_us) {
            self.entered_us = None;
            let passed_us = executed_us.saturating_sub(entered_us);
            self.console.tell(format_args!("first workload after {passed_us} us"));
        }
    }

    /// Once every workload has started: what could wait until then.
    fn settle(&mut self) {
        let workloads = self.config.workloads.len();
        let settled = |index| !matches!(self.supervisor.state(index), State::Waiting | State::Starting);
        if self.settled || !(0..workloads).all(settled) {
            return;
        }
        self.settled = true;
        self.around.groups.control_devices(&self.config.workloads);
        if let Err(errno) = self.around.groups.settle() {
            self.console.say(format_args!("control groups: own group: {}", words(errno)));
        }
        self.tell_memory();
    }

    fn tell_memory(&mut self) {
        let workloads = self.config.workloads.len();
        if let Some(memory) = memory::own() {
            let (resident, anonymous) = (memory.resident_kb, memory.anonymous_kb);
            self.console.tell(format_args!(
                "memory of pid 1: VmRSS {resident} kB, RssAnon {anonymous} kB, {workloads} workload{}",
                plural(workloads)
            ));
        }
    }
}
