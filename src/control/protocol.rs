//! The protocol of the control socket: requests and replies.
//!
//! A request is one JSON object on one line. Its answer is any number of items (rows, outcomes, lines), one a line,
//! and then exactly one `end` or `error`. So an answer of any length fits, and a client sees each outcome when it
//! happens. The command line builds these types. They are a promise to clients, unlike the types of the core. No sockets
//! here: see `server` and `client`.

use std::fmt;

use foster_core::action::{EventName, StateName};
use foster_core::ids::Signal;
use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use self::refusal::other_version;
pub use self::refusal::{Reason, Refusal};
pub use self::reply::{
    Event, Exit, Health, Kind, LONGEST_TEXT, LogLine, Missed, Note, Outcome, Piece, Problem, Reply, State,
    StatusRow, Stream, Verdict, Width,
};
pub use self::update::{Change, ChangeKind, Definition, LogFile, Update, UpdateMode};
use crate::suggest::nearest;

mod refusal;
mod reply;
mod update;

/// The version of the protocol. A client that names another one is refused.
pub const VERSION: u32 = 1;

/// The longest line, in bytes, its line end included.
pub const LONGEST_LINE: usize = 64 * 1024;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verb", rename_all = "lowercase")]
pub enum Request {
    /// A row for each instance. Answered by [`Reply::Row`]s.
    Status(Names),
    /// Start programs. Answered by [`Reply::Outcome`]s.
    Start(Order),
    /// Stop programs.
    Stop(Order),
    /// Stop programs, then start them.
    Restart(Order),
    /// Make programs read their own configuration again.
    Reload(Order),
    /// Run a job now. Answered by [`Reply::Line`]s, if it follows, and a [`Reply::Outcome`].
    #[serde(rename = "run-job")]
    RunJob(RunJob),
    /// Send programs this signal.
    Signal(SignalOrder),
    /// The last lines of output. Answered by [`Reply::Line`]s.
    Logs(Logs),
    /// The last events. Answered by [`Reply::Event`]s.
    Events(Events),
    /// The definition of a program's processes, for `foster exec`. Answered by [`Reply::Context`]s.
    Exec(Exec),
    /// Wait until programs are ready. Answered by [`Reply::Outcome`]s.
    Wait(Wait),
    /// Whether each is ready and healthy. Answered by [`Reply::Outcome`]s.
    Health(HealthCheck),
    /// Read the configuration again and apply the changes. Answered by [`Reply::Outcome`]s, or by [`Reply::Problem`]s if
    /// it has errors; a dry run by [`Reply::Change`]s.
    Update(Update),
    /// Drop the lines in memory, and empty the log files. Answered by [`Reply::Outcome`]s.
    Clear(Names),
    /// Write to the standard input of a program. Answered by a [`Reply::Outcome`].
    Input(Input),
    /// Give a program another number of instances. Answered by [`Reply::Outcome`]s.
    Scale(Scale),
    /// End the container. Answered when the shutdown has started.
    Shutdown {},
}

/// Reads a type from its fields. Unlike serde_json's `from_value` it has no code for a list in their place, which for all types
/// together is 30 KB.
///
/// # Errors
/// A field that is missing, unknown or of another type.
pub(super) fn from_fields<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, serde_json::Error> {
    T::deserialize(MapDeserializer::new(fields.into_iter()))
}

/// A request without fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// The fields of a request. A repeated field is an error: parsers that take the first and parsers that take the last would
/// see two different requests.
struct Fields(Map<String, Value>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Fields, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Fields, A::Error> {
                let mut fields = Map::new();
                while let Some(name) = from.next_key::<String>()? {
                    if fields.contains_key(&name) {
                        let name: String = name.chars().take(100).collect();
                        return Err(A::Error::custom(format_args!("the field `{name}` is given twice")));
                    }
                    fields.insert(name, from.next_value()?);
                }
                Ok(Fields(fields))
            }
        }

        from.deserialize_map(Reader)
    }
}

/// Programs, by name, instance or glob; no name means all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// The names, as given.
    #[serde(default)]
    pub names: Vec<String>,
}

/// A request for the health of programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// The programs; none: all that start with the container.
    #[serde(default)]
    pub names: Vec<String>,
    /// Whether programs that an operator stopped count too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
}

/// An order to programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The programs; at least one.
    #[serde(deserialize_with = "at_least_one")]
    pub names: Vec<String>,
    /// Whether the answer comes when it is done (default), or at once.
    #[serde(default = "default_true")]
    pub wait: bool,
}

