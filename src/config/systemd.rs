//! Units of systemd as programs, tasks and jobs.
//!
//! A `.service` is a program, or a task if it is `Type=oneshot`; with a `.timer` it is a job; a `.socket` gives it its
//! sockets. Drop-ins count. `unit.rs` reads files, `service.rs`, `policy.rs`, `calendar.rs` and `listen.rs` the keys. The contract:
//! systemd.service(5), systemd.exec(5), systemd.kill(5), systemd.timer(5), systemd.socket(5).

mod calendar;
mod command;
mod listen;
mod policy;
mod service;
mod unit;

use std::path::{Path, PathBuf};

use super::files::Files;
use super::front_end::{DEFAULT, foster_name, set, text};
use super::merged::Document;
use super::span::{Position, Span};
use super::stop_time::set_shutdown_timeout;
use super::table::{Key, Kind, Table, Value};
use unit::Unit;

/// The units beside each other, by the name of their service.
struct Found {
    name: String,
    service: Option<Unit>,
    timer: Option<Unit>,
    socket: Option<Unit>,
}

/// The tables that say the same as a unit, or as those of a folder.
pub(super) fn document(path: &Path, files: &mut Files<'_>) -> Document {
    let mut document = Document::default();
    let found = if path.is_dir() { folder(path, files) } else { one(path, files) };
    if files.diagnostics.has_syntax_errors() {
        return document;
    }
    let mut names: Vec<(String, String)> = Vec::new();
    let mut taken = Table::default();
    for one in &found {
        let own = foster_name(&one.name, &taken);
        set(&mut taken, &own, Kind::Boolean(true), DEFAULT);
        names.push((format!("{}.service", one.name), own));
    }
    for (one, (_, own)) in found.into_iter().zip(names.clone()) {
        let Some(unit) = one.service else {
            let position =
                one.timer.or(one.socket).map_or(Position::Nowhere, |unit| Position::File(unit.number));
            let message = format!("there is no `{}.service` beside it", one.name);
            files.diagnostics.error(position, message, "expected the service in the same folder");
            continue;
        };
        let span = Span { file: unit.number, start: 0, end: 0 };
        if own != one.name {
            files.diagnostics.warn(span, format!("its name there is `{}.service`", one.name));
        }
        let mut made = service::read(&unit, &names, one.timer.is_some(), files.diagnostics);
        if let Some(socket) = &one.socket {
            listen::read(socket, &mut made.table, files.diagnostics);
        }
        let target = match (&one.timer, made.is_task) {
            (Some(timer), _) => {
                calendar::read(timer, &mut made.table, files.diagnostics);
                &mut document.jobs
            }
            (None, true) => &mut document.tasks,
            (None, false) => &mut document.programs,
        };
        target.push(Key { name: own, span }, Value { kind: Kind::Table(made.table), span });
    }
    if document.programs.items().next().is_some() {
        set(&mut document.defaults, "on_failure", text("ignore"), DEFAULT);
    }
    set_shutdown_timeout(&mut document);
    document
}

/// One unit; a timer or a socket names its service, which is beside it.
fn one(path: &Path, files: &mut Files<'_>) -> Vec<Found> {
    let kind = kind(path).to_owned();
    let Some(unit) = unit::read(path, files) else { return Vec::new() };
    if !matches!(kind.as_str(), "timer" | "socket") {
        return vec![Found { name: unit.name.clone(), service: Some(unit), timer: None, socket: None }];
    }
    let name = service_of(&unit);
    let beside = path.with_file_name(format!("{name}.service"));
    let service = beside.symlink_metadata().is_ok().then(|| unit::read(&beside, files)).flatten();
    let (timer, socket) = if kind == "timer" { (Some(unit), None) } else { (None, Some(unit)) };
    vec![Found { name, service, timer, socket }]
}

/// The units of a folder.
fn folder(path: &Path, files: &mut Files<'_>) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let paths: Vec<PathBuf> = files.list(path);
    // A template itself has no instance.
    let is_template =
        |path: &&PathBuf| path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with('@'));
    for wanted in ["service", "timer", "socket"] {
        for path in paths.iter().filter(|path| kind(path) == wanted && !path.is_dir() && !is_template(path)) {
            let Some(unit) = unit::read(path, files) else { continue };
            let name = if wanted == "service" { unit.name.clone() } else { service_of(&unit) };
            let at = found.iter().position(|one| one.name == name).unwrap_or(found.len());
            if at == found.len() {
                found.push(Found { name, service: None, timer: None, socket: None });
            }
            let Some(one) = found.get_mut(at) else { continue };
            match wanted {
                "service" => one.service = Some(unit),
                "timer" => one.timer = Some(unit),
                _ => one.socket = Some(unit),
            }
        }
    }
    found
}

fn kind(path: &Path) -> &str {
    path.extension().and_then(|kind| kind.to_str()).unwrap_or("")
}

/// The service of a timer or a socket: the one it names, or the one with its name.
fn service_of(unit: &Unit) -> String {
    let named = unit.settings.iter().rev().find(|setting| matches!(setting.key.as_str(), "Unit" | "Service"));
    let name = named.map_or(unit.name.as_str(), |setting| setting.value.as_str());
    name.trim_end_matches(".service").to_owned()
}
