//! An ecosystem file of PM2's, as the tables that TOML gives: every check, limit and message is then the same.
//!
//! Its defaults and meanings are PM2's own; each value keeps its place in its file. What foster does not do is an error or a
//! warning at its line, never silence. A file of JavaScript is run by what the environment gives (`ecosystem.rs` of the
//! crate), and its values have their places in the JSON that it prints. `json5.rs` and `yaml.rs` of the crate read the text, `app.rs` an
//! app, `values.rs` its values, `command.rs` finds its interpreter, `listen.rs` its port.

mod app;
mod command;
mod listen;
mod output;
mod own_variables;
#[cfg(test)]
mod tests;
mod values;

use std::ffi::OsStr;
use std::path::Path;

use super::Environment;
use super::diagnostics::Diagnostics;
use super::environment::ScriptError;
use super::front_end::{DEFAULT, foster_name, ignored, literal, set, text, texts};
use super::merged::{Author, Document};
use super::phrase::quoted;
use super::span::{MAIN, Position, Span};
use super::table::{Key, Kind, Table, Value};
use crate::json5;
use crate::yaml::{self, Node};

use app::Program;

/// What the command line of `pm2-runtime` asks for: each is a variable of foster's own, so that an update reads the same.
const ENV: &str = "FOSTER_PM2_ENV";
const ONLY: &str = "FOSTER_PM2_ONLY";
const APP: &str = "FOSTER_PM2_APP";
const LOG: &str = "FOSTER_PM2_LOG";
const AUTO_EXIT: &str = "FOSTER_PM2_AUTO_EXIT";

/// The time limit for a shutdown where no app asks for more: below the ten seconds of `docker stop`.
const SHUTDOWN_MS: i64 = 9000;
/// What a shutdown takes beside the longest `kill_timeout`.
const MARGIN_MS: i64 = 1000;

/// What holds for all apps.
struct Common<'a> {
    environment: &'a Environment,
    /// The file of the values.
    file: usize,
    /// `--env`.
    env: Option<String>,
    /// The `pm_id` of the next process.
    next_id: i64,
    shutdown_ms: i64,
    has_timestamps: bool,
}

/// Whether an app is described by the command line alone.
pub(super) fn is_script(environment: &Environment) -> bool {
    option(environment, APP).is_some()
}

fn option(environment: &Environment, name: &str) -> Option<String> {
    let value = environment.get(OsStr::new(name))?.to_str()?;
    Some(value.to_owned()).filter(|value| !value.is_empty())
}

/// The tables that say the same as this file, or as the command line where there is none.
pub(super) fn document(
    path: &Path,
    source: Option<usize>,
    environment: &Environment,
    diagnostics: &mut Diagnostics,
) -> Document {
    let Some(file) = json(path, source, environment, diagnostics) else { return Document::default() };
    let parse = if is_yaml(path) && source.is_some() { yaml::parse } else { json5::parse };
    let root = match parse(diagnostics.text(file)) {
        Ok(root) => root,
        Err(fault) => {
            let span = Span { file, start: fault.place.start, end: fault.place.end };
            diagnostics.syntax_error(span, fault.message, fault.note);
            return Document::default();
        }
    };
    let mut common = Common {
        environment,
        file,
        env: option(environment, ENV),
        next_id: 0,
        shutdown_ms: SHUTDOWN_MS,
        has_timestamps: false,
    };
    let mut document = Document { author: Author::FrontEnd, ..Document::default() };
    for app in apps(&root, &common, diagnostics) {
        let Some(Program { name, key, table, cron }) = app::read(app, &mut common, diagnostics) else {
            continue;
        };
        let foster = foster_name(&name, &document.programs);
        if let Some((schedule, span)) = cron {
            let job = foster_name(&format!("{foster}-cron"), &document.jobs);
            document.jobs.push(Key { name: job, span }, restart_job(&schedule, &foster, span, environment));
        }
        document
            .programs
            .push(Key { name: foster, span: key }, Value { kind: Kind::Table(table), span: key });
    }
    document.defaults = defaults(environment);
    document.foster = foster(environment, &common);
    document
}

/// Whether a configuration is a program that Node runs.
pub fn is_javascript(path: &Path) -> bool {
    let end = path.extension().unwrap_or_default();
    ["js", "cjs", "mjs"].iter().any(|script| end.eq_ignore_ascii_case(script))
}

fn is_yaml(path: &Path) -> bool {
    let end = path.extension().unwrap_or_default();
    ["yml", "yaml"].iter().any(|yaml| end.eq_ignore_ascii_case(yaml))
}

/// The file of the values: this one, what it prints when it is run, or the command line.
fn json(
    path: &Path,
    source: Option<usize>,
    environment: &Environment,
    diagnostics: &mut Diagnostics,
) -> Option<usize> {
    let Some(source) = source else {
        let text = option(environment, APP).unwrap_or_default();
        return Some(diagnostics.add_source(Path::new("command line of pm2-runtime"), text));
    };
    if !is_javascript(path) {
        return Some(source);
    }
    let Some(evaluated) = environment.evaluate(path) else {
        let note = "restart the container, or write it as JSON: `ecosystem.json`";
        diagnostics.error(Position::File(source), "no process could be made to run this file", note);
        return None;
    };
    match evaluated {
        Ok(text) => {
            let name = format!("{}, as JSON", path.display());
            Some(diagnostics.add_source(Path::new(&name), text))
        }
        Err(ScriptError { message, note, line }) => {
            let position = line.and_then(|line| line_span(diagnostics.text(source), source, line));
            diagnostics.error(position.map_or(Position::File(source), Position::At), message, note);
            None
        }
    }
}

