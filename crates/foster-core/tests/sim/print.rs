//! The trace: one short line for each action.
//!
//! Every variant is named here, so that no action is left out of the traces by accident.

use std::time::Duration;

use foster_core::action::{Action, Cause, Change, Definition, NotReplaced, Part, Scope};
use foster_core::ending::{Failure, Reason};
use foster_core::ids::{InstanceId, Run};
use foster_core::restart::AfterExit;
use foster_core::time::Instant;

use super::World;

/// Seconds with milliseconds.
pub fn time(now: Instant) -> String {
    format!("{:.3}", now.elapsed().as_secs_f64())
}

pub fn name(world: &World, id: InstanceId) -> String {
    let name = &world.names[id.program.0 as usize];
    match world.supervisor.snapshot().of(id.program).count() {
        // 0: its last instance was just forgotten.
        0 | 1 => name.clone(),
        _ => format!("{name}.{}", id.index),
    }
}

/// The number of a run, where its instance has two.
fn number(world: &World, run: Run) -> String {
    let runs = world.live.keys().filter(|other| other.instance == run.instance).count();
    if runs > 1 { format!(" #{}", run.number) } else { String::new() }
}

/// The line for an action; probes are left out, they come every 100 ms.
pub fn line(world: &World, action: &Action) -> Option<String> {
    let name = |id| name(world, id);
    Some(match action {
        Action::Spawn(run, Definition::Current) => format!("spawn {} #{}", name(run.instance), run.number),
        Action::Spawn(run, Definition::Former) => {
            format!("spawn {} #{}, the former definition", name(run.instance), run.number)
        }
        Action::Keep(program, Definition::Current) => {
            format!("keep the new definition of {}", world.names[program.0 as usize])
        }
        Action::Keep(program, Definition::Former) => {
            format!("keep the former definition of {}", world.names[program.0 as usize])
        }
        Action::Signal { run, signal, scope, purpose: _ } => {
            let scope = match scope {
                Scope::Main => "the main process",
                Scope::Group => "the group",
                Scope::All => "all processes",
            };
            format!("{signal} to {scope} of {}{}", name(run.instance), number(world, *run))
        }
        Action::RunPreStop(run) => format!("pre_stop of {}", name(run.instance)),
        Action::CancelPreStop(run) => format!("cancel pre_stop of {}", name(run.instance)),
        Action::Probe(..) | Action::CancelProbe(..) => return None,
        Action::Sweep(signal) => format!("sweep with {signal}"),
        Action::KillAll => "kill all".into(),
        Action::ReportIgnored(signal) => format!("{signal} ignored"),
        Action::ReportSkipped { program, times } => {
            let name = name(InstanceId { program: *program, index: 0 });
            format!("{name}: skipped{}", if *times > 1 { format!(" {times} times") } else { String::new() })
        }
        Action::ReopenLogs => "reopen logs".into(),
        Action::WriteStatus => "write status".into(),
        Action::Update => "update".into(),
        Action::Forget(instance) => format!("forget {}", name(*instance)),
        Action::Report(change) => change_line(world, change),
        Action::ReportShutdown(ending) => format!("shutdown: {}", reason(world, &ending.reason)),
        Action::ReportCutShort(ending) => format!("cut short: {}", reason(world, &ending.reason)),
        Action::ReportReady => "everything is ready".into(),
        Action::Exit(closing) => {
            format!("exit {}: {}", closing.ending.status, reason(world, &closing.ending.reason))
        }
    })
}

fn change_line(world: &World, change: &Change) -> String {
    let Change { instance, run: _, part, from, to, cause } = change;
    let part = match part {
        Part::Serving => "",
        Part::Replacement => "replacement of ",
        Part::Replaced => "former ",
    };
    let (name, cause) = (name(world, *instance), cause_text(world, cause));
    format!("{part}{name}: {} -> {} ({cause})", from.name(), to.name())
}