/// A signal to programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalOrder {
    /// The programs; at least one.
    #[serde(deserialize_with = "at_least_one")]
    pub names: Vec<String>,
    /// The signal, by name or number in a string: `"HUP"`.
    #[serde(serialize_with = "signal_as_text", deserialize_with = "signal_from_text")]
    pub signal: Signal,
}

/// A request for output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    /// The programs; none: all of them.
    #[serde(default)]
    pub names: Vec<String>,
    /// The number of last lines; absent: all in memory.
    #[serde(default)]
    pub lines: Option<u32>,
    /// The age limit of lines in milliseconds; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// Whether to send new lines until the client disconnects.
    #[serde(default)]
    pub follow: bool,
}

/// A request for events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Events {
    /// The programs; none: all of them, and the container itself.
    pub names: Vec<String>,
    /// Which events; none: all.
    #[serde(serialize_with = "words_of_events", deserialize_with = "events_from_words")]
    pub events: Vec<EventName>,
    /// Only changes to one of these states; none: all.
    #[serde(serialize_with = "words_of_states", deserialize_with = "states_from_words")]
    pub states: Vec<StateName>,
    /// The number of last events; absent: all in memory.
    pub lines: Option<u32>,
    /// Whether to send new ones until the client disconnects.
    pub follow: bool,
}

/// A request for the definition of a program's processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// The program, or one of its instances.
    pub name: String,
}

/// A request that is answered when all programs are ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// The programs; at least one.
    #[serde(deserialize_with = "at_least_one")]
    pub names: Vec<String>,
    /// The timeout in milliseconds; absent: none.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// Only those that are started with foster, and each only until its start has failed once.
    #[serde(default)]
    pub startup: bool,
}

/// Text for the standard input of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The program, or one of its instances.
    pub name: String,
    /// The text.
    pub text: String,
}

/// Another number of instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// The program.
    pub name: String,
    /// The number.
    pub instances: u16,
    /// Whether the answer comes when it is done (default), or at once.
    #[serde(default = "default_true")]
    pub wait: bool,
}

/// A run of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunJob {
    /// The job.
    pub name: String,
    /// Whether the answer comes when the run has ended (default), or at once.
    #[serde(default = "default_true")]
    pub wait: bool,
    /// Whether the output of the run comes before the answer.
    #[serde(default)]
    pub follow: bool,
}

impl Request {
    /// Every verb.
    pub const VERBS: [&'static str; 17] = [
        "status", "start", "stop", "restart", "reload", "signal", "logs", "events", "exec", "wait", "health",
        "update", "clear", "input", "scale", "run-job", "shutdown",
    ];

    /// Reads a line, with or without its line end.
    ///
    /// # Errors
    /// The refusal for the client: not a JSON object, an unknown version, verb or field, or a repeated field.
    pub fn parse_if(line: &[u8], is_permitted: impl FnOnce(&str) -> bool) -> Result<Request, Refusal> {
        let Fields(mut fields) = serde_json::from_slice(line).map_err(|error| {
            let shown: String = error.to_string().chars().take(400).collect();
            Refusal::new(Reason::BadRequest, format!("cannot read the request: {shown}"))
        })?;
        match fields.remove("version") {
            None => {}
            Some(version) if version.as_u64() == Some(u64::from(VERSION)) => {}
            Some(version) => return Err(other_version(&version)),
        }
        let Some(Value::String(verb)) = fields.remove("verb") else {
            return Err(Refusal::new(Reason::BadRequest, "the request has no `verb`"));
        };
        if !is_permitted(&verb) {
            return Err(Refusal::new(Reason::NotPermitted, "not permitted on this connection"));
        }
        // Written by hand: serde's code for a tagged enum is many times larger.
        let read = match verb.as_str() {
            "status" => from_fields(fields).map(Request::Status),
            "start" => from_fields(fields).map(Request::Start),
            "stop" => from_fields(fields).map(Request::Stop),
            "restart" => from_fields(fields).map(Request::Restart),
            "reload" => from_fields(fields).map(Request::Reload),
            "signal" => from_fields(fields).map(Request::Signal),
            "logs" => from_fields(fields).map(Request::Logs),
            "events" => from_fields(fields).map(Request::Events),
            "exec" => from_fields(fields).map(Request::Exec),
            "wait" => from_fields(fields).map(Request::Wait),
            "health" => from_fields(fields).map(Request::Health),
            "update" => from_fields(fields).map(Request::Update),
            "clear" => from_fields(fields).map(Request::Clear),
            "input" => from_fields(fields).map(Request::Input),
            "scale" => from_fields(fields).map(Request::Scale),
            "run-job" => from_fields(fields).map(Request::RunJob),
            "shutdown" => from_fields(fields).map(|Nothing {}| Request::Shutdown {}),
            unknown => {
                let shown: String = unknown.chars().take(100).collect();
                let suggestion = nearest(unknown, Request::VERBS.into_iter());
                return Err(Refusal::new(Reason::UnknownVerb, format!("there is no verb `{shown}`"))
                    .with_suggestion(suggestion));
            }
        };
        read.map_err(|error| {
            let shown: String = error.to_string().chars().take(400).collect();
            Refusal::new(Reason::BadRequest, format!("cannot read the request `{verb}`: {shown}"))
        })
    }

