//! The state diagram in `docs/states.md`, drawn from the machine itself.
//!
//! Every reachable state gets every input, and each change that it reports becomes an arrow. A test compares the file
//! with the drawing.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use foster_core::action::{Action, Cause, Definition, StateName};
use foster_core::event::{Leftovers, Notice, Persistence, StartFailure};
use foster_core::ids::{Exit, InstanceId, OrderId, ProgramId, Signal};
use foster_core::probe::{ProbeResult, Which};
use foster_core::program::{CycleCause, Desired, DownReason, Input, Instance};
use foster_core::schedule::{Schedule, Timing, Zone};
use foster_core::spec::{
    Autostart, Backoff, EarlyExit, ExitAction, Growth, HealthAction, HealthPlan, JobOverlap, JobPlan,
    KillMode, Kind, LateStart, Overlap, PreStop, ProgramSpec, Readiness, Restart, RestartPolicy, StopPlan,
    StopScope,
};
use foster_core::time::Instant;

const ID: InstanceId = InstanceId { program: ProgramId(0), index: 0 };

fn specs() -> Vec<ProgramSpec> {
    let timeout = Duration::from_millis(300);
    let late = LateStart::Fails;
    let probe = Readiness::Probe { interval: Duration::from_millis(100), timeout, late };
    let mut specs = Vec::new();
    for restart in [Restart::Always, Restart::OnFailure, Restart::Never] {
        for readiness in [Readiness::Uptime, probe, Readiness::Notify { timeout, late }] {
            for (pre_stop, health) in [
                (PreStop::None, None),
                (PreStop::Command, health(HealthAction::Restart)),
                (PreStop::None, health(HealthAction::Report)),
            ] {
                specs.push(ProgramSpec {
                    instances: 1,
                    autostart: Autostart::Yes,
                    priority: 0,
                    after: Vec::new(),
                    requires: Vec::new(),
                    restart: RestartPolicy {
                        restart,
                        success_exit_codes: vec![0],
                        early_exit: EarlyExit::ByStatus,
                        min_uptime: Duration::from_millis(200),
                        backoff: Backoff {
                            initial: Duration::ZERO,
                            factor: 1.0,
                            max: Duration::from_secs(1),
                            growth: Growth::Exponential,
                            reset: Duration::from_secs(10),
                        },
                        start_limit: Some(2),
                    },
                    on_exit: ExitAction::Ignore,
                    on_failure: ExitAction::Ignore,
                    readiness,
                    health,
                    watchdog: Some(Duration::from_secs(2)),
                    memory_max: Some(1),
                    stop: StopPlan {
                        signals: vec![Signal::TERM],
                        timeout: Duration::from_secs(1),
                        scope: StopScope::Main,
                        pre_stop,
                        kill_mode: KillMode::Tree,
                    },
                    job: None,
                    reload_signal: None,
                    overlap: Overlap::Never,
                });
            }
        }
    }
    specs
}

fn health(action: HealthAction) -> Option<HealthPlan> {
    let second = Duration::from_secs(1);
    let (interval, timeout, start_period) = (second, second, Duration::ZERO);
    Some(HealthPlan { interval, timeout, failures: 1, start_period, action })
}

fn inputs() -> Vec<Input> {
    let failure = StartFailure { stage: "exec", persistence: Persistence::Transient, message: String::new() };
    let mut inputs = vec![
        Input::Start(1, Definition::Current),
        Input::Block(ID),
        Input::Stop(Cause::Requested(OrderId(0))),
        Input::Stop(Cause::Changed),
        Input::Stop(Cause::TakenBack),
        Input::Stop(Cause::Removed),
        Input::Reset,
        Input::Kill,
        Input::Ticked,
        Input::Spawned,
        Input::SpawnFailed(failure),
        Input::TreeEmptied,
        Input::Parted,
        Input::Probed(Which::Ready, ProbeResult::Passed),
        Input::Probed(Which::Ready, ProbeResult::Failed(String::new())),
        Input::Probed(Which::Health, ProbeResult::Passed),
        Input::Probed(Which::Memory, ProbeResult::Failed(String::new())),
        Input::Probed(Which::Health, ProbeResult::Failed(String::new())),
        Input::Notified(Notice::Ready),
        Input::Notified(Notice::Stopping),
        Input::Notified(Notice::Failing),
        Input::ReloadAsked,
        Input::SignalRefused(Signal::TERM),
        Input::SignalRefused(Signal::KILL),
        Input::PreStopEnded,
    ];
    for code in [0, 1] {
        for left in [Leftovers::None, Leftovers::Some] {
            inputs.push(Input::Exited(Exit::Code(code), left));
        }
    }
    inputs
}

