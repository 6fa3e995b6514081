//! Properties: whatever the plan and the order of events, these hold.
//!
//! The simulated kernel asserts five of them at every step: at most one live run per instance, or two while a rolling
//! restart replaces it by one that may stand beside it, or such a one follows a run that has left processes; no run started
//! twice, no start of a removed program, nothing that is to come up again and cannot, and a step at `deadline()` moves it
//! (no busy loop). Seeds of past failures are in
//! `properties.proptest-regressions`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "each of the two test programs uses its part of the simulation")]
mod sim;

use std::collections::BTreeMap;
use std::time::Duration;

use foster_core::action::{Action, StateName};
use foster_core::event::{Event, Leftovers, Notice, Order, ShutdownCause};
use foster_core::ids::{Exit, InstanceId, OrderId, ProgramId, Run, Signal};
use foster_core::probe::{ProbeResult, Which};
use foster_core::program::{Desired, DownReason, LONGEST_EXTENSION};
use foster_core::shutdown::KILL_WAIT;
use foster_core::spec::{ExitAction, Kind, START_TIMEOUT};
use foster_core::supervisor::{InstanceView, Turn};
use foster_core::time::Instant;
use proptest::prelude::*;
use sim::{AfterFault, Happening, Stubbornness, World};

/// A plan of one to six programs, in the words of the simulation. Programs wait only for earlier ones of the same or a
/// lower tier, so every plan is valid.
fn plans() -> impl Strategy<Value = String> {
    prop::collection::vec((behaviours(), 0..3u8, any::<[bool; 6]>(), any::<[bool; 6]>()), 1..6).prop_map(
        |programs| {
            let mut text = String::from("shutdown_timeout=4s\n");
            let mut tiers: Vec<u8> = Vec::new();
            for (at, (behaviour, step, after, requires)) in programs.into_iter().enumerate() {
                let tier = tiers.last().copied().unwrap_or(0) + step % 2;
                tiers.push(tier);
                let chosen = |wanted: [bool; 6]| {
                    let names: Vec<String> =
                        (0..at).filter(|at| wanted[*at]).map(|at| format!("p{at}")).collect();
                    names.join(",")
                };
                text += &format!("p{at}: priority={tier} {behaviour}");
                if !chosen(after).is_empty() {
                    text += &format!(" after={}", chosen(after));
                }
                if step == 2 && !chosen(requires).is_empty() {
                    text += &format!(" requires={}", chosen(requires));
                }
                text.push('\n');
            }
            text
        },
    )
}

fn behaviours() -> impl Strategy<Value = String> {
    let life = prop_oneof![Just(""), Just("life=2s/0"), Just("life=20ms/1"), Just("life=1500ms/7")];
    let ready = prop_oneof![
        Just(""),
        Just("ready=300ms"),
        Just("ready=never ready_timeout=1s"),
        Just("notify=50ms"),
        Just("health=restart unhealthy=3s.."),
        Just("health=report unhealthy=0s..45s"),
        Just("watchdog=700ms beats=300ms silent=5s"),
        Just("notify=50ms watchdog=1s health=restart unhealthy=15s.."),
    ];
    let spawn = prop_oneof![
        3 => Just(""),
        1 => Just("spawns=300ms"),
        1 => Just("spawns=never ready=0ms ready_timeout=2s"),
        1 => Just("spawns=200ms stop_signal=WINCH stop_timeout=1s"),
    ];
    let stops = prop_oneof![
        Just(""),
        Just("stops=never stop_timeout=1s"),
        Just("stops=700ms/0"),
        Just("leftovers=30ms"),
        Just("leftovers=3s"),
        Just("leftovers=never"),
        Just("leftovers=never unkillable"),
        Just("refuses=TERM"),
        Just("refuses=TERM leftovers=never"),
        Just("refuses=TERM,KILL"),
        Just("unkillable stops=never stop_timeout=1s"),
    ];
    let policy = prop_oneof![
        Just(""),
        Just("restart=never on_failure=ignore"),
        Just("restart=on-failure start_limit=2"),
        Just("on_failure=ignore start_limit=3"),
        Just("on_exit=shutdown restart=never"),
        Just("cannot_start start_limit=2"),
        Just("cannot_start=permanent start_limit=none"),
        Just("task"),
        Just("task=1s retries=2 succeeds=3 on_failure=ignore"),
        Just("task outgrows=3s on_failure=ignore"),
    ];
    let more = prop_oneof![
        Just(""),
        Just("autostart=false"),
        Just("pre_stop=100ms"),
        Just("pre_stop=never"),
        Just("instances=2"),
        Just("instances=3"),
        Just("instances=0"),
        Just("v=2"),
        Just("overlap"),
        Just("overlap v=2"),
        Just("overlap instances=3"),
        Just("overlap reset=1s"),
    ];
    (life, ready, spawn, stops, policy, more)
        .prop_map(|(a, b, c, d, e, f)| format!("{a} {b} {c} {d} {e} {f}"))
}

