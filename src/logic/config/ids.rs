//! Assigns ranges of host ids to workloads: 65,536 ids each. Ranges do not overlap, except that two `ids` lines may
//! name exactly the same range: those workloads share their ids, which `audit` reports.
//!
//! A range is not reused before the next boot, because files that a removed workload left behind would belong to
//! another one.

use super::error::{Error, Problem};
use super::limits::{FIRST_ID, IDS};
use super::model::Config;
use super::workload_set::WorkloadSet;

/// Checks and assigns the ranges of a whole configuration. Ranges of `ids` lines must not overlap in part; all others
/// are placed beside them.
///
/// # Errors
/// The second of two `ids` lines that overlap, at its workload.
pub(super) fn arrange<'a>(config: &mut Config<'a>) -> Result<(), Error<'a>> {
    let mut settled = WorkloadSet::EMPTY;
    for index in 0..config.workloads.len() {
        let workload = config.workload(index);
        if !workload.isolation.has_own_ids {
            continue;
        }
        let first = workload.isolation.first_id;
        let other = settled.iter().find(|other| {
            let other = config.workloads[*other].isolation.first_id;
            other != first && other.abs_diff(first) < IDS
        });
        if let Some(other) = other {
            let problem = Problem::SameIds(workload.name, config.workload(other).name);
            return Err(Error { line: workload.line, column: 1, problem });
        }
        settled.insert(index);
    }
    config.next_ids = IDS * (config.workloads.len() as u32 + 1);
    // Workloads whose range by their place in the file is free get that one; the others are placed after all of them.
    let (own, mut late) = (settled, WorkloadSet::EMPTY);
    for index in (0..config.workloads.len()).filter(|index| !own.contains(*index)) {
        match overlapping(config, config.workload(index).isolation.first_id, &own) {
            None => settled.insert(index),
            Some(_) => late.insert(index),
        }
    }
    place(config, None, late, settled);
    Ok(())
}

/// Keeps the ids of the old configuration for workloads without an `ids` line. By their place in the file they would
/// change when a workload is inserted before them. New workloads get ranges that were never in use.
pub fn keep_ids(old: &Config<'_>, new: &mut Config<'_>) {
    let mut settled = WorkloadSet::EMPTY;
    for (index, workload) in new.workloads.iter().enumerate() {
        if workload.isolation.has_own_ids {
            settled.insert(index);
        }
    }
    let (own, mut late) = (settled, WorkloadSet::EMPTY);
    for index in (0..new.workloads.len()).filter(|index| !own.contains(*index)) {
        let before = old.find(new.workloads[index].name).map(|before| &old.workloads[before]);
        let kept = before.filter(|before| !before.isolation.has_own_ids).map(|before| before.isolation.first_id);
        match kept.filter(|first| overlapping(new, *first, &own).is_none()) {
            Some(first) => {
                new.workloads[index].isolation.first_id = first;
                settled.insert(index);
            }
            None => late.insert(index),
        }
    }
    new.next_ids = new.next_ids.max(old.next_ids);
    place(new, Some(old), late, settled);
}

/// Returns the workload of `among` whose range overlaps the one that begins at `first`.
fn overlapping(config: &Config<'_>, first: u32, among: &WorkloadSet) -> Option<usize> {
    among.iter().find(|other| config.workloads[*other].isolation.first_id.abs_diff(first) < IDS)
}

/// Assigns to each of `late` the next range that is not and was not in use.
fn place(config: &mut Config<'_>, old: Option<&Config<'_>>, late: WorkloadSet, mut settled: WorkloadSet) {
    for index in late.iter() {
        let mut first = config.next_ids;
        loop {
            // After 65,000 new workloads since the boot, ranges are reused.
            if !FIRST_ID.contains(&first) {
                first = *FIRST_ID.start();
            }
            let is_old = |old: &Config<'_>| {
                old.workloads.iter().any(|workload| workload.isolation.first_id.abs_diff(first) < IDS)
            };
            if overlapping(config, first, &settled).is_none() && !old.is_some_and(is_old) {
                break;
            }
            first += IDS;
        }
        config.workloads[index].isolation.first_id = first;
        config.next_ids = first + IDS;
        settled.insert(index);
    }
}

#[cfg(test)]
mod tests;
