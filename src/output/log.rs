//! foster's own log: a [`Line`] with typed fields, and the `log` macros behind a bounded backlog.
//!
//! The supervisor's reports are `Line`s that go directly to `Output`: as text, or as an object whose members are also
//! those of the event on the control socket. The `log` macros are for code without access to the output and for debug
//! messages: a call never writes, because stderr may be blocked, but fills the [`Backlog`], which `Output` empties.
//! `FOSTER_LOG` and `log_level` filter both. [`emergency`] is for a fault that ends the loop. Next: `own_lines.rs`.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use foster_core::action::EventName;
use foster_lines::format::timestamp;
use foster_lines::json;
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::plan::{LogFormat, Settings};
use crate::sys::{stream, target::Target};

/// The most bytes of unwritten own lines; further lines are dropped and counted.
pub const LIMIT: usize = 256 * 1024;

/// The target of foster's own lines, for a filter such as `FOSTER_LOG=foster=warn`.
const TARGET: &str = "foster";

/// The most characters of a message, so that its event fits a line of the control protocol.
const MAX_MESSAGE: usize = 4096;

/// A line of foster's own log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its severity.
    pub level: Level,
    /// The name of the event.
    pub event: &'static str,
    /// The message for people.
    pub message: String,
    /// The fields for machines.
    pub fields: Vec<(&'static str, Field)>,
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// A number, in the unit that the field's name ends with.
    Number(u64),
    /// A text.
    Text(String),
    /// A boolean.
    Flag(bool),
}

impl Line {
    /// A line about an event.
    pub fn new(level: Level, event: EventName, message: String) -> Line {
        Line::named(level, event.name(), message)
    }

    /// A message without an event.
    pub fn plain(level: Level, message: String) -> Line {
        Line::named(level, "log", message)
    }

    /// A line with a name for machines that is not an event of `foster events`.
    pub fn named(level: Level, event: &'static str, message: String) -> Line {
        Line { level, event, message, fields: Vec::new() }
    }

    /// The line with one more field.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Field>) -> Line {
        self.fields.push((key, value.into()));
        self
    }

    /// Whether the level and the filter let it be written.
    pub fn is_enabled(&self) -> bool {
        CURRENT.enabled(&Metadata::builder().level(self.level).target(TARGET).build())
    }

    /// The members of its JSON object, without the braces and the time. A message that is too long is cut.
    pub fn members(&self) -> Vec<u8> {
        let mut out = format!("\"level\":\"{}\",\"program\":", level_name(self.level)).into_bytes();
        let program = self.fields.iter().find_map(|(key, field)| match field {
            Field::Text(name) if *key == "program" => Some(name.as_str()),
            Field::Text(_) | Field::Number(_) | Field::Flag(_) => None,
        });
        // A line about a program carries its name, so that one filter finds all about it.
        json::string(program.unwrap_or(TARGET).as_bytes(), &mut out);
        out.extend_from_slice(b",\"event\":");
        json::string(self.event.as_bytes(), &mut out);
        for (key, field) in self.fields.iter().filter(|(key, _)| *key != "program") {
            out.push(b',');
            json::string(key.as_bytes(), &mut out);
            out.push(b':');
            match field {
                Field::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
                Field::Flag(flag) => out.extend_from_slice(flag.to_string().as_bytes()),
                Field::Text(text) => json::string(text.as_bytes(), &mut out),
            }
        }
        out.extend_from_slice(b",\"msg\":");
        match self.message.char_indices().nth(MAX_MESSAGE) {
            None => json::string(self.message.as_bytes(), &mut out),
            Some((end, _)) => {
                let cut = self.message.get(..end).unwrap_or_default();
                json::string(format!("{cut}…").as_bytes(), &mut out);
            }
        }
        out
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

impl From<bool> for Field {
    fn from(flag: bool) -> Field {
        Field::Flag(flag)
    }
}

impl From<Duration> for Field {
    fn from(duration: Duration) -> Field {
        Field::Number(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

/// The word before the message in text.
pub fn level_word(level: Level) -> Option<&'static str> {
    (level != Level::Info).then(|| level_name(level))
}

/// A line of foster's own log with its time, formatted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it was logged.
    pub at: SystemTime,
    /// Its text.
    pub body: Body,
}

/// The formatted text of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// The level and the message: one line or several, without a newline at the end.
    Text(Level, String),
    /// The members of its object after `ts`.
    Json(Vec<u8>),
}

impl Body {
    /// Formats a line.
    pub fn of(format: LogFormat, line: &Line) -> Body {
        match format {
            LogFormat::Text => Body::Text(line.level, line.message.clone()),
            LogFormat::Json => Body::Json(line.members()),
        }
    }

    /// Its size in bytes.
    pub fn size(&self) -> usize {
        match self {
            Body::Text(_, text) => text.len(),
            Body::Json(members) => members.len(),
        }
    }
}

/// Adds the object with the time and these members.
pub fn object(at: SystemTime, members: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"ts\":\"");
    timestamp(at, out);
    out.extend_from_slice(b"\",");
    out.extend_from_slice(members);
    out.extend_from_slice(b"}\n");
}

