//! Starts, stops, restarts and signals that people ask for, and what they are told.

use super::board::Board;
use super::control::Doing;
use super::reload::Pending;
use super::requests::{Answer, done, failed};
use super::words;
use hilum::config::Signal;
use hilum::supervise::{Event, Outcome, State, WorkloadRequest};
use rustix::io::Errno;

impl Board {
    pub(super) fn ask(&mut self, index: usize, ask: WorkloadRequest, is_waiting: bool) -> Answer {
        if self.supervisor.shutting_down().is_some() {
            return failed(format_args!("the board goes down"));
        }
        let is_kept = |pending: &Pending| pending.places.contains(&Some(index));
        if let Some(pending) = self.pending.as_ref().filter(|pending| ask != WorkloadRequest::Stop && !is_kept(pending))
        {
            let name = self.config.get().workloads[index].name;
            // One that has changed is about to start again, with what is said of it now.
            return match pending.config.get().workloads.iter().any(|workload| workload.name == name) {
                true if is_waiting => Answer::Goes(Doing::Waiting { index, ask }),
                true => done(),
                false => failed(format_args!("another configuration is being taken over, which does not have it")),
            };
        }
        let refusal = self.supervisor.refusal(self.config.get(), index).filter(|_| ask == WorkloadRequest::Restart);
        if let Some(refusal) = refusal {
            return self.in_words(index, refusal);
        }
        self.tell(index, Event::Requested(ask));
        match self.outcome(index, ask) {
            // It is so already, or cannot be.
            Some(answer) => answer,
            None if is_waiting => Answer::Goes(Doing::Waiting { index, ask }),
            None => done(),
        }
    }

    /// Whether what was asked of a workload has come to its end, and to which.
    pub(super) fn outcome(&self, index: usize, ask: WorkloadRequest) -> Option<Answer> {
        let told = self.supervisor.outcome(self.config.get(), index, ask)?;
        // What is stopped for another configuration may be started by that one, or is not part of it: that is the answer then.
        let is_replaced = |pending: &Pending| ask != WorkloadRequest::Stop && !pending.places.contains(&Some(index));
        let is_for_now =
            self.pending.as_ref().is_some_and(|pending| matches!(told, Outcome::Waits(_)) || is_replaced(pending));
        (!is_for_now).then(|| self.in_words(index, told))
    }

    fn in_words(&self, index: usize, told: Outcome) -> Answer {
        let workloads = &self.config.get().workloads;
        let name = |index: usize| workloads.get(index).map_or("", |workload| workload.name);
        let own = name(index);
        match told {
            Outcome::Done => done(),
            Outcome::Failed => failed(format_args!("workload \"{own}\" failed; see: hilum log {own}")),
            Outcome::Need(need) => failed(format_args!(
                "workload \"{own}\" was not started: \"{0}\" failed; see: hilum log {0}",
                name(need)
            )),
            Outcome::Retried => {
                failed(format_args!("workload \"{own}\" failed and is tried again; see: hilum log {own}"))
            }
            Outcome::Stopped => failed(format_args!("workload \"{own}\" was stopped meanwhile")),
            Outcome::Started => failed(format_args!("workload \"{own}\" was asked to start again meanwhile")),
            Outcome::Lost => failed(format_args!("workload \"{own}\" cannot be killed")),
            Outcome::AtStop => failed(format_args!("workload \"{own}\" runs when the board goes down")),
            Outcome::Waits(need) => {
                let is_at_stop = workloads[need].supervision.at_stop_ms > 0;
                let why = match self.supervisor.state(need) {
                    _ if is_at_stop => "runs when the board goes down; see: hilum status",
                    State::Stopped => "is stopped; start it with: hilum start",
                    State::Lost => "cannot be killed; see: hilum status",
                    _ => "failed and is tried again; see: hilum log",
                };
                let need = name(need);
                failed(format_args!("workload \"{own}\" waits for \"{need}\", which {why} {need}"))
            }
        }
    }

    /// Sends the first process of a workload a signal that it hears of.
    pub(super) fn ask_signal(&mut self, index: usize, number: u32) -> Answer {
        let name = self.config.get().workloads[index].name;
        let is_set_up = self.processes[index].as_ref().is_none_or(|process| process.report.is_none());
        let sent = match u8::try_from(number) {
            Ok(_) if !is_set_up => return failed(format_args!("workload \"{name}\" is still being set up")),
            Ok(number) if !self.hears(index, number) => {
                return failed(format_args!(
                    "workload \"{name}\": its first process has no handler for {}, so the kernel drops it",
                    Signal(number)
                ));
            }
            Ok(number) => self.signal(index, number),
            Err(_) => Err(Errno::INVAL),
        };
        match sent {
            Ok(()) => done(),
            Err(errno) => not_done(name, errno),
        }
    }
}

/// What a person is told when the kernel refused something that was to be done to a workload.
pub(super) fn not_done(name: &str, errno: Errno) -> Answer {
    match errno {
        Errno::SRCH | Errno::NOENT => {
            failed(format_args!("workload \"{name}\" does not run; start it with: hilum start {name}"))
        }
        Errno::OPNOTSUPP => failed(format_args!("there are no control groups here, which freeze and thaw need")),
        errno => failed(format_args!("workload \"{name}\": {}", words(errno))),
    }
}
