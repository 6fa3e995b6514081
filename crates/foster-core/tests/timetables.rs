//! Timetables in virtual time.
//!
//! Whatever the schedule, the zone and the wall clock, each due time comes exactly once, and none too soon.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::rc::Rc;
use std::time::Duration;

use foster_core::schedule::{Cron, Schedule, Timetable, Timing, Transition, WallClock, Zone};
use foster_core::time::Instant;
use proptest::prelude::*;

/// Zones with changes of an hour or a half, more than once a year, and one over a whole day.
fn zones() -> impl Strategy<Value = Zone> {
    let changes = prop::collection::vec(
        (0..400u32, prop_oneof![Just(0), Just(3600), Just(-1800), Just(-39_600), Just(46_800)]),
        0..6,
    );
    (changes, prop_oneof![Just(0), Just(3600), Just(-18_000), Just(20_700)]).prop_map(
        |(mut changes, first)| {
            changes.sort_unstable();
            changes.dedup_by_key(|change| change.0);
            let at = |day: u32| START_S + i64::from(day) * 86_400 + 3600;
            let changes = changes.into_iter().map(|(day, offset)| Transition { at: at(day), offset });
            Zone { first, changes: changes.collect() }
        },
    )
}

fn lines() -> impl Strategy<Value = String> {
    let minute = prop_oneof![
        Just("0".to_owned()),
        Just("*/20".to_owned()),
        Just("30,45".to_owned()),
        (0..60u8).prop_map(|at| at.to_string())
    ];
    let hour = prop_oneof![
        Just("*".to_owned()),
        Just("0".to_owned()),
        Just("*/6".to_owned()),
        (0..24u8).prop_map(|at| at.to_string()),
        Just("1-3".to_owned())
    ];
    let day = prop_oneof![6 => Just("*"), 1 => Just("1"), 1 => Just("31"), 1 => Just("*/10")];
    let weekday = prop_oneof![4 => Just("*"), 1 => Just("mon-fri"), 1 => Just("sun")];
    (minute, hour, day, weekday)
        .prop_map(|(minute, hour, day, weekday)| format!("{minute} {hour} {day} * {weekday}"))
}

/// 2026-01-01.
const START_S: i64 = 1_767_225_600;
const DAYS: u64 = 400;

/// How the clock is set: at this hour, by so many seconds.
fn jumps() -> impl Strategy<Value = Vec<(u64, i64)>> {
    let by = prop_oneof![-2..2i64, -600..600i64, -7200..7200i64, -86_400..86_400i64];
    prop::collection::vec((0..DAYS * 24, by), 0..12).prop_map(|mut jumps| {
        jumps.sort_unstable();
        jumps
    })
}

/// What became due: the due time, and what the clock showed then.
fn play(timing: &Rc<Timing>, jumps: &[(u64, i64)]) -> (Vec<(i64, i64)>, i64) {
    let mut clock = WallClock { at: Instant::START, unix_ms: START_S * 1000 };
    let mut table = Timetable::new(Rc::clone(timing), Instant::START, &clock);
    let (mut taken, mut furthest) = (Vec::new(), clock.unix_ms);
    let end = Instant::after_start(Duration::from_secs(DAYS * 86_400));
    let mut jumps = jumps
        .iter()
        .map(|(hour, by)| (Instant::after_start(Duration::from_secs(hour * 3600)), by))
        .peekable();
    let mut now = Instant::START;
    loop {
        let jump = jumps.peek().map(|(at, _)| *at);
        let next = table.deadline(&clock).into_iter().chain(jump).chain([end]).min().unwrap().max(now);
        now = next;
        furthest = furthest.max(clock.unix_ms(now));
        if jump == Some(now) {
            let (_, by) = jumps.next().unwrap();
            clock = WallClock { at: now, unix_ms: clock.unix_ms(now) + by * 1000 };
            table.clock_set(now, &clock);
            furthest = furthest.max(clock.unix_ms(now));
        }
        while let Some(due) = table.take_due(now, &clock) {
            taken.push((due.at_ms, clock.unix_ms(now)));
        }
        assert!(table.deadline(&clock).is_none_or(|deadline| deadline > now), "a busy loop");
        if now == end {
            return (taken, furthest);
        }
    }
}

