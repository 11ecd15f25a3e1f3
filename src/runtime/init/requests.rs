//! What commands ask for, done: each request gets its answer at once, or waits for what it asked for without anybody
//! waiting for it.

use super::asked::not_done;
use super::board::Board;
use super::control::{CLIENTS, Descriptors, Doing, Text};
use super::source::Source;
use crate::turn::LINES;
use crate::workload::{Streams, Target};
use hilum::config::limits::WORKLOADS;
use hilum::fixed_string::{append, text};
use hilum::supervise::{ShutdownKind, State, WorkloadRequest};
use hilum::wire::{self, Command, MESSAGE_BYTES, Reply, Request, Status};
use hilum_sys::{Cloned, exit, monotonic_ms};
use rustix::event::epoll::{self, EventFlags};
use rustix::fd::{AsFd, AsRawFd};
use rustix::io::Errno;

/// Bytes of a line that are sent; a line has at most [`hilum::log::LINE_BYTES`].
const LINE_BYTES: usize = hilum::log::LINE_BYTES + 2 * hilum::log::MARK.len();

/// The exit status of `exec` where the workload is not entered.
const STATUS_NOT_ENTERED: u8 = 125;

/// What becomes of a connection.
pub(super) enum Answer {
    /// It is done, with this status and these words.
    Done(u8, Text),
    /// It goes on.
    Goes(Doing),
    /// Somebody else answers.
    Handed,
}

pub(super) fn done() -> Answer {
    Answer::Done(0, Text::new())
}

pub(super) fn failed(arguments: core::fmt::Arguments<'_>) -> Answer {
    Answer::Done(1, text(arguments))
}

/// Bytes of a workload's addresses: four of the longest.
const ADDRESSES_BYTES: usize = 160;

impl Board {
    /// Takes a new connection in.
    pub(super) fn accept(&mut self) {
        // One a turn: the next one that waits makes the loop turn again.
        let Some((place, oldest)) = self.control.accept() else { return };
        if let Some(oldest) = oldest {
            self.forget(oldest.socket.as_fd());
        }
        let Some(client) = &self.control.clients[place] else { return };
        if self.watch(client.socket.as_fd(), Source::Client(place)).is_err() {
            self.control.clients[place] = None;
        }
    }

    /// Something came on a connection, or it can be written again, or it ended.
    pub(super) fn read_client(&mut self, place: usize) {
        let Some(client) = &mut self.control.clients[place] else { return };
        client.is_full = false;
        let mut buffer = [0; MESSAGE_BYTES];
        let received = client.receive(&mut buffer);
        let is_listening = matches!(client.doing, Doing::Nothing);
        match received {
            Ok(None) => {}
            // One request is what a connection is for.
            Ok(Some(_)) if !is_listening => self.hang_up(place),
            Ok(Some((length, descriptors))) => {
                let answer = match Request::read(&buffer[..length]) {
                    Ok(request) => match (self.answer(place, &request, &descriptors), request.command) {
                        (Answer::Done(_, why), Command::Exec) => Answer::Done(STATUS_NOT_ENTERED, why),
                        (answer, _) => answer,
                    },
                    Err(malformed) => failed(format_args!("{}", malformed.text())),
                };
                self.give(place, answer);
            }
            Err(Errno::MSGSIZE) => {
                self.give(place, failed(format_args!("{}", wire::Malformed::Long.text())));
            }
            Err(_) => self.hang_up(place),
        }
    }

    fn give(&mut self, place: usize, answer: Answer) {
        let Some(client) = &mut self.control.clients[place] else { return };
        match answer {
            Answer::Goes(doing) => client.doing = doing,
            Answer::Done(status, text) => {
                client.send(&Reply::Done(status, &text));
                self.hang_up(place);
            }
            Answer::Handed => self.hang_up(place),
        }
    }

    fn hang_up(&mut self, place: usize) {
        if let Some(client) = self.control.clients[place].take() {
            self.forget(client.socket.as_fd());
        }
    }

    /// Goes on with every connection that waits for something.
    pub(super) fn serve(&mut self) {
        for place in 0..CLIENTS {
            let Some(client) = &mut self.control.clients[place] else { continue };
            match &mut client.doing {
                Doing::Nothing => {}
                Doing::Reloading if self.pending.is_some() => {}
                Doing::Reloading => self.give(place, done()),
                Doing::Waiting { index, .. } | Doing::Lines { index, .. } if *index == WORKLOADS => {
                    self.give(place, failed(format_args!("it is not part of the configuration any more")));
                }
                Doing::Waiting { index, ask } => {
                    let (index, ask) = (*index, *ask);
                    if let Some(answer) = self.outcome(index, ask) {
                        self.give(place, answer);
                    }
                }
                Doing::Lines { .. } if client.is_full => {}
                Doing::Lines { .. } => self.send_lines(place),
            }
        }
    }

