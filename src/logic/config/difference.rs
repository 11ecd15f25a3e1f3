//! Compares two configurations: which workloads keep running when a board reads its file again.
//!
//! Sections are compared by their words, not by their parsed fields. A comparison of fields would need code for each of
//! them, and a field that is forgotten there would be a change that a reload ignores.

use super::lexer::{Line, Lines};
use super::model::{Config, Workload};
use super::workload_set::WorkloadSet;

/// Returns the slots of the workloads that have the same lines in both configurations. Workloads are identified by
/// name; the new configuration has kept their slots ([`super::keep_slots`]). The order of sections does not matter, nor
/// does the order of lines with different keys. Both must have the same `[system]` section ([`has_same_system`]).
pub fn unchanged(old: &Config<'_>, new: &Config<'_>) -> WorkloadSet {
    let mut kept = WorkloadSet::EMPTY;
    for (index, workload) in new.workloads.iter().enumerate() {
        if old.find(workload.name).is_some_and(|before| is_same(old, &old.workloads[before], new, workload)) {
            kept.insert(new.slots.of(index));
        }
    }
    kept
}

/// Returns whether both configurations have the same sections `[system]` and `[site]`.
pub fn has_same_system(old: &Config<'_>, new: &Config<'_>) -> bool {
    let is_same = |old_line, new_line| SectionLines::of(old, old_line).has_same_lines(&SectionLines::of(new, new_line));
    is_same(old.system.line, new.system.line) && is_same(old.system.site_line, new.system.site_line)
}

fn is_same(old: &Config<'_>, before: &Workload<'_>, new: &Config<'_>, after: &Workload<'_>) -> bool {
    // `talk` is compared by the addresses of the workloads that it names.
    let has_same_addresses = |index: usize| {
        let peer = &old.workloads[index];
        new.find(peer.name).is_some_and(|after| {
            new.workloads[after].network.addresses(&new.pools).eq(peer.network.addresses(&old.pools))
        })
    };
    before.isolation.first_id == after.isolation.first_id
        && SectionLines::of(old, before.line).has_same_lines(&SectionLines::of(new, after.line))
        && before.network.talk.iter().all(has_same_addresses)
}

/// The lines of a section that are not read yet.
#[derive(Clone)]
struct SectionLines<'a>(Lines<'a>);

impl<'a> SectionLines<'a> {
    /// Returns the section whose first line has this number.
    fn of(config: &Config<'a>, first: u32) -> Self {
        let (mut lines, mut line) = (config.lines.clone(), Line::none());
        while line.number != first && lines.has_next(&mut line) {}
        Self(lines)
    }

    /// Reads the next line, or the next one with this key. Returns false at the end of the section.
    fn next(&mut self, key: Option<&str>, line: &mut Line<'a>) -> bool {
        while self.0.has_next(line) && !line.begins_section() {
            if key.is_none_or(|key| line.words[0].text == key) {
                return true;
            }
        }
        false
    }

    fn count(mut self) -> usize {
        let mut line = Line::none();
        core::iter::from_fn(|| self.next(None, &mut line).then_some(())).count()
    }

    /// Returns whether both have the same lines. Only lines with the same key must be in the same order.
    fn has_same_lines(&self, other: &Self) -> bool {
        let (mut all, mut line) = (self.clone(), Line::none());
        while all.next(None, &mut line) {
            if !self.has_same_lines_with(line.words[0].text, other) {
                return false;
            }
        }
        self.clone().count() == other.clone().count()
    }

    /// Returns whether both have the same lines with this key.
    fn has_same_lines_with(&self, key: &str, other: &Self) -> bool {
        let (mut left, mut right) = (self.clone(), other.clone());
        let (mut one, mut two) = (Line::none(), Line::none());
        while left.next(Some(key), &mut one) {
            let is_like = right.next(Some(key), &mut two)
                && one.words.iter().map(|word| word.text).eq(two.words.iter().map(|word| word.text));
            if !is_like {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
