//! Requests to start, stop, restart or signal a workload, and their responses.

use super::client::{ClientState, Response, done, failed};
use super::reload::Pending;
use super::requests::{Requests, not_done};
use hilum::config::Signal;
use hilum::supervise::{Event, Outcome, Part, State, WorkloadRequest};
use hilum::text;
use rustix::io::Errno;

impl Requests<'_> {
    pub(super) fn ask(&mut self, index: usize, ask: WorkloadRequest, is_waiting: bool) -> Response {
        let slot = self.cx.slot(index);
        if self.workloads.supervisor.shutting_down().is_some() {
            return failed(format_args!("shutting down"));
        }
        let is_kept = |pending: &Pending| pending.kept.contains(slot);
        if let Some(pending) =
            self.reload.pending.as_ref().filter(|pending| ask != WorkloadRequest::Stop && !is_kept(pending))
        {
            let name = self.cx.config.get().workload(index).name;
            // A changed workload is about to start again, with its new section.
            return match pending.config.get().find(name).is_some() {
                true if is_waiting => Response::Pending(ClientState::Waiting { slot: Some(slot), ask }),
                true => done(),
                false => failed(format_args!("a reload is removing it")),
            };
        }
        let refusal =
            self.workloads.supervisor.refusal(self.cx.config.get(), index).filter(|_| ask == WorkloadRequest::Restart);
        if let Some(refusal) = refusal {
            return self.in_words(index, refusal);
        }
        self.workloads.report(self.cx, index, Event::Requested(ask));
        match self.outcome(index, ask) {
            // It is already in that state, or cannot reach it.
            Some(answer) => answer,
            None if is_waiting => Response::Pending(ClientState::Waiting { slot: Some(slot), ask }),
            None => done(),
        }
    }

    /// The same for the workload in a slot.
    pub(super) fn outcome_of(&self, slot: usize, ask: WorkloadRequest) -> Option<Response> {
        self.cx.config.get().index_of(slot).and_then(|index| self.outcome(index, ask))
    }

    /// Returns the outcome of a request, if it has completed.
    pub(super) fn outcome(&self, index: usize, ask: WorkloadRequest) -> Option<Response> {
        let slot = self.cx.slot(index);
        let outcome = self.workloads.supervisor.outcome(self.cx.config.get(), index, ask)?;
        // A workload that stops for another configuration may be started by that one, or may not exist in it: that is
        // the outcome.
        let is_replaced = |pending: &Pending| ask != WorkloadRequest::Stop && !pending.kept.contains(slot);
        let is_for_now = self
            .reload
            .pending
            .as_ref()
            .is_some_and(|pending| matches!(outcome, Outcome::Waits(_)) || is_replaced(pending));
        (!is_for_now).then(|| self.in_words(index, outcome))
    }

    fn in_words(&self, index: usize, outcome: Outcome) -> Response {
        let workloads = &self.cx.config.get().workloads;
        let name = |index: usize| workloads.get(index).map_or("", |workload| workload.name);
        let own = name(index);
        match outcome {
            Outcome::Done => done(),
            Outcome::Failed => failed(format_args!("workload \"{own}\" failed; see: hilum log {own}")),
            Outcome::Need(need) => failed(format_args!(
                "workload \"{own}\" was not started: \"{0}\" failed; see: hilum log {0}",
                name(need)
            )),
            Outcome::Retried => {
                failed(format_args!("workload \"{own}\" failed and will be restarted; see: hilum log {own}"))
            }
            Outcome::Stopped => failed(format_args!("workload \"{own}\" was stopped meanwhile")),
            Outcome::Started => failed(format_args!("workload \"{own}\" was started again meanwhile")),
            Outcome::Lost => failed(format_args!("workload \"{own}\" is still running after SIGKILL")),
            Outcome::AtStop => failed(format_args!("workload \"{own}\" runs only at shutdown")),
            Outcome::Waits(need) => {
                let is_at_stop = workloads[need].supervision.at_stop_ms > 0;
                let unit = self.workloads.supervisor.unit(need);
                let lacks = [Part::Devices, Part::Disks, Part::Time].iter().any(|part| unit.lacks(*part));
                if need == index {
                    return failed(format_args!(
                        "workload \"{own}\" waits for a device, a disk or the time; see: hilum status {own}"
                    ));
                }
                let why = match unit.state {
                    _ if lacks => text!("waits for a device, a disk or the time; see: hilum status"),
                    _ if is_at_stop => text!("runs only at shutdown; see: hilum status"),
                    State::Stopped => text!("is stopped; start it with: hilum start"),
                    State::Lost => text!("is still running after SIGKILL; see: hilum status"),
                    _ => text!("failed and will be restarted; see: hilum log"),
                };
                let need = name(need);
                failed(format_args!("workload \"{own}\" waits for \"{need}\", which {why} {need}"))
            }
        }
    }

    /// Sends a signal to the first process of a workload, if it would react to it.
    pub(super) fn ask_signal(&mut self, index: usize, number: u32) -> Response {
        let slot = self.cx.slot(index);
        let name = self.cx.config.get().workload(index).name;
        let is_set_up = self.workloads.process(slot).is_none_or(|process| process.report.is_none());
        let sent = match u8::try_from(number) {
            Ok(_) if !is_set_up => return failed(format_args!("workload \"{name}\" is still being started")),
            Ok(number) if !self.workloads.reacts_to(self.cx, index, number) => {
                return failed(format_args!(
                    "workload \"{name}\": its first process does not handle {}, so the kernel discards it",
                    Signal(number)
                ));
            }
            Ok(number) => self.workloads.signal(self.cx, index, number),
            Err(_) => Err(Errno::INVAL),
        };
        match sent {
            Ok(()) => done(),
            Err(errno) => not_done(name, errno),
        }
    }
}