/// Whether the supervisor sends this input to such an instance: it never starts one that is to be down.
fn makes_sense(instance: &Instance, input: &Input) -> bool {
    match input {
        Input::Start(..) | Input::Block(_) | Input::Reset => {
            matches!(instance.desired(), Desired::Rising | Desired::Trial | Desired::Up)
        }
        Input::Stop(_) => matches!(instance.desired(), Desired::Down(_) | Desired::Cycle(_)),
        Input::Kill => instance.desired() == Desired::Down(DownReason::Shutdown),
        Input::Parted => {
            let is_restarted = instance.is_restarted_after(Instant::START, Exit::Code(0));
            instance.desired() == Desired::Up && is_restarted
        }
        Input::Ticked
        | Input::Spawned
        | Input::SpawnFailed(_)
        | Input::Exited(..)
        | Input::TreeEmptied
        | Input::Probed(..)
        | Input::Notified(_)
        | Input::SignalRefused(_)
        | Input::ReloadAsked
        | Input::PreStopEnded => true,
    }
}

fn word(cause: &Cause) -> &'static str {
    match cause {
        Cause::Started => "started",
        Cause::WaitsFor(_) => "waits for another",
        Cause::BecameReady { .. } => "ready",
        Cause::NotReady { .. } => "not ready in time",
        Cause::CannotStart { .. } => "cannot start",
        Cause::Ended { .. } => "ended",
        Cause::ProcessesLeft { .. } => "ended, processes left",
        Cause::LeftoversEnded { .. } => "its last processes ended",
        Cause::StoppedNotReady { .. } => "stopped for not being ready",
        Cause::StoppedUnhealthy { .. } => "stopped for being unhealthy",
        Cause::Unhealthy { .. } => "unhealthy",
        Cause::Announced => "announced",
        Cause::NotAwaited { .. } => "its end is not awaited",
        Cause::OverMemory { .. } => "over memory",
        Cause::Recovered => "recovered",
        Cause::NotKilled => "not killed",
        Cause::Requested(_) => "requested",
        Cause::Changed => "changed",
        Cause::Replaced => "replaced",
        Cause::TakenBack => "taken back",
        Cause::Unneeded => "not needed",
        Cause::Outgrown => "over memory",
        Cause::NotReplaced(_) => "not replaced",
        Cause::NotReloaded { .. } => "not reloaded",
        Cause::Due => "due again",
        Cause::Removed => "removed",
        Cause::RequirementDown(_) => "requirement down",
        Cause::Shutdown => "shutdown",
        Cause::Stopped { .. } => "ended as requested",
    }
}

/// A task, with and without retries and a time limit.
fn tasks() -> Vec<ProgramSpec> {
    let is_plain = |spec: &ProgramSpec| spec.health.is_none() && spec.restart.restart == Restart::OnFailure;
    let plain = specs().into_iter().find(is_plain).expect("a program without a health probe");
    let timeouts = [None, Some(Duration::from_millis(300))];
    let task = |timeout, limit| ProgramSpec {
        readiness: Readiness::Completion { timeout },
        memory_max: Some(1),
        restart: RestartPolicy { start_limit: Some(limit), ..plain.restart.clone() },
        ..plain.clone()
    };
    timeouts.into_iter().flat_map(|timeout| [1, 2].map(|limit| task(timeout, limit))).collect()
}

/// A job: a task with a timetable.
fn jobs() -> Vec<ProgramSpec> {
    let timing = Timing {
        schedule: Schedule::Every(Duration::from_secs(1)),
        zone: Zone::UTC,
        jitter: Duration::ZERO,
        seed: 0,
    };
    let plan = JobPlan { timing: timing.into(), overlap: JobOverlap::Skip, at_start: Autostart::No };
    let restart = |spec: &ProgramSpec| RestartPolicy { restart: Restart::Never, ..spec.restart.clone() };
    let job = |spec: ProgramSpec| ProgramSpec { job: Some(plan.clone()), restart: restart(&spec), ..spec };
    tasks().into_iter().map(job).collect()
}

