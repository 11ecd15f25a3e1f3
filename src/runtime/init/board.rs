//! The event loop: it waits, tells the supervisor what happened, and carries out what that decides.
//!
//! One epoll(7) over the signals, the workloads' pipes, the control socket, and the console. Nothing here
//! waits for anything else, and no error ends it. What is done to a workload is in `lifecycle.rs`, what commands ask for
//! in `requests.rs`.

use super::configuration::Configuration;
use super::control::{self, Control};
use super::guard::Guard;
use super::leave;
use super::logs::Logs;
use super::machine::Kind;
use super::note::Note;
use super::reload::Pending;
use super::source::Source;
use super::timeline::{Moment, Timeline};
use super::wait::milliseconds;
use super::{Console, memory, preparation, tell, words};
use crate::net::BoardLinks;
use crate::turn::SIGNALS;
use crate::workload::{Groups, Networks, Process, Surroundings, empty_folder, template_place};
use hilum::config::{WorkloadSet, limits};
use hilum::supervise::{Action, Event, Notice, Supervisor};
use hilum_sys::{Once, SignalSet, Signals, monotonic_ms};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;

/// What is too large for the stack.
#[repr(C)]
struct Tables {
    supervisor: Supervisor,
    notes: [Note; limits::WORKLOADS],
    /// Last, because of most of it nothing is ever written.
    logs: Logs,
}

static TABLES: Once<Tables> = Once::new(Tables {
    supervisor: Supervisor::new(),
    notes: [const { Note::NONE }; limits::WORKLOADS],
    logs: Logs::EMPTY,
});

/// The longest sleep, in milliseconds: a deadline further away is looked at again then.
const SLEEP_MS: u64 = 60_000;
/// Milliseconds until a control group that was busy is tried to be removed again.
const SWEEP_MS: u64 = 50;
/// Milliseconds after which memory that was needed for a moment is given back.
const REST_MS: u64 = 500;

/// Everything that PID 1 keeps while it supervises.
pub(super) struct Board {
    pub(super) kind: Kind,
    pub(super) config: Configuration,
    /// Where it was read from.
    pub(super) config_path: heapless::String<256>,
    /// Another one that is being taken over.
    pub(super) pending: Option<Pending>,
    pub(super) supervisor: &'static mut Supervisor,
    pub(super) logs: &'static mut Logs,
    pub(super) notes: &'static mut [Note; limits::WORKLOADS],
    pub(super) processes: [Option<Process>; limits::WORKLOADS],
    pub(super) around: Surroundings,
    pub(super) console: Console,
    pub(super) control: Control,
    pub(super) timeline: Timeline,
    pub(super) guard: Guard,
    links: BoardLinks,
    /// Workloads that start when something else is done ([`Self::is_deferred`]).
    pub(super) deferred: WorkloadSet,
    /// The copies of this process that prepare what some workloads wait for.
    pub(super) copies: [preparation::Copy; preparation::Work::ALL.len()],
    /// Until this millisecond everything waits that the first workload does not need, on the board's only processor; none
    /// once that one runs.
    pub(super) quiet_until: Option<u64>,
    pub(super) epoll: OwnedFd,
    /// The millisecond of this turn of the loop: a clock that is read costs a system call.
    pub(super) now: u64,
    /// When memory is given back that a start, a command or the like has needed; none if there was none.
    rests_at: Option<u64>,
    signals: Signals,
    /// When this process was entered; none once the first workload's time was told.
    pub(super) entered_us: Option<u64>,
    /// Whether every workload has started once, and what comes after that was done.
    settled: bool,
    /// Whether it is to panic when the workloads were started, to see what follows.
    pub(super) panics_once: bool,
    /// A descriptor of the console, the one that the epoll set holds: only while lines wait for it.
    pub(super) watched_console: Option<OwnedFd>,
    /// Whether the epoll set holds the control socket.
    pub(super) waits_for_control: bool,
    /// Whether something has had its share of this turn and goes on in the next one (`turn.rs`).
    pub(super) comes_back: bool,
    /// Whether processes may have ended that are not reaped: done once a turn.
    pub(super) has_ends: bool,
}

/// Processors that this process may run on.
pub(super) fn processors() -> usize {
    rustix::thread::sched_getaffinity(None).map_or(1, |set| set.count() as usize).max(1)
}