/// One program that ends or fails soon, under any restart policy that restarts it.
fn short_lives() -> impl Strategy<Value = String> {
    let ends = prop_oneof![
        (0..250u64, 0..2u8).prop_map(|(after, code)| format!("life={after}ms/{code}")),
        Just("cannot_start".to_owned()),
        Just("ready=never ready_timeout=0ms".to_owned()),
        Just("spawns=never ready=0ms ready_timeout=20ms".to_owned()),
        Just("notify=0ms life=30ms/0 leftovers=never stop_timeout=10ms".to_owned()),
    ];
    let initial = prop_oneof![Just(0u64), Just(1), Just(30), Just(100), Just(150)];
    let reset = prop_oneof![Just(0u64), Just(1), Just(100), Just(10_000)];
    let min_uptime = prop_oneof![Just(0u64), Just(1), Just(100), Just(1000)];
    let growth = prop_oneof![Just("linear"), Just("exponential")];
    (ends, initial, reset, min_uptime, growth).prop_map(|(ends, initial, reset, min_uptime, growth)| {
        format!(
            "web: {ends} initial={initial}ms reset={reset}ms min_uptime={min_uptime}ms growth={growth} \
             start_limit=none on_failure=ignore"
        )
    })
}

/// A program of several instances that runs well, and a definition to replace it by, which may fail: it never becomes
/// ready, or ends before that, or its process cannot be made.
fn rolls() -> impl Strategy<Value = (String, String)> {
    let ready = || prop_oneof![Just(""), Just("ready=300ms"), Just("notify=50ms"), Just("health=report")];
    let stops = || {
        prop_oneof![
            Just(""),
            Just("stops=700ms/0"),
            Just("stops=never stop_timeout=1s"),
            Just("leftovers=30ms"),
            Just("pre_stop=100ms"),
        ]
    };
    let fails = prop_oneof![
        3 => Just(""),
        1 => Just("life=20ms/1"),
        1 => Just("life=20ms/0 restart=on-failure"),
        1 => Just("ready=never ready_timeout=1s"),
        1 => Just("spawns=never ready=0ms ready_timeout=2s"),
        1 => Just("cannot_start"),
        1 => Just("cannot_start=permanent start_limit=1"),
    ];
    (1..4u16, ready(), stops(), fails, stops()).prop_map(|(count, ready, stops, fails, stops_then)| {
        let fails = if fails.is_empty() { ready } else { fails };
        let old = format!("web: instances={count} {ready} {stops}");
        (old, format!("web: instances={count} v=2 {fails} {stops_then}"))
    })
}

/// Steps a world until no rolling restart is under way, and looks at it after each step.
fn roll(world: &mut World, mut look: impl FnMut(&World)) {
    let is_rolling =
        |world: &World| world.supervisor.snapshot().instances().any(|view| view.turn != Turn::None);
    loop {
        look(world);
        let Some(next) = world.next().filter(|_| is_rolling(world)) else { return };
        world.run(next);
    }
}

