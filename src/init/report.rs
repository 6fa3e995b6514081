//! The log lines about programs: one line with typed fields for each change of state.
//!
//! The text is for people: the program, what happened, why, and what follows. The fields are for machines: `event` is the
//! name of the event, numbers stay numbers. Pure.

use std::time::Duration;

use foster_core::action::{Cause, Change, EventName, Part, StateName};
use foster_core::ending::{Ending, Failure, Reason};
use foster_core::ids::{Exit, InstanceId, KilledBy, Signal};
use foster_core::restart::AfterExit;
use foster_core::spec::{Kind, StopPlan};
use log::Level;

use crate::duration::rounded;
pub(super) use crate::output::log::Line;
use crate::plan::Plan;

/// The line for a change of state. `pid` is the run's last pid, if it had one; `by` is the client that ordered the change,
/// or why an instance was not replaced.
pub(super) fn change(plan: &Plan, change: &Change, pid: Option<i32>, detail: Option<&str>) -> Line {
    let by = detail.unwrap_or("as requested");
    let name = plan.label(change.instance);
    let name = match change.part {
        Part::Serving => name.to_owned(),
        Part::Replacement => format!("{name} (replacement)"),
        Part::Replaced => format!("{name} (replaced)"),
    };
    let process = pid.map_or(String::new(), |pid| format!(" (pid {pid})"));
    let line = match &change.cause {
        Cause::Started => Line::new(Level::Info, EventName::Starting, format!("{name}: starting{process}")),
        Cause::WaitsFor(other) if *other == change.instance => {
            let message = format!("{name}: waiting until the processes of its former run have ended");
            Line::new(Level::Info, EventName::Waiting, message)
        }
        Cause::WaitsFor(other) => {
            let other = plan.label(*other).to_owned();
            Line::new(Level::Info, EventName::Waiting, format!("{name}: waiting for {other}"))
                .with("waits_for", other)
        }
        Cause::BecameReady { after } => {
            let message = format!("{name}: ready after {}{process}", rounded(*after));
            Line::new(Level::Info, EventName::Ready, message).with("after_ms", *after)
        }
        Cause::NotReady { within, last } => {
            let seen = last.as_ref().map_or(String::new(), |last| format!(" ({last})"));
            let (missed, within_text) = (unready(change.from), rounded(*within));
            let message = format!("{name}: {missed} within {within_text}{seen}; stopping it{process}");
            Line::new(Level::Warn, EventName::NotReady, message).with("timeout_ms", *within)
        }
        Cause::Unhealthy { seen } => {
            let answers = answers(seen);
            let follows = if change.to == StateName::Stopping { "; stopping it" } else { "" };
            let message = format!("{name}: unhealthy: {answers}{follows}{process}");
            Line::new(Level::Warn, EventName::Unhealthy, message).with("answers", answers)
        }
        Cause::OverMemory { seen } => {
            let follows = if change.to == StateName::Stopping { "stopping" } else { "replacing" };
            let message = format!("{name}: {seen}; {follows} it{process}");
            Line::new(Level::Warn, EventName::OverMemory, message).with("seen", seen.clone())
        }
        Cause::Recovered => {
            Line::new(Level::Info, EventName::Recovered, format!("{name}: healthy again{process}"))
        }
        Cause::NotReloaded { within } => {
            let message = format!(
                "{name}: not reloaded: no READY=1 within {} after RELOADING=1{process}",
                rounded(*within)
            );
            Line::new(Level::Warn, EventName::NotReloaded, message).with("timeout_ms", *within)
        }
        Cause::NotKilled => {
            let message = format!("{name}: some of its processes are still there after SIGKILL{process}");
            Line::new(Level::Error, EventName::NotKilled, message)
        }
        Cause::CannotStart { failure, next } => {
            let message = format!(
                "cannot start {name}: {}; {}",
                failure.message,
                follows(plan.kind(change.instance.program), next)
            );
            next_fields(Line::new(level(next), EventName::StartFailed, message), next)
                .with("stage", failure.stage.to_string())
        }
        Cause::Ended { exit, uptime, next } => {
            // What follows a run beside that of its instance was logged when the two were parted.
            let follows = if change.part == Part::Replaced {
                String::new()
            } else {
                format!("; {}", follows(plan.kind(change.instance.program), next))
            };
            let message = format!("{name}: {exit} after {}{process}{follows}", rounded(*uptime));
            let line = Line::new(level(next), EventName::Exited, message).with("uptime_ms", *uptime);
            next_fields(exit_fields(line, *exit), next)
        }
        Cause::ProcessesLeft { exit, uptime, serve_on } => {
            // Its end is logged once, with what follows, when the last of them has ended.
            let what = match serve_on {
                true => "they serve until the next run is ready",
                false => "sending them SIGTERM",
            };
            let message = format!(
                "{name}: its main process ended{process}; some of its child processes still run: {what}"
            );
            exit_fields(Line::new(Level::Warn, EventName::ProcessesLeft, message), *exit)
                .with("uptime_ms", *uptime)
        }
        Cause::LeftoversEnded { took } => {
            let message = format!("{name}: its last processes ended after {}{process}", rounded(*took));
            Line::new(Level::Info, EventName::Stopped, message).with("took_ms", *took)
        }
        Cause::StoppedNotReady { within: _, last: _, exit, next }
        | Cause::StoppedUnhealthy { exit, next } => {
            let message =
                format!("{name}: {exit}{process}; {}", follows(plan.kind(change.instance.program), next));
            next_fields(exit_fields(Line::new(level(next), EventName::Exited, message), *exit), next)
        }
        Cause::Requested(_) if change.to == StateName::Paused => {
            Line::new(Level::Info, EventName::JobPaused, format!("{name}: paused: {by}"))
        }
        Cause::Requested(_) if change.from == StateName::Paused => {
            Line::new(Level::Info, EventName::JobResumed, format!("{name}: resumed: {by}"))
        }
        Cause::Requested(_) if change.to == StateName::Stopped => {
            Line::new(Level::Info, EventName::Stopped, format!("{name}: stopped: {by}"))
        }
        Cause::Requested(_) => {
            Line::new(Level::Info, EventName::Stopping, format!("{name}: stopping{process}: {by}"))
        }
        Cause::Shutdown if change.to == StateName::Stopped => {
            Line::new(Level::Info, EventName::Stopped, format!("{name}: will not be started: shutting down"))
        }
        Cause::Shutdown => Line::new(Level::Info, EventName::Stopping, format!("{name}: stopping{process}")),
        Cause::Announced => {
            let message = format!("{name}: stopping: it reports its end (STOPPING=1){process}");
            Line::new(Level::Info, EventName::Stopping, message)
        }
        Cause::NotAwaited { next } => {
            let message = format!(
                "{name}: the next run does not wait for its end; {}",
                follows(plan.kind(change.instance.program), next)
            );
            next_fields(Line::new(level(next), EventName::Waiting, message), next)
        }
        Cause::RequirementDown(other) => {
            let other = plan.label(*other).to_owned();
            let message = format!("{name}: stopping, because {other} is down{process}");
            Line::new(Level::Info, EventName::Stopping, message).with("requires", other)
        }
        Cause::Changed => {
            let message = format!("{name}: stopping, because its definition changed{process}");
            Line::new(Level::Info, EventName::Stopping, message)
        }
        Cause::TakenBack => {
            let message = format!("{name}: stopping, because its new definition is taken back{process}");
            Line::new(Level::Info, EventName::Stopping, message)
        }
        Cause::Outgrown => {
            let message = format!("{name}: stopping, because it is over its memory_max{process}");
            Line::new(Level::Info, EventName::Stopping, message)
        }
        Cause::Unneeded => {
            let message = format!("{name}: stopping, because it is not needed{process}");
            Line::new(Level::Info, EventName::Stopping, message)
        }
        Cause::Replaced => Line::new(Level::Info, EventName::Replaced, format!("{name}: replaced{process}")),
        Cause::NotReplaced(_) => {
            Line::new(Level::Error, EventName::NotReplaced, format!("{name}: not replaced: {by}"))
        }
        Cause::Due => {
            let message = format!("{name}: stopping, because it is due again{process}");
            Line::new(Level::Warn, EventName::Stopping, message)
        }
        Cause::Removed => {
            let event =
                if change.to == StateName::Stopped { EventName::Stopped } else { EventName::Stopping };
            let to = event.name();
            let why = match plan.core.is_leaving(change.instance.program) {
                true => "it was removed from the configuration".to_owned(),
                false => fewer(plan.count(change.instance.program)),
            };
            let message = format!("{name}: {to}, because {why}{process}");
            Line::new(Level::Info, event, message)
        }
        Cause::Stopped { exit, took } => {
            let stop = plan.spec(change.instance.program).map(|spec| &spec.stop);
            let (level, message) = match stop.filter(|stop| is_escalated(stop, *exit)) {
                Some(stop) => (Level::Warn, format!("{name}: {}", escalated(stop, *took, &process, detail))),
                None => (Level::Info, stopped(&name, *exit, *took, &process)),
            };
            exit_fields(Line::new(level, EventName::Stopped, message), *exit).with("took_ms", *took)
        }
    };
    let line = match job_event(plan, change) {
        Some(event) => Line { event: event.name(), ..line },
        None => line,
    };
    let line = about(plan, change.instance, line);
    let line = match pid.and_then(|pid| u64::try_from(pid).ok()) {
        Some(pid) => line.with("pid", pid),
        None => line,
    };
    let line = match change.part {
        Part::Serving => line,
        Part::Replacement => line.with("part", "replacement".to_string()),
        Part::Replaced => line.with("part", "replaced".to_string()),
    };
    line.with("from", change.from.name().to_string()).with("to", change.to.name().to_string())
}

