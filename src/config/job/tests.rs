//! Jobs of a configuration, played in virtual time: five years in twenty zones, with clocks that are set.
//!
//! The due times are those of an independent implementation (`src/zone/due_times.py`); docs/jobs.md explains where it has
//! others. `FOSTER_TEST_SCHEDULES=300` plays that many schedules instead of a few.

use std::rc::Rc;
use std::time::Duration;

use foster_core::action::Action;
use foster_core::event::{Event, Leftovers};
use foster_core::ids::{Exit, Run};
use foster_core::plan::CorePlan;
use foster_core::schedule::Cron;
use foster_core::supervisor::Supervisor;
use foster_core::time::Instant;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::config::tests::plan_of;
use crate::zone::tests::{Reference, ZONES, python_with_cronsim};

/// 2021-01-01 and 2026-01-01: no change of a zone's rules is to come.
const START_S: i64 = 1_609_459_200;
const END_S: i64 = 1_767_225_600;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// The most jumps of the clock, each of a day at most.
const JUMPS: usize = 20;

/// The forms that both implementations have; docs/jobs.md names the others.
fn lines() -> impl Strategy<Value = String> {
    let list = |text: &'static [&'static str]| prop::sample::select(text).prop_map(str::to_owned);
    let minute = || (0..60u8).prop_map(|at| at.to_string());
    let minutes = prop_oneof![
        6 => minute(),
        1 => (0..30u8, 30..60u8).prop_map(|(one, other)| format!("{one},{other}")),
        1 => list(&["0-59/20", "5-45/20", "10-11", "0-59/30"]),
    ];
    // The changes of the clock are in the first hours of a day.
    let hour = prop_oneof![(0..4u8).prop_map(|at| at.to_string()), (0..24u8).prop_map(|at| at.to_string())];
    let hours = list(&["0-23/6", "0-23/2", "1-3", "0,2", "22-23", "0-23/5", "9-17/4"]);
    let day = prop_oneof![
        6 => list(&["*"]),
        1 => (1..32u8).prop_map(|at| at.to_string()),
        1 => list(&["1,15", "25-31", "*/10", "1-7"]),
    ];
    let month = prop_oneof![
        6 => list(&["*"]),
        1 => (1..13u8).prop_map(|at| at.to_string()),
        1 => list(&["mar,OCT", "jan-jun", "*/2", "3-11/4"]),
    ];
    let weekday = prop_oneof![6 => list(&["*"]), 1 => list(&["mon-fri", "sun", "7", "0,6", "tue-sat/2"])];
    let times = prop_oneof![
        6 => (minutes, hour).prop_map(|(minute, hour)| format!("{minute} {hour}")),
        3 => (minute(), hours).prop_map(|(minute, hour)| format!("{minute} {hour}")),
        // Every hour: real time.
        1 => minute().prop_map(|minute| format!("{minute} *")),
    ];
    let line = (times, day, month, weekday);
    let line = line.prop_map(|(times, day, month, weekday)| format!("{times} {day} {month} {weekday}"));
    line.prop_filter("a day that no month has", |line| Cron::parse(line).is_ok())
}

/// When the clock is set, in milliseconds of the machine's time, and by how much: a second to a day, forward or back.
fn jumps() -> impl Strategy<Value = Vec<(i64, i64)>> {
    let size = prop_oneof![1000..5000i64, 1000..600_000i64, 600_000..3 * HOUR_MS, HOUR_MS..=DAY_MS];
    let by = (size, any::<bool>()).prop_map(|(size, back)| if back { -size } else { size });
    let at = 1..(END_S - START_S) * 1000;
    prop::collection::vec((at, by), 0..JUMPS).prop_map(|mut jumps| {
        jumps.sort_unstable();
        jumps
    })
}

fn instant(ms: i64) -> Instant {
    Instant::after_start(Duration::from_millis(u64::try_from(ms).expect("after the start")))
}

