//! `needs` and `after`: resolves names to sets of indexes, and refuses cycles.

use super::super::error::{CYCLE_NAMES, Error, Problem};
use super::super::lexer::Line;
use super::super::model::Config;
use super::super::workload_set::WorkloadSet;
use crate::text;

/// Reads a `needs` or `after` line of the workload at `index`, when all sections are known.
pub(super) fn read<'a>(line: &Line<'a>, config: &mut Config<'a>, index: usize, is_need: bool) -> Result<(), Error<'a>> {
    let key = if is_need { "needs" } else { "after" };
    let error = |column, problem| Error { line: line.number, column, problem };
    if line.words.len() < 2 {
        return Err(error(line.end, Problem::Missing(key, text!("the name of a workload"))));
    }
    for word in &line.words[1..] {
        if is_need && word.text == "time" && config.system.time.is_on() {
            config.workloads[index].supervision.needs_time = true;
            continue;
        }
        let other = config.find(word.text);
        let other = other.ok_or(error(word.column, Problem::NoWorkload(word.text)))?;
        if other == index {
            return Err(error(word.column, Problem::Itself(word.text)));
        }
        let workload = &mut config.workloads[index];
        if is_need { workload.needs.insert(other) } else { workload.after.insert(other) }
    }
    Ok(())
}

/// Refuses cycles of workloads that wait for each other.
pub(super) fn refuse_cycles<'a>(config: &Config<'a>) -> Result<(), Error<'a>> {
    let waits_for = |index: usize| config.workload(index).needs.union(config.workload(index).after);
    // Remove workloads that wait for no remaining one, until only cycles are left, and workloads that wait for them.
    let mut left = WorkloadSet::EMPTY;
    (0..config.workloads.len()).for_each(|index| left.insert(index));
    while let Some(free) = left.iter().find(|index| waits_for(*index).intersection(left).is_empty()) {
        left.remove(free);
    }
    // From any of these, following the names ends in a cycle.
    let Some(mut at) = left.iter().next() else { return Ok(()) };
    let next = |at| waits_for(at).intersection(left).iter().next().unwrap_or(at);
    (0..config.workloads.len()).for_each(|_| at = next(at));
    let start = at;
    let mut names = [""; CYCLE_NAMES];
    names[0] = config.workload(start).name;
    for name in &mut names[1..] {
        at = next(at);
        *name = config.workload(at).name;
        if at == start {
            break;
        }
    }
    Err(Error { line: config.workload(start).line, column: 1, problem: Problem::Cycle(names) })
}