fn cause_text(world: &World, cause: &Cause) -> String {
    match cause {
        Cause::Started => "started".into(),
        Cause::WaitsFor(other) => format!("waits for {}", name(world, *other)),
        Cause::BecameReady { after } => format!("ready after {after:?}"),
        Cause::NotReady { within, last } => format!("not ready within {within:?}: {last:?}"),
        Cause::CannotStart { failure, next } => format!("{}; {}", failure.message, next_text(next)),
        Cause::Ended { exit, uptime, next } => format!("{exit} after {uptime:?}; {}", next_text(next)),
        Cause::ProcessesLeft { exit, uptime, serve_on } => {
            let they = if *serve_on { ", they serve on" } else { "" };
            format!("{exit} after {uptime:?}; processes left{they}")
        }
        Cause::LeftoversEnded { took } => format!("its last processes ended within {took:?}"),
        Cause::StoppedNotReady { within: _, last: _, exit, next }
        | Cause::StoppedUnhealthy { exit, next } => {
            format!("{exit}; {}", next_text(next))
        }
        Cause::OverMemory { seen } => format!("over its memory: {seen}"),
        Cause::Unhealthy { seen } => format!("unhealthy: {seen:?}"),
        Cause::Announced => "announced".into(),
        Cause::NotAwaited { next } => format!("not awaited; {}", next_text(next)),
        Cause::Recovered => "recovered".into(),
        Cause::NotReloaded { within } => format!("not reloaded within {within:?}"),
        Cause::NotKilled => "not killed".into(),
        Cause::Requested(_) => "requested".into(),
        Cause::Changed => "changed".into(),
        Cause::Replaced => "replaced".into(),
        Cause::TakenBack => "taken back".into(),
        Cause::Unneeded => "not needed".into(),
        Cause::Outgrown => "over its memory".into(),
        Cause::NotReplaced(NotReplaced::NotReady) => "not replaced".into(),
        Cause::NotReplaced(NotReplaced::WaitsFor(other)) => {
            format!("not replaced: waits for {}", name(world, *other))
        }
        Cause::NotReplaced(NotReplaced::NotKilled) => "not replaced: not killed".into(),
        Cause::Due => "due again".into(),
        Cause::Removed => "removed".into(),
        Cause::RequirementDown(other) => format!("{} is down", name(world, *other)),
        Cause::Shutdown => "shutdown".into(),
        Cause::Stopped { exit, took } => format!("{exit} within {took:?}"),
    }
}

fn next_text(next: &AfterExit) -> String {
    match next {
        AfterExit::RestartNow => "restart now".into(),
        AfterExit::RestartIn { wait, failures, limit } => {
            let limit = limit.map_or("any".into(), |limit| limit.to_string());
            format!("restart in {}, {failures} of {limit} failed", short(*wait))
        }
        AfterExit::StaysDown => "stays down".into(),
        AfterExit::Failed => "failed".into(),
        AfterExit::Withdrawn => "withdrawn".into(),
        AfterExit::GaveUp { failures } => format!("gave up after {failures}"),
    }
}

fn short(wait: Duration) -> String {
    format!("{wait:?}")
}

fn reason(world: &World, reason: &Reason) -> String {
    match reason {
        Reason::Signal(signal) => format!("{signal}"),
        Reason::Operator(_) => "operator".into(),
        Reason::AllEnded => "all ended".into(),
        Reason::Exited { instance, exit } => format!("{} {exit}", name(world, *instance)),
        Reason::Unhealthy { instance, seen } => format!("{} is unhealthy: {seen:?}", name(world, *instance)),
        Reason::Failed { instance, failure, failures } => {
            let how = match failure {
                Failure::NotStarted(failure) => failure.message.clone(),
                Failure::NotReady { within: _, last, exit } => format!("not ready: {last:?}, {exit}"),
                Failure::Unhealthy { seen, exit } => format!("unhealthy: {seen:?}, {exit}"),
                Failure::Exited { exit, uptime: _ } => exit.to_string(),
            };
            format!("{} failed {failures} times, {how}", name(world, *instance))
        }
        Reason::Fault => "fault".into(),
    }
}