/// The text of a line.
fn line_span(text: &str, file: usize, number: usize) -> Option<Span> {
    let before: usize = text.split_inclusive('\n').take(number.checked_sub(1)?).map(str::len).sum();
    let line = text.get(before..)?.lines().next()?;
    let start = before + (line.len() - line.trim_start().len());
    Some(Span { file, start, end: before + line.trim_end().len() })
}

/// The apps that the command line chooses.
fn apps<'n>(root: &'n Node, common: &Common<'_>, diagnostics: &mut Diagnostics) -> Vec<&'n Node> {
    let listed = root.get("apps").or(root.get("pm2")).unwrap_or(root);
    let all: Vec<&Node> = match &listed.value {
        yaml::Value::List(items) => items.iter().collect(),
        yaml::Value::Map(_) if !app::name(listed).is_empty() => vec![listed],
        yaml::Value::Map(_) | yaml::Value::Plain(_) | yaml::Value::Quoted(_) => Vec::new(),
    };
    for (key, _) in root.entries() {
        let span = Span { file: common.file, start: key.place.start, end: key.place.end };
        match key.text.as_str() {
            "deploy" => {
                ignored(diagnostics, span, "deploy", "an image is deployed by what runs the container")
            }
            "static" => {
                ignored(diagnostics, span, "static", "foster serves no files; run a web server as an app")
            }
            _ => {}
        }
    }
    if all.is_empty() {
        let note = "expected `apps`, a list of `{ name, script }`";
        diagnostics.error(Position::File(MAIN), "this file has no apps", note);
    }
    let Some(only) = option(common.environment, ONLY) else { return all };
    let wanted: Vec<&str> = only.split([',', ' ']).collect();
    let chosen: Vec<&Node> =
        all.iter().copied().filter(|app| wanted.contains(&app::name(app).as_str())).collect();
    if chosen.is_empty() && !all.is_empty() {
        let names: Vec<String> = all.iter().map(|app| quoted(&app::name(app))).collect();
        let message = format!("no app has the name {}", quoted(&only));
        diagnostics.error(Position::File(MAIN), message, format!("there are {}", names.join(", ")));
    }
    chosen
}

/// PM2's defaults that are not foster's.
fn defaults(environment: &Environment) -> Table {
    let mut table = Table::default();
    for (name, kind) in [
        ("restart", text("always")),
        ("start_limit", Kind::Integer(16)),
        ("backoff", texts(&[("initial", "0s"), ("max", "0s"), ("reset", "1s")])),
        ("on_failure", text("ignore")),
        ("stop_signal", text("${PM2_KILL_SIGNAL:-SIGINT}")),
        ("stop_timeout", text("${PM2_KILL_TIMEOUT:-1600}ms")),
        ("stop_group", Kind::Boolean(true)),
        ("stdin", text("open")),
    ] {
        set(&mut table, name, kind, DEFAULT);
    }
    if option(environment, LOG).as_deref() == Some("raw") {
        set(&mut table, "log_prefix", Kind::Boolean(false), DEFAULT);
    }
    table
}

fn foster(environment: &Environment, common: &Common<'_>) -> Table {
    let mut table = Table::default();
    // PM2's file has no place for it; its clients look there, too.
    set(&mut table, "socket", text("${FOSTER_SOCKET:-/run/foster.sock}"), DEFAULT);
    set(&mut table, "start", text("together"), DEFAULT);
    let stays = option(environment, AUTO_EXIT).as_deref() == Some("no");
    set(&mut table, "when_all_ended", text(if stays { "stay" } else { "fail" }), DEFAULT);
    set(&mut table, "shutdown_timeout", text(&format!("{}ms", common.shutdown_ms)), DEFAULT);
    let log = option(environment, LOG);
    if log.as_deref() == Some("json") {
        set(&mut table, "log_format", text("json"), DEFAULT);
    }
    if common.has_timestamps || log.as_deref() == Some("format") {
        set(&mut table, "log_timestamps", Kind::Boolean(true), DEFAULT);
    }
    table
}

/// A job that restarts a program, or starts it where it has ended.
fn restart_job(schedule: &str, program: &str, span: Span, environment: &Environment) -> Value {
    let own = std::env::current_exe().ok().filter(|_| !environment.is_elsewhere());
    let foster = own.and_then(|path| Some(literal(path.to_str()?))).unwrap_or_else(|| "foster".to_owned());
    let words = [foster.as_str(), "restart", program];
    let words = words.iter().map(|word| Value { kind: text(word), span: DEFAULT }).collect();
    let mut table = Table::default();
    set(&mut table, "command", Kind::Array(words), DEFAULT);
    set(&mut table, "schedule", text(schedule), span);
    set(&mut table, "stdout", text("null"), DEFAULT);
    Value { kind: Kind::Table(table), span }
}
