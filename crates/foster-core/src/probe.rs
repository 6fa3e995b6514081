//! One prober for readiness and health: when to probe a program, and what the results mean.
//!
//! Pure arithmetic over instants. A [`Prober`] decides when an attempt is due and what an answer means; the shell knows
//! what is probed, and does it. Attempts start at fixed intervals, however long an answer takes, so that
//! `failures` × `interval` is how long a program may be unhealthy before foster acts. Two attempts of one probe never
//! overlap. Probes with the same interval come to be due at the same instants, so that one wakeup serves all of them.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::time::Instant;

/// What a probe is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Which {
    /// Readiness: `ready`.
    Ready,
    /// Health: `health`.
    Health,
    /// The memory of all its processes: `memory_max`. The shell answers at once.
    Memory,
}

/// What one attempt of a probe has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeResult {
    /// The program is ready, or healthy.
    Passed,
    /// It is not, with what was seen instead.
    Failed(String),
}

/// When a probe asks, and how many bad answers in a row count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeTiming {
    /// From the start of one attempt to the start of the next; a tenth of it less at most, see [`ProbeTiming::next`].
    pub interval: Duration,
    /// An attempt without an answer by then has failed.
    pub timeout: Duration,
    /// Failed attempts in a row that make the probe fail; `None`: no number does.
    pub failures: Option<u32>,
}

/// The state of one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prober {
    timing: ProbeTiming,
    attempt: Attempt,
    failures: u32,
    seen: Vec<String>,
}

/// Whether an attempt is being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    /// The next one is due at this instant.
    Due(Instant),
    /// One is being made.
    InFlight {
        /// When it began.
        began: Instant,
        /// When it has taken too long.
        until: Instant,
    },
}

/// What to do because time has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing yet.
    Wait,
    /// Make an attempt.
    Ask,
    /// Give up the attempt being made: it has failed with [`Prober::no_answer`].
    GiveUp,
}

/// What the answers so far mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The last one was good.
    Passed,
    /// The last one was bad, and not enough of them in a row were.
    Undecided,
    /// Enough in a row were bad.
    Failed,
}

/// How many of the last bad answers are kept for the message.
const KEPT: usize = 3;

impl ProbeTiming {
    /// When the attempt that follows `start` is due: an interval later, or up to a tenth of it earlier, where that
    /// brings it nearer to a multiple of the interval since foster's start. After eleven attempts at most all probes with
    /// the same interval are due at the same instants.
    pub fn next(&self, start: Instant) -> Instant {
        let (interval, at) = (self.interval, start.plus(self.interval));
        let past = at.elapsed().as_nanos().checked_rem(interval.as_nanos());
        let past =
            past.and_then(|past| u64::try_from(past).ok()).map_or(Duration::ZERO, Duration::from_nanos);
        Instant::after_start(at.elapsed().saturating_sub(past.min(interval / 10)))
    }
}

impl Prober {
    /// A prober whose first attempt is due at `first`.
    pub fn new(timing: ProbeTiming, first: Instant) -> Prober {
        Prober { timing, attempt: Attempt::Due(first), failures: 0, seen: Vec::new() }
    }

    /// When [`Prober::tick`] is due.
    pub fn deadline(&self) -> Instant {
        match self.attempt {
            Attempt::Due(at) | Attempt::InFlight { began: _, until: at } => at,
        }
    }

    /// Whether an attempt is being made.
    pub fn is_asking(&self) -> bool {
        matches!(self.attempt, Attempt::InFlight { .. })
    }

    /// Starts the attempt that is due, or reports the end of one that took too long. The caller reports
    /// [`Step::GiveUp`] back as an answer.
    pub fn tick(&mut self, now: Instant) -> Step {
        match self.attempt {
            Attempt::Due(at) if at <= now => {
                self.attempt = Attempt::InFlight { began: now, until: now.plus(self.timing.timeout) };
                Step::Ask
            }
            Attempt::InFlight { began: _, until } if until <= now => Step::GiveUp,
            Attempt::Due(_) | Attempt::InFlight { .. } => Step::Wait,
        }
    }

