//! The due times of one job, one after the other: each exactly once, whatever the wall clock does.
//!
//! The next due time is kept in the time of the schedule: a time since foster's start for an interval, the time of the wall
//! clock for cron. So nothing has to be corrected when the clock is set. Due times that it jumps over are due at once,
//! and those that come again after it was set back are not due again. Only a clock that was set by more than
//! [`FURTHEST`], forward or back, was wrong before, as on a machine that starts in 1970: the schedule then starts again
//! from the time that it has now.

use alloc::rc::Rc;
use core::time::Duration;

use super::{Schedule, Zone};
use crate::time::Instant;

/// A wall clock that is set by more than this was wrong before.
pub const FURTHEST: Duration = Duration::from_secs(25 * 3600);

/// What the wall clock showed at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WallClock {
    /// The instant.
    pub at: Instant,
    /// Milliseconds since 1970 (UTC) then.
    pub unix_ms: i64,
}

/// How the due times of a job are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// When it is due.
    pub schedule: Schedule,
    /// The zone of a cron schedule.
    pub zone: Zone,
    /// Each run is delayed by up to this much.
    pub jitter: Duration,
    /// Makes the delays of different jobs differ: a hash of the name.
    pub seed: u64,
}

/// The timetable of a job.
#[derive(Debug, Clone)]
pub struct Timetable {
    timing: Rc<Timing>,
    /// The next due time, in milliseconds of the time of the schedule; `None`: there is none.
    next: Option<i64>,
}

/// A due time that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Milliseconds in the time of the schedule, without jitter.
    pub at_ms: i64,
}

impl WallClock {
    /// What it shows at an instant, unless it is set.
    pub fn unix_ms(&self, now: Instant) -> i64 {
        match now >= self.at {
            true => self.unix_ms.saturating_add(milliseconds(now.since(self.at))),
            false => self.unix_ms.saturating_sub(milliseconds(self.at.since(now))),
        }
    }

    /// When it will show this time.
    fn instant(&self, unix_ms: i64) -> Instant {
        let wait = u64::try_from(unix_ms.saturating_sub(self.unix_ms)).unwrap_or(0);
        self.at.plus(Duration::from_millis(wait))
    }
}

impl Timetable {
    /// The timetable from now on.
    pub fn new(timing: Rc<Timing>, now: Instant, clock: &WallClock) -> Timetable {
        let mut table = Timetable { timing, next: None };
        table.next = table.after(table.time(now, clock));
        table
    }

    /// When [`Timetable::take_due`] has something.
    pub fn deadline(&self, clock: &WallClock) -> Option<Instant> {
        let at = self.with_jitter(self.next?);
        Some(match self.timing.schedule {
            Schedule::Every(_) => Instant::START.plus(Duration::from_millis(u64::try_from(at).unwrap_or(0))),
            Schedule::Cron(_) => clock.instant(at),
        })
    }

    /// The next due time that has come. There may be more: a clock can jump over several.
    pub fn take_due(&mut self, now: Instant, clock: &WallClock) -> Option<Due> {
        let at_ms = self.next.filter(|next| self.with_jitter(*next) <= self.time(now, clock))?;
        self.next = self.after(at_ms);
        Some(Due { at_ms })
    }

    /// Leaves out what has come.
    pub fn leave_out(&mut self, now: Instant, clock: &WallClock) {
        if self.deadline(clock).is_some_and(|deadline| deadline <= now) {
            self.next = self.after(self.time(now, clock));
        }
    }

    /// The clock was set.
    pub fn clock_set(&mut self, now: Instant, clock: &WallClock) {
        let time = self.time(now, clock);
        // The due time before the next one is not known; the schedule has none between this one and the next.
        let first = self.after(time);
        let back = milliseconds(FURTHEST);
        if self.next.is_some_and(|next| self.with_jitter(next).saturating_add(back) < time) {
            self.next = first;
        }
        if let (Some(next), Some(first)) = (self.next, first)
            && first.saturating_add(back) < next
            && self.after(next.saturating_sub(back)).is_some_and(|due| due < next)
        {
            self.next = Some(first);
        }
    }

    /// The next due times, without jitter.
    pub fn upcoming(&self) -> impl Iterator<Item = Due> + '_ {
        let mut next = self.next;
        core::iter::from_fn(move || {
            let at_ms = next?;
            next = self.after(at_ms);
            Some(Due { at_ms })
        })
    }

    /// The first due time after this one.
    fn after(&self, time: i64) -> Option<i64> {
        match &self.timing.schedule {
            Schedule::Every(interval) => {
                let interval = milliseconds(*interval).max(1);
                time.div_euclid(interval).checked_add(1)?.checked_mul(interval)
            }
            Schedule::Cron(cron) => {
                cron.next(time.div_euclid(1000), &self.timing.zone).and_then(|due| due.checked_mul(1000))
            }
        }
    }

    /// The time of the schedule.
    fn time(&self, now: Instant, clock: &WallClock) -> i64 {
        match self.timing.schedule {
            Schedule::Every(_) => milliseconds(now.elapsed()),
            Schedule::Cron(_) => clock.unix_ms(now),
        }
    }

    /// The same due time has the same delay in each start of the container.
    fn with_jitter(&self, at_ms: i64) -> i64 {
        let most = milliseconds(self.timing.jitter);
        match u64::try_from(most) {
            Ok(0) | Err(_) => at_ms,
            Ok(most) => {
                let delay = hash(self.timing.seed ^ at_ms.cast_unsigned()) % (most + 1);
                at_ms.saturating_add(i64::try_from(delay).unwrap_or(0))
            }
        }
    }
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// SplitMix64: close inputs have results that are far from each other.
fn hash(input: u64) -> u64 {
    let mut bits = input.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}
