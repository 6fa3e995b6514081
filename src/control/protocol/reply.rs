//! The answers: rows, outcomes and lines, then exactly one `end` or `error`.
//!
//! Every reply fits a line, whatever a program has written or a probe has received. Conversions from the core's types are
//! explicit: the protocol is a promise to clients, the core is not.

use foster_core::action::StateName;
use foster_core::ids::{Exit as CoreExit, KilledBy};
use foster_core::spec::Kind as CoreKind;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::update::Change;
use super::{Refusal, from_fields, line, short};
use crate::cut;

/// The most bytes of text in one line of the socket: JSON may write six for one (`\u0000`).
pub const LONGEST_TEXT: usize = 8 * 1024;

/// A line of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "reply", rename_all = "lowercase")]
pub enum Reply {
    /// The state of an instance.
    Row(StatusRow),
    /// The result of a request for one instance.
    Outcome(Outcome),
    /// A line of output, or a piece of one.
    Line(LogLine),
    /// The width of the longest name, for clients that align lines.
    Width(Width),
    /// An event.
    Event(Event),
    /// A gap: lines or events that are no longer in memory.
    Missed(Missed),
    /// A message to the user, apart from the lines.
    Note(Note),
    /// A piece of the definition of a program's processes.
    Context(Piece),
    /// A line of the report on a configuration.
    Problem(Problem),
    /// What an update would do to an instance.
    Change(Change),
    /// The answer is complete. Its last line.
    End {},
    /// The request is refused. The last line of the answer.
    Error(Refusal),
}

/// The state of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusRow {
    /// Its program's name.
    pub name: String,
    /// Program, task or job.
    pub kind: Kind,
    /// The number of the instance, from 0; absent in the row of a program that has none.
    pub instance: Option<u16>,
    /// The number of instances of the program.
    pub instances: u16,
    /// What the instance is called: `backend`, or `backend.1` where the program has several.
    pub label: String,
    /// Its state.
    pub state: State,
    /// Its main process.
    pub pid: Option<i32>,
    /// The time since its start in milliseconds.
    pub uptime_ms: Option<u64>,
    /// The number of restarts.
    pub restarts: u32,
    /// Whether it is ready.
    pub ready: bool,
    /// The result of its health check, if it has one.
    pub health: Option<Health>,
    /// The last exit of its main process.
    pub exit: Option<Exit>,
    /// When the run began that ended so (RFC 3339, UTC).
    pub last_start: Option<String>,
    /// How long that run was, in milliseconds.
    pub duration_ms: Option<u64>,
    /// When it is due next, if it is a job that is not paused (RFC 3339, UTC).
    pub next_due: Option<String>,
    /// The memory of its processes in bytes, if known.
    pub memory_bytes: Option<u64>,
    /// The CPU time that its processes have used, in milliseconds, if known.
    pub cpu_ms: Option<u64>,
    /// Whether it should run, or should have run.
    pub wanted: bool,
    /// A remark: `next start in 3.2s`.
    pub note: Option<String>,
    /// What the program last reported about itself (`STATUS=` of sd_notify(3)).
    pub status: Option<String>,
    /// The lines of its output that its log files could not take, since they were opened.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped_lines: u64,
    /// Its name for supervisorctl, `group:process`, if the configuration is supervisord's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespec: Option<Box<str>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The kind of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Runs until it is stopped.
    Program,
    /// Runs once, while the container boots.
    Task,
    /// Runs on a schedule.
    Job,
}

/// A state, as users see it (docs/states.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Wanted, and waiting for its dependencies.
    Waiting,
    /// Its process exists and is not ready yet.
    Starting,
    /// Ready; a task or job: running.
    Running,
    /// Running, and its health check fails.
    Unhealthy,
    /// Being stopped.
    Stopping,
    /// Not running, and not wanted.
    Stopped,
    /// Waiting to be started again after a failure.
    Backoff,
    /// Exited with success, and not restarted.
    Exited,
    /// Not restarted after too many failures.
    Fatal,
    /// A task that ended with success.
    Succeeded,
    /// A task that failed.
    Failed,
    /// A job between two runs.
    Idle,
    /// A job that does not run when it is due.
    Paused,
}

