//! The results of the last orders, each shown once the browser has been sent back to the page (POST, redirect, GET).
//!
//! The only state of the helper, and bounded. A number that is gone, as after a new start of the helper, shows nothing.

use std::collections::VecDeque;

/// What has come of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::web) struct Report {
    pub(in crate::web) success: Success,
    /// The order: `stop web`.
    pub(in crate::web) title: String,
    /// What happened to each instance.
    pub(in crate::web) lines: Vec<String>,
}

/// Whether an order was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::web) enum Success {
    Done,
    Failed,
    /// It takes longer than a client waits.
    UnderWay,
}

/// The last ones, with their numbers.
#[derive(Debug, Default)]
pub(in crate::web) struct Results(VecDeque<(u64, Report)>);

/// How many are kept.
const KEPT: usize = 16;
/// The most lines of one, and the most characters of a line.
const LINES: usize = 20;
const LINE: usize = 300;

impl Results {
    /// Keeps a report; returns its number, which a helper that is started later does not give again.
    pub(in crate::web) fn add(&mut self, mut report: Report, unix_ms: i64) -> u64 {
        let more = report.lines.len().saturating_sub(LINES);
        report.lines.truncate(LINES);
        for line in &mut report.lines {
            if let Some((at, _)) = line.char_indices().nth(LINE) {
                line.truncate(at);
                line.push('…');
            }
        }
        if more > 0 {
            report.lines.push(format!("and {more} more"));
        }
        let last = self.0.back().map_or(0, |(number, _)| *number);
        let number = u64::try_from(unix_ms).unwrap_or(0).max(last + 1);
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back((number, report));
        number
    }

    /// The report of this number.
    pub(in crate::web) fn get(&self, number: &str) -> Option<&Report> {
        let number = number.parse::<u64>().ok()?;
        self.0.iter().find(|(known, _)| *known == number).map(|(_, report)| report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_kept_and_each_is_bounded() {
        let mut results = Results::default();
        let report = |title: &str| Report {
            success: Success::Done,
            title: title.to_owned(),
            lines: vec!["é".repeat(1000); 1000],
        };
        let numbers: Vec<u64> = (0..20).map(|number| results.add(report(&number.to_string()), 5)).collect();
        assert_eq!(numbers, (5..25).collect::<Vec<u64>>());
        assert_eq!(results.get("8"), None);
        let kept = results.get("9").unwrap();
        assert_eq!((kept.title.as_str(), kept.lines.len()), ("4", 21));
        assert_eq!(kept.lines[0].chars().count(), 301);
        assert_eq!(kept.lines[20], "and 980 more");
        assert_eq!(results.get("x"), None);
    }
}
