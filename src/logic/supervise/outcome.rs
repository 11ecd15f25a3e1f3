//! The reply to a request, and when it is known.

use super::{State, Supervisor, Unit, WorkloadRequest};
use crate::config::{Config, Workload, WorkloadSet};

/// The outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The requested state is reached.
    Done,
    /// The workload failed and stays down.
    Failed,
    /// It was not started, because the workload with this index, which it needs, failed.
    Need(usize),
    /// It exited before it was ready, and is retried.
    Retried,
    /// Another request stopped it meanwhile.
    Stopped,
    /// Another request started it meanwhile.
    Started,
    /// It cannot be killed.
    Lost,
    /// It runs only at shutdown.
    AtStop,
    /// It waits for the workload with this index, which does not come up by itself, or failed and is retried. If this
    /// is its own index, it waits for a part of the board ([`Unit::lacks`]).
    Waits(usize),
}

impl Supervisor {
    /// Returns the outcome of a request, or `None` while it is in progress.
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
            (State::BackingOff(_), _) if !unit.is_leaving => Some(Outcome::Retried),
            (State::Stopped, _) => Some(Outcome::Stopped),
            (State::Waiting, _) if config.workloads[index].supervision.at_stop_ms > 0 => Some(Outcome::AtStop),
            // Also while it stops: what it needs may fail each time before it becomes ready.
            (state, _) if waits(state) => {
                self.held_by(config, index).or_else(|| self.failing(config, index)).map(Outcome::Waits)
            }
            _ => None,
        }
    }

    /// Returns why a restart is refused: a need would not come up, so the workload would stay down.
    pub fn refusal(&self, config: &Config<'_>, index: usize) -> Option<Outcome> {
        let is_down = |unit: &Unit| !matches!(unit.state, State::Ready | State::Finished);
        let never_comes = |need: &usize| self.units[*need].state == State::Lost || self.is_at_stop(config, *need);
        self.needed(config, index, is_down).iter().find(never_comes).map(Outcome::Waits)
    }

    /// Returns the workload that a waiting one waits for, directly or through others, because it failed and is retried.
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
        let is_retried = |unit: &Unit| matches!(unit.state, State::BackingOff(_)) && !unit.is_leaving;
        waits_for.iter().find(|need| is_retried(&self.units[*need]))
    }

    /// Returns the workload for which a waiting one waits until somebody intervenes. It is itself if it lacks a part of
    /// the board.
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

    /// Returns the needs of a workload, and recursively the needs of those for which `goes_on` holds.
    pub(super) fn needed(&self, config: &Config<'_>, index: usize, goes_on: impl Fn(&Unit) -> bool) -> WorkloadSet {
        reached(index, |other| {
            let is_followed = other == index || goes_on(&self.units[other]);
            if is_followed { config.workloads[other].needs } else { WorkloadSet::EMPTY }
        })
    }
}

/// Returns whether a workload waits for others before its next start, or will.
fn waits(state: State) -> bool {
    matches!(state, State::Waiting | State::Stopping(_) | State::Killing(_))
}

/// Returns all workloads that can be reached from one by `next`.
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