/// The result of a health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It passes.
    Healthy,
    /// It fails.
    Unhealthy,
}

/// The exit of a main process: `{"code": 1}` or `{"signal": "KILL", "oom": true}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Exit {
    /// It exited.
    Code {
        /// Its exit code.
        code: u8,
    },
    /// A signal killed it.
    Signal {
        /// The signal, without `SIG`.
        signal: String,
        /// Whether the kernel killed it because memory ran out.
        oom: bool,
    },
}

/// The result of a request for one instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The instance: `backend`, or `backend.1` where there are several.
    pub name: String,
    /// Whether it succeeded.
    pub verdict: Verdict,
    /// The message: `started (pid 17, ready after 1.2s)`.
    pub message: String,
    /// The exit status of the run that `run-job` has waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_status: Option<u8>,
}

/// Whether a request succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It did.
    Ok,
    /// It did not.
    Failed,
}

/// A line of output, or a piece of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was written (RFC 3339, UTC).
    pub ts: String,
    /// The instance: `backend`, or `backend.1` where there are several.
    pub name: String,
    /// The stream it was written to.
    pub stream: Stream,
    /// The line, without its line end.
    pub text: String,
    /// Whether the next reply continues this line.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    /// Whether the program has not ended this line yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unfinished: bool,
}

/// A message to the user, apart from the lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The sentence.
    pub text: String,
}

/// A stream of a program's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The width of the longest name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Width {
    /// In characters.
    pub width: usize,
}

/// An event: a line of foster's own log, with the same fields. `ts` is its time (RFC 3339, UTC), `level` its severity,
/// `program` its program or `foster`, `event` its name, `msg` the sentence; `exit_code`, `uptime_ms` and others belong
/// to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Event(pub Map<String, Value>);

/// A gap in what a client follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// The program whose lines are missing; `None`: events are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Their number, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// A piece of a document that may be longer than a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The piece.
    pub text: String,
}

/// A line of the report on a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The line, as it is printed at the start.
    pub text: String,
}

impl Event {
    /// Its line, line end included; `members` are those of its object after `ts`, without braces.
    pub fn line(ts: &str, members: &[u8]) -> Vec<u8> {
        [b"{\"reply\":\"event\",\"ts\":\"", ts.as_bytes(), b"\",", members, b"}\n"].concat()
    }

    /// The text of a field; empty if there is none of this name.
    pub fn text(&self, field: &str) -> &str {
        self.0.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// The object, with its fields in the order of the log: program and event first, the sentence last.
    pub fn object(&self) -> String {
        const FIRST: [&str; 4] = ["ts", "level", "program", "event"];
        let first = FIRST.iter().filter_map(|name| self.0.get_key_value(*name));
        let others = self.0.iter().filter(|(name, _)| !FIRST.contains(&name.as_str()) && *name != "msg");
        let members = first.chain(others).chain(self.0.get_key_value("msg"));
        let members: Vec<String> =
            members.map(|(name, value)| format!("{}:{value}", Value::from(name.as_str()))).collect();
        format!("{{{}}}", members.join(","))
    }
}

impl Piece {
    /// The pieces of a document, in order.
    pub fn of(document: &str) -> impl Iterator<Item = Piece> {
        cut::pieces(document, LONGEST_TEXT).map(|piece| Piece { text: piece.to_owned() })
    }
}

impl Reply {
    /// Reads a line, with or without its line end.
    ///
    /// # Errors
    /// It is not a reply.
    pub fn parse(line: &[u8]) -> Result<Reply, serde_json::Error> {
        let mut fields: Map<String, Value> = serde_json::from_slice(line)?;
        let kind = fields.remove("reply");
        // By hand: serde's code for a tagged enum is many times larger.
        match kind.as_ref().and_then(Value::as_str).unwrap_or_default() {
            "row" => from_fields(fields).map(Reply::Row),
            "outcome" => from_fields(fields).map(Reply::Outcome),
            "line" => from_fields(fields).map(Reply::Line),
            "width" => from_fields(fields).map(Reply::Width),
            "event" => Ok(Reply::Event(Event(fields))),
            "missed" => from_fields(fields).map(Reply::Missed),
            "note" => from_fields(fields).map(Reply::Note),
            "context" => from_fields(fields).map(Reply::Context),
            "problem" => from_fields(fields).map(Reply::Problem),
            "change" => from_fields(fields).map(Reply::Change),
            "end" => Ok(Reply::End {}),
            "error" => from_fields(fields).map(Reply::Error),
            _ => Err(serde::de::Error::custom("not a reply")),
        }
    }

