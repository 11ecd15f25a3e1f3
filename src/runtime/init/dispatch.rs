//! The event loop: waits, passes each event to its service, and gives each service its turn.
//!
//! A service owns its state and has a common set of methods: `handle` for an event of its descriptors, `tick` once per
//! turn, `deadline` for its next `tick`, `exited` if it has processes, and `register` or similar if its descriptors
//! change. A new event source needs a file of its own, a token, and a line in each list here.

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
use super::time::Time;
use super::timeline::Moment;
use super::token::Token;
use super::uevents::Uevents;
use super::updates::Updates;
use super::watchdog::Watchdog;
use super::workloads::Workloads;
use crate::net::HostLinks;
use crate::os::children::reap;
use crate::os::clock::{boottime_us, monotonic_ms};
use crate::os::errno::describe;
use crate::os::memory;
use crate::os::turn::ENDS;
use crate::workload::empty_folder;
use hilum::deadline::earliest;
use rustix::event::epoll::{Event, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;

/// The longest sleep in milliseconds; a later deadline is checked again then.
const MAX_SLEEP_MS: u64 = 60_000;
/// Milliseconds until another attempt to remove a busy cgroup.
const CGROUPS_MS: u64 = 50;
/// Milliseconds after which unused memory is returned.
const MEMORY_TRIM_MS: u64 = 500;

/// The results of the boot.
pub(super) struct Parts {
    pub(super) cx: Context,
    pub(super) workloads: Workloads,
    pub(super) reload: Reload,
    pub(super) watchdog: Watchdog,
    pub(super) boots: BootCount,
    pub(super) log_file: LogFile,
}

/// PID 1: its services, and its remaining state.
// Often used members first: a distance of at most 127 bytes is one byte of an instruction.
#[repr(C)]
pub(super) struct Init {
    pub(super) cx: Context,
    /// Whether exited processes may be unreaped; handled once per turn.
    pub(super) has_exits: bool,
    /// Whether all workloads have started, and the follow-up work is done.
    is_boot_complete: bool,
    /// Whether to panic after the workloads were started, as a test.
    panics_once: bool,
    log_file: LogFile,
    boot_tasks: BootTasks,
    uevents: Uevents,
    /// A copy of the console's descriptor in the epoll set, while lines wait for it.
    watched_console: Option<OwnedFd>,
    /// When unused memory of a start or a command is returned; `None` if there is none.
    pub(super) trim_memory_at: Option<u64>,
    prompt: Prompt,
    time: Time,
    watchdog: Watchdog,
    boots: BootCount,
    devices: Devices,
    disks: Disks,
    reload: Reload,
    pub(super) updates: Updates,
    control: Control,
    pub(super) workloads: Workloads,
    pub(super) links: HostLinks,
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
            time: Time::new(),
            control: Control::closed(),
            links: HostLinks::none(),
            uevents: Uevents::none(),
            devices: Devices::new(),
            boot_tasks: BootTasks::new(),
            disks: Disks::none(),
            updates: Updates::none(),
            prompt: Prompt::new(prompt),
            watched_console: None,
            has_exits: false,
            is_boot_complete: false,
            panics_once,
        }
    }

    /// Starts the workloads and supervises them until shutdown.
    ///
    /// Only the wait itself is in this function. A turn may use much stack, which is returned before the next wait.
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

    /// Does what comes before the first wait.
    #[inline(never)]
    pub(super) fn begin(&mut self) {
        let Self { cx, workloads, .. } = self;
        workloads.supervisor.seed(boottime_us() as u32);
        cx.timeline.note(Moment::Arranged);
        self.time.begin(cx);
        // Before the disks are checked, so that no event is missed.
        devices::listen(cx, &mut self.uevents);
        self.disks.begin(cx, workloads);
        self.boot_tasks.begin(cx, workloads);
        let is_deferring = cx.is_deferring();
        if !is_deferring {
            // It creates the file of name servers for workloads with `resolv`.
            self.links = follow_links(cx);
        }
        workloads.supervisor.begin(cx.config.get(), self.boots.is_safe(), cx.now());
        workloads.carry_out(cx);
        self.follow_shutdown();
        if !is_deferring {
            self.open();
            self.cx.console.flush();
        }
        if self.panics_once {
            self.cx.console.error(format_args!("panic as requested by hilum.panic on the kernel command line"));
            self.cx.console.flush();
            panic!();
        }
    }

    /// Passes an event to its service.
    #[inline(never)]
    fn dispatch(&mut self, token: Token) {
        let Self { cx, workloads, .. } = self;
        if !token.is_light() {
            self.trim_memory_at.get_or_insert(cx.now() + MEMORY_TRIM_MS);
        }
        match token {
            Token::Signals => self.has_exits |= shutdown::read_signals(cx, workloads),
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
            Token::Uevents => self.uevents.read(|received| {
                self.devices.handle_uevent(cx.now(), received);
                self.disks.handle_uevent(received);
                workloads.handle_uevent(cx, received);
            }),
            Token::MountTable => self.disks.table_changed(),
            Token::Control | Token::Client(_) | Token::Request(_) => {
                let (reload, boots, links, updates, time) =
                    (&mut self.reload, &self.boots, &self.links, &mut self.updates, &self.time);
                self.control.handle(token, &mut Requests { cx, workloads, reload, boots, links, updates, time });
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
            self.links.adopt(adopted.kept);
        }
        workloads.sweep_cgroups(cx);
        if workloads.logs.turn(cx.config.get(), now, &mut cx.console) {
            self.trim_memory_at.get_or_insert(now);
        }
        let (reload, boots, links, updates, time) =
            (&mut self.reload, &self.boots, &self.links, &mut self.updates, &self.time);
        self.control.tick(&mut Requests { cx, workloads, reload, boots, links, updates, time });
        self.devices.tick(cx, workloads);
        workloads.follow_links(cx, &mut self.links);
        self.links.turn(cx.config.get(), now, &mut cx.console, |socket, place| {
            // A DHCP client that cannot be watched counts as missing: no lease is set, and an error is printed.
            let _ = cx.events.watch(socket, Token::Dhcp(place));
        });
        self.time.tick(cx, workloads, &mut self.links);
        workloads.carry_out(cx);
        self.watchdog.tick(cx.config.get(), workloads.supervisor, now, &mut cx.console);
        self.boots.tick(cx.config.get(), workloads.supervisor, now);
        self.updates.tick(cx, workloads, &self.boot_tasks);
        if workloads.supervisor.shutting_down().is_none() {
            self.prompt.tick(cx);
        }
        if !cx.is_deferring() {
            cx.console.flush();
        }
        self.follow_shutdown();
    }

    /// Returns how long the next wait may take, after each service has registered its descriptors.
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
            self.updates.deadline(cx),
            self.time.deadline(cx, workloads, &self.links),
            self.prompt.deadline(),
            cx.deferred_until(),
        ];
        // The turn may have taken long. The memory trim may be that late; reading the clock costs a system call.
        let left = |at: u64| at.saturating_sub(monotonic_ms()).min(longest_ms);
        let sleep_ms = earliest(&at).map_or(longest_ms, left);
        self.trim_memory_at.map_or(sleep_ms, |at| at.saturating_sub(cx.now()).min(sleep_ms))
    }

    /// Starts to listen for commands and to network links. No workload waits for this.
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

    /// Does the work that was deferred for the first workload.
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

    /// Watches the console only while lines wait for it, because a terminal that is ready would wake the loop all the
    /// time.
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
            // A copy of the descriptor, because the console may have another one when the copy is removed from the set.
            let watched = cx.console.fd().try_clone_to_owned();
            // A file that cannot be watched (a regular file) is never slow.
            self.watched_console = watched.ok().filter(|fd| cx.events.watch(fd.as_fd(), Token::Console).is_ok());
        }
    }

    /// Reaps exited children, workloads and orphans alike; a limited number per turn, until none are left.
    ///
    /// Only this function reaps, so no exit status is lost, and a PID is not reused before it is reaped. SIGCHLD
    /// coalesces: one signal may stand for any number of exits.
    fn reap(&mut self) {
        for _ in 0..ENDS {
            match reap() {
                Ok(Some((pid, end))) => {
                    self.links.exited(pid);
                    let Self { cx, workloads, .. } = self;
                    let is_known = self.prompt.exited(cx, pid)
                        || self.log_file.exited(pid, &mut cx.console)
                        || self.devices.exited(cx, workloads, pid, end)
                        || self.boot_tasks.exited(cx, workloads, pid, end)
                        || self.disks.exited(cx, workloads, &mut self.log_file, pid, end)
                        || self.updates.exited(cx, workloads, pid, end)
                        || self.time.exited(cx, workloads, &self.links, pid);
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

    /// Does the remaining work once all workloads have started.
    fn complete_boot(&mut self) {
        let Self { cx, workloads, .. } = self;
        let is_going_down = workloads.supervisor.shutting_down().is_some();
        // The prompt needs the control socket, which is deferred too.
        let waits = is_going_down || cx.is_deferring();
        if self.is_boot_complete || waits || !workloads.supervisor.is_boot_complete(cx.config.get()) {
            return;
        }
        self.is_boot_complete = true;
        if let Err(errno) = workloads.finish_cgroups(cx.config.get()) {
            cx.console.error(format_args!("cgroups: own cgroup: {}", describe(errno)));
        }
        // Measures what stays, without the memory that starts needed.
        memory::release_memory();
        event_lines::memory(&mut cx.console, cx.config.get());
        self.prompt.start(cx);
    }

    /// Shuts down once all workloads have exited.
    fn follow_shutdown(&mut self) {
        let Some(down) = self.workloads.shutdown() else { return };
        let Self { cx, .. } = self;
        // If all workloads exit in one turn of the loop, the boot was never completed.
        if !self.is_boot_complete {
            event_lines::memory(&mut cx.console, cx.config.get());
        }
        self.boots.finish(cx.config.get(), !self.workloads.supervisor.is_escalated());
        self.time.finish(cx, &self.workloads);
        self.watchdog.feed_last();
        self.disks.finish();
        self.log_file.finish(&mut cx.console);
        shutdown::shut_down(cx.environment, down, &cx.config.get().system.mounts, &mut cx.console)
    }
}

/// Starts to follow the board's links.
fn follow_links(cx: &mut Context) -> HostLinks {
    HostLinks::follow(cx.environment, cx.config.get(), empty_folder(cx.environment), &mut cx.console)
}
