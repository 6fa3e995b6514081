//! The processes as supervisorctl names and describes them. Pure.
//!
//! foster's states are others; the last event of an instance tells those apart that supervisord has two words for.

use foster_core::sorted::sort_by_key;
use serde_json::{Map, Value};

use super::status;
use crate::control::protocol::{self, Reply, StatusRow, Stream};

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    /// `group:process`, or `process` where both are the same.
    pub(super) name: String,
    /// foster's name for it.
    pub(super) label: String,
    /// Its program in foster, and the number of the instance.
    instance: (String, Option<u16>),
    /// Its state in supervisord's words.
    pub(super) state: State,
    /// Its process ID.
    pub(super) pid: Option<i32>,
    uptime_ms: u64,
    note: Option<String>,
    has_run: bool,
}

/// A state in supervisord's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Stopped,
    Starting,
    Running,
    Backoff,
    Stopping,
    Exited,
    Fatal,
}

impl State {
    /// As it is printed.
    pub(super) fn word(self) -> &'static str {
        match self {
            State::Stopped => "STOPPED",
            State::Starting => "STARTING",
            State::Running => "RUNNING",
            State::Backoff => "BACKOFF",
            State::Stopping => "STOPPING",
            State::Exited => "EXITED",
            State::Fatal => "FATAL",
        }
    }

    /// Whether `status` counts it as down.
    pub(super) fn is_down(self) -> bool {
        matches!(self, State::Stopped | State::Exited | State::Fatal)
    }

    /// Whether it can be stopped, and not started.
    pub(super) fn is_up(self) -> bool {
        matches!(self, State::Running | State::Backoff | State::Starting)
    }

    /// Whether it can get a signal.
    pub(super) fn is_signallable(self) -> bool {
        matches!(self, State::Running | State::Starting | State::Stopping)
    }
}

/// What a name means.
pub(super) enum Chosen<'p> {
    /// `all`.
    All(Vec<&'p Process>),
    /// `group:*`.
    Group(Vec<&'p Process>),
    /// A process.
    One(&'p Process),
    /// There is no such group.
    NoGroup(String),
    /// There is no such process.
    NoProcess,
}

/// The processes of these rows, by group and name.
pub(super) fn processes(rows: Vec<Reply>) -> Vec<Process> {
    let rows =
        rows.into_iter().filter_map(|reply| if let Reply::Row(row) = reply { Some(row) } else { None });
    let rows: Vec<StatusRow> = rows.collect();
    // In a supervisord configuration what has no name of supervisord's is foster's own, such as the broker of events.
    let has_names = rows.iter().any(|row| row.namespec.is_some());
    let rows = rows.into_iter().filter(|row| row.namespec.is_some() || !has_names);
    let mut processes: Vec<Process> = rows.map(process).collect();
    sort_by_key(&mut processes, |process| {
        let (group, name) = parts(&process.name);
        (group.to_owned(), name.to_owned())
    });
    processes
}

fn process(row: StatusRow) -> Process {
    let state = state(row.state);
    Process {
        name: row.namespec.as_deref().unwrap_or(&row.label).to_owned(),
        state,
        pid: row.pid,
        uptime_ms: row.uptime_ms.unwrap_or(0),
        has_run: row.exit.is_some() || row.pid.is_some(),
        note: row.note,
        instance: (row.name, row.instance),
        label: row.label,
    }
}

fn state(state: protocol::State) -> State {
    match state {
        protocol::State::Stopped | protocol::State::Paused | protocol::State::Idle => State::Stopped,
        protocol::State::Waiting | protocol::State::Starting => State::Starting,
        protocol::State::Running | protocol::State::Unhealthy => State::Running,
        protocol::State::Stopping => State::Stopping,
        protocol::State::Backoff => State::Backoff,
        protocol::State::Exited | protocol::State::Succeeded => State::Exited,
        protocol::State::Fatal | protocol::State::Failed => State::Fatal,
    }
}

/// Group and process of a name.
pub(super) fn parts(name: &str) -> (&str, &str) {
    name.split_once(':').unwrap_or((name, name))
}

/// Resolves `all`, `group:*`, `group:process` or `process`.
pub(super) fn choose<'p>(all: &'p [Process], name: &str) -> Chosen<'p> {
    if name == "all" {
        return Chosen::All(all.iter().collect());
    }
    let (group, process) = parts(name);
    if name.contains(':') && matches!(process, "*" | "") {
        let chosen: Vec<&Process> = all.iter().filter(|known| parts(&known.name).0 == group).collect();
        return if chosen.is_empty() { Chosen::NoGroup(group.to_owned()) } else { Chosen::Group(chosen) };
    }
    all.iter().find(|known| parts(&known.name) == (group, process)).map_or(Chosen::NoProcess, Chosen::One)
}

impl Process {
    /// Its program in foster.
    pub(super) fn program(&self) -> &str {
        &self.instance.0
    }

    /// The state. One that failed after it had been up, and is not to be restarted, is fatal for foster alone.
    pub(super) fn state_after(&self, ends: &[End]) -> State {
        match (self.state, self.last_end(ends)) {
            (State::Fatal, Some(End { outcome: Outcome::NotRestarted, .. })) => State::Exited,
            (state, _) => state,
        }
    }