/// The event of a run of a job: its start and its end have names that programs do not have.
fn job_event(plan: &Plan, change: &Change) -> Option<EventName> {
    let is_course = change.from == StateName::Paused || change.to == StateName::Paused;
    if plan.kind(change.instance.program) != Kind::Job || is_course {
        return None;
    }
    // Also the end of a run that another one follows at once.
    let has_ended = matches!(
        change.cause,
        Cause::Ended { .. }
            | Cause::CannotStart { .. }
            | Cause::Stopped { .. }
            | Cause::StoppedNotReady { .. }
            | Cause::StoppedUnhealthy { .. }
    );
    if change.cause == Cause::Started {
        return Some(EventName::JobStarted);
    }
    has_ended.then_some(EventName::JobFinished)
}

/// A job is due, and does not run for that.
pub(super) fn skipped(plan: &Plan, instance: InstanceId, times: u32) -> Line {
    let due = if times == 1 { "due".to_owned() } else { format!("due {times} times") };
    let message = format!("{}: {due}, and left out: a run of it is under way", plan.label(instance));
    about(plan, instance, Line::new(Level::Warn, EventName::JobSkipped, message))
}

fn about(plan: &Plan, instance: InstanceId, line: Line) -> Line {
    let name = plan.program(instance.program).map_or(String::new(), |program| program.name.clone());
    line.with("program", name).with("instance", u64::from(instance.index))
}