fn arrows(specs: Vec<ProgramSpec>) -> BTreeMap<(StateName, StateName), BTreeSet<&'static str>> {
    let mut arrows: BTreeMap<(StateName, StateName), BTreeSet<&'static str>> = BTreeMap::new();
    let desires = [
        Desired::Rising,
        Desired::Down(DownReason::Shutdown),
        Desired::Cycle(CycleCause::Requested(OrderId(0))),
    ];
    for spec in specs {
        let mut seen = BTreeSet::new();
        let mut open =
            vec![(Instant::START, Instance::new(ID, std::rc::Rc::new(spec.clone()), Desired::Rising), 0)];
        while let Some((now, instance, depth)) = open.pop() {
            let kind = format!("{:?} {:?} {:?}", instance.state(), instance.desired(), instance.last());
            let kind: String = kind.chars().filter(|c| !c.is_ascii_digit()).collect();
            if depth > 8 || !seen.insert((kind, instance.failures())) {
                continue;
            }
            let later = instance.deadline().unwrap_or(now).max(now);
            for desired in desires.into_iter().chain([instance.desired()]) {
                for input in inputs() {
                    let mut next = instance.clone();
                    next.set_desired(desired);
                    if !makes_sense(&next, &input) {
                        continue;
                    }
                    let mut actions = Vec::new();
                    next.step(later, input, &mut actions);
                    for action in actions {
                        if let Action::Report(change) = action {
                            arrows.entry((change.from, change.to)).or_default().insert(word(&change.cause));
                        }
                    }
                    open.push((later, next, depth + 1));
                }
            }
        }
    }
    arrows
}

fn document() -> String {
    let mut text = String::from(
        "# States\n\n\
         <!-- Generated by crates/foster-core/tests/diagram.rs: UPDATE_EXPECT=1 cargo test -p foster-core --test diagram -->\n\n\
         Every arrow is one line of foster's log. The words on it are its cause.\n",
    );
    for (kind, specs) in [(Kind::Program, specs()), (Kind::Task, tasks()), (Kind::Job, jobs())] {
        let (name, first) = (kind.name(), StateName::Stopped.of(kind).name());
        text += &format!("\n## States of a {name}\n\n```mermaid\nstateDiagram-v2\n    [*] --> {first}\n");
        let mut arrows = arrows(specs);
        if kind == Kind::Job {
            // Whether it is paused is the timetable's matter, not the machine's: `supervisor/jobs.rs`.
            let (idle, running, paused) = (StateName::Idle, StateName::Running, StateName::Paused);
            for arrow in [(idle, paused), (running, paused), (paused, idle)] {
                arrows.entry(arrow).or_default().insert("requested");
            }
        }
        for ((from, to), causes) in &arrows {
            let causes: Vec<&str> = causes.iter().copied().collect();
            text += &format!("    {} --> {}: {}\n", from.name(), to.name(), causes.join(", "));
        }
        text += "```\n\n| from | to | because |\n| --- | --- | --- |\n";
        for ((from, to), causes) in &arrows {
            let causes: Vec<&str> = causes.iter().copied().collect();
            text += &format!("| {} | {} | {} |\n", from.name(), to.name(), causes.join(", "));
        }
    }
    text
}

#[test]
fn the_diagram_in_the_docs_is_the_machine() {
    expect_test::expect_file!["../../../docs/states.md"].assert_eq(&document());
}

#[test]
fn every_state_can_be_reached_and_left() {
    let arrows = arrows(specs().into_iter().chain(tasks()).chain(jobs()).collect());
    // A job that is paused does not change its state: its timetable does not count.
    for state in StateName::ALL.into_iter().filter(|state| *state != StateName::Paused) {
        assert!(
            arrows.keys().any(|(from, _)| *from == state) || state.is_final(),
            "{state:?} cannot be left"
        );
        assert!(arrows.keys().any(|(_, to)| *to == state), "{state:?} cannot be reached");
    }
}
