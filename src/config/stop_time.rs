//! `shutdown_timeout` for programs of another tool: each may have asked for more time to stop than foster's whole shutdown.
//!
//! Pure.

use super::front_end::{DEFAULT, set, text};
use super::merged::Document;
use super::table::{Kind, Table};

/// Makes room for the programs that ask for more time to stop than foster's shutdown takes: those that depend on each other
/// stop one after the other.
pub(super) fn set_shutdown_timeout(document: &mut Document) {
    const USUAL: u64 = 9;
    let mut waves: std::collections::BTreeMap<usize, u64> = std::collections::BTreeMap::new();
    let mut is_asked = false;
    let programs: Vec<&Table> = document.programs.items().filter_map(|item| item.value.table()).collect();
    let names: Vec<&str> = document.programs.items().map(|item| item.name()).collect();
    let position = |name: &str| names.iter().position(|known| *known == name);
    let dependencies: Vec<Vec<usize>> = programs
        .iter()
        .map(|table| {
            let listed = ["after", "requires"].into_iter().filter_map(|key| table.get(key));
            let listed = listed.filter_map(|item| {
                if let Kind::Array(values) = &item.value.kind { Some(values) } else { None }
            });
            listed.flatten().filter_map(|value| position(value.string()?)).collect()
        })
        .collect();
    let mut levels = vec![0_usize; programs.len()];
    // A circle is an error, and found later.
    for _ in 0..programs.len().min(64) {
        for (index, others) in dependencies.iter().enumerate() {
            let level = others.iter().filter_map(|other| levels.get(*other)).map(|level| level + 1).max();
            if let (Some(own), Some(level)) = (levels.get_mut(index), level) {
                *own = level;
            }
        }
    }
    for (table, level) in programs.iter().zip(&levels) {
        let given =
            table.get("stop_timeout").and_then(|item| humantime::parse_duration(item.value.string()?).ok());
        is_asked |= given.is_some_and(|time| time.as_secs() > 5);
        let signals = match table.get("stop_signal").map(|item| &item.value.kind) {
            Some(Kind::Array(signals)) => u64::try_from(signals.len()).unwrap_or(1),
            _ => 1,
        };
        let seconds = given.map_or(5, |time| time.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX));
        let longest = waves.entry(*level).or_default();
        *longest = seconds.saturating_mul(signals).max(*longest);
    }
    let sum = waves.values().fold(0, |sum: u64, seconds| sum.saturating_add(*seconds));
    if is_asked && sum > USUAL {
        set(&mut document.foster, "shutdown_timeout", text(&format!("{}s", sum.saturating_add(1))), DEFAULT);
    }
}