/// Lines from the `log` macros that are not written yet.
#[derive(Debug)]
pub struct Backlog {
    clock: fn() -> SystemTime,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: VecDeque<Entry>,
    size: usize,
    dropped: u64,
}

impl Backlog {
    /// An empty backlog. The clock gives the time of its entries.
    pub fn new(clock: fn() -> SystemTime) -> Backlog {
        Backlog { clock, waiting: Mutex::default() }
    }

    /// Removes and returns all entries, oldest first, and the number of lines dropped since the last call.
    pub fn take(&self) -> (VecDeque<Entry>, u64) {
        let waiting = std::mem::take(&mut *self.lock());
        (waiting.entries, waiting.dropped)
    }

    /// Whether it has no entry.
    pub fn is_empty(&self) -> bool {
        self.lock().entries.is_empty()
    }

    fn push(&self, body: Body) {
        let at = (self.clock)();
        let mut waiting = self.lock();
        if waiting.size + body.size() > LIMIT {
            waiting.dropped += 1;
            return;
        }
        waiting.size += body.size();
        waiting.entries.push_back(Entry { at, body });
    }

    /// A poisoned lock is harmless: no panic can leave a change half done.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

static BACKLOG: LazyLock<Arc<Backlog>> = LazyLock::new(|| Arc::new(Backlog::new(SystemTime::now)));
static CURRENT: Current = Current(RwLock::new(None));

/// The backlog that the `log` macros fill.
pub fn backlog() -> Arc<Backlog> {
    Arc::clone(&BACKLOG)
}

/// Makes the `log` macros fill the [`backlog`]; called again after each change of the settings. `filter` is the value of
/// `FOSTER_LOG` (`debug`, `foster::probes=trace,warn`) and overrides `log_level`; each invalid part of it is a warning.
pub fn install(settings: &Settings, filter: Option<&str>) {
    let (filter, wrong) = filter_of(settings.log_level, filter);
    log::set_max_level(filter.filter());
    let logger = Logger { filter, format: settings.log_format, backlog: backlog() };
    *CURRENT.0.write().unwrap_or_else(PoisonError::into_inner) = Some(logger);
    // Fails if a logger is set: it is this one.
    let _ = log::set_logger(&CURRENT);
    for directive in wrong {
        log::warn!("cannot use `{directive}` in FOSTER_LOG: expected a level, or a module = a level");
    }
}

/// Writes the backlog and then this message to stderr, as much as fits without waiting. For a fault in foster itself,
/// after which the loop and [`super::Output`] do not run.
pub fn emergency(message: &str) {
    let Some(stderr) = stream::stderr() else { return };
    let target = Target::shared(stderr);
    let format = CURRENT.0.try_read().ok().and_then(|logger| Some(logger.as_ref()?.format));
    let line = Line::plain(Level::Error, message.to_owned());
    let last = Entry { at: SystemTime::now(), body: Body::of(format.unwrap_or(LogFormat::Text), &line) };
    let (mut entries, _) = BACKLOG.take();
    entries.push_back(last);
    for Entry { at, body } in entries {
        let mut whole = Vec::new();
        match body {
            Body::Text(level, text) => {
                let word = level_word(level).map_or(String::new(), |word| format!("{word}: "));
                whole.extend_from_slice(format!("foster: {word}{text}\n").as_bytes());
            }
            Body::Json(members) => object(at, &members, &mut whole),
        }
        write_now(&target, &whole);
    }
}

fn write_now(target: &Target, mut bytes: &[u8]) {
    while let Ok(written @ 1..) = target.write(bytes) {
        bytes = bytes.get(written..).unwrap_or(&[]);
        if bytes.is_empty() {
            return;
        }
    }
}

/// The current logger. `log` accepts a logger only once, so this one stays and its content changes.
struct Current(RwLock<Option<Logger>>);

struct Logger {
    filter: env_logger::Logger,
    format: LogFormat,
    backlog: Arc<Backlog>,
}

impl Logger {
    fn log(&self, record: &Record<'_>) {
        if self.filter.matches(record) {
            let line = Line::plain(record.level(), record.args().to_string());
            self.backlog.push(Body::of(self.format, &line));
        }
    }
}

impl Log for Current {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let logger = self.0.read().unwrap_or_else(PoisonError::into_inner);
        logger.as_ref().is_none_or(|logger| logger.filter.enabled(metadata))
    }