fn ready(world: &World) -> usize {
    let is_ready = |view: &InstanceView| matches!(view.state, StateName::Running | StateName::Unhealthy);
    world.supervisor.snapshot().instances().filter(is_ready).count()
}

/// The commands that the instances run.
fn versions(world: &World) -> Vec<String> {
    let live = world.supervisor.snapshot().instances().filter_map(|view| view.live);
    live.map(|live| world.version(live.run).to_owned()).collect()
}

/// Events within the first twelve seconds: orders, exits, updates, and reports about runs that do not exist.
fn happenings() -> impl Strategy<Value = Vec<(u64, Happening)>> {
    let instance =
        (0..6u32, 0..3u16).prop_map(|(program, index)| InstanceId { program: ProgramId(program), index });
    // Runs that do not exist: the kernel reports only facts about those that do.
    let number = prop_oneof![Just(0u32), Just(9_999u32)];
    let run = (instance.clone(), number).prop_map(|(instance, number)| Run { instance, number });
    let exit = prop_oneof![Just(Exit::Code(0)), Just(Exit::Code(9))];
    let order = prop_oneof![Just(Order::Start), Just(Order::Stop), Just(Order::Restart), Just(Order::Reload)];
    let event = prop_oneof![
        4 => (order, prop::collection::vec(instance.clone(), 1..4))
            .prop_map(|(order, targets)| Event::Ordered { order, targets, id: OrderId(0) }),
        1 => run.clone().prop_map(Event::Spawned),
        1 => run.clone().prop_map(Event::TreeEmptied),
        1 => run.clone().prop_map(Event::PreStopEnded),
        1 => run.clone().prop_map(|run| Event::Probed(run, Which::Ready, ProbeResult::Passed)),
        1 => run.clone().prop_map(|run| Event::Probed(run, Which::Health, ProbeResult::Failed("500".into()))),
        1 => run.clone().prop_map(|run| Event::SignalRefused(run, Signal::KILL)),
        1 => (run.clone(), notices()).prop_map(|(run, notice)| Event::Notified(run, notice)),
        1 => Just(Event::Ticked),
        1 => Just(Event::SweepDone),
        1 => Just(Event::Signalled(Signal::USR2)),
    ];
    let what = prop_oneof![
        1 => plans().prop_map(Happening::Update),
        3 => event.prop_map(Happening::Event),
        1 => prop_oneof![4 => Just(AfterFault::Continues), 1 => Just(AfterFault::Stops)].prop_map(Happening::Fault),
        2 => (instance.clone(), notices()).prop_map(|(id, notice)| Happening::NotifiesOf(id, notice)),
        3 => (instance, exit).prop_map(|(instance, exit)| Happening::ExitOf(instance, exit)),
    ];
    prop::collection::vec((0..12_000u64, what), 0..20)
}

/// What a program may report.
fn notices() -> impl Strategy<Value = Notice> {
    let time = prop_oneof![Just(0u64), Just(1), Just(400), Just(2000), Just(u64::MAX)]
        .prop_map(Duration::from_millis);
    prop_oneof![
        Just(Notice::Ready),
        Just(Notice::NotReady("it cannot".into())),
        Just(Notice::Reloading),
        Just(Notice::Stopping),
        Just(Notice::Alive),
        Just(Notice::Failing),
        time.clone().prop_map(Notice::Watchdog),
        time.prop_map(Notice::Extend),
    ]
}

fn world(plan: &str, happenings: &[(u64, Happening)], end: Option<u64>) -> World {
    let mut world = World::new(plan);
    world.script("0s boot");
    world.orphans = Some(Stubbornness::Ignores);
    for (at, what) in happenings {
        world.push(Instant::after_start(Duration::from_millis(*at)), what.clone());
    }
    if let Some(at) = end {
        let event = Event::ShutdownOrdered(ShutdownCause::Operator(OrderId(0)));
        world.push(Instant::after_start(Duration::from_millis(at)), Happening::Event(event));
    }
    world
}

