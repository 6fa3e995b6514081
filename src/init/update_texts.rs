//! What is said about an update: counts, keys, the errors of a report. Pure text.

use super::difference::Keys;
use super::succession::Succession;
use crate::config::Report;

/// How much of a report is sent and logged: nobody reads on.
const LONGEST_REPORT: usize = 64 * 1024;
/// How much of one of its lines, in characters.
pub(super) const LONGEST_PROBLEM: usize = 2000;

/// The errors of a report as far as anybody reads them.
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

/// How many programs are what they were, where any is.
pub(super) fn unchanged(succession: &Succession) -> Option<String> {
    match succession.kept.values().filter(|keys| keys.is_empty()).count() {
        0 => None,
        1 => Some("1 program unchanged".into()),
        count => Some(format!("{count} programs unchanged")),
    }
}

/// What there is to say about `[foster]` and `[signals]`.
pub(super) fn remarks(succession: &Succession) -> Vec<String> {
    let mut remarks = Vec::new();
    if !succession.applied.is_empty() {
        remarks.push(format!("{} applied", listed(succession.applied.iter().copied())));
    }
    if !succession.fixed.is_empty() {
        let want = if succession.fixed.len() == 1 { "wants" } else { "want" };
        remarks.push(format!("{} {want} a new container", listed(succession.fixed.iter().copied())));
    }
    remarks
}

pub(super) fn counted(succession: &Succession) -> String {
    let changed = succession.kept.values().filter(|keys| !keys.is_empty()).count();
    let numbers = [
        (succession.new.len(), "new"),
        (changed, "changed"),
        (succession.removed.len(), "removed"),
        (succession.kept.len() - changed, "unchanged"),
    ];
    let parts = numbers.iter().filter(|(number, _)| *number > 0);
    parts.map(|(number, word)| format!("{number} {word}")).collect::<Vec<_>>().join(", ")
}

pub(super) fn because(keys: &Keys) -> String {
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
