//! What foster says: a change of state becomes one line, with typed fields beside it.
//!
//! Text is for people at three in the morning: who, what, why, what follows. Fields are for machines: the
//! `event` is one word per kind, numbers stay numbers. Nothing is decided here.

use std::fmt::Write as _;
use std::time::Duration;

use foster_core::action::{AfterExit, Cause, Change, Ending, EventName, Reason, StateName};
use foster_core::ids::{Exit, InstanceId, Killer};
use log::Level;
use log::kv::Value;

use crate::output::log as own_log;
use crate::plan::Plan;

/// A line of foster's own log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) level: Level,
    pub(super) event: EventName,
    pub(super) message: String,
    pub(super) fields: Vec<(&'static str, Field)>,
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    Number(u64),
    Text(String),
    Flag(bool),
}

impl Line {
    pub(super) fn new(level: Level, event: EventName, message: String) -> Line {
        Line { level, event, message, fields: Vec::new() }
    }

    pub(super) fn with(mut self, key: &'static str, value: impl Into<Field>) -> Line {
        self.fields.push((key, value.into()));
        self
    }

    /// Hands the line to the log.
    pub(super) fn write(&self) {
        self.record(|record| log::logger().log(record));
    }

    /// The members of the JSON object that the log makes of it, without the braces. A message that quotes
    /// without measure is cut: an event has to fit a line of the wire.
    pub(super) fn members(&self) -> Vec<u8> {
        const LONGEST: usize = 4096;
        match self.message.char_indices().nth(LONGEST) {
            None => self.record(own_log::members),
            Some((end, _)) => {
                let message = self.message.get(..end).unwrap_or_default().to_owned() + "…";
                Line { message, ..self.clone() }.record(own_log::members)
            }
        }
    }

    fn record<T>(&self, with: impl FnOnce(&log::Record<'_>) -> T) -> T {
        let mut fields = vec![("event", Value::from(self.event.name()))];
        fields.extend(self.fields.iter().map(|(key, field)| (*key, field.value())));
        with(
            &log::Record::builder()
                .level(self.level)
                .target("foster")
                .key_values(&fields)
                .args(format_args!("{}", self.message))
                .build(),
        )
    }
}

impl Field {
    fn value(&self) -> Value<'_> {
        match self {
            Field::Number(number) => Value::from(*number),
            Field::Text(text) => Value::from(text.as_str()),
            Field::Flag(flag) => Value::from(*flag),
        }
    }
}

impl From<u64> for Field {
    fn from(number: u64) -> Field {
        Field::Number(number)
    }
}

impl From<String> for Field {
    fn from(text: String) -> Field {
        Field::Text(text)
    }
}

