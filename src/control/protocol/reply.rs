//! The answers: rows, outcomes and lines, then exactly one `end` or `error`.
//!
//! Every reply fits a line of the wire, whatever a program has written or a probe has seen. Conversions
//! from the core's types are written out here: the wire is a promise to clients, the core is not.

use foster_core::action::StateName;
use foster_core::ids::{Exit as CoreExit, Killer};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, from_value};

use super::{Refusal, line, short};

/// How much of a program's line goes into one reply, in bytes: JSON may write six for one (`\u0000`).
const PIECE: usize = 8 * 1024;

/// A line of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "reply", rename_all = "lowercase")]
pub enum Reply {
    /// An instance, as it stands.
    Row(StatusRow),
    /// What became of an order, or of a question, for one instance.
    Outcome(Outcome),
    /// A line of output, or a piece of one.
    Line(LogLine),
    /// How wide the longest name is, for those who align lines behind names.
    Width(Width),
    /// Something that happened.
    Event(Event),
    /// What came is kept no more: it was asked for too slowly.
    Missed(Missed),
    /// One part of how a process is made.
    Part(Part),
    /// A line about what is wrong with the configuration.
    Problem(Problem),
    /// All has been said. The last line of an answer.
    End {},
    /// It cannot be done. The last line of an answer.
    Error(Refusal),
}

/// How an instance stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusRow {
    /// Its program's name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Which of the program's instances, from 0.
    pub instance: u16,
    /// How many instances the program has.
    pub instances: u16,
    /// Its state.
    pub state: State,
    /// Its main process.
    pub pid: Option<i32>,
    /// How long that has been up, in milliseconds.
    pub uptime_ms: Option<u64>,
    /// How often it was started again.
    pub restarts: u32,
    /// Whether it is ready.
    pub ready: bool,
    /// What its health check says, where it has one.
    pub health: Option<Health>,
    /// How its main process ended last.
    pub exit: Option<Exit>,
    /// What its processes hold, in bytes, where that is known.
    pub memory_bytes: Option<u64>,
    /// Whether it is meant to run, or to have run.
    pub wanted: bool,
    /// What else there is to say: `next start in 3.2s`.
    pub note: Option<String>,
}

/// What something that is run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Runs until it is told to stop.
    Program,
    /// Runs once, while the container boots.
    Task,
    /// Runs on a schedule.
    Job,
}

/// A state, as users see it (spec, section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Wanted, and waiting for what it is after.
    Waiting,
    /// Its process exists and is not ready yet.
    Starting,
    /// Ready; of a task or a job: under way.
    Running,
    /// Running, and its health check fails.
    Unhealthy,
    /// On its way down.
    Stopping,
    /// Not running, and not wanted.
    Stopped,
    /// Between a failed start and the next.
    Backoff,
    /// Ended for good, with success.
    Exited,
    /// Gave up.
    Fatal,
    /// A task that has done what it was for.
    Succeeded,
    /// A task that has not.
    Failed,
    /// A job between two runs.
    Idle,
}

/// What a health check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It passes.
    Healthy,
    /// It fails.
    Unhealthy,
}

/// How a main process ended: `{"code": 1}` or `{"signal": "KILL", "oom": true}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Exit {
    /// It left by itself.
    Code {
        /// With this code.
        code: u8,
    },
    /// A signal ended it.
    Signal {
        /// Which, without `SIG`.
        signal: String,
        /// Whether the kernel sent it because memory was short.
        oom: bool,
    },
}

/// What became of something, for one instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Whose: `backend`, or `backend.1` where there are several.
    pub name: String,
    /// Whether it is as asked.
    pub verdict: Verdict,
    /// In words: `started (pid 17, ready after 1.2s)`.
    pub message: String,
}

/// Whether something is as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is.
    Ok,
    /// It is not.
    Failed,
}

/// A line of output, or a piece of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Whose: `backend`, or `backend.1` where there are several.
    pub name: String,
    /// Where it was written.
    pub stream: Stream,
    /// What was written, without its line end.
    pub text: String,
    /// Whether the next reply goes on with the same line.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
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

/// How wide the longest name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Width {
    /// In characters.
    pub width: usize,
}

/// Something that happened: a line of foster's own log, with the same fields. `ts` is when (RFC 3339, UTC), `level`
/// how bad it is, `program` whom it is about or `foster`, `event` what it is called, `msg` the whole sentence;
/// `exit_code`, `uptime_ms` and others belong to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Event(pub Map<String, Value>);

/// A gap in what a client follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// Whose lines; `None`: events, whoever they are about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How many, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// One part of how a process is made, or a piece of its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Which.
    pub part: PartName,
    /// What it is, where that is UTF-8.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// What it is, where it is not: environments and paths may be any bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bytes: Vec<u8>,
    /// Whether the next reply goes on with the same value.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// What a part of how a process is made is about. Those that may come several times keep their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartName {
    /// foster's working directory: what other paths are relative to.
    Base,
    /// foster's user, group and supplementary groups: numbers between blanks.
    Credentials,
    /// A variable of foster's own environment: `NAME=value`.
    Inherited,
    /// The working directory.
    Directory,
    /// The path of a file of variables.
    EnvFile,
    /// The path of one that may be missing.
    OptionalEnvFile,
    /// A secret: `NAME=path`. Its value does not travel.
    Secret,
    /// A variable that wins: `NAME=value`.
    Variable,
    /// Which of foster's variables are inherited: only the basic ones.
    InheritBasics,
    /// The user, by name.
    UserName,
    /// The user, by number.
    UserId,
    /// Where that is not permitted: foster's own user.
    UserIfPermitted,
    /// The group, by name.
    GroupName,
    /// The group, by number.
    GroupId,
    /// The file mode creation mask, in decimal.
    Umask,
    /// The capabilities kept, as bits, in decimal.
    Capabilities,
    /// New privileges are forbidden.
    NoNewPrivileges,
    /// A limit: `NAME soft hard`, in decimal.
    Limit,
    /// The nice value.
    Nice,
    /// What the kernel is told for when memory is short.
    OomScoreAdj,
}