/// The dependencies of a program that are not satisfied, as an outsider would judge it.
fn unsatisfied(world: &World, program: ProgramId) -> Vec<ProgramId> {
    let spec = world.supervisor.plan().program(program).expect("a program");
    let ready = |id: &ProgramId| {
        world.supervisor.snapshot().of(*id).all(|view| view.ready || view.state == StateName::Exited)
    };
    foster_core::graph::dependencies(spec).filter(|id| !ready(id)).collect()
}

/// What the trace says where a process ends for another reason than the shutdown.
const OTHER_ENDS: [&str; 11] = [
    "(announced)",
    "kill all",
    "SIGKILL",
    "processes left",
    "not ready",
    "(requested)",
    "is down",
    "(changed)",
    "(removed)",
    "(unhealthy",
    "(over its memory",
];

/// Whether a program is after another, directly or by others.
fn is_after(world: &World, program: ProgramId, other: ProgramId) -> bool {
    let spec = world.supervisor.plan().program(program);
    spec.is_some_and(|spec| {
        foster_core::graph::dependencies(spec).any(|id| id == other || is_after(world, id, other))
    })
}

proptest! {
    /// Nothing but an order, an update or the return of a requirement may run a task again.
    #[test]
    fn a_task_runs_once_and_its_retries_and_never_after_its_success(plan in plans(), happenings in happenings()) {
        let is_calm = |what: &Happening| {
            !matches!(what, Happening::Update(_) | Happening::Event(Event::Ordered { .. }))
        };
        let happenings: Vec<_> = happenings.into_iter().filter(|(_, what)| is_calm(what)).collect();
        let plan = plan.replace("requires=", "after=");
        let mut world = world(&plan, &happenings, None);
        world.run(Duration::from_secs(60));
        for (id, spec) in world.supervisor.plan().programs().iter().filter(|(_, spec)| spec.kind() == Kind::Task) {
            let name = &world.names[id.0 as usize];
            let starts: BTreeMap<&str, usize> = world.trace.iter().enumerate().fold(BTreeMap::new(), |mut starts, (_, line)| {
                let spawned = line.split_once(" spawn ").map(|(_, of)| of.split(' ').next().expect("a label"));
                if let Some(label) = spawned.filter(|label| label.split('.').next() == Some(name)) {
                    *starts.entry(label).or_default() += 1;
                }
                starts
            });
            let limit = spec.restart.start_limit.expect("a limit") as usize;
            prop_assert!(starts.values().all(|count| *count <= limit), "{starts:?}\n{}", world.trace.join("\n"));
            for label in starts.keys() {
                let done = world.trace.iter().position(|line| line.contains(&format!("{label}: ")) && line.contains("-> succeeded"));
                let after = done.map_or(&[][..], |at| &world.trace[at..]);
                let again = after.iter().find(|line| line.contains(&format!("spawn {label} ")));
                prop_assert!(again.is_none(), "{again:?}");
            }
        }
    }

    #[test]
    fn a_shutdown_ends_within_its_deadline_and_leaves_only_what_cannot_be_killed(
        plan in plans(), happenings in happenings(), at in 0..9_000u64,
    ) {
        let mut world = world(&plan, &happenings, Some(at));
        world.run(Duration::from_secs(60));
        let (ended, _) = world.ended.clone().expect("the shutdown ended");
        let left: Vec<Run> = world.live.keys().copied().filter(|run| !world.is_out_of_reach(*run)).collect();
        prop_assert!(left.is_empty(), "{left:?} is left\n{}", world.trace.join("\n"));
        // Where processes cannot be killed foster waits for the kernel before it gives up.
        let may_outlive_kill = world.starts.iter().any(|(_, run)| world.is_out_of_reach(*run));
        let wait = if may_outlive_kill { KILL_WAIT } else { Duration::ZERO };
        let limit = Duration::from_millis(at) + Duration::from_secs(4) + wait;
        prop_assert!(ended.elapsed() <= limit, "ended at {ended:?}\n{}", world.trace.join("\n"));
    }

    #[test]
    fn nothing_starts_during_a_shutdown(plan in plans(), happenings in happenings(), at in 0..9_000u64) {
        let mut world = world(&plan, &happenings, Some(at));
        world.run(Duration::from_secs(60));
        let began = world.trace.iter().position(|line| line.contains(" shutdown: ")).expect("a shutdown");
        let late = world.trace.iter().skip(began).find(|line| line.contains(" spawn "));
        prop_assert_eq!(late, None);
    }

    #[test]
    fn the_dependencies_of_a_program_are_ready_at_every_start(plan in plans(), happenings in happenings()) {
        let mut world = world(&plan, &happenings, Some(20_000));
        let mut at = Duration::ZERO;
        while world.ended.is_none() && at < Duration::from_secs(30) {
            let before = world.trace.len();
            world.run(at);
            // Only starts that nothing else followed within the same step can be judged from outside.
            if let [line] = &world.trace[before..] && line.contains(" spawn ") {
                let name = line.split_whitespace().nth(2).expect("a name");
                let name = name.split('.').next().expect("a name");
                let mut ids = world.supervisor.plan().programs().ids();
                let program = ids.find(|id| world.names[id.0 as usize] == name).expect("a program");
                let missing = unsatisfied(&world, program);
                prop_assert!(missing.is_empty(), "{line}: {missing:?}");
            }
            at += Duration::from_millis(1);
        }
    }

    #[test]
    fn a_program_stops_only_after_its_dependants_have(plan in plans(), happenings in happenings(), at in 0..9_000u64) {
        let mut world = world(&plan, &happenings, Some(at));
        world.run(Duration::from_millis(at));
        while world.ended.is_none() {
            let Some(next) = world.supervisor.deadline() else { break };
            // Only the shutdown follows the order: a program may be stopping for another reason.
            let is_ordered = !world.trace.iter().any(|line| OTHER_ENDS.iter().any(|end| line.contains(end)));
            for view in world.supervisor.snapshot().instances() {
                if !is_ordered || !world.supervisor.is_shutting_down() || view.state != StateName::Stopping {
                    continue;
                }
                let spec = world.supervisor.plan().program(view.id.program).expect("a program");
                let mut live = world.supervisor.snapshot().instances().filter(|other| other.live.is_some());
                let above = live.find(|other| {
                    let theirs = world.supervisor.plan().program(other.id.program).expect("a program");
                    theirs.priority > spec.priority || is_after(&world, other.id.program, view.id.program)
                });
                prop_assert!(above.is_none(), "{above:?} above {view:?}\n{}", world.trace.join("\n"));
            }
            world.run(next.elapsed());
        }
    }

    #[test]
    fn a_removed_program_is_forgotten(plan in plans(), happenings in happenings()) {
        let mut world = world(&plan, &happenings, None);
        world.run(Duration::from_secs(60));
        let left = world.supervisor.snapshot().instances().find(|view| {
            let is_removed = view.desired == Desired::Down(DownReason::Removed);
            // It is still there after KILL, or what an ended run of it has left is.
            let is_stuck = view.stuck || view.beside.is_some_and(|beside| beside.stuck);
            !is_stuck && (world.supervisor.plan().is_leaving(view.id.program) || is_removed)
        });
        prop_assert!(left.is_none() || world.supervisor.is_shutting_down(), "{left:?}\n{}", world.trace.join("\n"));
    }

    #[test]
    fn unknown_and_late_events_change_nothing(plan in plans(), at in 0..9_000u64, number in 0..9u32, program in 0..9u32) {
        let mut world = world(&plan, &[], None);
        world.run(Duration::from_millis(at));
        let instance = InstanceId { program: ProgramId(program), index: 0 };
        let run = Run { instance, number };
        // What is left of an ended run is beside the present one.
        let is_live = world.supervisor.snapshot().run(run).is_some();
        if is_live || world.supervisor.is_shutting_down() {
            return Ok(());
        }
        let before = format!("{:?}", world.supervisor);
        let exit = Exit::Code(1);
        for event in [
            Event::Spawned(run),
            Event::Exited { run, exit, left: Leftovers::None },
            Event::Exited { run, exit, left: Leftovers::Some },
            Event::TreeEmptied(run),
            Event::Probed(run, Which::Ready, ProbeResult::Passed),
            Event::Probed(run, Which::Health, ProbeResult::Failed("500".into())),
            Event::Notified(run, Notice::Ready),
            Event::Notified(run, Notice::Stopping),
            Event::Notified(run, Notice::Failing),
            Event::SignalRefused(run, Signal::KILL),
            Event::PreStopEnded(run),
            Event::SweepDone,
            Event::Booted,
        ] {
            let mut actions: Vec<Action> = Vec::new();
            world.supervisor.step(world.now, [event], &mut actions);
            prop_assert_eq!(&actions, &Vec::new());
        }
        prop_assert_eq!(before, format!("{:?}", world.supervisor));
    }

    #[test]
    fn the_same_events_give_the_same_trace(plan in plans(), happenings in happenings()) {
        let run = || {
            let mut world = world(&plan, &happenings, Some(15_000));
            world.run(Duration::from_secs(60));
            world.trace
        };
        prop_assert_eq!(run(), run());
    }

    #[test]
    fn a_program_whose_failure_counts_never_leaves_the_container_looking_alive(plan in plans(), happenings in happenings()) {
        let mut world = world(&plan, &happenings, None);
        world.run(Duration::from_secs(600));
        let dead = world.supervisor.snapshot().instances().find(|view| {
            let spec = world.supervisor.plan().program(view.id.program).expect("a program");
            let alone = spec.instances == 1;
            // A stop of a fatal program keeps it down, also when an update changes `on_failure`.
            let is_stopped = matches!(view.desired, Desired::Down(DownReason::Requested(_)));
            let is_fatal = view.state == StateName::Fatal && !is_stopped;
            is_fatal && alone && spec.on_failure == ExitAction::Shutdown
        });
        let trace = world.trace.join("\n");
        prop_assert!(dead.is_none() || world.supervisor.is_shutting_down(), "{dead:?}\n{trace}");
    }

    #[test]
    fn run_numbers_of_a_program_only_grow(plan in plans(), happenings in happenings()) {
        // Another foster does not know the runs of an instance that is gone.
        let happenings: Vec<_> =
            happenings.into_iter().filter(|(_, what)| !matches!(what, Happening::Fault(_))).collect();
        let mut world = world(&plan, &happenings, None);
        world.run(Duration::from_secs(60));
        let mut last = BTreeMap::new();
        for (_, run) in &world.starts {
            let before = last.insert(run.instance.program, run.number).unwrap_or(0);
            prop_assert!(run.number > before, "{run:?} after {before}");
        }
    }

    #[test]
    fn no_policy_starts_an_instance_more_than_eleven_times_within_a_second(plan in short_lives()) {
        let mut world = world(&plan, &[], None);
        world.run(Duration::from_secs(30));
        for window in world.starts.windows(12) {
            let took = window[11].0.since(window[0].0);
            prop_assert!(took > Duration::from_secs(1), "12 starts within {took:?}\n{}", world.trace.join("\n"));
        }
    }

    #[test]
    fn a_program_is_stopped_when_its_watchdog_is_over_and_not_before(
        watchdog in 1..3000u64, beats in 1..2000u64, silent in 0..9000u64,
    ) {
        // It is ready after a second.
        let plan = format!("web: watchdog={watchdog}ms beats={beats}ms silent={silent}ms");
        let mut world = world(&plan, &[], None);
        world.run(Duration::from_secs(30));
        let mut alive_until = 1000 + watchdog;
        for beat in (1..).map(|n| n * beats).take_while(|beat| *beat < silent.max(1)) {
            // One of the same instant is in time: reports come before the clock.
            if beat <= alive_until {
                alive_until = alive_until.max(beat + watchdog);
            }
        }
        let end = world.trace.iter().find(|line| line.contains("(unhealthy: [\"no WATCHDOG=1 within"));
        let end = end.expect("an end").split_whitespace().next().expect("a time").to_owned();
        let expected = format!("{:.3}", Duration::from_millis(alive_until).as_secs_f64());
        prop_assert_eq!(end, expected, "{}", world.trace.join("\n"));
    }

    #[test]
    fn every_start_is_ready_or_over_within_its_time(plan in plans(), happenings in happenings()) {
        let mut world = world(&plan, &happenings, None);
        while let Some(next) = world.supervisor.deadline().filter(|next| next.elapsed() < Duration::from_secs(90)) {
            world.run(next.elapsed());
            for view in world.supervisor.snapshot().instances().filter(|view| view.state == StateName::Starting) {
                let since = view.live.expect("a run").since;
                let limit = START_TIMEOUT + LONGEST_EXTENSION;
                prop_assert!(world.now.since(since) <= limit, "{view:?}\n{}", world.trace.join("\n"));
            }
            if world.ended.is_some() {
                break;
            }
        }
    }

    #[test]
    fn a_rolling_restart_with_overlap_never_has_fewer_ready_instances_than_before((old, new) in rolls()) {
        let mut world = world(&format!("{old} overlap"), &[], None);
        world.update("20s", &format!("{new} overlap"));
        world.run(Duration::from_secs(20));
        let before = world.supervisor.snapshot().instances().count();
        roll(&mut world, |world| assert!(ready(world) >= before, "{}", world.trace.join("\n")));
    }

    #[test]
    fn a_rolling_restart_ends_in_time_with_one_definition_and_as_many_ready_instances_as_before(
        (old, new) in rolls(), overlap in prop_oneof![Just(""), Just("overlap")],
    ) {
        let mut world = world(&format!("{old} {overlap}"), &[], None);
        world.update("20s", &format!("{new} {overlap}"));
        world.run(Duration::from_secs(19));
        let before = ready(&world);
        world.run(Duration::from_secs(20));
        roll(&mut world, |_| {});
        // Each instance is replaced once and taken back once: a start of 2 s at most, a stop of 5 s and KILL.
        let limit = Duration::from_secs(20 + before as u64 * 2 * (2 + 5 + 5));
        prop_assert!(world.now.elapsed() <= limit, "{}", world.trace.join("\n"));
        let until = world.now.elapsed() + Duration::from_secs(10);
        world.run(until);
        let exited = world.supervisor.snapshot().instances().filter(|view| view.state == StateName::Exited).count();
        prop_assert_eq!(ready(&world) + exited, before, "{}", world.trace.join("\n"));
        let versions = versions(&world);
        prop_assert!(versions.windows(2).all(|two| two[0] == two[1]), "{versions:?}\n{}", world.trace.join("\n"));
    }

    #[test]
    fn every_rolling_restart_ends_whatever_happens(plan in plans(), happenings in happenings()) {
        let mut world = world(&plan, &happenings, None);
        world.run(Duration::from_secs(900));
        let left = world.supervisor.snapshot().instances().find(|view| {
            view.turn != Turn::None || view.desired == Desired::Trial
        });
        prop_assert!(left.is_none(), "{left:?}\n{}", world.trace.join("\n"));
    }
}
