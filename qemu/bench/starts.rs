//! Time from start to exit: contestants take turns in rounds.

use crate::contestants::{BARE, Contestant, FRESH_FLOOR, NAMES, Place};
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The result of one contestant.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// Microseconds, in ascending order.
    pub(crate) times: Vec<u64>,
    /// Why there are none.
    pub(crate) problem: Option<String>,
    /// System calls of one start.
    pub(crate) calls: Option<usize>,
    /// Peak memory of one start, in KiB.
    pub(crate) peak_kb: Option<u64>,
}

impl Row {
    /// Returns a percentile of the times, by the nearest rank below; `None` without times.
    pub(crate) fn percentile(&self, percent: usize) -> Option<u64> {
        self.times.get(self.times.len().checked_sub(1)? * percent / 100).copied()
    }

    pub(crate) fn median(&self) -> Option<u64> {
        self.percentile(50)
    }
}

/// Lets each contestant start once per round, so that other load on the machine affects all of them.
pub(crate) fn measure(place: &Place, names: &[&str], runs: usize, counts_calls: bool) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut running: Vec<(Contestant<'_>, Vec<Duration>)> = Vec::new();
    for name in names {
        // A warm-up start that does not count: it shows whether starts work, and caches the files.
        match Contestant::new(name, place).and_then(|mut contestant| contestant.start().map(|_| contestant)) {
            Ok(contestant) => running.push((contestant, Vec::new())),
            Err(error) => {
                rows.push(Row { name: (*name).to_owned(), problem: Some(format!("{error:#}")), ..Row::default() });
            }
        }
    }
    for _ in 0..runs {
        for (contestant, times) in &mut running {
            times.push(contestant.start().with_context(|| contestant.name.clone())?);
        }
    }
    for (mut contestant, times) in running {
        let mut times: Vec<u64> = times.iter().map(|time| time.as_micros() as u64).collect();
        times.sort_unstable();
        let counted = counts_calls.then(|| contestant.count_calls().with_context(|| contestant.name.clone()));
        rows.push(Row {
            name: contestant.name.clone(),
            times,
            calls: counted.transpose()?.flatten(),
            ..Row::default()
        });
    }
    Ok(rows)
}

/// Measures the same on this machine, in a mount namespace with additional mounts. unshare(1) runs this program again,
/// because a process with threads cannot change its own namespace.
pub(crate) fn on_host(build: &std::path::Path, names: &[&str], runs: usize, mounts: usize) -> Result<Vec<Row>> {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--"]).arg(std::env::current_exe()?).arg("starts");
    command.arg("--build").arg(build).args(["--runs", &runs.to_string(), "--mounts", &mounts.to_string()]).args(names);
    let output = command.stderr(Stdio::inherit()).output().context("unshare")?;
    ensure!(output.status.success(), "the starts on this machine failed");
    serde_json::from_slice(&output.stdout).context("the starts on this machine")
}

/// Measures starts on this machine with a growing number of mounts, as a table of medians.
pub(crate) fn with_mounts(build: &std::path::Path, runs: usize) -> Result<String> {
    const MOUNTS: [usize; 3] = [0, 500, 2_000];
    const CHOSEN: [&str; 4] = ["hilum", "floor.c, resident", FRESH_FLOOR, "bubblewrap"];
    let mut columns = Vec::new();
    for mounts in MOUNTS {
        columns.push(on_host(build, &CHOSEN, runs, mounts)?);
    }
    let mut text = "| start to exit, median us | 0 further mounts | 500 | 2,000 |\n|---|---|---|---|\n".to_owned();
    for name in CHOSEN {
        let cells = columns.iter().map(|rows| {
            let row = rows.iter().find(|row| row.name == name);
            let median = row.and_then(Row::median).map(|us| us.to_string());
            median.unwrap_or_else(|| row.and_then(|row| row.problem.clone()).unwrap_or_default())
        });
        text += &format!("| {name} | {} |\n", cells.collect::<Vec<String>>().join(" | "));
    }
    Ok(text)
}

/// The part of [`on_host`] inside of the namespace.
pub(crate) fn in_namespace(place: &Place, names: &[String], runs: usize, mounts: usize) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    rustix::mount::mount("none", scratch.path(), "tmpfs", rustix::mount::MountFlags::empty(), None)?;
    for number in 0..mounts.saturating_sub(1) {
        let folder = scratch.path().join(number.to_string());
        std::fs::create_dir(&folder)?;
        rustix::mount::mount("none", &folder, "tmpfs", rustix::mount::MountFlags::empty(), None)?;
    }
    let chosen: Vec<&str> = names.iter().map(String::as_str).collect();
    let all = [&NAMES[..], &BARE].concat();
    let names = if chosen.is_empty() { &all } else { &chosen };
    let rows = measure(place, names, runs, chosen.is_empty())?;
    rustix::mount::unmount(scratch.path(), rustix::mount::UnmountFlags::DETACH)?;
    println!("{}", serde_json::to_string(&rows)?);
    Ok(())
}

/// Returns the rows as a table, sorted by time, with failures last.
pub(crate) fn table(rows: &[Row]) -> String {
    let best = rows.iter().find(|row| row.name == FRESH_FLOOR).and_then(Row::median);
    let has_peak = rows.iter().any(|row| row.peak_kb.is_some());
    let mut sorted: Vec<&Row> = rows.iter().collect();
    sorted.sort_by_key(|row| row.median().unwrap_or(u64::MAX));
    let (name, line) = if has_peak { (" peak memory KiB |", "---|") } else { ("", "") };
    let mut text = format!(
        "| start to exit | median us | 10th percentile | 90th percentile | of {FRESH_FLOOR} | system calls |{name}\n\
         |---|---|---|---|---|---|{line}\n"
    );
    let or_dash = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    for row in sorted {
        text += &match (row.percentile(10), row.median(), row.percentile(90)) {
            (Some(low), Some(median), Some(high)) => {
                let ratio = best.map_or_else(|| "-".to_owned(), |best| format!("{:.2}", median as f64 / best as f64));
                let calls = or_dash(row.calls.map(|calls| calls as u64));
                format!("| {} | {median} | {low} | {high} | {ratio} | {calls} |", row.name)
            }
            _ => {
                let problem = row.problem.as_deref().unwrap_or("no start");
                format!("| {} | does not run here: {problem} | | | | |", row.name)
            }
        };
        text += &if has_peak { format!(" {} |\n", or_dash(row.peak_kb)) } else { "\n".to_owned() };
    }
    text
}

#[cfg(test)]
mod tests;
