//! The state of the board and its workloads, as PID 1 tells it.

use crate::control::{Control, message};
use anyhow::{Context, Result, bail};
use hilum::status::counter;
use hilum::supervise::{ExitReason, State};
use hilum::wire::{Command, END, Reply, Request, SystemStatus, TEXTS};
use serde_json::Value;

/// What PID 1 says at one time.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) system: SystemStatus,
    pub(crate) workloads: Vec<Workload>,
    /// The slots of updates; none without a disk that has them.
    pub(crate) slots: Slots,
}

/// A workload.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) name: String,
    /// By [`State::number`].
    pub(crate) state: u8,
    pub(crate) since_ms: Option<u64>,
    pub(crate) restarts: u32,
    pub(crate) last: Option<ExitReason>,
    pub(crate) is_out_of_memory: bool,
    pub(crate) is_corrupt: bool,
    pub(crate) dropped: u32,
    pub(crate) usage: Usage,
}

impl Workload {
    /// Returns whether it serves, or has done what it is for.
    pub(crate) fn is_ready(&self) -> bool {
        [State::Ready.number(), State::Finished.number()].contains(&self.state)
    }

    /// Returns whether something is wrong with it: it is unhealthy, waits for a restart after a failure, or failed for good. One that
    /// waits, starts, or was stopped is not unhealthy.
    pub(crate) fn is_healthy(&self) -> bool {
        !matches!(hilum::status::state_name(self.state), "unhealthy" | "backing-off" | "failed" | "lost")
    }
}

/// Counters of a workload's cgroup; `None` where the kernel has none.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    pub(crate) memory: Option<u64>,
    pub(crate) inactive_file: Option<u64>,
    pub(crate) peak: Option<u64>,
    /// `u64::MAX` for no limit.
    pub(crate) limit: Option<u64>,
    pub(crate) cpu_us: Option<u64>,
    pub(crate) user_us: Option<u64>,
    pub(crate) system_us: Option<u64>,
    pub(crate) throttled_us: Option<u64>,
    pub(crate) threads: Option<u64>,
    pub(crate) is_frozen: Option<u64>,
    pub(crate) oom_kills: Option<u64>,
}

/// The files of a cgroup that are asked for (cgroups(7), and cgroup-v2.rst of the kernel).
const FILES: [&str; hilum::wire::FILES] = [
    "memory.current",
    "memory.stat",
    "memory.peak",
    "memory.max",
    "cpu.stat",
    "pids.current",
    "cgroup.events",
    "memory.events",
];

impl Usage {
    /// Returns the counters in the texts of [`FILES`].
    fn read(texts: &str) -> Self {
        let mut new = Self::default();
        texts.split(char::from(END)).enumerate().for_each(|(place, text)| new.take(place, text));
        new
    }

    /// Takes the counters in the file with this place among [`FILES`].
    fn take(&mut self, place: usize, text: &str) {
        match place {
            0 => self.memory = counter(text, ""),
            1 => self.inactive_file = counter(text, "inactive_file "),
            2 => self.peak = counter(text, ""),
            3 => self.limit = counter(text, ""),
            4 => {
                self.cpu_us = counter(text, "usage_usec ");
                self.user_us = counter(text, "user_usec ");
                self.system_us = counter(text, "system_usec ");
                self.throttled_us = counter(text, "throttled_usec ");
            }
            5 => self.threads = counter(text, ""),
            6 => self.is_frozen = counter(text, "frozen "),
            7 => self.oom_kills = counter(text, "oom_kill "),
            _ => {}
        }
    }
}

/// The event of an answer to Status that has the slots as JSON.
const SLOTS: u64 = 1;

/// The slots of updates, and how the last trial ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Slots {
    pub(crate) slots: Vec<Slot>,
    /// The version that was on trial last, and what became of it.
    pub(crate) verdict: Option<(u64, String)>,
    /// No version below this one is taken; 0 for any.
    pub(crate) floor: u64,
}

/// A slot.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) name: String,
    /// 0 for an empty slot.
    pub(crate) version: u64,
    pub(crate) is_committed: bool,
    pub(crate) is_running: bool,
    pub(crate) is_on_trial: bool,
}

impl Slots {
    /// Reads the object `slots` of `hilum status --json`; there are none before PID 1 knows them.
    pub(crate) fn read(json: &str) -> Result<Self> {
        let json: Value = serde_json::from_str(json).context("the slots")?;
        if json.is_null() {
            return Ok(Self::default());
        }
        let number = |key: &str| json[key].as_u64().with_context(|| format!("the slots have no {key}"));
        let slot = |name: &str| {
            let is = |key: &str| json[key] == name;
            Ok(Slot {
                name: name.to_owned(),
                version: number(name)?,
                is_committed: is("committed"),
                is_running: is("running"),
                is_on_trial: is("trial"),
            })
        };
        let last = json["last"].as_str().and_then(|last| last.strip_prefix("version ")?.split_once(' '));
        Ok(Self {
            slots: ["a", "b"].into_iter().map(slot).collect::<Result<_>>()?,
            verdict: last.and_then(|(version, what)| Some((version.parse().ok()?, what.to_owned()))),
            floor: number("floor")?,
        })
    }

    /// Returns whether the last trial ended without a commit.
    pub(crate) fn is_rolled_back(&self) -> bool {
        self.verdict.as_ref().is_some_and(|(_, what)| !what.starts_with("is committed"))
    }
}

/// Asks PID 1 for everything.
///
/// # Errors
/// PID 1 does not answer.
pub(crate) fn look(control: &Control) -> Result<Board> {
    let (mut system, mut workloads, mut slots) = (None, Vec::new(), String::from("null"));
    let mut request = Request::new(Command::Status);
    // An empty name is that of all. They fit.
    let _ = request.words.extend_from_slice(&[&[""], &FILES[..]].concat());
    // The counters of a workload come in front of its state.
    let mut usage = Usage::default();
    control.ask(&message(&request)?, &mut |reply| match reply {
        Reply::Event(TEXTS, texts) => usage = Usage::read(texts),
        Reply::System(told) => system = Some(*told),
        Reply::Status(status) => workloads.push(Workload {
            name: status.name.to_owned(),
            state: status.state,
            since_ms: status.since_ms,
            restarts: status.restarts,
            last: status.last,
            is_out_of_memory: status.out_of_memory.is_some(),
            is_corrupt: status.is_corrupt,
            dropped: status.dropped,
            usage: std::mem::take(&mut usage),
        }),
        Reply::Event(SLOTS, json) => (*json).clone_into(&mut slots),
        _ => {}
    })?;
    let system = system.context("PID 1 tells nothing about the board")?;
    Ok(Board { system, workloads, slots: Slots::read(&slots)? })
}

/// Asks for the slots.
///
/// # Errors
/// PID 1 does not answer, or does not know them: the board is booting, or has none.
pub(crate) fn slots(control: &Control) -> Result<Slots> {
    let mut slots = Slots::default();
    let mut result = Ok(());
    control.ask(&message(&Request::new(Command::Status))?, &mut |reply| {
        if let Reply::Event(SLOTS, json) = reply {
            result = Slots::read(json).map(|read| slots = read);
        }
    })?;
    result?;
    if slots.slots.is_empty() { bail!("PID 1 knows no slots") } else { Ok(slots) }
}

#[cfg(test)]
mod tests;