impl Board {
    /// Makes what the loop waits on.
    ///
    /// # Errors
    /// The kernel's, with the console, so that it can be told.
    #[expect(clippy::result_large_err, reason = "it happens once, and there is no heap to put the console on")]
    pub(super) fn new(
        kind: Kind,
        config: Configuration,
        config_path: &str,
        mut console: Console,
        guard: Guard,
        timeline: Timeline,
    ) -> Result<Self, (Console, Errno)> {
        let groups = match kind {
            Kind::Machine => Groups::prepare(config.get(), &mut console),
            Kind::Container => Groups::none(),
        };
        let around = Surroundings {
            groups,
            networks: Networks::none(),
            template: template_place(kind),
            landlock_abi: hilum_sys::landlock_abi(),
            ready: None,
            disks: None,
            has_disks: kind == Kind::Machine,
        };
        let Some(Tables { supervisor, notes, logs }) = TABLES.take() else { return Err((console, Errno::BUSY)) };
        let (entered_us, now) = (timeline.entered_us(), monotonic_ms());
        let waits = epoll::create(epoll::CreateFlags::CLOEXEC).and_then(|epoll| {
            let signals = Signals::open(SignalSet::ALL)?;
            epoll::add(&epoll, signals.fd(), Source::Signals.data(), EventFlags::IN)?;
            Ok((epoll, signals))
        });
        match waits {
            Ok((epoll, signals)) => Ok(Self {
                kind,
                config,
                // It fits: no path is longer than that.
                config_path: heapless::String::try_from(config_path).unwrap_or_default(),
                pending: None,
                supervisor,
                logs,
                notes,
                processes: [const { None }; limits::WORKLOADS],
                around,
                console,
                control: Control::closed(),
                entered_us,
                timeline,
                guard,
                links: BoardLinks::none(),
                copies: [preparation::Copy::NONE; _],
                quiet_until: None,
                deferred: WorkloadSet::EMPTY,
                epoll,
                now,
                rests_at: Some(now + REST_MS),
                signals,
                settled: false,
                panics_once: false,
                watched_console: None,
                waits_for_control: false,
                comes_back: false,
                has_ends: false,
            }),
            Err(errno) => Err((console, errno)),
        }
    }

    /// Starts the workloads and supervises them until the board goes down.
    ///
    /// Only the wait itself is done from here: what a turn does may need much of the stack, and has given it back then.
    pub(super) fn supervise(&mut self) -> ! {
        self.begin();
        loop {
            let mut events = [epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; 16];
            let rests = self.rests_at.take_if(|at| *at <= self.now).is_some();
            let sleep_ms = self.sleep_ms();
            if rests {
                hilum_sys::release_memory();
            }
            // An interrupted or failed wait is a turn without events: the next turn looks at everything again.
            let count = epoll::wait(&self.epoll, &mut events, Some(&milliseconds(sleep_ms))).unwrap_or(0);
            self.now = monotonic_ms();
            events[..count].iter().for_each(|event| self.dispatch(Source::from(event.data)));
            self.turn();
        }
    }

    /// What comes before the first wait.
    #[inline(never)]
    fn begin(&mut self) {
        self.supervisor.set_max_parallel_starts(processors());
        self.supervisor.seed(hilum_sys::boottime_us() as u32);
        self.timeline.note(Moment::Arranged);
        self.prepare_all();
        if self.quiet_until.is_none() {
            // It makes the file of name servers that workloads with `resolv` have.
            self.follow_links();
        }
        self.supervisor.begin(self.config.get(), self.guard.is_safe, self.now);
        self.carry_out();
        if self.quiet_until.is_none() {
            self.open();
            self.console.flush();
        }
        assert!(!self.panics_once, "asked for by hilum.panic on the kernel command line");
    }

    /// What a turn of the loop does beside its events.
    #[inline(never)]
    fn turn(&mut self) {
        let now = self.now;
        if self.quiet_until.is_some_and(|until| until <= now) {
            self.let_go();
        }
        self.go_on();
        self.supervisor.tick(self.config.get(), now);
        self.carry_out();
        self.settle();
        self.finish_reload();
        if self.around.groups.has_leftover() {
            self.around.groups.sweep(&self.config.get().workloads, 0);
        }
        if self.logs.turn(&self.config.get().workloads, now, &mut self.console) {
            self.rests_at.get_or_insert(now);
        }
        self.serve();
        self.links.turn(self.config.get(), now, &mut self.console, |socket, place| {
            // A client that cannot be heard is as good as none: its lease is not set, and that is told.
            let source = Source::Dhcp(place);
            let _ = epoll::add(&self.epoll, socket, source.data(), source.interest());
        });
        self.guard.turn(self.config.get(), self.supervisor, &mut self.console, now);
        if self.supervisor.shutting_down().is_none() {
            self.console.keep_prompt(control::path(self.config.get(), self.kind), now);
        }
        if self.quiet_until.is_none() {
            self.console.flush();
        }
    }

    /// Hears of the board's links from now on.
    pub(super) fn follow_links(&mut self) {
        self.links = BoardLinks::follow(self.kind, self.config.get(), empty_folder(self.kind), &mut self.console);
    }

    /// Opens the board: to commands, and to the links of the network. No workload waits for it.
    pub(super) fn open(&mut self) {
        if let Err(errno) = self.control.open(control::path(self.config.get(), self.kind)) {
            self.console.say(format_args!("control socket: {}; commands reach nobody", words(errno)));
        }
        if let Some(socket) = self.links.socket() {
            let _ = self.watch(socket, Source::Links);
            self.links.look(self.config.get(), &mut self.console);
        }
    }