impl From<Duration> for Field {
    fn from(duration: Duration) -> Field {
        Field::Number(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }
}

/// What an instance is called: `backend`, or `backend.0` where there are several.
pub(super) fn label(plan: &Plan, id: InstanceId) -> String {
    let name = plan.program(id.program).map_or("?", |program| program.name.as_str());
    let several = plan.spec(id.program).is_some_and(|spec| spec.instances > 1);
    if several { format!("{name}.{}", id.index) } else { name.to_string() }
}

/// The line for a change of state; `pid` is that of the run it is about, where there is or was one.
pub(super) fn change(plan: &Plan, change: &Change, pid: Option<i32>) -> Line {
    let name = label(plan, change.instance);
    let process = pid.map_or(String::new(), |pid| format!(" (pid {pid})"));
    let line = match &change.cause {
        Cause::Started => Line::new(Level::Info, EventName::Starting, format!("{name}: starting{process}")),
        Cause::WaitsFor(other) => {
            let other = label(plan, *other);
            Line::new(Level::Info, EventName::Waiting, format!("{name}: waiting for {other}"))
                .with("waits_for", other)
        }
        Cause::BecameReady { after } => {
            let message = format!("{name}: ready after {}{process}", short(*after));
            Line::new(Level::Info, EventName::Ready, message).with("after_ms", *after)
        }
        Cause::NotReady { timeout, last } => {
            let seen = last.as_ref().map_or(String::new(), |last| format!(" ({last})"));
            let message = format!("{name}: not ready within {}{seen}; stopping it{process}", short(*timeout));
            Line::new(Level::Warn, EventName::NotReady, message).with("timeout_ms", *timeout)
        }
        Cause::CannotStart { failure, next } => {
            let message = format!("cannot start {name}: {}; {}", failure.message, follows(next));
            next_fields(Line::new(level(next), EventName::StartFailed, message), next)
                .with("stage", failure.stage.to_string())
        }
        Cause::Ended { exit, uptime, next } => {
            let message = format!("{name}: {exit} after {}{process}; {}", short(*uptime), follows(next));
            let line = Line::new(level(next), EventName::Exited, message).with("uptime_ms", *uptime);
            next_fields(exit_fields(line, *exit), next)
        }
        Cause::LeftOthers { exit, uptime } => {
            let message = format!(
                "{name}: {exit} after {}{process}; others of its session live on and get SIGTERM first",
                short(*uptime)
            );
            exit_fields(Line::new(Level::Warn, EventName::LeftOthers, message), *exit)
                .with("uptime_ms", *uptime)
        }
        Cause::StoppedUnready { exit, next } => {
            let message = format!("{name}: {exit}{process}; {}", follows(next));
            next_fields(exit_fields(Line::new(level(next), EventName::Exited, message), *exit), next)
        }
        Cause::Ordered if change.to == StateName::Stopped => {
            Line::new(Level::Info, EventName::Stopped, format!("{name}: stopped, as ordered"))
        }
        Cause::Ordered => {
            Line::new(Level::Info, EventName::Stopping, format!("{name}: stopping, as ordered{process}"))
        }
        Cause::Shutdown if change.to == StateName::Stopped => {
            Line::new(Level::Info, EventName::Stopped, format!("{name}: not started any more, shutting down"))
        }
        Cause::Shutdown => Line::new(Level::Info, EventName::Stopping, format!("{name}: stopping{process}")),
        Cause::RequirementDown(other) => {
            let other = label(plan, *other);
            let message = format!("{name}: stopping, because {other} is down{process}");
            Line::new(Level::Info, EventName::Stopping, message).with("requires", other)
        }
        Cause::Changed => {
            let message = format!("{name}: stopping, because its definition changed{process}");
            Line::new(Level::Info, EventName::Stopping, message)
        }
        Cause::Removed => {
            let event =
                if change.to == StateName::Stopped { EventName::Stopped } else { EventName::Stopping };
            let to = event.name();
            let message = format!("{name}: {to}, because it was removed from the configuration{process}");
            Line::new(Level::Info, event, message)
        }
        Cause::Stopped { exit, took } => {
            let message = format!("{name}: stopped, {exit} within {}{process}", short(*took));
            exit_fields(Line::new(Level::Info, EventName::Stopped, message), *exit).with("took_ms", *took)
        }
    };
    let line =
        line.with("program", plan.program(change.instance.program).map_or(String::new(), |p| p.name.clone()));
    let line = line.with("instance", u64::from(change.instance.index));
    let line = match pid.and_then(|pid| u64::try_from(pid).ok()) {
        Some(pid) => line.with("pid", pid),
        None => line,
    };
    line.with("from", change.from.name().to_string()).with("to", change.to.name().to_string())
}

/// That the shutdown begins, and why.
pub(super) fn shutdown(plan: &Plan, ending: &Ending) -> Line {
    let level = if ending.status == 0 { Level::Info } else { Level::Error };
    Line::new(level, EventName::Shutdown, format!("shutting down: {}", reason(plan, &ending.reason)))
        .with("exit_status", u64::from(ending.status))
}

/// Why foster ends, as half a sentence.
pub(super) fn reason(plan: &Plan, reason: &Reason) -> String {
    match reason {
        Reason::Signal(signal) => format!("got {signal}"),
        Reason::Operator => "told to by foster shutdown".into(),
        Reason::AllEnded => "every program has ended".into(),
        Reason::Exited { instance, exit } => {
            format!("{} {exit}, and its on_exit is `shutdown`", label(plan, *instance))
        }
        Reason::Failed { instance, exit, failures } => {
            let name = label(plan, *instance);
            let mut text = match exit {
                Some(exit) => format!("{name} {exit}"),
                None => format!("{name} could not be started"),
            };
            let _ = match failures {
                0 | 1 => write!(text, " and is not restarted"),
                failures => write!(text, ", after {failures} failed starts in a row"),
            };
            text
        }
        Reason::Fault => "foster itself cannot go on".into(),
    }
}

/// What follows an end, as half a sentence.
fn follows(next: &AfterExit) -> String {
    match next {
        AfterExit::RestartNow => "restarting now".into(),
        AfterExit::RestartIn { wait, failures: 0, limit: _ } => format!("restart in {}", short(*wait)),
        AfterExit::RestartIn { wait, failures, limit: Some(limit) } => {
            format!("restart in {} (failed start {failures} of {limit})", short(*wait))
        }
        AfterExit::RestartIn { wait, failures, limit: None } => {
            format!("restart in {} (failed start {failures})", short(*wait))
        }
        AfterExit::StaysDown => "done".into(),
        AfterExit::Failed => "failed, and not to be restarted".into(),
        AfterExit::GaveUp { failures } => format!("gave up after {failures} failed starts in a row"),
    }
}

fn level(next: &AfterExit) -> Level {
    match next {
        AfterExit::StaysDown => Level::Info,
        AfterExit::RestartNow | AfterExit::RestartIn { .. } => Level::Warn,
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
        AfterExit::StaysDown | AfterExit::Failed => line,
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
                Killer::OutOfMemory => {
                    Line { fields: [line.fields, vec![("oom", Field::Flag(true))]].concat(), ..line }
                }
                Killer::Unknown => line,
            }
        }
    }
}

/// A duration as people say it: three digits are plenty.
pub(super) fn short(duration: Duration) -> String {
    let ms = duration.as_millis();
    match ms {
        0..1_000 => format!("{ms}ms"),
        1_000..60_000 => format!("{:.1}s", duration.as_secs_f64()).replace(".0s", "s"),
        _ => humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string(),
    }
}
