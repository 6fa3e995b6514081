//! The wire: what a client may ask over the control socket, and what it is answered.
//!
//! A request is one JSON object on one line. It is answered by any number of items (rows, outcomes, lines),
//! each a line of its own, and then by exactly one `end` or `error`. So no answer is ever too long for a
//! line, and a client sees each outcome when it happens. These types are the wire's own: what the core
//! and the command line call things may change without a word of this. No sockets here: see `server` and
//! `client`.

use foster_core::action::{EventName, StateName};
use foster_core::ids::Signal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, from_value};

pub use self::reply::{
    Event, Exit, Health, Kind, LogLine, Missed, Outcome, Part, PartName, Problem, Reply, State, StatusRow,
    Stream, Verdict, Width, label,
};
use crate::suggest::nearest;

mod reply;

/// Which protocol this is. A client that names another one is told.
pub const VERSION: u32 = 1;

/// The longest line, in bytes, its line end included.
pub const LONGEST_LINE: usize = 64 * 1024;

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verb", rename_all = "lowercase")]
pub enum Request {
    /// A row for each instance. Answered by [`Reply::Row`]s.
    Status(Names),
    /// Be up. Answered by [`Reply::Outcome`]s.
    Start(Order),
    /// Be down.
    Stop(Order),
    /// Be down, then up.
    Restart(Order),
    /// Read the configuration of your own again, or be replaced one by one.
    Reload(Order),
    /// Get this signal.
    Signal(SignalOrder),
    /// The last lines of output. Answered by [`Reply::Line`]s.
    Logs(Logs),
    /// The last events. Answered by [`Reply::Event`]s.
    Events(Events),
    /// How a process of this program is made, for a client that becomes one. Answered by [`Reply::Part`]s.
    Exec(Exec),
    /// An answer when each is ready. Answered by [`Reply::Outcome`]s.
    Wait(Wait),
    /// Whether each is ready and healthy. Answered by [`Reply::Outcome`]s.
    Health(Names),
    /// Read the configuration again, and go over to it. Answered by [`Reply::Outcome`]s, or where it has a mistake
    /// by [`Reply::Problem`]s.
    Update(Update),
    /// The container shall end. Answered when that has begun.
    Shutdown {},
}

/// For what is asked without any field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Who is meant, by name, instance or glob; nobody named is everybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// The names, as they were written.
    #[serde(default)]
    pub names: Vec<String>,
}

/// An order to programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// To whom; at least one.
    #[serde(deserialize_with = "at_least_one")]
    pub names: Vec<String>,
    /// Whether the answer comes when it is done, or at once.
    #[serde(default = "patient")]
    pub wait: bool,
}

/// A signal to programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalOrder {
    /// To whom; at least one.
    #[serde(deserialize_with = "at_least_one")]
    pub names: Vec<String>,
    /// Which, by name or number in a string: `"HUP"`.
    #[serde(serialize_with = "signal_as_text", deserialize_with = "signal_from_text")]
    pub signal: Signal,
}

/// A question for output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    /// Whose; nobody named is everybody.
    #[serde(default)]
    pub names: Vec<String>,
    /// How many of the last lines; none given: all that are kept.
    #[serde(default)]
    pub lines: Option<u32>,
    /// Whether what is written from now on follows, without end.
    #[serde(default)]
    pub follow: bool,
}

/// A question for events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Events {
    /// About whom; nobody named is everybody, and the container itself.
    pub names: Vec<String>,
    /// Which, by their names; none named: all.
    #[serde(serialize_with = "words_of_events", deserialize_with = "events_from_words")]
    pub events: Vec<EventName>,
    /// Only changes to one of these states; none named: all.
    #[serde(serialize_with = "words_of_states", deserialize_with = "states_from_words")]
    pub states: Vec<StateName>,
    /// How many of the last ones; none given: all that are kept.
    pub lines: Option<u32>,
    /// Whether those that happen from now on follow, without end.
    pub follow: bool,
}

/// A question for what a program's processes are made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// The program, or one of its instances.
    pub name: String,
}

/// A question that is answered when everybody named is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// Who; at least one.
    #[serde(deserialize_with = "at_least_one")]
    pub names: Vec<String>,
    /// How long at most, in milliseconds; none given: for ever.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
}

/// An update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Update {
    /// Whether the answer comes when it is done, or at once.
    #[serde(default = "patient")]
    pub wait: bool,
}