    /// Takes an answer. One that comes while no attempt is being made changes nothing.
    pub fn answered(&mut self, now: Instant, result: ProbeResult) -> Verdict {
        let Attempt::InFlight { began, until: _ } = self.attempt else { return Verdict::Undecided };
        self.attempt = Attempt::Due(self.timing.next(began).max(now));
        match result {
            ProbeResult::Passed => {
                self.failures = 0;
                self.seen.clear();
                Verdict::Passed
            }
            ProbeResult::Failed(seen) => {
                self.failures = self.failures.saturating_add(1);
                if self.seen.len() == KEPT {
                    self.seen.remove(0);
                }
                self.seen.push(seen);
                match self.timing.failures {
                    Some(limit) if self.failures >= limit => Verdict::Failed,
                    Some(_) | None => Verdict::Undecided,
                }
            }
        }
    }

    /// The result of an attempt that took too long.
    pub fn no_answer(&self) -> ProbeResult {
        ProbeResult::Failed(format!("no answer within {:?}", self.timing.timeout))
    }

    /// The last bad answers in a row, the newest last; at most three.
    pub fn seen(&self) -> &[String] {
        &self.seen
    }

    /// The last bad answer.
    pub fn last(&self) -> Option<&str> {
        self.seen.last().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: ProbeTiming =
        ProbeTiming { interval: Duration::from_secs(10), timeout: Duration::from_secs(3), failures: Some(3) };

    fn at(seconds: u64) -> Instant {
        Instant::after_start(Duration::from_secs(seconds))
    }

    fn bad() -> ProbeResult {
        ProbeResult::Failed("500".into())
    }

    #[test]
    fn attempts_start_at_fixed_intervals_however_long_an_answer_takes() {
        let mut prober = Prober::new(TIMING, at(0));
        for round in 0..3 {
            let start = at(round * 10);
            assert_eq!(prober.deadline(), start);
            assert_eq!(prober.tick(start), Step::Ask);
            assert_eq!(prober.tick(start), Step::Wait);
            prober.answered(start.plus(Duration::from_secs(2)), ProbeResult::Passed);
        }
    }

    #[test]
    fn probes_with_one_interval_come_to_ask_at_the_same_instants_and_never_much_too_early() {
        let interval = TIMING.interval;
        for offset in (0..interval.as_millis()).step_by(7) {
            let mut at = Instant::after_start(Duration::from_millis(u64::try_from(offset).unwrap()));
            for _ in 0..11 {
                // The loop wakes up a little late.
                let start = at.plus(Duration::from_micros(900));
                at = TIMING.next(start);
                let wait = at.since(start);
                assert!(wait <= interval && wait >= interval - interval / 10, "{wait:?}");
            }
            assert_eq!(at.elapsed().as_millis() % interval.as_millis(), 0, "from {offset} ms");
        }
    }

    #[test]
    fn an_interval_of_zero_or_without_an_end_makes_no_trouble() {
        for interval in [Duration::ZERO, Duration::MAX] {
            let timing = ProbeTiming { interval, ..TIMING };
            assert!(timing.next(at(5)) >= at(5));
        }
    }

    #[test]
    fn an_answer_that_takes_longer_than_the_interval_makes_the_next_attempt_due_at_once() {
        let timing = ProbeTiming { interval: Duration::from_secs(1), ..TIMING };
        let mut prober = Prober::new(timing, at(0));
        assert_eq!(prober.tick(at(0)), Step::Ask);
        assert_eq!(prober.tick(at(3)), Step::GiveUp);
        prober.answered(at(3), bad());
        assert_eq!(prober.deadline(), at(3));
    }

    #[test]
    fn only_failures_in_a_row_count_and_the_last_three_are_kept() {
        let mut prober = Prober::new(TIMING, at(0));
        let mut ask = |now: u64, result| {
            assert_eq!(prober.tick(at(now)), Step::Ask);
            let verdict = prober.answered(at(now), result);
            (verdict, prober.seen().len())
        };
        assert_eq!(ask(0, bad()), (Verdict::Undecided, 1));
        assert_eq!(ask(10, bad()), (Verdict::Undecided, 2));
        assert_eq!(ask(20, ProbeResult::Passed), (Verdict::Passed, 0));
        assert_eq!(ask(30, bad()), (Verdict::Undecided, 1));
        assert_eq!(ask(40, bad()), (Verdict::Undecided, 2));
        assert_eq!(ask(50, bad()), (Verdict::Failed, 3));
        assert_eq!(ask(60, bad()), (Verdict::Failed, 3));
    }

    #[test]
    fn an_answer_that_was_not_asked_for_changes_nothing() {
        let mut prober = Prober::new(TIMING, at(5));
        let before = prober.clone();
        assert_eq!(prober.answered(at(1), bad()), Verdict::Undecided);
        assert_eq!(prober, before);
    }
}