    fn log(&self, record: &Record<'_>) {
        if let Some(logger) = &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            logger.log(record);
        }
    }

    fn flush(&self) {}
}

/// Returns the filter and the invalid parts of its text. They are checked here because env_logger would print them to
/// stderr.
fn filter_of(level: LevelFilter, filter: Option<&str>) -> (env_logger::Logger, Vec<String>) {
    let mut builder = env_logger::Builder::new();
    builder.filter_level(level);
    let mut wrong = Vec::new();
    for directive in filter.unwrap_or_default().split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (module, level) = match directive.split_once('=') {
            Some((module, level)) => (Some(module.trim()), level.trim()),
            None => (None, directive),
        };
        match level.parse::<LevelFilter>() {
            Ok(level) => {
                builder.filter(module, level);
            }
            Err(_) => wrong.push(directive.to_owned()),
        }
    }
    (builder.build(), wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(line: &Line) -> String {
        String::from_utf8(line.members()).unwrap()
    }

    #[test]
    fn fields_keep_their_types_and_the_event_has_a_default() {
        let line = Line::plain(Level::Error, "no".to_owned()).with("exit_code", 1u64);
        let line = line.with("x", "a\"b".to_owned()).with("up", true).with("took_ms", Duration::from_secs(2));
        let expected = r#""level":"error","program":"foster","event":"log","exit_code":1,"x":"a\"b","up":true,"took_ms":2000,"msg":"no""#;
        assert_eq!(members(&line), expected);
        let line =
            Line::new(Level::Warn, EventName::Exited, "m".to_owned()).with("program", "web".to_owned());
        let event = EventName::Exited.name();
        assert_eq!(
            members(&line),
            format!(r#""level":"warning","program":"web","event":"{event}","msg":"m""#)
        );
    }

    #[test]
    fn a_message_that_is_too_long_is_cut_to_fit_the_control_protocol() {
        let line = Line::plain(Level::Info, "é".repeat(100_000));
        assert!(line.members().len() < 10_000 && members(&line).ends_with("é…\""));
    }

    #[test]
    fn the_filter_overrides_the_level_and_its_invalid_parts_are_reported() {
        let (filter, wrong) = filter_of(LevelFilter::Info, Some("debug,a=nonsense,,b=trace"));
        assert_eq!(wrong, ["a=nonsense"]);
        assert_eq!(filter.filter(), LevelFilter::Trace);
        let backlog = Arc::new(Backlog::new(|| SystemTime::UNIX_EPOCH));
        let (filter, _) = filter_of(LevelFilter::Info, Some("error"));
        let logger = Logger { filter, format: LogFormat::Text, backlog: Arc::clone(&backlog) };
        for level in [Level::Info, Level::Error] {
            logger.log(&Record::builder().level(level).args(format_args!("m")).build());
        }
        let (entries, _) = backlog.take();
        assert_eq!(
            entries,
            [Entry { at: SystemTime::UNIX_EPOCH, body: Body::Text(Level::Error, "m".to_owned()) }]
        );
    }

    #[test]
    fn the_backlog_is_bounded_and_counts_what_it_drops() {
        let backlog = Backlog::new(SystemTime::now);
        for _ in 0..LIMIT / 1000 + 5 {
            backlog.push(Body::Json(vec![b'x'; 1000]));
        }
        let (entries, dropped) = backlog.take();
        assert_eq!((entries.len(), dropped), (LIMIT / 1000, 5));
        assert!(backlog.is_empty());
    }
}
