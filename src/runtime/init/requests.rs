//! Executes requests: each gets its response at once, or waits without blocking PID 1.

use super::boot_count::BootCount;
use super::client::{Client, ClientState, Descriptors, Response, done, failed};
use super::context::Context;
use super::reload::Reload;
use super::time::Time;
use super::updates::Updates;
use super::workloads::Workloads;
use crate::net::HostLinks;
use crate::os::clock::monotonic_ms;
use crate::os::errno::describe;
use crate::os::helper::{self, Kept, Role};
use crate::workload::{Streams, Target};
use hilum::config::{Ip, Right, Workload, limits};
use hilum::fixed_string::{append, text};
use hilum::supervise::{Part, ShutdownKind, State, WorkloadRequest};
use hilum::wire::{self, Command, Reply, Request, WorkloadStatus};
use rustix::fd::AsFd;
use rustix::io::Errno;

/// Bytes of a workload's addresses: four of the longest.
const ADDRESSES_BYTES: usize = 160;

const EXEC: Role = Role::lasting(c"hilum-exec");

/// The state that requests need.
pub(super) struct Requests<'a> {
    pub(super) cx: &'a mut Context,
    pub(super) workloads: &'a mut Workloads,
    pub(super) reload: &'a mut Reload,
    pub(super) boots: &'a BootCount,
    pub(super) links: &'a HostLinks,
    pub(super) updates: &'a mut Updates,
    pub(super) time: &'a Time,
}

