//! What a person who has asked for something is told, and when.

use super::{State, Supervisor, Unit, WorkloadRequest};
use crate::config::{Config, Workload, WorkloadSet};

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// What was asked for is so.
    Done,
    /// It failed, and stays down.
    Failed,
    /// It was not started, because the workload with this index, which it needs, failed.
    Need(usize),
    /// It exited before it was ready, and is tried again.
    Retried,
    /// Somebody asked it to stop meanwhile.
    Stopped,
    /// Somebody asked it to start meanwhile.
    Started,
    /// It cannot be killed.
    Lost,
    /// It runs only at shutdown.
    AtStop,
    /// It waits for the workload with this index, which does not come up by itself, or failed and is tried again. With its own
    /// index it waits for a part of the board, as [`Unit::lacks`] says.
    Waits(usize),
}

impl Supervisor {
    /// What is to be answered to a request. `None` while it is on its way.
    pub fn outcome(&self, config: &Config<'_>, index: usize, ask: WorkloadRequest) -> Option<Outcome> {
        let unit = &self.units[index];
        match (unit.state, ask) {
            (State::Lost, _) => Some(Outcome::Lost),
            (State::Stopping(_) | State::Killing(_) | State::Unhealthy(_), WorkloadRequest::Stop)
                if unit.is_to_stay_down() =>
            {
                None
            }
            (State::Finished | State::Failed | State::Stopped, WorkloadRequest::Stop) => Some(Outcome::Done),
            (_, WorkloadRequest::Stop) => Some(Outcome::Started),
            (State::Ready | State::Finished, _) => Some(Outcome::Done),
            (State::Failed, _) => {
                Some(unit.failed_need().and_then(|slot| config.index_of(slot)).map_or(Outcome::Failed, Outcome::Need))
            }
            (State::BackingOff(_), _) => Some(Outcome::Retried),
            (State::Stopped, _) => Some(Outcome::Stopped),
            (State::Waiting, _) if config.workloads[index].supervision.at_stop_ms > 0 => Some(Outcome::AtStop),
            // On its way down as well: what it needs may fail each time before it is ready.
            (state, _) if waits(state) => {
                self.held_by(config, index).or_else(|| self.failing(config, index)).map(Outcome::Waits)
            }
            _ => None,
        }
    }

    /// Why a restart is not begun: what it needs would not come up, so that it would be down for ever.
    pub fn refusal(&self, config: &Config<'_>, index: usize) -> Option<Outcome> {
        let is_down = |unit: &Unit| !matches!(unit.state, State::Ready | State::Finished);
        let never_comes = |need: &usize| self.units[*need].state == State::Lost || self.is_at_stop(config, *need);
        self.needed(config, index, is_down).iter().find(never_comes).map(Outcome::Waits)
    }

    /// What keeps a workload waiting, perhaps through others, because it failed and is tried again.
    fn failing(&self, config: &Config<'_>, index: usize) -> Option<usize> {
        let with = |mut set: WorkloadSet, other| {
            set.insert(other);
            set
        };
        let waits_for = reached(index, |other| {
            let Workload { needs, after, .. } = &config.workloads[other];
            let waiting = after.iter().filter(|before| self.units[*before].state == State::Waiting);
            if waits(self.units[other].state) { waiting.fold(*needs, with) } else { WorkloadSet::EMPTY }
        });
        waits_for.iter().find(|need| matches!(self.units[*need].state, State::BackingOff(_)))
    }

    /// What a workload that waits will wait for until a person does something: itself where it lacks a part of the board.
    pub(super) fn held_by(&self, config: &Config<'_>, index: usize) -> Option<usize> {
        let lacks = |index: usize| waits(self.units[index].state) && self.units[index].lacks & !self.awaited > 0;
        let holds = |need: &usize| {
            matches!(self.units[*need].state, State::Stopped | State::Lost)
                || self.is_at_stop(config, *need)
                || lacks(*need)
        };
        let needed = self.needed(config, index, |unit| unit.state == State::Waiting);
        Some(index).filter(|index| lacks(*index)).or_else(|| needed.iter().find(holds))
    }

    pub(super) fn is_at_stop(&self, config: &Config<'_>, index: usize) -> bool {
        config.workloads[index].supervision.at_stop_ms > 0
    }

    /// What a workload needs, and what those need for which `goes_on` holds.
    pub(super) fn needed(&self, config: &Config<'_>, index: usize, goes_on: impl Fn(&Unit) -> bool) -> WorkloadSet {
        reached(index, |other| {
            let is_followed = other == index || goes_on(&self.units[other]);
            if is_followed { config.workloads[other].needs } else { WorkloadSet::EMPTY }
        })
    }
}

/// Whether a workload with a process to come waits for others, or will.
fn waits(state: State) -> bool {
    matches!(state, State::Waiting | State::Stopping(_) | State::Killing(_))
}

/// What `next` leads to from a workload on, in any number of steps.
fn reached(index: usize, next: impl Fn(usize) -> WorkloadSet) -> WorkloadSet {
    let mut found = next(index);
    // Each round but the last one finds at least one more.
    loop {
        let more = found.iter().fold(found, |more, other| more.union(next(other)));
        if more == found {
            return found;
        }
        found = more;
    }
}
