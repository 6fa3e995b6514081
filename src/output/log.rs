//! foster's own log: the `log` macros, through env_logger, into a bounded backlog.
//!
//! A log call never writes: it may come from anywhere, and stderr may be blocked. `Output` takes the backlog
//! and puts it in its place among the programs' lines. The fields of a call (`log::info!(event = "exit",
//! exit_code = 1; "…")`) are the typed fields of the JSON object. [`emergency`] is for when the loop is gone.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::SystemTime;

use log::kv::{self, Key, Value, VisitSource};
use log::{Level, LevelFilter, Log, Metadata, Record};

use super::json;
use crate::plan::{LogFormat, Settings};
use crate::sys::stream;

/// How many bytes of own lines wait at most; what comes on top is dropped and counted.
pub const LIMIT: usize = 256 * 1024;

/// A line of foster's own, complete but for the time and the name before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it was said.
    pub at: SystemTime,
    /// What was said.
    pub body: Body,
}

/// What was said, in the form it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// One line or several, without a newline at the end.
    Text(Vec<u8>),
    /// The members of an object after its `ts`, with the closing brace.
    Json(Vec<u8>),
}

impl Body {
    /// How many bytes it holds.
    pub fn len(&self) -> usize {
        match self {
            Body::Text(bytes) | Body::Json(bytes) => bytes.len(),
        }
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A message without fields of its own.
    pub fn plain(format: LogFormat, level: Level, message: &str) -> Body {
        Body::of(format, &Record::builder().level(level).args(format_args!("{message}")).build())
    }

    fn of(format: LogFormat, record: &Record<'_>) -> Body {
        match format {
            LogFormat::Text => Body::Text(text(record)),
            LogFormat::Json => Body::Json([members(record).as_slice(), b"}"].concat()),
        }
    }
}

/// What was said and is not written yet.
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
    /// An empty one, whose entries bear this clock's time.
    pub fn new(clock: fn() -> SystemTime) -> Backlog {
        Backlog { clock, waiting: Mutex::default() }
    }

    /// Everything that waits, oldest first, and how many more were dropped since the last call.
    pub fn take(&self) -> (VecDeque<Entry>, u64) {
        let waiting = std::mem::take(&mut *self.lock());
        (waiting.entries, waiting.dropped)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.lock().entries.is_empty()
    }

    fn push(&self, body: Body) {
        let at = (self.clock)();
        let mut waiting = self.lock();
        if waiting.size + body.len() > LIMIT {
            waiting.dropped += 1;
            return;
        }
        waiting.size += body.len();
        waiting.entries.push_back(Entry { at, body });
    }

    /// A panic while it was held leaves it whole: every change is one step.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

static BACKLOG: LazyLock<Arc<Backlog>> = LazyLock::new(|| Arc::new(Backlog::new(SystemTime::now)));
static CURRENT: Current = Current(RwLock::new(None));

/// The one that the `log` macros fill.
pub fn backlog() -> Arc<Backlog> {
    Arc::clone(&BACKLOG)
}

/// Has the `log` macros fill the [`backlog`]; again after each change of the settings. `filter` is the
/// value of `FOSTER_LOG` (`debug`, `foster::probes=trace,warn`) and wins over `log_level`; what of it is
/// not understood is a warning.
pub fn install(settings: &Settings, filter: Option<&str>) {
    let (logger, wrong) = logger(settings.log_format, settings.log_level, filter, backlog());
    log::set_max_level(logger.filter());
    *CURRENT.0.write().unwrap_or_else(PoisonError::into_inner) = Some(logger);
    // Fails when it is set already: then it is this one.
    let _ = log::set_logger(&CURRENT);
    for directive in wrong {
        log::warn!("cannot use `{directive}` in FOSTER_LOG: expected a level, or a module = a level");
    }
}

/// Writes what waits, and then this, to stderr at once, as far as it takes it without waiting. For a fault
/// in foster itself: there may be no loop and no [`super::Output`] any more.
pub fn emergency(text: &str) {
    let Some(fd) = stream::stderr() else { return };
    let target = stream::Target::shared(fd);
    let (entries, _) = BACKLOG.take();
    for Entry { at: _, body } in entries {
        let whole = match body {
            Body::Text(text) => [b"foster: ".as_slice(), &text, b"\n"].concat(),
            Body::Json(members) => [b"{".as_slice(), &members, b"\n"].concat(),
        };
        write_now(&target, &whole);
    }
    write_now(&target, format!("foster: {text}\n").as_bytes());
}

fn write_now(target: &stream::Target, mut bytes: &[u8]) {
    while let Ok(written @ 1..) = target.write(bytes) {
        bytes = bytes.get(written..).unwrap_or(&[]);
        if bytes.is_empty() {
            return;
        }
    }
}

/// The logger that is in force; env_logger's own could not be exchanged.
struct Current(RwLock<Option<env_logger::Logger>>);

impl Log for Current {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let logger = self.0.read().unwrap_or_else(PoisonError::into_inner);
        logger.as_ref().is_some_and(|logger| logger.enabled(metadata))
    }

    fn log(&self, record: &Record<'_>) {
        if let Some(logger) = &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            logger.log(record);
        }
    }

    fn flush(&self) {}
}

/// A logger into this backlog, and the parts of the filter that are wrong. They are told apart here since
/// env_logger would write about them to stderr itself.
pub fn logger(
    format: LogFormat,
    level: LevelFilter,
    filter: Option<&str>,
    backlog: Arc<Backlog>,
) -> (env_logger::Logger, Vec<String>) {
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
    builder.format(move |out, record| match Body::of(format, record) {
        Body::Text(bytes) | Body::Json(bytes) => out.write_all(&bytes),
    });
    builder.target(env_logger::Target::Pipe(Box::new(Entries { format, backlog })));
    (builder.build(), wrong)
}