/// Why an instance is removed.
pub(super) fn fewer(count: u16) -> String {
    match count {
        0 => "the program has no instances now".to_owned(),
        1 => "the program has 1 instance now".to_owned(),
        count => format!("the program has {count} instances now"),
    }
}

/// The shutdown begins, and why.
pub(super) fn shutdown(ending: &Ending, why: &str) -> Line {
    let level = if ending.status == 0 { Level::Info } else { Level::Error };
    Line::new(level, EventName::Shutdown, format!("shutting down: {why}"))
        .with("exit_status", u64::from(ending.status))
}

/// The reason why foster ends, as a part of a sentence.
pub(super) fn reason(plan: &Plan, reason: &Reason, by: Option<&str>) -> String {
    match reason {
        Reason::Signal(signal) => format!("got {signal}"),
        Reason::Operator(_) => by.unwrap_or("`foster shutdown`").into(),
        Reason::AllEnded => "every program has exited".into(),
        Reason::Exited { instance, exit } => {
            format!("{} {exit}, and its on_exit is `shutdown`", plan.label(*instance))
        }
        Reason::Failed { instance, failure, failures } => {
            let kind = plan.kind(instance.program);
            let what = failed(plan.label(*instance), kind, failure);
            match failures {
                0 | 1 => format!("{what}; it is not restarted"),
                failures => format!("{what}; gave up after {failures} failures in a row"),
            }
        }
        Reason::Unhealthy { instance, seen } => {
            format!(
                "{} is unhealthy, and the action of its health is `shutdown`: {}",
                plan.label(*instance),
                answers(seen)
            )
        }
        Reason::Fault => FAULT.into(),
    }
}

/// The message about a fault in foster itself.
pub(super) const FAULT: &str = "foster itself cannot go on";

/// What a run has missed that leaves this state because it takes too long: only a task runs without being ready.
pub(super) fn unready(from: StateName) -> &'static str {
    if from == StateName::Running { "not finished" } else { "not ready" }
}

fn failed(name: &str, kind: Kind, failure: &Failure) -> String {
    match failure {
        Failure::NotStarted(failure) => format!("{name} could not be started: {}", failure.message),
        Failure::NotReady { within, last, exit: _ } => {
            let seen = last.as_ref().map_or(String::new(), |last| format!(": {last}"));
            let missed = match kind {
                Kind::Program => "ready",
                Kind::Task | Kind::Job => "finished",
            };
            format!("{name} was not {missed} within {}{seen}", rounded(*within))
        }
        Failure::Unhealthy { seen, exit: _ } => format!("{name} was unhealthy: {}", answers(seen)),
        Failure::Exited { exit, uptime } => format!("{name} {exit} after {}", rounded(*uptime)),
    }
}

/// The last failures of a health probe; equal ones are counted.
pub(super) fn answers(seen: &[String]) -> String {
    let same = seen.chunk_by(|one, next| one == next);
    let one = |same: &[String]| match same {
        [] => String::new(),
        [answer] => answer.clone(),
        [answer, ..] => format!("{answer} ({} times in a row)", same.len()),
    };
    same.map(one).collect::<Vec<_>>().join("; ")
}