/// Each due time that the clock has reached, and not before, has a run, or is reported where several came at once.
fn play(plan: &Rc<CorePlan>, jumps: &[(i64, i64)], due: &[i64]) -> Result<usize, TestCaseError> {
    let (start, end) = (START_S * 1000, (END_S - START_S) * 1000);
    let mut supervisor = Supervisor::new(Rc::clone(plan));
    let mut out = Vec::new();
    supervisor.step(instant(0), [Event::ClockSet(start), Event::Booted], &mut out);
    let mut jumps = jumps.iter().copied().peekable();
    // What the clock is ahead of the machine's time, and the latest time that it has shown.
    let (mut ahead, mut furthest, mut taken) = (0, start, 0);
    loop {
        let deadline =
            supervisor.deadline().map_or(end, |at| i64::try_from(at.elapsed().as_millis()).expect("a time"));
        let jump = jumps.peek().map_or(end, |(at, _)| *at);
        let now = deadline.min(jump).min(end);
        let mut event = Event::Ticked;
        if now == jump
            && let Some((_, by)) = jumps.next()
        {
            // Back by more than a day altogether is a clock that was wrong.
            let lag = furthest - (start + now + ahead);
            ahead += by.max(lag - DAY_MS);
            event = Event::ClockSet(start + now + ahead);
        }
        furthest = furthest.max(start + now + ahead);
        out.clear();
        supervisor.step(instant(now), [event], &mut out);
        let runs: Vec<Run> = out.iter().filter_map(spawned).collect();
        let skipped: u32 = out
            .iter()
            .map(|action| if let Action::ReportSkipped { times, .. } = action { *times } else { 0 })
            .sum();
        let passed = due.iter().skip(taken).take_while(|at| **at * 1000 <= furthest).count();
        prop_assert_eq!(runs.len(), passed.min(1), "at {} of the clock", start + now + ahead);
        prop_assert_eq!(usize::try_from(skipped), Ok(passed.saturating_sub(1)));
        taken += passed;
        out.clear();
        for run in runs {
            let ended = Event::Exited { run, exit: Exit::Code(0), left: Leftovers::None };
            supervisor.step(instant(now), [Event::Spawned(run), ended], &mut out);
        }
        prop_assert!(out.iter().all(|action| spawned(action).is_none()), "a second run at once");
        prop_assert!(supervisor.deadline().is_none_or(|next| next > instant(now)), "a busy loop");
        if now == end {
            return Ok(taken);
        }
    }
}

fn spawned(action: &Action) -> Option<Run> {
    if let Action::Spawn(run, _) = action { Some(*run) } else { None }
}

#[test]
fn in_five_years_and_twenty_zones_each_due_time_of_cronsim_has_one_run_whatever_the_clock_does() {
    let Some(python) = python_with_cronsim() else { return };
    let mut reference = Reference::start(&python);
    let schedules =
        std::env::var("FOSTER_TEST_SCHEDULES").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let config = Config { cases: schedules, failure_persistence: None, ..Config::default() };
    // The same schedules in each run: the other implementation has its own mistakes.
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let reference = std::cell::RefCell::new(&mut reference);
    let taken = std::cell::Cell::new(0);
    let strategy = (lines(), prop::collection::vec(jumps(), ZONES.len()));
    let played = runner.run(&strategy, |(line, jumps)| {
        let mut reference = reference.borrow_mut();
        // All at once: it computes while the schedules are played. As far after the end as a clock can come.
        let end = END_S + i64::try_from(JUMPS + 2).expect("a number") * DAY_MS / 1000;
        ZONES.iter().for_each(|zone| reference.ask(zone, (START_S, end), &line));
        let mut played = Ok(());
        for (zone, jumps) in ZONES.iter().zip(jumps) {
            // Every answer is read, also after a failure: the next schedule has its own.
            let due = reference.answer();
            if played.is_err() {
                continue;
            }
            let config = format!("[job.x]\ncommand = 'x'\nschedule = '{line}'\ntimezone = '{zone}'\n");
            let plan = Rc::new(plan_of(&config).core);
            played = play(&plan, &jumps, &due)
                .map(|count| taken.set(taken.get() + count))
                .map_err(|error| TestCaseError::fail(format!("{zone}: {line}: {error}")));
        }
        played
    });
    if let Err(error) = played {
        panic!("{error}");
    }
    assert!(taken.get() > 1000, "{} due times", taken.get());
}