    /// Whether it is answered from the current state, without waiting for an event.
    pub fn is_answered_at_once(&self) -> bool {
        match self {
            Request::Status(_)
            | Request::Health(_)
            | Request::Signal(_)
            | Request::Exec(_)
            | Request::Clear(_)
            | Request::Input(_)
            | Request::Shutdown {} => true,
            Request::Start(order)
            | Request::Stop(order)
            | Request::Restart(order)
            | Request::Reload(order) => !order.wait,
            Request::Update(update) => !update.wait,
            Request::Scale(scale) => !scale.wait,
            Request::RunJob(job) => !job.wait,
            Request::Logs(logs) => !logs.follow,
            Request::Events(events) => !events.follow,
            Request::Wait(_) => false,
        }
    }

    /// The NAMEs it gives.
    pub fn names(&self) -> &[String] {
        match self {
            Request::Status(names) | Request::Clear(names) => &names.names,
            Request::Input(input) => std::slice::from_ref(&input.name),
            Request::Update(update) => &update.names,
            Request::Health(check) => &check.names,
            Request::Start(order)
            | Request::Stop(order)
            | Request::Restart(order)
            | Request::Reload(order) => &order.names,
            Request::Signal(order) => &order.names,
            Request::Logs(logs) => &logs.names,
            Request::Events(events) => &events.names,
            Request::Exec(exec) => std::slice::from_ref(&exec.name),
            Request::Wait(wait) => &wait.names,
            Request::Scale(scale) => std::slice::from_ref(&scale.name),
            Request::RunJob(job) => std::slice::from_ref(&job.name),
            Request::Shutdown {} => &[],
        }
    }

    /// Its line with the line end; `None` if it is longer than [`LONGEST_LINE`].
    pub fn encode(&self) -> Option<Vec<u8>> {
        #[derive(Serialize)]
        struct Envelope<'a> {
            version: u32,
            #[serde(flatten)]
            request: &'a Request,
        }
        line(&Envelope { version: VERSION, request: self })
    }
}

fn line(value: &impl Serialize) -> Option<Vec<u8>> {
    let mut line = serde_json::to_vec(value).ok()?;
    line.push(b'\n');
    (line.len() <= LONGEST_LINE).then_some(line)
}

fn default_true() -> bool {
    true
}

fn at_least_one<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<String>::deserialize(from)?;
    if names.is_empty() {
        return Err(D::Error::custom("no name is given; `all` means every program"));
    }
    Ok(names)
}

/// A signal's name without `SIG`, as users write it: `HUP`, `RTMIN+3`.
fn short(signal: Signal) -> String {
    let name = signal.to_string();
    name.strip_prefix("SIG").map_or_else(|| signal.number().to_string(), str::to_owned)
}

fn signal_as_text<S: Serializer>(signal: &Signal, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&short(*signal))
}

fn signal_from_text<'de, D: Deserializer<'de>>(from: D) -> Result<Signal, D::Error> {
    let text = String::deserialize(from)?;
    Signal::parse(&text)
        .ok_or_else(|| D::Error::custom(format_args!("there is no signal `{}`", text.escape_debug())))
}

fn words_of_events<S: Serializer>(events: &[EventName], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(events.iter().map(|event| event.name()))
}

fn words_of_states<S: Serializer>(states: &[StateName], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(states.iter().map(|state| state.name()))
}

fn events_from_words<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<EventName>, D::Error> {
    known(from, "event", EventName::parse)
}

fn states_from_words<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<StateName>, D::Error> {
    known(from, "state", StateName::parse)
}

fn known<'de, D: Deserializer<'de>, T>(
    from: D,
    what: &str,
    parse: fn(&str) -> Option<T>,
) -> Result<Vec<T>, D::Error> {
    let words = Vec::<String>::deserialize(from)?;
    let one = |word: String| {
        let unknown = || D::Error::custom(format_args!("there is no {what} `{}`", word.escape_debug()));
        parse(&word).ok_or_else(unknown)
    };
    words.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests;