    /// Its line, line end included. One that would be longer than [`super::LONGEST_LINE`] becomes an error.
    pub fn encode(&self) -> Vec<u8> {
        line(self).unwrap_or_else(|| TOO_LONG.to_vec())
    }

    /// Whether it is the last line of an answer.
    pub fn is_last(&self) -> bool {
        match self {
            Reply::End {} | Reply::Error(_) => true,
            Reply::Row(_)
            | Reply::Outcome(_)
            | Reply::Line(_)
            | Reply::Width(_)
            | Reply::Event(_)
            | Reply::Missed(_)
            | Reply::Note(_)
            | Reply::Context(_)
            | Reply::Problem(_)
            | Reply::Change(_) => false,
        }
    }
}

/// Replaces a reply that does not fit.
const TOO_LONG: &[u8] =
    b"{\"reply\":\"error\",\"error\":\"failed\",\"message\":\"the reply does not fit a line\"}\n";

impl LogLine {
    /// The replies for this line, several if it is long. They must be sent in this order, with nothing between.
    pub fn into_pieces(self) -> Vec<Reply> {
        let mut rest = self.text.as_str();
        let mut pieces = Vec::new();
        loop {
            let (piece, after) = rest.split_at(cut::start(rest, LONGEST_TEXT).len());
            let more = !after.is_empty();
            let (ts, name, stream) = (self.ts.clone(), self.name.clone(), self.stream);
            let unfinished = self.unfinished && !more;
            pieces.push(Reply::Line(LogLine { ts, name, stream, text: piece.to_owned(), more, unfinished }));
            if !more {
                return pieces;
            }
            rest = after;
        }
    }
}

impl<'de> Deserialize<'de> for Exit {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Exit, D::Error> {
        #[derive(Deserialize)]
        struct Either {
            code: Option<u8>,
            signal: Option<String>,
            #[serde(default)]
            oom: bool,
        }
        match Either::deserialize(from)? {
            Either { code: Some(code), signal: None, oom: _ } => Ok(Exit::Code { code }),
            Either { code: None, signal: Some(signal), oom } => Ok(Exit::Signal { signal, oom }),
            Either { .. } => Err(serde::de::Error::custom("an exit is a code or a signal")),
        }
    }
}

impl From<CoreExit> for Exit {
    fn from(exit: CoreExit) -> Exit {
        match exit {
            CoreExit::Code(code) => Exit::Code { code },
            CoreExit::Killed { signal, by } => Exit::Signal {
                signal: short(signal),
                oom: match by {
                    KilledBy::OutOfMemory => true,
                    KilledBy::Unknown | KilledBy::Foster => false,
                },
            },
        }
    }
}

impl From<StateName> for State {
    fn from(state: StateName) -> State {
        match state {
            StateName::Stopped => State::Stopped,
            StateName::Waiting => State::Waiting,
            StateName::Starting => State::Starting,
            StateName::Running => State::Running,
            StateName::Unhealthy => State::Unhealthy,
            StateName::Stopping => State::Stopping,
            StateName::Backoff => State::Backoff,
            StateName::Exited => State::Exited,
            StateName::Fatal => State::Fatal,
            StateName::Succeeded => State::Succeeded,
            StateName::Failed => State::Failed,
            StateName::Idle => State::Idle,
            StateName::Paused => State::Paused,
        }
    }
}

impl From<CoreKind> for Kind {
    fn from(kind: CoreKind) -> Kind {
        match kind {
            CoreKind::Program => Kind::Program,
            CoreKind::Task => Kind::Task,
            CoreKind::Job => Kind::Job,
        }
    }
}