/// Takes each record that env_logger has formatted: it writes them whole, one by one.
struct Entries {
    format: LogFormat,
    backlog: Arc<Backlog>,
}

impl Write for Entries {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.backlog.push(match self.format {
            LogFormat::Text => Body::Text(bytes.to_vec()),
            LogFormat::Json => Body::Json(bytes.to_vec()),
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn text(record: &Record<'_>) -> Vec<u8> {
    let level = match record.level() {
        Level::Error => "error: ",
        Level::Warn => "warning: ",
        Level::Info => "",
        Level::Debug => "debug: ",
        Level::Trace => "trace: ",
    };
    format!("{level}{}", record.args()).into_bytes()
}

/// The members of the object that a record is as JSON, but for its time and without the braces.
pub fn members(record: &Record<'_>) -> Vec<u8> {
    let level = match record.level() {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    };
    let fields = record.key_values();
    let event = fields.get(Key::from("event")).map_or_else(|| "log".to_owned(), |event| event.to_string());
    // A line about a program carries its name, so that one filter finds all about it; `event` tells them apart.
    let program =
        fields.get(Key::from("program")).map_or_else(|| "foster".to_owned(), |name| name.to_string());
    let mut out = format!("\"level\":\"{level}\",\"program\":").into_bytes();
    json::string(program.as_bytes(), &mut out);
    out.extend_from_slice(b",\"event\":");
    json::string(event.as_bytes(), &mut out);
    // Never an error: the visitor gives none.
    let _ = fields.visit(&mut Members(&mut out));
    out.extend_from_slice(b",\"msg\":");
    json::string(record.args().to_string().as_bytes(), &mut out);
    out
}

/// Adds each field as a member, with its type.
struct Members<'a>(&'a mut Vec<u8>);

impl<'kvs> VisitSource<'kvs> for Members<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        if matches!(key.as_str(), "event" | "ts" | "level" | "program" | "msg") {
            return Ok(());
        }
        self.0.push(b',');
        json::string(key.as_str().as_bytes(), self.0);
        self.0.push(b':');
        let number = value.to_u64().map(|number| number.to_string());
        let number = number.or_else(|| value.to_i64().map(|number| number.to_string()));
        let finite = |number: &f64| number.is_finite();
        let number = number.or_else(|| value.to_f64().filter(finite).map(|number| number.to_string()));
        match number.or_else(|| value.to_bool().map(|truth| truth.to_string())) {
            Some(literal) => self.0.extend_from_slice(literal.as_bytes()),
            None => json::string(value.to_string().as_bytes(), self.0),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(format: LogFormat, filter: Option<&str>, record: &Record<'_>) -> Vec<String> {
        let backlog = Arc::new(Backlog::new(|| SystemTime::UNIX_EPOCH));
        let (logger, _) = logger(format, LevelFilter::Info, filter, Arc::clone(&backlog));
        logger.log(record);
        let bytes = |entry: Entry| match entry.body {
            Body::Text(bytes) | Body::Json(bytes) => String::from_utf8(bytes).unwrap(),
        };
        backlog.take().0.into_iter().map(bytes).collect()
    }

    #[test]
    fn fields_keep_their_types_and_the_event_has_a_default() {
        let fields = [("exit_code", Value::from(1)), ("x", Value::from("a\"b")), ("up", Value::from(true))];
        let mut record = Record::builder();
        record.level(Level::Error);
        let lines = said(LogFormat::Json, None, &record.key_values(&fields).args(format_args!("no")).build());
        let expected = r#""level":"error","program":"foster","event":"log","exit_code":1,"x":"a\"b","up":true,"msg":"no"}"#;
        assert_eq!(lines, [expected]);
        let fields =
            [("event", Value::from("exit")), ("ratio", Value::from(0.5)), ("program", Value::from("web"))];
        let lines = said(LogFormat::Json, None, &record.key_values(&fields).args(format_args!("no")).build());
        let expected = r#""level":"error","program":"web","event":"exit","ratio":0.5,"msg":"no"}"#;
        assert_eq!(lines, [expected]);
    }

    #[test]
    fn warnings_and_errors_say_so_in_text() {
        for (level, expected) in [(Level::Info, "m"), (Level::Warn, "warning: m"), (Level::Error, "error: m")]
        {
            let record = Record::builder().level(level).args(format_args!("m")).build();
            assert_eq!(said(LogFormat::Text, None, &record), [expected]);
        }
    }

    #[test]
    fn the_filter_wins_over_the_level_and_what_is_wrong_in_it_is_told() {
        let backlog = Arc::new(Backlog::new(SystemTime::now));
        let (logger, wrong) =
            logger(LogFormat::Text, LevelFilter::Info, Some("debug,a=nonsense,,b=trace"), backlog);
        assert_eq!(wrong, ["a=nonsense"]);
        assert_eq!(logger.filter(), LevelFilter::Trace);
        let record = Record::builder().level(Level::Info).args(format_args!("m")).build();
        assert!(said(LogFormat::Text, Some("error"), &record).is_empty());
    }

    #[test]
    fn the_backlog_is_bounded_and_counts_what_it_drops() {
        let backlog = Backlog::new(SystemTime::now);
        for _ in 0..LIMIT / 1000 + 5 {
            backlog.push(Body::Text(vec![b'x'; 1000]));
        }
        let (entries, dropped) = backlog.take();
        assert_eq!((entries.len(), dropped), (LIMIT / 1000, 5));
        assert!(backlog.is_empty());
    }
}
