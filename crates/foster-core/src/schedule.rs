//! When a job is due: an interval, or five cron fields in a time zone. Pure arithmetic.
//!
//! Times of the wall clock are whole seconds since 1970 (UTC). A time zone is a list of plain transitions, which the shell
//! has read ([`Zone`]). Next: `schedule/cron.rs`, the fields; `schedule/calendar.rs`, days.
//!
//! # Daylight saving
//!
//! A schedule of every hour is a frequency and follows real time: an hour that the clock repeats has its runs twice, and
//! one that it skips has none. Any other schedule names local times. One that does not exist is due at the next minute that
//! does; one that exists twice is due the first time.

mod calendar;
mod cron;
mod timetable;

use alloc::vec::Vec;
use core::time::Duration;

pub use calendar::{Date, date, day};
pub use cron::{Cron, CronError, Field};
pub use timetable::{Due, FURTHEST, Timetable, Timing, WallClock};

/// When a job is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// Every so often, counted from foster's start.
    Every(Duration),
    /// By the wall clock.
    Cron(Cron),
}

/// A time zone: offsets from UTC in seconds, and when they change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Zone {
    /// The offset before the first change.
    pub first: i32,
    /// The changes, each later than the one before.
    pub changes: Vec<Transition>,
}

/// A change of the offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// When, in seconds since 1970 (UTC).
    pub at: i64,
    /// The offset from then on.
    pub offset: i32,
}

/// A time with one offset.
#[derive(Debug, Clone, Copy)]
struct Segment {
    from: i64,
    to: i64,
    offset: i64,
    /// The local times before this one have been: it starts later where the clock was set back.
    fresh: i64,
}

const MINUTE: i64 = 60;
/// Beyond all times that this file computes with, and far from an overflow.
const FOREVER: i64 = 1 << 50;

impl Zone {
    /// UTC.
    pub const UTC: Zone = Zone { first: 0, changes: Vec::new() };

    /// The offset from UTC at this time, in seconds.
    pub fn offset_at(&self, time: i64) -> i32 {
        let before = self.changes.partition_point(|change| change.at <= time);
        let last = before.checked_sub(1).and_then(|last| self.changes.get(last));
        last.map_or(self.first, |change| change.offset)
    }

    /// The segments from the one that has this time on.
    fn segments(&self, time: i64) -> impl Iterator<Item = Segment> {
        let first = self.changes.partition_point(|change| change.at <= time);
        (first..=self.changes.len()).filter_map(|index| self.segment(index))
    }

    /// The segment before the change of this index.
    fn segment(&self, index: usize) -> Option<Segment> {
        let begins = match index.checked_sub(1) {
            Some(before) => Some(*self.changes.get(before)?),
            None => None,
        };
        let from = begins.map_or(-FOREVER, |change| change.at);
        let offset = i64::from(begins.map_or(self.first, |change| change.offset));
        let to = self.changes.get(index).map_or(FOREVER, |change| change.at);
        // The end of each earlier segment in its own local time.
        let before = self.changes.get(..index).unwrap_or(&[]);
        let offsets = core::iter::once(self.first).chain(before.iter().map(|change| change.offset));
        let ends = before.iter().zip(offsets).map(|(change, offset)| change.at + i64::from(offset));
        let fresh = ends.max().unwrap_or(-FOREVER);
        Some(Segment { from, to, offset, fresh })
    }
}

impl Cron {
    /// The first due time after this one; `None`: there is none within the next years.
    pub fn next(&self, after: i64, zone: &Zone) -> Option<i64> {
        let start = ceil(after + 1);
        for segment in zone.segments(start) {
            let Segment { from, to, offset, fresh } = segment;
            let begin = start.max(ceil(from));
            let mut local = begin + offset;
            if !self.is_frequency() {
                // Local times that the clock has skipped are due at its first minute after them.
                let skipped = fresh > -FOREVER && fresh < from + offset && start <= ceil(from);
                if skipped && self.next_local(ceil(fresh)).is_some_and(|due| due < from + offset) {
                    return Some(ceil(from));
                }
                local = local.max(ceil(fresh));
            }
            match self.next_local(local) {
                Some(due) if due - offset < to => return Some(due - offset),
                // Without another change there is nothing more to come.
                None if to == FOREVER => return None,
                Some(_) | None => {}
            }
        }
        None
    }
}

