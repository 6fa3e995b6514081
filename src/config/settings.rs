//! The tables `[foster]` and `[signals]`.
//!
//! The programs that signals are forwarded to are names here; `check.rs` resolves them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use foster_core::ids::Signal;
use foster_core::plan::{PlanSettings, StartOrder, WhenAllEnded};
use log::LevelFilter;

use crate::plan::{LogFormat, OnFault, Settings};

use super::defaults::over_built_in;
use super::keys::FOSTER;
use super::phrase::quoted;
use super::reader::{Reader, Reference};
use super::sink::{MOST_KEPT, size_or_unlimited};
use super::table::{Item, Table};

/// An entry of `[signals]`, before its program is resolved.
#[derive(Debug)]
pub(super) enum SignalRule {
    /// The signal is sent to a program.
    Forward(Reference, Signal),
    /// foster shuts down.
    Shutdown,
    /// Nothing happens.
    Ignore,
}

/// Reads `[foster]`: the settings of the shell, and those of the core without `[signals]`.
pub(super) fn settings(reader: &mut Reader<'_>, table: &Table) -> (Settings, PlanSettings) {
    reader.check_keys(table, &FOSTER, "in `[foster]`");
    let table = &over_built_in(table, &FOSTER);
    let settings = Settings {
        socket: reader.field(table, "socket", optional_socket).flatten(),
        log_format: reader
            .field(table, "log_format", |reader, item| {
                reader.choice(item, &[("text", LogFormat::Text), ("json", LogFormat::Json)])
            })
            .unwrap_or(LogFormat::Text),
        log_level: reader
            .field(table, "log_level", |reader, item| reader.choice(item, &LEVELS))
            .unwrap_or(LevelFilter::Info),
        log_timestamps: reader.field(table, "log_timestamps", Reader::boolean).unwrap_or_default(),
        log_max_size: reader.field(table, "log_max_size", size_or_unlimited).flatten(),
        log_keep: reader
            .field(table, "log_keep", |reader, item| reader.integer(item, 0..=MOST_KEPT))
            .unwrap_or_default(),
        termination_log: reader.field(table, "termination_log", Reader::path).unwrap_or_default(),
        on_fault: reader
            .field(table, "on_fault", |reader, item| {
                reader.choice(item, &[("shutdown", OnFault::Shutdown), ("reexec", OnFault::Reexec)])
            })
            .unwrap_or(OnFault::Shutdown),
    };
    let shutdown_timeout = reader.field(table, "shutdown_timeout", Reader::duration).unwrap_or_default();
    let when_all_ended = reader
        .field(table, "when_all_ended", |reader, item| {
            reader.choice(
                item,
                &[("exit", WhenAllEnded::Exit), ("fail", WhenAllEnded::Fail), ("stay", WhenAllEnded::Stay)],
            )
        })
        .unwrap_or(WhenAllEnded::Exit);
    let start = reader
        .field(table, "start", |reader, item| {
            reader.choice(item, &[("ready", StartOrder::Ready), ("together", StartOrder::Together)])
        })
        .unwrap_or(StartOrder::Ready);
    (settings, PlanSettings { shutdown_timeout, when_all_ended, start, signals: Vec::new() })
}

const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::Off),
    ("error", LevelFilter::Error),
    ("warn", LevelFilter::Warn),
    ("info", LevelFilter::Info),
    ("debug", LevelFilter::Debug),
    ("trace", LevelFilter::Trace),
];

fn optional_socket(reader: &mut Reader<'_>, item: Item<'_>) -> Option<Option<PathBuf>> {
    let text = reader.text_or(item, "a path, or `\"\"` for no socket")?;
    if text.is_empty() {
        return Some(None);
    }
    reader.socket_path(item).map(Some)
}

/// Reads `[signals]`.
pub(super) fn signals(reader: &mut Reader<'_>, table: &Table) -> Vec<(Signal, SignalRule)> {
    let mut rules = Vec::new();
    let mut seen = BTreeSet::new();
    for item in table.items() {
        let Some(signal) = Signal::parse(item.name()) else {
            reader.unknown_signal(item.key.span, item.name());
            continue;
        };
        if let Some(reason) = refusal(signal) {
            reader.diagnostics.error(item.key.span, format!("`[signals]` cannot change {signal}"), reason);
            continue;
        }
        if !seen.insert(signal) {
            reader.diagnostics.error(item.key.span, format!("{signal} is set twice in `[signals]`"), "");
            continue;
        }
        rules.extend(rule(reader, item, signal).map(|rule| (signal, rule)));
    }
    rules
}

/// Why `[signals]` cannot have this signal; `None` if it can.
fn refusal(signal: Signal) -> Option<&'static str> {
    /// glibc uses these two internally (signal(7)).
    const RESERVED: [i32; 2] = [32, 33];
    match signal.name() {
        Some("TERM") => Some("TERM always shuts foster down, so that the container can be stopped"),
        Some("KILL" | "STOP") => Some("no process can catch it"),
        Some("CHLD") => Some("foster uses it to reap its children"),
        Some("SEGV" | "ILL" | "FPE" | "BUS") => Some("it reports a fault in foster itself"),
        None if RESERVED.contains(&signal.number()) => Some("the C library uses it internally"),
        Some(_) | None => None,
    }
}

const RULES: &str = "`\"forward:PROGRAM\"`, `\"forward:PROGRAM:SIGNAL\"`, `\"shutdown\"` or `\"ignore\"`";

fn rule(reader: &mut Reader<'_>, item: Item<'_>, signal: Signal) -> Option<SignalRule> {
    let text = reader.text_or(item, RULES)?;
    match text.as_str() {
        "shutdown" => return Some(SignalRule::Shutdown),
        "ignore" => return Some(SignalRule::Ignore),
        _ => {}
    }
    let Some(target) = text.strip_prefix("forward:").filter(|target| !target.is_empty()) else {
        reader.refuse(item, &quoted(&text), RULES);
        return None;
    };
    let (name, as_signal) = match target.split_once(':') {
        None => (target, Some(signal)),
        Some((name, written)) => {
            let parsed = Signal::parse(written);
            if parsed.is_none() {
                reader.unknown_signal(item.value.span, written);
            }
            (name, parsed)
        }
    };
    let span = reader.diagnostics.narrow(item.value.span, name);
    Some(SignalRule::Forward(Reference { name: name.to_owned(), span }, as_signal?))
}