proptest! {
    #[test]
    fn each_due_time_comes_once_in_order_and_not_too_soon(
        line in lines(), zone in zones(), jumps in jumps(), jitter in prop_oneof![Just(0u64), Just(90), Just(4000)],
    ) {
        let cron = Cron::parse(&line).unwrap();
        let jitter = Duration::from_secs(jitter);
        let timing = Rc::new(Timing { schedule: Schedule::Cron(cron.clone()), zone: zone.clone(), jitter, seed: 7 });
        // Several jumps back may add up to more than a clock is believed.
        let mut sum = 0;
        let is_believed = jumps.iter().all(|(_, by)| {
            sum = (sum + by).min(0);
            sum > -86_400
        });
        prop_assume!(is_believed);
        let (taken, furthest) = play(&timing, &jumps);
        let mut expected = Vec::new();
        let mut at = START_S;
        while let Some(next) = cron.next(at, &zone).filter(|next| next * 1000 <= furthest) {
            expected.push(next * 1000);
            at = next;
        }
        let dues: Vec<i64> = taken.iter().map(|(due, _)| *due).collect();
        // With jitter the last ones may not have come.
        let open = expected.len().saturating_sub(dues.len());
        prop_assert_eq!(&dues[..], &expected[..expected.len() - open], "{} {:?}", line, jumps);
        let late = i64::try_from(jitter.as_millis()).unwrap();
        prop_assert!(expected[dues.len()..].iter().all(|due| due + late > furthest));
        for (due, seen) in taken {
            prop_assert!(due <= seen, "{due} at {seen}");
        }
    }

    #[test]
    fn an_interval_counts_from_the_start_and_no_clock_changes_it(seconds in 1..100_000u64, jumps in jumps()) {
        let interval = Duration::from_secs(seconds);
        let timing = Timing { schedule: Schedule::Every(interval), zone: Zone::UTC, jitter: Duration::ZERO, seed: 0 };
        prop_assume!(DAYS * 86_400 / seconds < 10_000);
        let (taken, _) = play(&Rc::new(timing), &jumps);
        let expected: Vec<i64> = (1..=DAYS * 86_400 / seconds).map(|count| i64::try_from(count * seconds * 1000).unwrap()).collect();
        prop_assert_eq!(taken.into_iter().map(|(due, _)| due).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_clock_that_was_far_behind_starts_the_schedule_again() {
    let timing = Timing {
        schedule: Schedule::Cron(Cron::parse("* * * * *").unwrap()),
        zone: Zone::UTC,
        jitter: Duration::ZERO,
        seed: 0,
    };
    let reset = WallClock { at: Instant::START, unix_ms: 0 };
    let mut table = Timetable::new(Rc::new(timing), Instant::START, &reset);
    // The machine started in 1970: thirty million minutes are not due at once.
    let right = WallClock { at: Instant::START, unix_ms: START_S * 1000 + 1 };
    table.clock_set(Instant::START, &right);
    assert_eq!(table.take_due(Instant::START, &right), None);
    assert_eq!(table.deadline(&right), Some(Instant::after_start(Duration::from_millis(59_999))));
}

#[test]
fn a_clock_that_was_far_ahead_starts_the_schedule_again() {
    let timing = Timing {
        schedule: Schedule::Cron(Cron::parse("@daily").unwrap()),
        zone: Zone::UTC,
        jitter: Duration::ZERO,
        seed: 0,
    };
    let year = 365 * 86_400 * 1000;
    let ahead = WallClock { at: Instant::START, unix_ms: START_S * 1000 + year };
    let mut table = Timetable::new(Rc::new(timing), Instant::START, &ahead);
    let right = WallClock { at: Instant::START, unix_ms: START_S * 1000 + 1 };
    table.clock_set(Instant::START, &right);
    assert_eq!(table.deadline(&right), Some(Instant::after_start(Duration::from_millis(86_400_000 - 1))));
}
