//! Takes the lines of workloads from PID 1 into the spool.
//!
//! PID 1 keeps the last 16 KiB of each workload. It has places for eight connections of workloads, so lines are not followed but asked for:
//! often where there were some, seldom elsewhere. Numbers tell which are new, and how many are missing.

use super::Shared;
use super::frame::Message;
use crate::control::{Control, message};
use anyhow::Result;
use hilum::wire::{Command, Reply, Request};
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The shortest and the longest time between two requests for the lines of a workload.
const PERIOD: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];
/// Lines that may be written while they are asked for.
const MORE: u32 = 64;
/// A clock before 2024 is wrong.
pub(crate) const EARLIEST: Duration = Duration::from_secs(1_704_067_200);

/// Collects for ever.
pub(super) fn run(shared: &Shared, control: &Control) -> ! {
    let mut collector =
        Collector { shared, control, due: BTreeMap::new(), names_at: Instant::now(), told: shared.spool().dropped() };
    let mut is_told = false;
    loop {
        match collector.turn() {
            Ok(()) => is_told = false,
            Err(error) if !is_told => {
                eprintln!("hilum-agent: logs: {error:#}");
                is_told = true;
            }
            Err(_) => {}
        }
        std::thread::sleep(PERIOD[0]);
    }
}

struct Collector<'a> {
    shared: &'a Shared,
    control: &'a Control,
    /// When each workload is asked again, and after how long.
    due: BTreeMap<String, (Instant, Duration)>,
    /// When the names of workloads are asked for again.
    names_at: Instant,
    /// How many dropped messages were told.
    told: u64,
}

/// A line of PID 1: its number, time and text.
type Line = (u32, u64, Vec<u8>);

impl Collector<'_> {
    fn turn(&mut self) -> Result<()> {
        let now = Instant::now();
        if now >= self.names_at {
            let mut names = Vec::new();
            self.control.ask(&message(&Request::new(Command::Status))?, &mut |reply| {
                if let Reply::Status(status) = reply {
                    names.push(status.name.to_owned());
                }
            })?;
            self.names_at = now + PERIOD[1];
            self.due.retain(|name, _| names.contains(name));
            for name in names {
                self.due.entry(name).or_insert((now, PERIOD[0]));
            }
        }
        let due: Vec<String> =
            self.due.iter().filter(|(_, (at, _))| *at <= now).map(|(name, _)| name.clone()).collect();
        for name in due {
            // A workload that was removed meanwhile has none.
            let had_lines = self.take(&name)?;
            if let Some((at, period)) = self.due.get_mut(&name) {
                *period = if had_lines { PERIOD[0] } else { (*period * 2).min(PERIOD[1]) };
                *at = now + *period;
            }
        }
        let dropped = self.shared.spool().dropped();
        if dropped > self.told {
            let text = format!("{} messages dropped, because the spool is full", dropped - self.told);
            self.told = dropped;
            self.append("hilum-agent", None, SystemTime::now(), text.as_bytes())?;
        }
        Ok(())
    }

    /// Takes the new lines of a workload. Returns whether there were some.
    fn take(&mut self, name: &str) -> Result<bool> {
        let Some((newest, ..)) = self.lines(name, 1)?.pop() else { return Ok(false) };
        let seen = self.shared.spool().line(name);
        // A lower number is that of a workload which was removed and added again.
        let seen = seen.filter(|seen| *seen <= newest);
        if seen == Some(newest) {
            return Ok(false);
        }
        let wanted = seen.map_or(u32::MAX, |seen| (newest - seen).saturating_add(MORE));
        let lines = self.lines(name, wanted)?;
        let expected = seen.map_or(0, |seen| seen + 1);
        let missing = lines.first().map_or(0, |(first, ..)| first.saturating_sub(expected));
        if missing > 0 && seen.is_some() {
            let text = format!("{missing} lines of {name} came faster than they were read, and are lost");
            self.append(name, None, SystemTime::now(), text.as_bytes())?;
            self.shared.lost.fetch_add(missing.into(), std::sync::atomic::Ordering::Relaxed);
        }
        let (wall, monotonic) = (SystemTime::now(), self.clock()?);
        for (number, ms, text) in lines.into_iter().filter(|(number, ..)| *number >= expected) {
            let age = Duration::from_millis(monotonic.saturating_sub(ms));
            self.append(name, Some(number), wall.checked_sub(age).unwrap_or(UNIX_EPOCH), &text)?;
        }
        Ok(true)
    }

    /// Returns the last lines of a workload.
    fn lines(&self, name: &str, number: u32) -> Result<Vec<Line>> {
        let mut request = Request { number, ..Request::new(Command::Log) };
        // It fits, because it is the first word.
        let _ = request.words.push(name);
        let mut lines = Vec::new();
        self.control.ask(&message(&request)?, &mut |reply| {
            if let Reply::Line(number, ms, text) = reply {
                lines.push((*number, *ms, text.to_vec()));
            }
        })?;
        Ok(lines)
    }

    /// Returns the clock of PID 1, whose zero need not be that of this process.
    fn clock(&self) -> Result<u64> {
        let mut request = Request::new(Command::Status);
        let _ = request.words.push(self.due.keys().next().map_or("", String::as_str));
        let mut clock = 0;
        self.control.ask(&message(&request)?, &mut |reply| {
            if let Reply::System(system) = reply {
                clock = system.now_ms;
            }
        })?;
        Ok(clock)
    }

    fn append(&self, workload: &str, number: Option<u32>, time: SystemTime, text: &[u8]) -> Result<()> {
        let time = Some(time).filter(|time| time.duration_since(UNIX_EPOCH).is_ok_and(|since| since >= EARLIEST));
        let line = number.map(|number| (self.shared.boot.as_str(), number));
        let host = &self.shared.host;
        self.shared.append(&Message { sequence: 0, time, host, workload, line, text })
    }
}