    fn send_lines(&mut self, place: usize) {
        let Some(client) = &mut self.control.clients[place] else { return };
        let Doing::Lines { index, mut cursor, is_following } = client.doing else { return };
        let mut line = [0; LINE_BYTES];
        let mut left = LINES;
        loop {
            if left == 0 {
                client.doing = Doing::Lines { index, cursor, is_following };
                self.comes_back = true;
                return;
            }
            left -= 1;
            let before = cursor;
            let Some(entry) = self.logs.read(index, &mut cursor, &mut line) else { break };
            if !client.send(&Reply::Line(entry.number, entry.ms, &line[..entry.length])) {
                // It is asked again when it has read; one that is gone ends by its own event.
                cursor = before;
                client.is_full = true;
                break;
            }
        }
        let is_full = client.is_full;
        let wanted = EventFlags::RDHUP | if is_full { EventFlags::OUT } else { EventFlags::IN };
        let _ = epoll::modify(&self.epoll, &client.socket, Source::Client(place).data(), wanted);
        client.doing = Doing::Lines { index, cursor, is_following };
        if !is_following && !is_full {
            self.give(place, done());
        }
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.config.get().workloads.iter().position(|workload| workload.name == name)
    }

    fn answer(&mut self, place: usize, request: &Request<'_>, descriptors: &Descriptors) -> Answer {
        match request.command {
            Command::Status => self.status(place, request),
            Command::Timeline => self.tell_timeline(place),
            Command::Reload => match self.begin_reload() {
                None => Answer::Goes(Doing::Reloading),
                Some(wrong) => Answer::Done(1, wrong),
            },
            Command::Poweroff => self.go_down(ShutdownKind::Poweroff),
            Command::Reboot => self.go_down(ShutdownKind::Reboot),
            Command::Halt => self.go_down(ShutdownKind::Halt),
            Command::Mute | Command::Unmute if request.words.is_empty() => {
                self.logs.mute_all(request.command == Command::Mute);
                done()
            }
            _ => {
                let name = request.words.first().copied().unwrap_or_default();
                match self.find(name) {
                    Some(index) => self.answer_for(place, index, request, descriptors),
                    None => failed(format_args!("there is no workload \"{name}\"; see: hilum status")),
                }
            }
        }
    }

    fn answer_for(&mut self, place: usize, index: usize, request: &Request<'_>, descriptors: &Descriptors) -> Answer {
        let config = self.config.clone();
        let workload = &config.get().workloads[index];
        let name = workload.name;
        let told = |result: Result<(), Errno>| result.map_or_else(|errno| not_done(name, errno), |()| done());
        match request.command {
            Command::Log => {
                let cursor = self.logs.last(index, request.number);
                Answer::Goes(Doing::Lines { index, cursor, is_following: request.is_waiting })
            }
            Command::Start => self.ask(index, WorkloadRequest::Start, request.is_waiting),
            Command::Stop => self.ask(index, WorkloadRequest::Stop, request.is_waiting),
            Command::Restart => self.ask(index, WorkloadRequest::Restart, request.is_waiting),
            Command::Signal => self.ask_signal(index, request.number),
            Command::Freeze => told(self.around.groups.freeze(workload, true)),
            Command::Thaw => told(self.around.groups.freeze(workload, false)),
            Command::Mute | Command::Unmute => {
                self.logs.mute(index, request.command == Command::Mute);
                done()
            }
            Command::Exec => self.execute(place, index, request, descriptors),
            _ => failed(format_args!("{}", wire::Malformed::Bytes.text())),
        }
    }

    fn go_down(&mut self, down: ShutdownKind) -> Answer {
        self.supervisor.shut_down(self.config.get(), down, monotonic_ms());
        done()
    }

