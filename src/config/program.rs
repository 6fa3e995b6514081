//! Reads the table of a program: the part for the core and the part for the shell.
//!
//! A program starts from foster's built-in defaults, then `[defaults]`, then its own keys. Its dependencies
//! are still names with spans here; `check.rs` resolves them.

use std::collections::BTreeSet;

use foster_core::ids::Signal;
use foster_core::spec::{
    Autostart, Backoff, EarlyExit, ExitAction, Growth, KillMode, Kind, Overlap, PreStop, ProgramSpec,
    Readiness, Restart, RestartPolicy, StopPlan, StopScope,
};

use crate::plan::{InstanceCount, ListenSocket, Program, Sink, Template};

use super::command::command;
use super::defaults::over_built_in;
use super::foreign::foreign_restart;
use super::instances::instances;
use super::job::job;
use super::key_spec::Key as Spec;
use super::keys::{BACKOFF, PROGRAM};
use super::launch::launch;
use super::phrase::quoted;
use super::reader::{Reader, Reference};
use super::ready::{health, interval, ready};
use super::sink::sink;
use super::sockets::sockets;
use super::span::Span;
use super::table::{self, Item, Key, Table};

/// A program whose dependencies are still names.
#[derive(Debug)]
pub(super) struct Draft {
    /// Its name, where it is defined.
    pub(super) key: Key,
    /// The core's part; `after` and `requires` are empty.
    pub(super) spec: ProgramSpec,
    /// The shell's part.
    pub(super) program: Program,
    /// The programs in `after`.
    pub(super) after: Vec<Reference>,
    /// The programs in `requires`.
    pub(super) requires: Vec<Reference>,
    /// The spans of its keys.
    pub(super) spans: Spans,
    /// The definitions of the instances after the first, where they differ.
    pub(super) others: Vec<Program>,
    /// What makes further ones.
    pub(super) template: Option<Template>,
}