/// The first full minute at or after this time.
fn ceil(time: i64) -> i64 {
    time.saturating_add(MINUTE - 1).div_euclid(MINUTE) * MINUTE
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// Berlin, 2026: 01:00 UTC on 29 March and on 25 October.
    fn berlin() -> Zone {
        Zone {
            first: 3600,
            changes: vec![
                Transition { at: 1_774_746_000, offset: 7200 },
                Transition { at: 1_792_890_000, offset: 3600 },
            ],
        }
    }

    const SPRING: i64 = 1_774_746_000;
    const AUTUMN: i64 = 1_792_890_000;

    fn due(line: &str, after: i64, zone: &Zone, count: usize) -> Vec<i64> {
        let cron = Cron::parse(line).unwrap();
        let mut at = after;
        let mut next = || {
            at = cron.next(at, zone).unwrap();
            at
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn a_local_time_that_does_not_exist_is_due_at_the_next_minute_that_does() {
        let day = 24 * 3600;
        // 02:30 on the day before, 03:00 instead of 02:30, and 02:30 on the day after, an hour earlier in UTC.
        assert_eq!(
            due("30 2 * * *", SPRING - day, &berlin(), 3),
            [SPRING - day + 1800, SPRING, SPRING + day - 1800]
        );
        // 03:00 is due by itself: once.
        assert_eq!(due("0 3 * * *", SPRING - 60, &berlin(), 2), [SPRING, SPRING + day]);
        assert_eq!(due("0,30 2-3 * * *", SPRING - 60, &berlin(), 2), [SPRING, SPRING + 1800]);
        // Every other hour is 00:00, 03:00 instead of 02:00, and 04:00.
        assert_eq!(due("0 */2 * * *", SPRING - 7300, &berlin(), 3), [SPRING - 7200, SPRING, SPRING + 3600]);
        // Where the clock goes from 02:00 to 02:30, as on Lord Howe Island.
        let half = Zone { first: 0, changes: vec![Transition { at: 7200, offset: 1800 }] };
        assert_eq!(due("0,15,30 2 * * *", 0, &half, 2), [7200, 86_400 + 5400]);
    }

    #[test]
    fn a_local_time_that_exists_twice_is_due_once_and_a_frequency_follows_real_time() {
        let day = 24 * 3600;
        assert_eq!(due("30 2 * * *", AUTUMN - 3600, &berlin(), 2), [AUTUMN - 1800, AUTUMN + day + 1800]);
        assert_eq!(
            due("30 * * * *", AUTUMN - 3600, &berlin(), 3),
            [AUTUMN - 1800, AUTUMN + 1800, AUTUMN + 5400]
        );
        assert_eq!(due("0 * * * *", SPRING - 1, &berlin(), 2), [SPRING, SPRING + 3600]);
    }

    #[test]
    fn a_day_that_the_calendar_skips_is_due_at_the_start_of_the_next_one() {
        // Apia had no 30 December 2011: from UTC-10 to UTC+14.
        let change = 1_325_239_200;
        let zone = Zone { first: -36_000, changes: vec![Transition { at: change, offset: 50_400 }] };
        assert_eq!(due("0 9 30 12 *", change - 60, &zone, 1), [change]);
        assert_eq!(due("0 9 * * *", change - 60, &zone, 2), [change, change + 9 * 3600]);
    }

    #[test]
    fn what_is_never_due_again_ends() {
        let cron = Cron::parse("0 0 29 2 *").unwrap();
        assert_eq!(cron.next(0, &Zone::UTC), Some(68_169_600));
        assert_eq!(cron.next(FOREVER, &Zone::UTC), None);
    }
}