/// Whether it was killed because `stop_timeout` was over.
fn is_escalated(stop: &StopPlan, exit: Exit) -> bool {
    let is_killed = matches!(exit, Exit::Killed { signal: Signal::KILL, by: KilledBy::Foster });
    is_killed && !stop.signals.contains(&Signal::KILL)
}

fn escalated(stop: &StopPlan, took: Duration, process: &str, cut_short: Option<&str>) -> String {
    let signals: Vec<String> = stop.signals.iter().map(Signal::to_string).collect();
    let signals = signals.join(", ");
    if let (Some(why), true) = (cut_short, took < stop.timeout) {
        return format!(
            "did not stop within {} of {signals}, and foster killed it{process} {why}",
            rounded(took)
        );
    }
    if took < stop.timeout {
        return format!(
            "did not stop within {} of {signals}, and foster killed it{process} at the end of the shutdown: raise \
             `shutdown_timeout`, or set the `stop_signal` it obeys",
            rounded(took)
        );
    }
    format!(
        "did not stop within {} of {signals}, and foster killed it{process}: raise `stop_timeout`, or set the \
         `stop_signal` it obeys",
        rounded(stop.timeout)
    )
}

/// For the reason of the container's end: a program that was killed because it did not stop in time.
pub(super) fn killed(plan: &Plan, change: &Change, cut_short: Option<&str>) -> Option<String> {
    let Cause::Stopped { exit, took } = &change.cause else { return None };
    let stop = plan.spec(change.instance.program).map(|spec| &spec.stop)?;
    is_escalated(stop, *exit)
        .then(|| format!("{} {}", plan.label(change.instance), escalated(stop, *took, "", cut_short)))
}

fn stopped(name: &str, exit: Exit, took: Duration, process: &str) -> String {
    let took = rounded(took);
    match exit {
        Exit::Code(0) => format!("{name}: stopped after {took}{process}"),
        Exit::Killed { signal, by: KilledBy::Unknown | KilledBy::Foster } => {
            format!("{name}: stopped by {signal} after {took}{process}")
        }
        Exit::Code(_) | Exit::Killed { by: KilledBy::OutOfMemory, .. } => {
            format!("{name}: stopped after {took}: {exit}{process}")
        }
    }
}

/// The consequence of an exit, as a part of a sentence.
fn follows(kind: Kind, next: &AfterExit) -> String {
    match next {
        AfterExit::RestartNow => "restarting now".into(),
        AfterExit::RestartIn { wait, failures: 0, limit: _ } => format!("restart in {}", rounded(*wait)),
        AfterExit::RestartIn { wait, failures, limit: Some(limit) } => {
            format!("restart in {} (failure {failures} of {limit})", rounded(*wait))
        }
        AfterExit::RestartIn { wait, failures, limit: None } => {
            format!("restart in {} (failure {failures})", rounded(*wait))
        }
        AfterExit::StaysDown => "done".into(),
        AfterExit::Withdrawn => "it is not kept".into(),
        // It runs again when it is due.
        AfterExit::Failed | AfterExit::GaveUp { failures: 0 | 1 } if kind == Kind::Job => "failed".into(),
        AfterExit::Failed | AfterExit::GaveUp { failures: 0 | 1 } => "failed, will not be restarted".into(),
        AfterExit::GaveUp { failures } => format!("gave up after {failures} failures in a row"),
    }
}

fn level(next: &AfterExit) -> Level {
    match next {
        AfterExit::StaysDown => Level::Info,
        AfterExit::RestartNow | AfterExit::RestartIn { .. } | AfterExit::Withdrawn => Level::Warn,
        AfterExit::Failed | AfterExit::GaveUp { .. } => Level::Error,
    }
}

fn next_fields(line: Line, next: &AfterExit) -> Line {
    match next {
        AfterExit::RestartNow => line.with("restart_in_ms", 0u64),
        AfterExit::RestartIn { wait, failures, limit: _ } => {
            line.with("restart_in_ms", *wait).with("failures", u64::from(*failures))
        }
        AfterExit::GaveUp { failures } => line.with("failures", u64::from(*failures)),
        AfterExit::StaysDown | AfterExit::Failed | AfterExit::Withdrawn => line,
    }
}

fn exit_fields(line: Line, exit: Exit) -> Line {
    match exit {
        Exit::Code(code) => line.with("exit_code", u64::from(code)),
        Exit::Killed { signal, by } => {
            // Without `SIG`, as in `status --json`.
            let name = signal.to_string();
            let line = line.with("signal", name.strip_prefix("SIG").unwrap_or(&name).to_string());
            match by {
                KilledBy::OutOfMemory => line.with("oom", true),
                KilledBy::Unknown | KilledBy::Foster => line,
            }
        }
    }
}