    fn last_end<'e>(&self, ends: &'e [End]) -> Option<&'e End> {
        ends.iter().rev().find(|end| end.instance == self.instance)
    }

    /// The text after the state.
    pub(super) fn description(&self, ends: &[End]) -> String {
        let note = || self.note.clone();
        match self.state_after(ends) {
            State::Running => {
                format!("pid {}, uptime {}", self.pid.unwrap_or(0), uptime(self.uptime_ms / 1000))
            }
            State::Backoff | State::Fatal => note().unwrap_or_else(|| "unknown error".to_owned()),
            State::Stopped | State::Exited if !self.has_run => "Not started".to_owned(),
            State::Stopped | State::Exited => {
                let end = self.last_end(ends);
                end.map_or(String::new(), |end| end.time.clone())
            }
            State::Starting | State::Stopping => String::new(),
        }
    }
}

/// As Python prints a `timedelta`.
fn uptime(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let time = format!("{}:{:02}:{:02}", rest / 3600, rest % 3600 / 60, rest % 60);
    match days {
        0 => time,
        1 => format!("1 day, {time}"),
        days => format!("{days} days, {time}"),
    }
}

/// The end of a run.
pub(super) struct End {
    instance: (String, Option<u16>),
    time: String,
    outcome: Outcome,
}

/// What followed an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Too many starts in a row had failed.
    GaveUp,
    /// Nothing else.
    NotRestarted,
}

/// When each instance ended, as `Nov 29 11:05 AM` (UTC), in order.
pub(super) fn ends(events: impl Iterator<Item = Reply>) -> Vec<End> {
    events.filter_map(|reply| if let Reply::Event(event) = reply { end(&event.0) } else { None }).collect()
}

fn end(event: &Map<String, Value>) -> Option<End> {
    let field = |name: &str| event.get(name).and_then(Value::as_str);
    let is_end = ["stopped", "exited", "fatal"].contains(&field("to")?);
    let (program, ts) = (field("program")?, field("ts")?);
    let instance =
        event.get("instance").and_then(Value::as_u64).and_then(|number| u16::try_from(number).ok());
    let number = |from: usize, to: usize| ts.get(from..to)?.parse::<usize>().ok();
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (month, day, hour, minute) = (number(5, 7)?, number(8, 10)?, number(11, 13)?, number(14, 16)?);
    let half = if hour < 12 { "AM" } else { "PM" };
    let month = MONTHS.get(month.checked_sub(1)?)?;
    let time = format!("{month} {day:02} {:02}:{minute:02} {half}", (hour + 11) % 12 + 1);
    let outcome = if event.contains_key("failures") { Outcome::GaveUp } else { Outcome::NotRestarted };
    is_end.then(|| End { instance: (program.to_owned(), instance), time, outcome })
}

/// The reason of a start or stop that failed, in supervisorctl's words, and its exit status.
pub(super) fn fault(message: &str) -> (&'static str, u8) {
    match message {
        message if message.contains("No such file") || message.contains("not found") => {
            ("no such file", status::FAILED)
        }
        message if message.contains("Permission denied") => ("file is not executable", status::FAILED),
        _ => ("spawn error", status::NOT_RUNNING),
    }
}

/// The text of this stream in a reply.
pub(super) fn output(reply: &Reply, wanted: Stream) -> String {
    let Reply::Line(line) = reply else { return String::new() };
    let end = if line.more || line.unfinished { "" } else { "\n" };
    if line.stream == wanted { format!("{}{end}", line.text) } else { String::new() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(event: Value) -> Reply {
        let Value::Object(fields) = event else { panic!("no object") };
        Reply::Event(protocol::Event(fields))
    }

    #[test]
    fn the_last_end_of_an_instance_gives_its_time_and_whether_foster_gave_up() {
        let events = [
            json!({ "ts": "2026-11-29T00:05:00.1Z", "program": "web", "instance": 0, "to": "exited" }),
            json!({ "ts": "2026-11-09T12:05:00.1Z", "program": "web", "instance": 0, "to": "fatal", "failures": 4 }),
            json!({ "ts": "2026-11-29T23:59:00.1Z", "program": "web", "instance": 1, "to": "fatal" }),
            json!({ "ts": "2026-11-29T23:59:00.1Z", "program": "web", "instance": 0, "to": "running" }),
            json!({ "ts": "2026-13-29T23:59:00.1Z", "program": "web", "instance": 0, "to": "fatal" }),
            json!({ "ts": "short", "program": "web", "instance": 0, "to": "fatal" }),
        ];
        let ends = ends(events.into_iter().map(event));
        let found: Vec<_> = ends.iter().map(|end| (end.instance.1, end.time.as_str(), end.outcome)).collect();
        let expected = [
            (Some(0), "Nov 29 12:05 AM", Outcome::NotRestarted),
            (Some(0), "Nov 09 12:05 PM", Outcome::GaveUp),
            (Some(1), "Nov 29 11:59 PM", Outcome::NotRestarted),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_uptime_is_printed_as_python_prints_it() {
        let of =
            [(0, "0:00:00"), (3_725, "1:02:05"), (90_000, "1 day, 1:00:00"), (200_000, "2 days, 7:33:20")];
        for (seconds, text) in of {
            assert_eq!(uptime(seconds), text);
        }
    }
}
