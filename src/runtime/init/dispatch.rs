//! The event loop: it waits, hands each event to the service that it belongs to, and gives each service its turn.
//!
//! A service owns its state and has the same few methods: `handle` for an event of one of its descriptors, `tick` once a turn,
//! `deadline` for when that has something to do, `exited` where it has processes, and `register` or the like where what it waits
//! on changes. A new source of events is a file of its own, a token, and a line in each list here.

use super::boot_count::BootCount;
use super::boot_tasks::BootTasks;
use super::context::Context;
use super::control::Control;
use super::devices::{self, Devices};
use super::disks::Disks;
use super::event_lines;
use super::event_loop::EVENTS;
use super::log_file::LogFile;
use super::prompt::{self, Prompt};
use super::reload::Reload;
use super::requests::Requests;
use super::shutdown;
use super::timeline::Moment;
use super::token::Token;
use super::uevents::Uevents;
use super::watchdog::Watchdog;
use super::workloads::Workloads;
use crate::net::HostLinks;
use crate::os::children::reap;
use crate::os::clock::{boottime_us, monotonic_ms};
use crate::os::errno::describe;
use crate::os::memory;
use crate::os::turn::{ENDS, SIGNALS};
use crate::workload::empty_folder;
use rustix::event::epoll::{Event, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;

/// The longest sleep, in milliseconds: a deadline further away is looked at again then.
const MAX_SLEEP_MS: u64 = 60_000;
/// Milliseconds until a control group that was busy is removed again.
const CGROUPS_MS: u64 = 50;
/// Milliseconds after which memory that was needed for a moment is given back.
const MEMORY_TRIM_MS: u64 = 500;

/// What the boot has made.
pub(super) struct Parts {
    pub(super) cx: Context,
    pub(super) workloads: Workloads,
    pub(super) reload: Reload,
    pub(super) watchdog: Watchdog,
    pub(super) boots: BootCount,
    pub(super) log_file: LogFile,
}

/// PID 1: its services, and what is left of its own.
pub(super) struct Init {
    pub(super) cx: Context,
    pub(super) workloads: Workloads,
    reload: Reload,
    watchdog: Watchdog,
    boots: BootCount,
    log_file: LogFile,
    control: Control,
    links: HostLinks,
    uevents: Uevents,
    devices: Devices,
    boot_tasks: BootTasks,
    disks: Disks,
    prompt: Prompt,
    /// A descriptor of the console, the one that the epoll set holds: only while lines wait for it.
    watched_console: Option<OwnedFd>,
    /// When memory is given back that a start, a command or the like has needed; `None` if there was none.
    pub(super) trim_memory_at: Option<u64>,
    /// Whether processes may have exited that are not reaped: done once a turn.
    pub(super) has_exits: bool,
    /// Whether every workload has started once, and what comes after that was done.
    is_boot_complete: bool,
    /// Whether to panic when the workloads were started, to see what follows.
    panics_once: bool,
}

impl Init {
    pub(super) fn new(parts: Parts, prompt: prompt::Run, panics_once: bool) -> Self {
        let Parts { cx, workloads, reload, watchdog, boots, log_file } = parts;
        Self {
            trim_memory_at: Some(cx.now() + MEMORY_TRIM_MS),
            cx,
            workloads,
            reload,
            watchdog,
            boots,
            log_file,
            control: Control::closed(),
            links: HostLinks::none(),
            uevents: Uevents::none(),
            devices: Devices::new(),
            boot_tasks: BootTasks::new(),
            disks: Disks::none(),
            prompt: Prompt::new(prompt),
            watched_console: None,
            has_exits: false,
            is_boot_complete: false,
            panics_once,
        }
    }

    /// Starts the workloads and supervises them until the board goes down.
    ///
    /// Only the wait itself is done from here: what a turn does may need much of the stack, and has given it back then.
    pub(super) fn supervise(&mut self) -> ! {
        self.begin();
        loop {
            let trims = self.trim_memory_at.take_if(|at| *at <= self.cx.now()).is_some();
            let sleep_ms = self.sleep_ms();
            if trims {
                memory::release_memory();
            }
            self.turn_once(sleep_ms);
        }
    }

    /// Waits for events for at most `sleep_ms` milliseconds, and handles them.
    #[inline(always)]
    pub(super) fn turn_once(&mut self, sleep_ms: u64) {
        let mut events = [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; EVENTS];
        let count = self.cx.events.wait(sleep_ms, &mut events);
        events[..count].iter().for_each(|event| self.dispatch(Token::from(event.data)));
        self.turn();
    }

    /// What comes before the first wait.
    #[inline(never)]
    pub(super) fn begin(&mut self) {
        let Self { cx, workloads, .. } = self;
        workloads.supervisor.seed(boottime_us() as u32);
        cx.timeline.note(Moment::Arranged);
        // Before the disks are looked at, so that none that comes or goes is missed.
        devices::listen(cx, &mut self.uevents);
        self.disks.begin(cx, workloads);
        self.boot_tasks.begin(cx, workloads);
        let is_deferring = cx.is_deferring();
        if !is_deferring {
            // It makes the file of name servers that workloads with `resolv` have.
            self.links = follow_links(cx);
        }
        workloads.supervisor.begin(cx.config.get(), self.boots.is_safe(), cx.now());
        workloads.carry_out(cx);
        self.follow_shutdown();
        if !is_deferring {
            self.open();
            self.cx.console.flush();
        }
        assert!(!self.panics_once, "asked for by hilum.panic on the kernel command line");
    }

    /// Hands an event to the service that it belongs to.
    #[inline(never)]
    fn dispatch(&mut self, token: Token) {
        let Self { cx, workloads, .. } = self;
        if !token.is_light() {
            self.trim_memory_at.get_or_insert(cx.now() + MEMORY_TRIM_MS);
        }
        match token {
            Token::Signals => self.read_signals(),
            Token::Console => cx.console.flush(),
            Token::Output(_) | Token::Report(_) | Token::Ready(_) | Token::Notify(_) => workloads.handle(cx, token),
            Token::Dhcp(place) => {
                if self.links.read_client(cx.config.get(), place, &mut cx.console)
                    && let Some(socket) = self.links.client(place)
                {
                    cx.events.rearm(socket, token);
                }
            }
            Token::Links => self.links.read(cx.config.get(), &mut cx.console),
            Token::Uevents => self.uevents.read(|heard| {
                self.devices.heard(cx.now(), heard);
                self.disks.heard(heard);
                workloads.heard(cx, heard);
            }),
            Token::MountTable => self.disks.table_changed(),
            Token::Control | Token::Client(_) => {
                let (reload, boots, links) = (&mut self.reload, &self.boots, &self.links);
                self.control.handle(token, &mut Requests { cx, workloads, reload, boots, links });
            }
        }
        self.workloads.carry_out(&mut self.cx);
        self.follow_shutdown();
    }

    /// Gives each service its turn.
    #[inline(never)]
    fn turn(&mut self) {
        self.cx.events.begin_share();
        if core::mem::take(&mut self.has_exits) {
            self.reap();
        }
        let now = self.cx.now();
        self.workloads.read_on(&mut self.cx);
        if self.cx.deferred_until().is_some_and(|until| until <= now) {
            self.end_deferral();
        }
        let Self { cx, workloads, .. } = self;
        if workloads.supervisor.shutting_down().is_none() {
            self.disks.tick(cx, workloads);
        }
        workloads.supervisor.tick(cx.config.get(), now);
        workloads.carry_out(cx);
        self.complete_boot();
        let Self { cx, workloads, .. } = self;
        if let Some(adopted) = self.reload.tick(cx, workloads) {
            self.control.adopt(adopted.old.get(), cx.config.get(), adopted.kept);
            devices::listen(cx, &mut self.uevents);
        }
        workloads.sweep_cgroups(cx);
        if workloads.logs.turn(cx.config.get(), now, &mut cx.console) {
            self.trim_memory_at.get_or_insert(now);
        }
        let (reload, boots, links) = (&mut self.reload, &self.boots, &self.links);
        self.control.tick(&mut Requests { cx, workloads, reload, boots, links });
        self.devices.tick(cx, workloads);
        self.links.turn(cx.config.get(), now, &mut cx.console, |socket, place| {
            // A client that cannot be heard is as good as none: its lease is not set, and that is printed.
            let _ = cx.events.watch(socket, Token::Dhcp(place));
        });
        self.watchdog.tick(cx.config.get(), workloads.supervisor, now, &mut cx.console);
        self.boots.tick(cx.config.get(), workloads.supervisor, now);
        if workloads.supervisor.shutting_down().is_none() {
            self.prompt.tick(cx);
        }
        if !cx.is_deferring() {
            cx.console.flush();
        }
        self.follow_shutdown();
    }

    /// Returns how long the next wait may take, after each service has registered what it waits on.
    #[inline(never)]
    pub(super) fn sleep_ms(&mut self) -> u64 {
        self.watch_console();
        let Self { cx, workloads, .. } = self;
        self.control.register(cx);
        if cx.events.is_unfinished() || self.has_exits {
            return 0;
        }
        let longest_ms = if workloads.has_busy_cgroups() { CGROUPS_MS } else { MAX_SLEEP_MS };
        let at = [
            workloads.supervisor.deadline(),
            workloads.logs.deadline(),
            self.watchdog.deadline(),
            self.boots.deadline(cx.config.get()),
            self.control.deadline(),
            self.links.deadline(),
            self.devices.deadline(),
            self.disks.deadline(cx),
            self.prompt.deadline(),
            cx.deferred_until(),
        ];
        // The turn may have taken long. The memory trim may be late by that: a clock that is read costs a system call.
        let left = |at: u64| at.saturating_sub(monotonic_ms()).min(longest_ms);
        let sleep_ms = at.into_iter().flatten().min().map_or(longest_ms, left);
        self.trim_memory_at.map_or(sleep_ms, |at| at.saturating_sub(cx.now()).min(sleep_ms))
    }

    /// Opens PID 1 to commands and to the links of the network. No workload waits for it.
    fn open(&mut self) {
        let Self { cx, .. } = self;
        if let Err(errno) = self.control.open(cx) {
            cx.console.error(format_args!("control socket: {}; hilum commands will not work", describe(errno)));
        }
        if let Some(socket) = self.links.socket() {
            let _ = cx.events.watch(socket, Token::Links);
            self.links.look(cx.config.get(), &mut cx.console);
        }
    }

    /// Does what waited for the first workload.
    fn end_deferral(&mut self) {
        let Self { cx, workloads, .. } = self;
        if !cx.take_deferral() || workloads.supervisor.shutting_down().is_some() {
            return;
        }
        self.boot_tasks.begin_deferred(cx, workloads);
        self.links = follow_links(cx);
        workloads.start_deferred(cx);
        self.open();
    }

    /// Waits for the console while lines wait for it, and only then: a terminal that is ready would never let the loop
    /// sleep.
    fn watch_console(&mut self) {
        let Self { cx, .. } = self;
        let wanted = cx.console.has_waiting() && !cx.is_deferring();
        let has_changed = cx.console.has_changed();
        if let Some(watched) = self.watched_console.take_if(|_| has_changed || !wanted) {
            use rustix::fd::AsFd;
            cx.events.forget(watched.as_fd());
        }
        if wanted && self.watched_console.is_none() {
            use rustix::fd::AsFd;
            // A descriptor of its own: what the console writes to may be another one when it is taken out of the set.
            let watched = cx.console.fd().try_clone_to_owned();
            // What cannot be waited for (a plain file) is never slow either.
            self.watched_console = watched.ok().filter(|fd| cx.events.watch(fd.as_fd(), Token::Console).is_ok());
        }
    }

    fn read_signals(&mut self) {
        for _ in 0..SIGNALS {
            let Some(signal) = self.cx.events.next_signal() else { return };
            match shutdown::requested_by(signal) {
                Some(down) if shutdown::may_request(signal) => {
                    self.workloads.supervisor.shut_down(self.cx.config.get(), down, self.cx.now());
                }
                Some(down) => self.cx.console.error(format_args!(
                    "{down}: refused a signal from process {}; use: hilum {}",
                    signal.sender,
                    down.command()
                )),
                None => self.has_exits = true,
            }
        }
    }

    /// Reaps processes that exited, workloads and orphans alike: so many a turn, until there is none left.
    ///
    /// There is one place that reaps, so nobody can steal a status; and until it reaps a pid, that pid is nobody else's.
    /// SIGCHLD coalesces, so one signal may stand for any number of exits.
    fn reap(&mut self) {
        for _ in 0..ENDS {
            match reap() {
                Ok(Some((pid, end))) => {
                    let Self { cx, workloads, .. } = self;
                    let is_known = self.prompt.exited(cx, pid)
                        || self.log_file.exited(pid, &mut cx.console)
                        || self.devices.exited(cx, workloads, pid, end)
                        || self.boot_tasks.exited(cx, workloads, pid, end)
                        || self.disks.exited(cx, workloads, &mut self.log_file, pid, end);
                    if !is_known {
                        workloads.exited(cx, pid, end);
                    }
                }
                Err(Errno::INTR) => {}
                _ => return,
            }
        }
        self.has_exits = true;
    }

    /// Once every workload has started: does what could wait until then.
    fn complete_boot(&mut self) {
        let Self { cx, workloads, .. } = self;
        let is_going_down = workloads.supervisor.shutting_down().is_some();
        if self.is_boot_complete || is_going_down || !workloads.supervisor.is_boot_complete(cx.config.get()) {
            return;
        }
        self.is_boot_complete = true;
        if let Err(errno) = workloads.finish_cgroups(cx.config.get()) {
            cx.console.error(format_args!("cgroups: own cgroup: {}", describe(errno)));
        }
        // What it keeps, and not what the starts needed.
        memory::release_memory();
        event_lines::memory(&mut cx.console, cx.config.get());
        self.prompt.start(cx);
    }

    /// Goes down once every workload is over.
    fn follow_shutdown(&mut self) {
        let Some(down) = self.workloads.shutdown() else { return };
        let Self { cx, .. } = self;
        // A board whose workloads are all over in one turn of the loop never completed its boot.
        if !self.is_boot_complete {
            event_lines::memory(&mut cx.console, cx.config.get());
        }
        self.boots.finish(cx.config.get(), !self.workloads.supervisor.is_escalated());
        self.watchdog.feed_last();
        self.disks.finish();
        self.log_file.finish(&mut cx.console);
        shutdown::shut_down(cx.environment, down, &cx.config.get().system.mounts, &mut cx.console)
    }
}

/// Hears of the board's links from now on.
fn follow_links(cx: &mut Context) -> HostLinks {
    HostLinks::follow(cx.environment, cx.config.get(), empty_folder(cx.environment), &mut cx.console)
}