/// Why something is not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The reason, for machines.
    pub error: Reason,
    /// The whole sentence, for people.
    pub message: String,
    /// What was probably meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

/// The reason for a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The line is not a request.
    BadRequest,
    /// The line is longer than [`LONGEST_LINE`]. The connection is closed.
    TooLong,
    /// There is no such verb.
    UnknownVerb,
    /// The client speaks another version of this.
    OtherVersion,
    /// The client is neither root nor foster's own user. The connection is closed.
    NotPermitted,
    /// There are more connections than there may be. This one is closed.
    TooManyClients,
    /// The request was begun and not finished in time. The connection is closed.
    TooSlow,
    /// There is no such program.
    NoSuchName,
    /// Not now: the container is about to end.
    ShuttingDown,
    /// It was tried, and it failed.
    Failed,
}

impl Request {
    /// Every verb there is.
    pub const VERBS: [&'static str; 13] = [
        "status", "start", "stop", "restart", "reload", "signal", "logs", "events", "exec", "wait", "health",
        "update", "shutdown",
    ];

    /// Reads a line, with or without its line end.
    ///
    /// # Errors
    /// What the client is to be answered: it is no JSON object, its version or verb is another one, it has
    /// a field that the verb does not know.
    pub fn parse(line: &[u8]) -> Result<Request, Refusal> {
        let mut fields: Map<String, Value> = serde_json::from_slice(line).map_err(|error| {
            Refusal::new(Reason::BadRequest, format!("the request is not a JSON object: {error}"))
        })?;
        match fields.remove("version") {
            None => {}
            Some(version) if version.as_u64() == Some(u64::from(VERSION)) => {}
            Some(version) => return Err(other_version(&version)),
        }
        let Some(Value::String(verb)) = fields.remove("verb") else {
            return Err(Refusal::new(Reason::BadRequest, "the request has no `verb`"));
        };
        let fields = Value::Object(fields);
        // By hand, since what serde makes of a tagged enum is many times larger.
        let read = match verb.as_str() {
            "status" => from_value(fields).map(Request::Status),
            "start" => from_value(fields).map(Request::Start),
            "stop" => from_value(fields).map(Request::Stop),
            "restart" => from_value(fields).map(Request::Restart),
            "reload" => from_value(fields).map(Request::Reload),
            "signal" => from_value(fields).map(Request::Signal),
            "logs" => from_value(fields).map(Request::Logs),
            "events" => from_value(fields).map(Request::Events),
            "exec" => from_value(fields).map(Request::Exec),
            "wait" => from_value(fields).map(Request::Wait),
            "health" => from_value(fields).map(Request::Health),
            "update" => from_value(fields).map(Request::Update),
            "shutdown" => from_value(fields).map(|Nothing {}| Request::Shutdown {}),
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

    /// The line that says it, line end included; `None` where that is longer than [`LONGEST_LINE`].
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

impl Refusal {
    /// A refusal without a suggestion.
    pub fn new(error: Reason, message: impl Into<String>) -> Refusal {
        Refusal { error, message: message.into(), suggestion: None }
    }

    /// The same, with what was probably meant.
    #[must_use]
    pub fn with_suggestion(self, suggestion: Option<&str>) -> Refusal {
        Refusal { suggestion: suggestion.map(str::to_owned), ..self }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; did you mean `{suggestion}`?"),
            None => Ok(()),
        }
    }
}

fn other_version(version: &Value) -> Refusal {
    let shown: String = version.to_string().chars().take(20).collect();
    let message = format!(
        "the client speaks version {shown} of the protocol, this foster ({}) version {VERSION}: use the \
         client that belongs to it",
        env!("CARGO_PKG_VERSION")
    );
    Refusal::new(Reason::OtherVersion, message)
}

fn line(said: &impl Serialize) -> Option<Vec<u8>> {
    let mut line = serde_json::to_vec(said).ok()?;
    line.push(b'\n');
    (line.len() <= LONGEST_LINE).then_some(line)
}

fn patient() -> bool {
    true
}

fn at_least_one<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<String>::deserialize(from)?;
    if names.is_empty() {
        return Err(serde::de::Error::custom("nobody is named; `all` is all of them"));
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
        .ok_or_else(|| serde::de::Error::custom(format_args!("there is no signal `{}`", text.escape_debug())))
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
        let unknown =
            || serde::de::Error::custom(format_args!("there is no {what} `{}`", word.escape_debug()));
        parse(&word).ok_or_else(unknown)
    };
    words.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests;