/// The span of each key of a program: in its own table, in `[defaults]`, or among the built-in defaults.
#[derive(Debug)]
pub(super) struct Spans(Vec<(&'static str, Span)>);

impl Draft {
    /// What it is, for a message: "program `web`".
    pub(super) fn described(&self) -> String {
        format!("{} `{}`", self.spec.kind().name(), self.key.name)
    }
}

impl Spans {
    fn of(table: &Table) -> Spans {
        let span = |key: &'static Spec| Some((key.name, table.get(key.name)?.value.span));
        Spans(PROGRAM.keys.iter().filter_map(span).collect())
    }

    /// The span of this key, if it is set.
    pub(super) fn get(&self, key: &str) -> Option<Span> {
        self.0.iter().find(|(name, _)| *name == key).map(|(_, span)| *span)
    }
}

/// Reads one program from its table, which has the defaults merged in.
pub(super) fn draft(reader: &mut Reader<'_>, kind: Kind, key: &Key, table: &Table) -> Draft {
    let ready = reader.field(table, "ready", ready);
    let sink = |reader: &mut Reader<'_>, name| reader.field(table, name, sink).unwrap_or(Sink::Log);
    let (stdout, stderr) = (sink(reader, "stdout"), sink(reader, "stderr"));
    let pre_stop = reader.field(table, "pre_stop", command);
    let (probe, readiness) = match (kind, ready) {
        (Kind::Task | Kind::Job, _) => {
            let timeout =
                |reader: &mut Reader<'_>| reader.field(table, "timeout", Reader::duration_above_zero);
            (None, Readiness::Completion { timeout: reader.for_all_instances(timeout) })
        }
        (Kind::Program, Some((probe, readiness))) => (Some(probe), readiness),
        (Kind::Program, None) => (None, Readiness::Uptime),
    };
    let (health, health_plan) = reader.field(table, "health", health).unzip();
    let watchdog = reader.field(table, "watchdog", interval);
    let count = reader.for_all_instances(|reader| reader.field(table, "instances", instances));
    let count = count.unwrap_or(InstanceCount::fixed(1));
    let sockets = reader.field(table, "sockets", sockets).unwrap_or_default();
    if let Some(item) = table.get("stdin").filter(|item| asks_for_socket(item.value) && sockets.is_empty()) {
        let note = "expected `sockets` with the one that it is";
        reader.diagnostics.error(item.value.span, "`stdin` cannot be `socket` without one", note);
    }
    // Where the readiness probe asks at a socket of the program, the old run would answer for the new one.
    let is_answered = |socket: &ListenSocket| probe.as_ref().is_some_and(|probe| socket.is_asked_by(probe));
    let overlap = match sockets.is_empty() || sockets.iter().any(is_answered) {
        true => Overlap::Never,
        false => Overlap::Allowed,
    };
    let job = if kind == Kind::Job { job(reader, table, &key.name) } else { None };
    let (job, schedule) = job.unzip();
    Draft {
        key: key.clone(),
        after: reader
            .for_all_instances(|reader| reader.field(table, "after", references))
            .unwrap_or_default(),
        requires: reader
            .for_all_instances(|reader| reader.field(table, "requires", references))
            .unwrap_or_default(),
        spans: Spans::of(table),
        others: Vec::new(),
        template: None,
        spec: ProgramSpec {
            instances: count.number,
            health: health_plan,
            watchdog,
            overlap,
            job,
            ..reader.for_all_instances(|reader| spec(reader, table, kind, readiness, pre_stop.as_ref()))
        },
        program: Program {
            name: key.name.clone(),
            namespec: reader.field(table, "namespec", Reader::text),
            instances: count,
            launch: launch(reader, table),
            sockets,
            stdout,
            stderr,
            captures: ["stdout_capture", "stderr_capture"]
                .map(|key| reader.field(table, key, Reader::boolean).unwrap_or(false)),
            log_prefix: reader.field(table, "log_prefix", Reader::boolean).unwrap_or(true),
            ready: probe,
            health,
            pre_start: reader.field(table, "pre_start", command),
            pre_stop,
            schedule,
        },
    }
}

/// Whether this value of `stdin` is a listening socket.
fn asks_for_socket(value: &table::Value) -> bool {
    matches!(&value.kind, table::Kind::String(text) if text == "socket")
}

/// The keys of a program merged over `[defaults]`, which are merged over the built-in defaults.
pub(super) fn over_base(table: &Table, base: &Table) -> Table {
    table.over(base, &|name| PROGRAM.merges(name))
}

fn spec(
    reader: &mut Reader<'_>,
    table: &Table,
    kind: Kind,
    readiness: Readiness,
    pre_stop: Option<&Vec<String>>,
) -> ProgramSpec {
    let autostart = reader.field(table, "autostart", Reader::boolean).unwrap_or(true);
    let fate = |reader: &mut Reader<'_>, item: Item<'_>| {
        reader.choice(item, &[("ignore", ExitAction::Ignore), ("shutdown", ExitAction::Shutdown)])
    };
    ProgramSpec {
        instances: 1,
        autostart: if autostart && kind != Kind::Job { Autostart::Yes } else { Autostart::No },
        // A job stops before all others.
        priority: if kind == Kind::Job {
            i32::MAX
        } else {
            reader
                .field(table, "priority", |reader, item| {
                    reader.integer_or(item, i32::MIN..=i32::MAX, "a 32-bit integer")
                })
                .unwrap_or_default()
        },
        after: Vec::new(),
        requires: Vec::new(),
        restart: restart_policy(reader, table, kind),
        on_exit: reader.field(table, "on_exit", fate).unwrap_or(ExitAction::Ignore),
        on_failure: reader.field(table, "on_failure", fate).unwrap_or(ExitAction::Shutdown),
        readiness,
        health: None,
        watchdog: None,
        memory_max: reader.field(table, "memory_max", memory_max).flatten(),
        stop: stop_plan(reader, table, pre_stop),
        reload_signal: reader.field(table, "reload_signal", Reader::signal),
        overlap: Overlap::Never,
        job: None,
    }
}

fn restart_policy(reader: &mut Reader<'_>, table: &Table, kind: Kind) -> RestartPolicy {
    let (restart, start_limit) = match kind {
        Kind::Job => (Restart::Never, None),
        Kind::Task => {
            let retries = reader.field(table, "retries", retries).unwrap_or_default();
            (Restart::OnFailure, Some(retries + 1))
        }
        Kind::Program => (
            reader.field(table, "restart", restart).unwrap_or(Restart::Always),
            reader.field(table, "start_limit", start_limit).flatten(),
        ),
    };
    RestartPolicy {
        restart,
        success_exit_codes: reader.field(table, "success_exit_codes", exit_codes).unwrap_or_default(),
        early_exit: reader
            .field(table, "early_exit", |reader, item| reader.choice(item, &EARLY_EXITS))
            .unwrap_or(EarlyExit::ByStatus),
        min_uptime: reader.field(table, "min_uptime", Reader::duration).unwrap_or_default(),
        backoff: backoff(reader, table),
        start_limit,
    }
}

fn retries(reader: &mut Reader<'_>, item: Item<'_>) -> Option<u32> {
    reader.integer_or(item, 0..=MOST_RETRIES, "an integer from 0 to 1000")
}

/// More retries are a mistake: a task that is to be tried forever is a program.
const MOST_RETRIES: u32 = 1000;

fn restart(reader: &mut Reader<'_>, item: Item<'_>) -> Option<Restart> {
    const WORDS: [(&str, Restart); 3] =
        [("always", Restart::Always), ("on-failure", Restart::OnFailure), ("never", Restart::Never)];
    let text = match &item.value.kind {
        table::Kind::Boolean(boolean) => boolean.to_string(),
        table::Kind::String(text) => text.clone(),
        table::Kind::Integer(_)
        | table::Kind::Float(_)
        | table::Kind::Datetime
        | table::Kind::Array(_)
        | table::Kind::Table(_) => String::new(),
    };
    if let Some(note) = foreign_restart(&text) {
        let message = format!("`restart` cannot be {}", quoted(&text));
        reader.diagnostics.error(item.value.span, message, note);
        return None;
    }
    reader.choice(item, &WORDS)
}

fn exit_codes(reader: &mut Reader<'_>, item: Item<'_>) -> Option<Vec<u8>> {
    let items = reader.list(item, "a list such as `[0, 143]`")?;
    Some(items.into_iter().filter_map(|item| reader.integer(item, 0..=u8::MAX)).collect())
}

fn backoff(reader: &mut Reader<'_>, table: &Table) -> Backoff {
    let given = reader.field(table, "backoff", |reader, item| {
        let given = reader.table(item, "a table such as `{ max = \"30s\" }`")?;
        reader.check_keys(given, &BACKOFF, "in `backoff`");
        Some((item, given))
    });
    let full = over_built_in(given.map_or(&Table::default(), |(_, given)| given), &BACKOFF);
    let initial = reader.field(&full, "initial", Reader::duration).unwrap_or_default();
    let max = reader.field(&full, "max", Reader::duration);
    if let (Some((item, _)), Some(max)) = (given, max)
        && initial > max
    {
        let message = "`initial` of `backoff` is longer than `max`";
        reader.diagnostics.error(item.value.span, message, "expected a longer `max`");
    }
    let factor = reader.field(&full, "factor", |reader, item| reader.number(item, 1.0)).unwrap_or(1.0);
    Backoff {
        initial,
        factor,
        max: max.unwrap_or_default(),
        growth: reader
            .field(&full, "growth", |reader, item| reader.choice(item, &GROWTH))
            .unwrap_or(Growth::Exponential),
        reset: reader.field(&full, "reset", Reader::duration).unwrap_or_default(),
    }
}

const EARLY_EXITS: [(&str, EarlyExit); 2] =
    [("status", EarlyExit::ByStatus), ("failure", EarlyExit::Failure)];

const GROWTH: [(&str, Growth); 2] = [("exponential", Growth::Exponential), ("linear", Growth::Linear)];

fn start_limit(reader: &mut Reader<'_>, item: Item<'_>) -> Option<Option<u32>> {
    if let table::Kind::String(_) = item.value.kind
        && reader.text(item)? == "unlimited"
    {
        return Some(None);
    }
    reader.integer_or(item, 1..=u32::MAX, "an integer, at least 1, or `\"unlimited\"`").map(Some)
}

/// A limit below what any process takes would stop the program at each look.
const LEAST_MEMORY: u64 = 1024 * 1024;

fn memory_max(reader: &mut Reader<'_>, item: Item<'_>) -> Option<Option<u64>> {
    const EXPECTED: &str = "a size such as `\"100M\"` or `\"1G\"`, or `\"unlimited\"`";
    if let table::Kind::String(_) = item.value.kind
        && reader.text(item)? == "unlimited"
    {
        return Some(None);
    }
    let size = reader.size(item, EXPECTED)?;
    if size < LEAST_MEMORY {
        let message = format!("`memory_max` cannot be {size} bytes");
        reader.diagnostics.error(item.value.span, message, "expected at least `\"1M\"`");
        return None;
    }
    Some(Some(size))
}

fn stop_plan(reader: &mut Reader<'_>, table: &Table, pre_stop: Option<&Vec<String>>) -> StopPlan {
    let group = reader.field(table, "stop_group", Reader::boolean).unwrap_or_default();
    StopPlan {
        signals: reader.field(table, "stop_signal", stop_signals).unwrap_or_default(),
        timeout: reader.field(table, "stop_timeout", Reader::duration).unwrap_or_default(),
        scope: if group { StopScope::Group } else { StopScope::Main },
        pre_stop: if pre_stop.is_some() { PreStop::Command } else { PreStop::None },
        kill_mode: reader
            .field(table, "kill_mode", |reader, item| reader.choice(item, &KILL_MODES))
            .unwrap_or(KillMode::Tree),
    }
}

const KILL_MODES: [(&str, KillMode); 3] =
    [("tree", KillMode::Tree), ("session", KillMode::Session), ("process", KillMode::Process)];

fn stop_signals(reader: &mut Reader<'_>, item: Item<'_>) -> Option<Vec<Signal>> {
    let items = reader.one_or_more(item);
    if items.is_empty() {
        reader.refuse(item, "empty", "a signal or a list of signals");
    }
    Some(items.into_iter().filter_map(|item| reader.signal(item)).collect())
}

fn references(reader: &mut Reader<'_>, item: Item<'_>) -> Option<Vec<Reference>> {
    let mut references = Vec::new();
    let mut names = BTreeSet::new();
    for item in reader.one_or_more(item) {
        let Some(name) = reader.text_or(item, "a name or a list of names, such as `[\"db\"]`") else {
            continue;
        };
        if names.insert(name.clone()) {
            references.push(Reference { name, span: item.value.span });
        }
    }
    Some(references)
}

/// A name is printed before every line of its program and is part of every reply about it.
pub(super) const LONGEST_NAME: usize = 64;

/// Whether this is a valid name of a program.
pub(super) fn is_name(text: &str) -> bool {
    text.len() <= LONGEST_NAME
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_only_letters_digits_dashes_and_underscores() {
        for name in ["a", "0", "web-1", "Web_2", &"a".repeat(LONGEST_NAME)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "-a", "_a", "a.b", "a b", "é", "a\n", "a/b", &"a".repeat(LONGEST_NAME + 1)] {
            assert!(!is_name(name), "{name}");
        }
    }
}