impl Requests<'_> {
    /// Returns what a connection may request; `None` if it came by the socket of a run of a workload that is over.
    pub(super) fn right_of(&self, client: &Client) -> Option<Right> {
        if client.run.is_none() {
            return Some(Right::All);
        }
        let (_, run) = self.workloads.control_socket(client.slot)?;
        let index = self.cx.config.get().index_of(client.slot).filter(|_| client.run == Some(run))?;
        Some(self.cx.config.get().workload(index).supervision.control)
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.cx.config.get().find(name)
    }

    /// Answers a request of a connection with a right.
    pub(super) fn answer(
        &mut self,
        client: &Client,
        right: Right,
        request: &Request<'_>,
        descriptors: &Descriptors,
    ) -> Response {
        let needed = request.command.right();
        if !right.includes(needed) {
            let (has, needs) = (right.name(), needed.name());
            return failed(format_args!("the workload has \"control {has}\"; this needs \"control {needs}\""));
        }
        match request.command {
            Command::Status => self.status(client, request),
            Command::Timeline => self.timeline(client),
            Command::Uplinks => {
                self.links.describe(self.cx.config.get(), &mut |line| {
                    client.send(&Reply::Event(0, line));
                });
                done()
            }
            Command::Slots => {
                self.updates.describe(&mut |line| _ = client.send(&Reply::Event(0, line)));
                done()
            }
            Command::Time => {
                self.time.describe(self.cx, self.links, &mut |line| _ = client.send(&Reply::Event(0, line)));
                done()
            }
            Command::Update => self.updates.write(client, descriptors),
            Command::Rollback => self.updates.roll_back(client, self.cx, self.workloads),
            Command::Reload => match self.reload.begin(self.cx, self.workloads) {
                None => Response::Pending(ClientState::Reloading),
                Some(wrong) => Response::Done(1, wrong),
            },
            Command::Poweroff => self.go_down(ShutdownKind::Poweroff),
            Command::Reboot => self.go_down(ShutdownKind::Reboot),
            Command::Halt => self.go_down(ShutdownKind::Halt),
            Command::Mute | Command::Unmute if request.words.is_empty() => {
                self.workloads.logs.mute_all(request.command == Command::Mute);
                done()
            }
            _ => {
                let name = request.words.first().copied().unwrap_or_default();
                match self.find(name) {
                    Some(index) => self.answer_for(client, index, request, descriptors),
                    None => failed(format_args!("unknown workload \"{name}\"; see: hilum status")),
                }
            }
        }
    }

    fn answer_for(
        &mut self,
        client: &Client,
        index: usize,
        request: &Request<'_>,
        descriptors: &Descriptors,
    ) -> Response {
        let config = self.cx.config.clone();
        let workload = config.get().workload(index);
        let name = workload.name;
        let respond = |result: Result<(), Errno>| result.map_or_else(|errno| not_done(name, errno), |()| done());
        match request.command {
            Command::Log => {
                let slot = self.cx.slot(index);
                let cursor = self.workloads.logs.last(slot, request.number);
                Response::Pending(ClientState::Lines { slot: Some(slot), cursor, is_following: request.is_waiting })
            }
            Command::Start => self.ask(index, WorkloadRequest::Start, request.is_waiting),
            Command::Stop => self.ask(index, WorkloadRequest::Stop, request.is_waiting),
            Command::Restart => self.ask(index, WorkloadRequest::Restart, request.is_waiting),
            Command::Signal => self.ask_signal(index, request.number),
            Command::Freeze => respond(self.workloads.cgroups().freeze(workload, true)),
            Command::Thaw => respond(self.workloads.cgroups().freeze(workload, false)),
            Command::Mute | Command::Unmute => {
                self.workloads.logs.mute(self.cx.slot(index), request.command == Command::Mute);
                done()
            }
            Command::Exec => self.execute(client, index, request, descriptors),
            _ => failed(format_args!("{}", wire::Malformed::Command.text())),
        }
    }

    fn go_down(&mut self, down: ShutdownKind) -> Response {
        self.workloads.supervisor.shut_down(self.cx.config.get(), down, monotonic_ms());
        done()
    }

    fn status(&mut self, client: &Client, request: &Request<'_>) -> Response {
        let wanted = request.words.first().copied().filter(|name| !name.is_empty());
        if let Some(name) = wanted.filter(|name| self.cx.config.get().find(name).is_none()) {
            return failed(format_args!("unknown workload \"{name}\"; see: hilum status"));
        }
        let now_ms = monotonic_ms();
        client.send(&Reply::System(wire::SystemStatus {
            now_ms,
            is_going_down: self.workloads.supervisor.shutting_down().is_some(),
            is_safe: self.boots.is_safe(),
            bad_boots: self.boots.bad_boots(),
            clock: self.time.state(self.cx.config.get()),
        }));
        let config = self.cx.config.clone();
        let workloads = &config.get().workloads;
        for (index, workload) in workloads.iter().enumerate() {
            if wanted.is_some_and(|name| name != workload.name) {
                continue;
            }
            self.texts(client, workload, request);
            let unit = self.workloads.supervisor.unit(index);
            let waits_for =
                |need: &usize| !matches!(self.workloads.supervisor.state(*need), State::Ready | State::Finished);
            let failed_need = unit.failed_need().and_then(|slot| config.get().index_of(slot));
            let need = match unit.state {
                State::Waiting => workload.needs.iter().find(waits_for),
                _ => None,
            };
            let slot = self.cx.slot(index);
            let mut addresses: heapless::String<ADDRESSES_BYTES> = heapless::String::new();
            let owner = workload.isolation.net_of.map_or(index, usize::from);
            for prefix in workloads.get(owner).iter().flat_map(|owner| owner.network.addresses(&config.get().pools)) {
                let before = if addresses.is_empty() { "" } else { "," };
                // Addresses that do not fit are omitted.
                let _ = append(&mut addresses, format_args!("{before}{}", Ip(prefix.address)));
            }
            let part = self.missing_part(index);
            client.send(&Reply::Status(WorkloadStatus {
                name: workload.name,
                state: unit.state.number(),
                pid: self
                    .workloads
                    .process(slot)
                    .map_or(0, |process| process.pid.as_raw_nonzero().get().unsigned_abs()),
                since_ms: (unit.since > 0).then(|| now_ms.saturating_sub(unit.since)),
                restarts: unit.restarts,
                last: unit.last_exit(),
                out_of_memory: self.workloads.out_of_memory(slot),
                is_corrupt: self.workloads.is_corrupt(slot),
                dropped: self.workloads.logs.dropped(slot),
                need: need.or(failed_need).and_then(|need| workloads.get(need)).map_or(&part, |need| need.name),
                addresses: &addresses,
                text: self.workloads.status_text(slot),
            }));
        }
        match wanted {
            None => self.updates.show(client),
            Some(_) => _ = client.send(&Reply::Event(1, "null")),
        }
        done()
    }

    /// Sends the texts of files of a workload's cgroup, if the request has their names.
    fn texts(&self, client: &Client, workload: &Workload<'_>, request: &Request<'_>) {
        let files = request.words.get(1..).unwrap_or_default();
        if !files.is_empty() {
            let mut bytes = [0; wire::TEXTS_BYTES];
            client.send(&Reply::Event(wire::TEXTS, self.workloads.cgroups().texts(workload, files, &mut bytes)));
        }
    }

    /// Returns which part of the board a workload lacks; long paths are cut.
    fn missing_part(&self, index: usize) -> heapless::String<{ limits::PATH_BYTES + 16 }> {
        let config = self.cx.config.get();
        let unit = self.workloads.supervisor.unit(index);
        let disk = self.workloads.missing_disk(config, config.workload(index));
        let disk = disk.filter(|_| unit.state == State::Waiting && unit.lacks(Part::Disks));
        if let Some(device) = self.workloads.missing_device(config, index) {
            text(format_args!("device {device}"))
        } else if let Some(mount) = disk.and_then(|index| config.system.mounts.get(index)) {
            text(format_args!("{} ({})", mount.target, mount.source))
        } else {
            text(format_args!("{}", if unit.lacks(Part::Time) { "time" } else { "" }))
        }
    }

    fn timeline(&mut self, client: &Client) -> Response {
        for (us, moment) in self.cx.timeline.iter() {
            let (what, slot) = moment.words();
            let index = slot.and_then(|slot| self.cx.config.get().index_of(usize::from(slot)));
            let workload = index.and_then(|index| self.cx.config.get().workloads.get(index));
            match workload {
                Some(workload) => {
                    client.send(&Reply::Event(us, &text::<160>(format_args!("{}: {what}", workload.name))))
                }
                None => client.send(&Reply::Event(us, what)),
            };
        }
        done()
    }

    /// Starts a helper that runs a program inside of a workload and replies.
    fn execute(&mut self, client: &Client, index: usize, request: &Request<'_>, descriptors: &Descriptors) -> Response {
        let config = self.cx.config.clone();
        let workload = config.get().workload(index);
        let Some(process) = self.workloads.process(self.cx.slot(index)) else {
            return failed(format_args!(
                "workload \"{0}\" is not running; start it with: hilum start {0}",
                workload.name
            ));
        };
        if process.report.is_some() {
            return failed(format_args!("workload \"{}\" is still being started", workload.name));
        }
        if self.workloads.cgroups().is_frozen(workload) {
            // The program would start frozen.
            return failed(format_args!("workload \"{0}\" is frozen; resume it with: hilum thaw {0}", workload.name));
        }
        let [_, term, words @ ..] = request.words.as_slice() else {
            return failed(format_args!("missing program"));
        };
        if words.is_empty() || words.len() > hilum::config::limits::EXEC_WORDS {
            return failed(format_args!("at most {} arguments of a program", hilum::config::limits::EXEC_WORDS - 1));
        }
        // No outside descriptor is passed inside, whoever sends it, not even a harmless one.
        if !descriptors.is_empty() {
            return failed(format_args!("descriptors are refused; use the hilum that runs as PID 1"));
        }
        let terminal = request.is_waiting.then_some(((request.number >> 16) as u16, request.number as u16));
        let streams = Streams::Made { terminal, is_split: request.is_split };
        let connection = client.socket.as_fd();
        let keep = Kept::of(&[Some(connection), Some(process.pidfd.as_fd()), self.workloads.cgroups().fd()]);
        let mut work = || {
            let target = Target {
                config: config.get(),
                workload,
                pid: process.pid,
                pidfd: process.pidfd.as_fd(),
                cgroups: self.workloads.cgroups(),
            };
            let (status, text) = target.run(words, term, streams, Some(connection), None);
            client.send(&Reply::Done(status, &text));
            0
        };
        match helper::spawn(&EXEC, keep, &mut work) {
            Ok(_) => Response::Delegated,
            Err(errno) => failed(format_args!("{}", describe(errno))),
        }
    }
}

/// Returns the response if the kernel refused a request for a workload.
pub(super) fn not_done(name: &str, errno: Errno) -> Response {
    match errno {
        Errno::SRCH | Errno::NOENT => {
            failed(format_args!("workload \"{name}\" is not running; start it with: hilum start {name}"))
        }
        Errno::OPNOTSUPP => failed(format_args!("freeze and thaw need cgroups, which are missing here")),
        errno => failed(format_args!("workload \"{name}\": {}", describe(errno))),
    }
}