/// A line about what is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The line, as it is printed at the start.
    pub text: String,
}

impl Event {
    /// The line that says it, line end included; `members` are those of its object after `ts`, without braces.
    pub fn line(ts: &str, members: &[u8]) -> Vec<u8> {
        [b"{\"reply\":\"event\",\"ts\":\"", ts.as_bytes(), b"\",", members, b"}\n"].concat()
    }

    /// One of its fields that are texts; empty where it has none of this name.
    pub fn text(&self, field: &str) -> &str {
        self.0.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// The object, with its fields in the order of the log: who and what first, the sentence last.
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

impl Part {
    /// The replies that carry one value: more than one where it is long. To be sent in this order.
    pub fn pieces(part: PartName, value: &[u8]) -> Vec<Reply> {
        let count = value.len().div_ceil(PIECE).max(1);
        let piece = |index: usize| {
            let from = value.get(index * PIECE..).unwrap_or_default();
            let bytes = from.get(..PIECE).unwrap_or(from).to_vec();
            let (value, bytes) = match String::from_utf8(bytes) {
                Ok(text) => (text, Vec::new()),
                Err(error) => (String::new(), error.into_bytes()),
            };
            Reply::Part(Part { part, value, bytes, more: index + 1 < count })
        };
        (0..count).map(piece).collect()
    }

    /// The bytes of its value, or of this piece of it.
    pub fn into_bytes(self) -> Vec<u8> {
        if self.bytes.is_empty() { self.value.into_bytes() } else { self.bytes }
    }
}

impl Reply {
    /// Reads a line, with or without its line end.
    ///
    /// # Errors
    /// It is no reply; with what is wrong.
    pub fn parse(line: &[u8]) -> Result<Reply, serde_json::Error> {
        let mut fields: Map<String, Value> = serde_json::from_slice(line)?;
        let kind = fields.remove("reply");
        let fields = Value::Object(fields);
        // By hand, since what serde makes of a tagged enum is many times larger.
        match kind.as_ref().and_then(Value::as_str).unwrap_or_default() {
            "row" => from_value(fields).map(Reply::Row),
            "outcome" => from_value(fields).map(Reply::Outcome),
            "line" => from_value(fields).map(Reply::Line),
            "width" => from_value(fields).map(Reply::Width),
            "event" => from_value(fields).map(Event).map(Reply::Event),
            "missed" => from_value(fields).map(Reply::Missed),
            "part" => from_value(fields).map(Reply::Part),
            "problem" => from_value(fields).map(Reply::Problem),
            "end" => Ok(Reply::End {}),
            "error" => from_value(fields).map(Reply::Error),
            _ => Err(serde::de::Error::custom("this is no reply")),
        }
    }

    /// The line that says it, line end included. What would be longer than [`super::LONGEST_LINE`] becomes an
    /// error that says so.
    pub fn encode(&self) -> Vec<u8> {
        line(self).unwrap_or_else(|| TOO_LONG_TO_SAY.to_vec())
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
            | Reply::Part(_)
            | Reply::Problem(_) => false,
        }
    }
}

/// The reply in the place of one that does not fit.
const TOO_LONG_TO_SAY: &[u8] =
    b"{\"reply\":\"error\",\"error\":\"failed\",\"message\":\"the reply does not fit a line\"}\n";

impl StatusRow {
    /// What it is called: with its instance's number where there are several.
    pub fn label(&self) -> String {
        label(&self.name, self.instance, self.instances)
    }
}

/// What an instance is called: `backend`, or `backend.1` where the program has several.
pub fn label(name: &str, instance: u16, instances: u16) -> String {
    if instances == 1 { name.to_owned() } else { format!("{name}.{instance}") }
}

impl LogLine {
    /// The replies that carry one line of output, given without its line end: more than one where it is
    /// long. Bytes that are not UTF-8 become U+FFFD. To be sent in this order, with nothing between.
    pub fn pieces(name: &str, stream: Stream, line: &[u8]) -> Vec<Reply> {
        let text = String::from_utf8_lossy(line);
        let mut rest = text.as_ref();
        let mut pieces = Vec::new();
        loop {
            let (piece, after) = rest.split_at_checked(boundary(rest)).unwrap_or((rest, ""));
            let more = !after.is_empty();
            let (name, text) = (name.to_owned(), piece.to_owned());
            pieces.push(Reply::Line(LogLine { name, stream, text, more }));
            if !more {
                return pieces;
            }
            rest = after;
        }
    }
}

/// Where to cut: at a character's beginning, so that no piece holds half of one.
fn boundary(text: &str) -> usize {
    let furthest = text.len().min(PIECE);
    (0..=furthest).rev().find(|&place| text.is_char_boundary(place)).unwrap_or(0)
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
                    Killer::OutOfMemory => true,
                    Killer::Unknown => false,
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
            StateName::Stopping => State::Stopping,
            StateName::Backoff => State::Backoff,
            StateName::Exited => State::Exited,
            StateName::Fatal => State::Fatal,
        }
    }
}
