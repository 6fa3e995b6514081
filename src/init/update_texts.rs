//! The texts of an update: counts, keys, the errors of a report. Pure.

use super::plan_diff::ChangedKeys;
use super::plan_merge::PlanMerge;
use crate::config::Report;

/// The most bytes of a report that are sent and logged.
const LONGEST_REPORT: usize = 64 * 1024;
/// The most characters of one of its lines.
pub(super) const LONGEST_PROBLEM: usize = 2000;

/// The errors of a report, bounded.
pub(super) fn bounded(report: &Report) -> Vec<String> {
    let mut size = 0;
    let mut all: Vec<String> = Vec::new();
    for error in report.errors() {
        size += error.len();
        if size > LONGEST_REPORT {
            all.push(format!("and {} more", report.count() - all.len()));
            break;
        }
        all.push(error.trim_end().to_owned());
    }
    all
}

/// The number of unchanged programs, if there are any.
pub(super) fn unchanged(merged: &PlanMerge) -> Option<String> {
    match merged.kept.values().filter(|keys| keys.is_empty()).count() {
        0 => None,
        1 => Some("1 program unchanged".into()),
        count => Some(format!("{count} programs unchanged")),
    }
}

/// Remarks about `[foster]` and `[signals]`.
pub(super) fn remarks(merged: &PlanMerge) -> Vec<String> {
    let mut remarks = Vec::new();
    if !merged.applied.is_empty() {
        remarks.push(format!("{} applied", listed(merged.applied.iter().copied())));
    }
    if !merged.scaled.is_empty() {
        let names = listed(merged.scaled.iter().map(String::as_str));
        remarks.push(format!("{names}: the number of instances that `foster scale` set is kept"));
    }
    if !merged.fixed.is_empty() {
        let keys = listed(merged.fixed.iter().copied());
        remarks.push(format!("a change of {keys} takes effect when the container is recreated"));
    }
    remarks
}

pub(super) fn counted(merged: &PlanMerge) -> String {
    let changed = merged.kept.values().filter(|keys| !keys.is_empty()).count();
    let numbers = [
        (merged.new.len(), "new"),
        (changed, "changed"),
        (merged.removed.len(), "removed"),
        (merged.kept.len() - changed, "unchanged"),
    ];
    let parts = numbers.iter().filter(|(number, _)| *number > 0);
    parts.map(|(number, word)| format!("{number} {word}")).collect::<Vec<_>>().join(", ")
}

pub(super) fn because(keys: &ChangedKeys) -> String {
    if keys.is_empty() { String::new() } else { format!(": {} changed", listed(keys.names())) }
}

pub(super) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.as_slice() {
        [most @ .., one, last] => {
            most.iter().map(|name| format!("{name}, ")).collect::<String>() + one + " and " + last
        }
        one => one.concat(),
    }
}