    fn status(&mut self, place: usize, request: &Request<'_>) -> Answer {
        let Some(client) = &self.control.clients[place] else { return Answer::Handed };
        let wanted = request.words.first().copied();
        if let Some(name) =
            wanted.filter(|name| !self.config.get().workloads.iter().any(|workload| workload.name == *name))
        {
            return failed(format_args!("there is no workload \"{name}\"; see: hilum status"));
        }
        let now_ms = monotonic_ms();
        client.send(&Reply::System(wire::SystemStatus {
            now_ms,
            is_going_down: self.supervisor.shutting_down().is_some(),
            is_safe: self.guard.is_safe,
            bad_boots: self.guard.bad_boots,
        }));
        let config = self.config.clone();
        let workloads = &config.get().workloads;
        for (index, workload) in workloads.iter().enumerate() {
            if wanted.is_some_and(|name| name != workload.name) {
                continue;
            }
            let unit = self.supervisor.unit(index);
            let waits_for = |need: &usize| !matches!(self.supervisor.state(*need), State::Ready | State::Finished);
            let failed_need = unit.failed_need().and_then(|slot| config.get().index_of(slot));
            let need = match unit.state {
                State::Waiting => workload.needs.iter().find(waits_for),
                _ => None,
            };
            let note = &self.notes[index];
            let mut addresses: heapless::String<ADDRESSES_BYTES> = heapless::String::new();
            let owner = workload.isolation.net_of.map_or(index, usize::from);
            for prefix in workloads.get(owner).iter().flat_map(|owner| owner.network.addresses(&config.get().pools)) {
                let before = if addresses.is_empty() { "" } else { "," };
                // Those that do not fit are left out.
                let _ = append(&mut addresses, format_args!("{before}{}", prefix.address));
            }
            client.send(&Reply::Status(Status {
                name: workload.name,
                state: unit.state.number(),
                pid: self.processes[index]
                    .as_ref()
                    .map_or(0, |process| process.pid.as_raw_nonzero().get().unsigned_abs()),
                since_ms: (unit.since > 0).then(|| now_ms.saturating_sub(unit.since)),
                restarts: unit.restarts,
                last: unit.last_exit(),
                out_of_memory: note.out_of_memory,
                dropped: self.logs.dropped(index),
                need: need.or(failed_need).and_then(|need| workloads.get(need)).map_or("", |need| need.name),
                addresses: &addresses,
                text: &note.text,
            }));
        }
        done()
    }

    fn tell_timeline(&mut self, place: usize) -> Answer {
        let Some(client) = &self.control.clients[place] else { return Answer::Handed };
        for (us, moment) in self.timeline.iter() {
            let (what, index) = moment.words();
            let workload = index.and_then(|index| self.config.get().workloads.get(usize::from(index)));
            match workload {
                Some(workload) => {
                    client.send(&Reply::Event(us, &text::<160>(format_args!("{}: {what}", workload.name))))
                }
                None => client.send(&Reply::Event(us, what)),
            };
        }
        done()
    }

    /// Has a copy of this process run a program inside of a workload and answer.
    fn execute(&mut self, place: usize, index: usize, request: &Request<'_>, descriptors: &Descriptors) -> Answer {
        let config = self.config.clone();
        let workload = &config.get().workloads[index];
        let (Some(process), Some(client)) = (&self.processes[index], &self.control.clients[place]) else {
            return failed(format_args!(
                "workload \"{0}\" does not run; start it with: hilum start {0}",
                workload.name
            ));
        };
        if process.report.is_some() {
            return failed(format_args!("workload \"{}\" is still being set up", workload.name));
        }
        if self.around.groups.is_frozen(workload) {
            // The program would be born frozen.
            return failed(format_args!(
                "workload \"{0}\" is frozen; let it go on with: hilum thaw {0}",
                workload.name
            ));
        }
        let [_, term, words @ ..] = request.words.as_slice() else {
            return failed(format_args!("the program is missing"));
        };
        if words.is_empty() || words.len() > hilum::config::limits::EXEC_WORDS {
            return failed(format_args!("a program and at most {} words", hilum::config::limits::EXEC_WORDS - 1));
        }
        // Nothing that is open outside goes inside, whoever sends it: not even what looks harmless.
        if !descriptors.is_empty() {
            return failed(format_args!("no descriptor goes inside; use the hilum that runs as process 1"));
        }
        let terminal = request.is_waiting.then_some(((request.number >> 16) as u16, request.number as u16));
        let streams = Streams::Made { terminal, is_split: request.is_split };
        match hilum_sys::clone(0, None) {
            Ok(Cloned::Child) => {
                let connection = client.socket.as_fd();
                let number = |fd: &dyn AsRawFd| fd.as_raw_fd().unsigned_abs();
                let mut kept = [number(&client.socket), number(&process.pidfd), self.around.groups.number()];
                let _ = hilum_sys::close_all_but(&mut kept);
                let _ = crate::helper::become_ordinary();
                let target = Target {
                    config: config.get(),
                    workload,
                    pid: process.pid,
                    pidfd: process.pidfd.as_fd(),
                    groups: &self.around.groups,
                };
                let (status, text) = target.run(words, term, streams, Some(connection), None);
                client.send(&Reply::Done(status, &text));
                exit(0)
            }
            Ok(Cloned::Parent { .. }) => Answer::Handed,
            Err(errno) => failed(format_args!("{}", super::words(errno))),
        }
    }
}