    /// How long the next wait may take.
    #[inline(never)]
    fn sleep_ms(&mut self) -> u64 {
        self.watch_console();
        self.watch_control(self.now);
        if self.comes_back || self.has_ends {
            return 0;
        }
        let longest_ms = if self.around.groups.has_leftover() { SWEEP_MS } else { SLEEP_MS };
        let at = [
            self.supervisor.deadline(),
            self.guard.deadline(self.config.get()),
            self.control.resumes_at(),
            self.console.resumes_at(),
            self.logs.deadline(),
            self.links.deadline(),
            self.quiet_until,
        ];
        // The turn may have taken long. When it rests may be later by that: a clock that is read costs a system call.
        let left = |at: u64| at.saturating_sub(monotonic_ms()).min(longest_ms);
        let sleep_ms = at.into_iter().flatten().min().map_or(longest_ms, left);
        self.rests_at.map_or(sleep_ms, |at| at.saturating_sub(self.now).min(sleep_ms))
    }

    #[inline(never)]
    fn dispatch(&mut self, source: Source) {
        if !source.is_light() {
            self.rests_at.get_or_insert(self.now + REST_MS);
        }
        match source {
            Source::Signals => self.read_signals(),
            Source::Console => self.console.flush(),
            Source::Output(index) => {
                self.read_output(index);
            }
            Source::Report(index) => self.read_report(index),
            Source::Ready(index) => self.read_ready(index),
            Source::Notify(index) => self.read_notify(index),
            Source::Dhcp(place) => {
                if self.links.read_client(self.config.get(), place, &mut self.console)
                    && let Some(socket) = self.links.client(place)
                {
                    self.rearm(socket, source);
                }
            }
            Source::Links => self.links.read(self.config.get(), &mut self.console),
            Source::Control => self.accept(),
            Source::Client(place) => self.read_client(place),
        }
        self.carry_out();
    }

    fn read_signals(&mut self) {
        for _ in 0..SIGNALS {
            let Some(caught) = self.signals.next() else { return };
            match leave::asked(caught) {
                Some(down) if leave::may_ask(caught) => {
                    self.supervisor.shut_down(self.config.get(), down, self.now);
                }
                Some(down) => self.console.say(format_args!(
                    "{down}: asked for by a signal of process {}, which may not; write: hilum {}",
                    caught.sender,
                    down.command()
                )),
                None => self.has_ends = true,
            }
        }
    }

    /// Tells the supervisor that something happened to a workload.
    pub(super) fn tell(&mut self, index: usize, event: Event) {
        self.supervisor.handle_event(self.config.get(), index, event, self.now);
    }

    /// Does everything that the supervisor has decided.
    pub(super) fn carry_out(&mut self) {
        while let Some(action) = self.supervisor.next_action() {
            match action {
                Action::Start(index) => self.start(index),
                Action::Signal(index) => self.stop(index),
                Action::Kill(index) => self.kill(index),
                Action::Check(index) => self.check(index),
                Action::Shutdown(down) => {
                    // A board whose workloads are all over in one turn of the loop never settled.
                    if !self.settled {
                        self.tell_memory();
                    }
                    self.guard.going_down(self.config.get(), !self.supervisor.is_escalated());
                    self.finish_disks();
                    leave::leave(self.kind, down, &self.config.get().system.mounts, &mut self.console)
                }
                Action::Report(notice) => {
                    if let Notice::ShutDown(..) = notice {
                        // Its end hangs the terminal up, which is better now than in the middle of the last lines.
                        self.console.end_prompt();
                    }
                    if let Notice::Ready(index) = notice {
                        self.timeline.note(Moment::Ready(index as u8));
                    }
                    tell::notice(&mut self.console, self.config.get(), notice);
                }
            }
        }
    }

    /// Once every workload has started: what could wait until then.
    fn settle(&mut self) {
        let is_going_down = self.supervisor.shutting_down().is_some();
        if self.settled || is_going_down || !self.supervisor.is_boot_complete(self.config.get()) {
            return;
        }
        self.settled = true;
        self.around.groups.control_devices(&self.config.get().workloads);
        if let Err(errno) = self.around.groups.settle() {
            self.console.say(format_args!("control groups: own group: {}", words(errno)));
        }
        // What it keeps, and not what the starts needed.
        hilum_sys::release_memory();
        self.tell_memory();
        self.console.start_prompt(control::path(self.config.get(), self.kind));
    }

    fn tell_memory(&mut self) {
        let workloads = self.config.get().workloads.len();
        if let Some(memory) = memory::own() {
            let (resident, anonymous) = (memory.resident_kb, memory.anonymous_kb);
            self.console.tell(format_args!(
                "memory of pid 1: VmRSS {resident} kB, RssAnon {anonymous} kB, {workloads} workload{}",
                super::console::plural(workloads)
            ));
        }
    }
}
